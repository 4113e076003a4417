//! The driver: the one task that feeds the engine and carries out its decisions.
//!
//! Owns the engine, the reply channels of waiters, and the secrets of attempts in flight for as long as a step needs them. The driver never
//! waits for a disk, a provider or a client: they report by messages.

use std::collections::HashMap;
use std::time::Duration;

use tokend_engine::{
    AccountKey, AttemptId, AttemptKind, ClaimRefusal, Commit, Durable, Effect, Engine, Event,
    StoreRefusal, Timestamp, WaiterId,
};
use tokio::sync::mpsc;

use crate::broker::accounts::Accounts;
use crate::broker::attempt_log;
use crate::broker::credential;
use crate::broker::inbox::Message;
use crate::broker::job::{SecretChanges, StoreJob, Stored, Write};

use super::in_flight::InFlight;
use super::reports::Reports;
use super::service_status::{AccountCounts, ServiceStatus};
use super::shares::Shares;
use super::task::{DriverParts, Task};

/// The longest sleep. The runtime's timers stand still while the machine is suspended, the steady clock does not.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How many messages are taken before their effects are carried out.
const BATCH: usize = 128;

impl Task {
    /// A driver without accounts. The seed is for the jitter of refreshes.
    pub(crate) fn new(seed: u64, parts: DriverParts) -> Self {
        Self {
            engine: Engine::new(seed),
            accounts: Accounts::default(),
            registry: parts.registry,
            clock: parts.clock,
            telemetry: parts.telemetry,
            store_thread: parts.store_thread,
            upstream: parts.upstream,
            own: parts.own,
            waiters: HashMap::new(),
            shares: Shares::default(),
            reports: Reports::default(),
            in_flight: HashMap::new(),
            drained: None,
            service_status: ServiceStatus::new(parts.manager),
        }
    }

    /// Runs until a drain is done.
    pub(crate) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let now = self.clock.steady();
            let due = self.engine.poll_timeout(now);
            let sleep = due
                .map_or(LONGEST_SLEEP, |due| due.since(now))
                .min(self.service_status.sleep(now).unwrap_or(LONGEST_SLEEP))
                .min(LONGEST_SLEEP);
            // Idle work must not starve the messages: they are taken first.
            tokio::select! {
                biased;
                taken = messages.recv_many(&mut batch, BATCH) => if taken == 0 { return },
                () = tokio::time::sleep(sleep) => {}
            }
            for message in batch.drain(..) {
                self.take(message);
                self.carry_out();
            }
            let now = self.clock.steady();
            self.engine.handle_timeout(now);
            self.carry_out();
            self.service_status
                .tick(now, || AccountCounts::of(&self.accounts, &self.engine, now));
            if self.drained.is_some() && self.engine.is_settled() {
                if let Some(drained) = self.drained.take() {
                    let _nobody_asks = drained.send(());
                }
                return;
            }
        }
    }

    fn take(&mut self, message: Message) {
        let now = self.clock.steady();
        match message {
            Message::Wanted {
                account,
                waiter,
                uid,
                demand,
                want,
                reply,
            } => self.token_wanted(now, (account, waiter), uid, demand, want, reply),
            Message::Left(account, waiter) => self.left(now, account, waiter),
            Message::Asked(account) => self.engine.handle_event(now, Event::Asked(account)),
            Message::Login {
                account,
                entered,
                demand,
                reply,
            } => self.login(now, account, entered, demand, reply),
            Message::Forget { account, reply } => self.forget(now, account, reply),
            Message::Former { account, reply } => {
                let _nobody_asks = reply.send(self.accounts.former(&account));
            }
            Message::Store(job) => self.hand(job),
            Message::Status { accounts, reply } => {
                let _nobody_asks = reply.send(self.status(now, &accounts));
            }
            Message::Credential { account, reply } => {
                let view = self.engine.view(account, now);
                let has_token = view.is_some_and(|view| view.has_refresh_token);
                let entry = self.accounts.entry(account);
                let _nobody_asks = reply.send(entry.map(|it| credential::of(it, has_token)));
            }
            Message::Sample { accounts, reply } => {
                let _nobody_asks = reply.send(self.samples(now, &accounts));
            }
            Message::Survey { accounts, reply } => {
                let _nobody_asks = reply.send(self.accounts.survey(&accounts, &self.engine, now));
            }
            Message::Change(change) => {
                self.service_status.note_change();
                self.adopt(now, *change);
            }
            Message::Reloaded(reloaded) => self.service_status.reloaded(reloaded),
            Message::Stored(stored) => self.stored(now, stored),
            Message::Prepared(account, attempt, result) => {
                self.prepared(now, account, attempt, result);
            }
            Message::Answered(account, attempt, outcome) => {
                self.answered(now, account, attempt, *outcome);
            }
            Message::Drain(reply) => {
                self.drained = Some(reply);
                self.service_status.drain();
                self.registry.publications().drain();
                self.engine.handle_event(now, Event::Drain);
            }
        }
    }

    fn stored(&mut self, now: Timestamp, stored: Stored) {
        self.service_status.note_change();
        match stored {
            Stored::Claimed(account, attempt, Some(credential)) => {
                self.prepare(account, attempt, credential);
            }
            Stored::Claimed(account, attempt, None) => {
                let refused = Event::Claimed(account, attempt, Err(ClaimRefusal::Store));
                self.engine.handle_event(now, refused);
            }
            Stored::Recorded(account, attempt, done) => {
                let result = done.then_some(()).ok_or(StoreRefusal);
                let recorded = Event::Recorded(account, attempt, result);
                self.engine.handle_event(now, recorded);
            }
            Stored::Committed(account, None) => {
                let refused = Event::Committed(account, Err(StoreRefusal));
                self.engine.handle_event(now, refused);
            }
            Stored::Committed(account, Some(entered)) => {
                let engine = &mut self.engine;
                engine.handle_event(now, Event::Committed(account, Ok(())));
                self.accounts.entered(account, entered, engine, now);
                self.carry_out();
                // Published tokens are in the registry; unless another attempt has begun, the rest is not needed.
                let in_flight = self.in_flight.get(&account);
                if !in_flight.is_some_and(InFlight::is_needed) {
                    self.in_flight.remove(&account);
                }
                self.registry.publications().wake(account);
            }
            Stored::Discarded(account, done) => {
                self.discarded(now, account, done);
                self.registry.publications().wake(account);
            }
        }
    }

    pub(crate) fn carry_out(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            self.service_status.note_change();
            match effect {
                Effect::Claim(account, attempt, kind, entered_by) => {
                    self.claim(account, attempt, kind, entered_by);
                }
                Effect::Record(account, attempt, durable) => {
                    self.note_login(account, &durable);
                    let in_flight = self.in_flight.get_mut(&account);
                    let entered = in_flight.and_then(|it| it.entered.take());
                    let secrets = SecretChanges {
                        entered,
                        ..SecretChanges::default()
                    };
                    self.write(account, Some(attempt), *durable, secrets);
                }
                Effect::Send(account, attempt, _) => {
                    self.entered_is_sent(account);
                    self.send(account, attempt);
                }
                Effect::Commit(account, commit) => self.commit(account, *commit),
                Effect::Release(account, _) => self.release(account),
                Effect::Publish(account, publication) => self.publish(account, publication),
                Effect::Retire(account) => {
                    if let Some(entry) = self.accounts.entry_mut(account) {
                        let publications = self.registry.publications();
                        let served = publications.retire(account, &entry.served.cell);
                        entry.laid_aside = served.filter(|_| entry.absent);
                    }
                }
                Effect::Withhold(account, held, _) => self.withhold(account, held),
                Effect::Settle(waiter, verdict) => self.settle(waiter, verdict),
                Effect::Attempted(account, attempted) => {
                    if let Some(entry) = self.accounts.entry_mut(account) {
                        attempt_log::note(entry, &attempted, &self.clock, &self.telemetry);
                    }
                }
                Effect::Dropped(account) => {
                    self.in_flight.remove(&account);
                    self.accounts.dropped(account);
                }
            }
        }
    }

    fn claim(
        &mut self,
        account: AccountKey,
        attempt: AttemptId,
        kind: AttemptKind,
        entered_by: Option<WaiterId>,
    ) {
        let Some(id) = self.accounts.entry(account).map(|entry| entry.id.clone()) else {
            return;
        };
        let in_flight = InFlight {
            kind: Some(kind),
            entered: entered_by.and_then(|waiter| self.entered_by(waiter)),
            trial: entered_by,
            ..InFlight::default()
        };
        self.in_flight.insert(account, in_flight);
        self.hand(StoreJob::Claim(account, attempt, id));
    }

    fn release(&mut self, account: AccountKey) {
        if let Some(in_flight) = self.in_flight.get_mut(&account) {
            // From here on only a grant that is about to be published is needed.
            *in_flight = InFlight {
                token: in_flight.token.take(),
                ..InFlight::default()
            };
        }
        self.hand(StoreJob::Release(account));
    }

    fn commit(&mut self, account: AccountKey, commit: Commit) {
        let Commit {
            durable,
            granted,
            fate,
            forget,
        } = commit;
        if let Some(entry) = self.accounts.entry_mut(account) {
            if forget {
                entry.notes = tokend_record::Notes::default();
                entry.laid_aside = None;
            }
            entry.take_fate(fate, granted, &durable);
        }
        let in_flight = self.in_flight.get_mut(&account);
        let brought =
            in_flight.and_then(|it| it.granted.take_if(|(attempt, _)| granted == Some(*attempt)));
        if granted.is_some() {
            self.note_asks(account);
        }
        let secrets = SecretChanges {
            granted: brought,
            entered: None,
            fate,
            forget,
        };
        self.write(account, None, durable, secrets);
        if granted.is_some() {
            // Another configuration may have come into force while the provider was asked.
            let now = self.clock.steady();
            self.accounts.outdate(account, &mut self.engine, now);
        }
    }

    /// Notes the token request of the attempt in flight, which brought a grant.
    fn note_asks(&mut self, account: AccountKey) {
        if let Some(in_flight) = self.in_flight.get(&account)
            && let Some(asks) = in_flight.asks
        {
            let founds = in_flight.kind == Some(AttemptKind::Login) || in_flight.trial.is_some();
            self.accounts.granted(account, asks, founds);
        }
    }

    fn write(
        &mut self,
        account: AccountKey,
        intent_of: Option<AttemptId>,
        durable: Durable,
        secrets: SecretChanges,
    ) {
        let Some(entry) = self.accounts.entry(account) else {
            return;
        };
        let (id, notes) = (entry.id.clone(), entry.notes.clone());
        let host = self.engine.host(account).unwrap_or(entry.hosts.0);
        let host = self.accounts.host_name(host).unwrap_or_default();
        self.hand(StoreJob::Write(Box::new(Write {
            account,
            id,
            intent_of,
            durable,
            host,
            notes,
            secrets,
        })));
    }

    /// Gives a job to the store thread. If the thread is gone, the engine hears that the store refused.
    pub(super) fn hand(&mut self, job: StoreJob) {
        let Err(job) = self.store_thread.hand(job) else {
            return;
        };
        let refused = match job {
            StoreJob::Claim(account, attempt, _) => Stored::Claimed(account, attempt, None),
            StoreJob::Write(write) => write.result(None),
            StoreJob::Discard(account, _) => Stored::Discarded(account, false),
            // Callers that wait for an answer see a closed reply channel.
            StoreJob::Release(_)
            | StoreJob::Reached(_)
            | StoreJob::Purge { .. }
            | StoreJob::PutBack { .. } => return,
        };
        let now = self.clock.steady();
        self.stored(now, refused);
    }
}

#[cfg(test)]
mod tests;
