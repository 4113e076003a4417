//! The path of one request through the log, the fault script and the ledger.
//!
//! Counts it as running from arrival until it is dropped. Must never hold a lock across a wait.

use std::{sync::Arc, time::Duration};

use super::{
    api,
    calls::Call,
    fault::{Fault, RetryAfter},
    http::{Answer, Request},
    log::{Entry, Standing, Violation},
    shared::Shared,
    spec::{Api, Endpoint},
};

/// A request in the log; dropping it unanswered notes that the peer went away.
pub(super) struct Ticket {
    pub(super) shared: Arc<Shared>,
    pub(super) api: Api,
    endpoint: Endpoint,
    owner: Option<usize>,
    sequence: u64,
    counted: bool,
    arrived: Duration,
}

impl Ticket {
    pub(super) fn arrive(
        shared: &Arc<Shared>,
        api: Api,
        endpoint: Endpoint,
        request: &Request,
        call: Option<&Call>,
    ) -> Self {
        let now = shared.watch.now();
        let mut ledger = shared.ledger();
        let owner = call.and_then(|call| ledger.concerned(api, call));
        let presented = call.and_then(|call| ledger.presented(owner, call, now));
        let token_request = matches!(endpoint, Endpoint::Login | Endpoint::Refresh);
        let account = owner.and_then(|owner| ledger.accounts.get_mut(owner));
        let counted = token_request && account.is_some();
        let (name, in_flight) = account.map_or((None, 0), |account| {
            account.in_flight += u32::from(counted);
            (Some(account.spec.name.clone()), account.in_flight)
        });
        let sequence = ledger.log.push(Entry {
            sequence: 0,
            at_ms: millis(now.elapsed),
            took_ms: None,
            account: name.clone(),
            api,
            endpoint,
            method: request.method.to_string(),
            path: request.path.clone(),
            presented,
            fault: None,
            processed: false,
            issued: None,
            status: None,
            abandoned: false,
        });
        let replayed = presented
            .filter(|token| endpoint == Endpoint::Refresh && token.standing == Standing::Spent);
        if let Some(account) = name {
            if let Some(serial) = replayed.and_then(|token| token.serial) {
                let account = account.clone();
                ledger.log.violated(Violation::SpentTokenReplayed {
                    account,
                    serial,
                    sequence,
                });
            }
            if in_flight > 1 && counted {
                ledger
                    .log
                    .violated(Violation::ConcurrentRequests { account, sequence });
            }
        }
        drop(ledger);
        let (shared, arrived) = (Arc::clone(shared), now.elapsed);
        Self {
            shared,
            api,
            endpoint,
            owner,
            sequence,
            counted,
            arrived,
        }
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        let mut ledger = self.shared.ledger();
        let account = self.owner.and_then(|owner| ledger.accounts.get(owner));
        let name = account.map(|account| account.spec.name.clone());
        let fault = ledger
            .script
            .take(name.as_deref(), self.api, self.endpoint)?;
        let text = format!("{fault:?}");
        ledger
            .log
            .amend(self.sequence, |entry| entry.fault = Some(text));
        Some(fault)
    }

    pub(super) fn process(&self, call: &Result<Call, Answer>) -> Answer {
        let call = match call {
            Ok(call) => call,
            Err(answer) => return answer.clone(),
        };
        let mut ledger = self.shared.ledger();
        let now = self.shared.watch.now();
        let processed = ledger.process(self.owner, call, self.sequence, now);
        ledger.log.amend(self.sequence, |entry| {
            entry.processed = true;
            entry.issued = processed.issued;
        });
        drop(ledger);
        api::write(
            self.api,
            &self.shared.deployment(self.api),
            &processed.outcome,
        )
    }

    pub(super) fn retry_after(&self, value: &RetryAfter) -> String {
        match value {
            RetryAfter::Seconds(seconds) => seconds.to_string(),
            RetryAfter::Date(ahead) => {
                let at = self.shared.watch.now().wall() + Duration::from_secs(*ahead);
                httpdate::fmt_http_date(at)
            }
            RetryAfter::Text(text) => text.clone(),
        }
    }

    /// Notes the answer, or with `None` that there will be none.
    pub(super) fn note(&self, status: Option<u16>) {
        let took = self.shared.watch.elapsed().saturating_sub(self.arrived);
        self.shared.ledger().log.amend(self.sequence, |entry| {
            entry.status = status;
            entry.took_ms = Some(millis(took));
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut ledger = self.shared.ledger();
        if self.counted
            && let Some(account) = self.owner.and_then(|owner| ledger.accounts.get_mut(owner))
        {
            account.in_flight = account.in_flight.saturating_sub(1);
        }
        ledger.log.amend(self.sequence, |entry| {
            entry.abandoned = entry.took_ms.is_none()
        });
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
