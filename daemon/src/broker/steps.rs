//! The steps of an attempt that need its secrets: prepare, send, take the reply, publish.
//!
//! Owns [`InFlight`], which holds each secret only until the step that needs it. Tasks always report by message: an attempt is never left
//! without an end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use secrecy::SecretString;
use tokend_dialect::SpentTokens;
use tokend_engine::{
    AccountKey, AttemptId, AttemptKind, Durable, Event, GrantId, ProviderAnswer, Publication,
    Timestamp, TokenFacts,
};
use tokend_process::task;
use tokend_store::Credential;

use super::in_flight::InFlight;
use super::task::Task;
use crate::broker::accounts::TrialNote;
use crate::broker::inbox::Message;
use crate::broker::publications::IssuedToken;
use tokend_upstream::{AccessToken, Granted, Outcome, PrepareError, Prepared};

impl Task {
    /// The account is claimed: takes its secrets and builds the request, before any rate limit is debited.
    pub(super) fn prepare(
        &mut self,
        account: AccountKey,
        attempt: AttemptId,
        credential: Box<Credential>,
    ) {
        let in_flight = self.in_flight.get(&account);
        let kind = in_flight.and_then(|in_flight| in_flight.kind);
        let (Some(entry), Some(kind)) = (self.accounts.entry(account), kind) else {
            return;
        };
        let entered = in_flight.and_then(|in_flight| in_flight.entered.clone());
        let configured = Arc::clone(&entry.served.account);
        if entered
            .as_ref()
            .is_some_and(|it| credential.holds(&it.secrets))
        {
            let now = self.clock.steady();
            self.engine
                .handle_event(now, Event::EnteredAgain(account, attempt));
        }
        let asks = configured.asks;
        let served = entry.served.cell.token().clone();
        let access_token = served
            .or_else(|| entry.laid_aside.clone())
            .map(|token| SecretString::from(token.token.text.expose().to_owned()));
        if let Some(in_flight) = self.in_flight.get_mut(&account) {
            in_flight.asks = Some(asks);
        }
        let upstream = Arc::clone(&self.upstream);
        let own = self.own.clone();
        task::spawn(async move {
            let prepare = task::guarded(async move {
                let entered = entered.as_ref().map(|it| &it.secrets);
                upstream
                    .prepare(configured, kind, &credential, entered, access_token)
                    .await
            });
            let result = match prepare.await {
                Some(result) => result.map(Box::new),
                None => Err(PrepareError::Broken),
            };
            let message = Message::Prepared(account, attempt, result);
            let _draining = own.send(message).await;
        });
    }

    pub(super) fn prepared(
        &mut self,
        now: Timestamp,
        account: AccountKey,
        attempt: AttemptId,
        result: Result<Box<Prepared>, PrepareError>,
    ) {
        let result = match result {
            Ok(prepared) => {
                self.in_flight.entry(account).or_default().prepared = Some(prepared);
                Ok(())
            }
            Err(error) => {
                self.note_message(account, Some(error.to_string().into()), None);
                if let Some(entry) = self.accounts.entry_mut(account) {
                    entry.notes.was_short = error.is_shortage();
                }
                Err(error.refusal())
            }
        };
        self.engine
            .handle_event(now, Event::Claimed(account, attempt, result));
    }

    /// Notes the inputs of a login before it is sent, if logins without an answer are counted: if the daemon dies meanwhile, this login is
    /// one of them.
    pub(super) fn note_login(&mut self, account: AccountKey, durable: &Durable) {
        let logs_in = |it: &&InFlight| it.kind == Some(AttemptKind::Login) && it.trial.is_none();
        let in_flight = self.in_flight.get(&account).filter(logs_in);
        let in_flight = in_flight.filter(|_| !durable.no_verdict.is_none());
        if let Some(prepared) = in_flight.and_then(|it| it.prepared.as_ref())
            && let Some(entry) = self.accounts.entry_mut(account)
        {
            entry.notes.no_verdict = Some(prepared.fingerprint().into());
        }
    }

    pub(super) fn send(&mut self, account: AccountKey, attempt: AttemptId) {
        let in_flight = self.in_flight.get_mut(&account);
        let prepared = in_flight.and_then(|it| it.prepared.take());
        let upstream = Arc::clone(&self.upstream);
        let own = self.own.clone();
        // Not tied to any waiting client: the attempt ends with the provider's answer or at its deadline.
        task::spawn(async move {
            let outcome = match prepared {
                Some(prepared) => {
                    task::guarded(async move { upstream.send(*prepared).await }).await
                }
                None => None,
            };
            let outcome = Box::new(outcome.unwrap_or_else(Outcome::unknown));
            let message = Message::Answered(account, attempt, outcome);
            let _draining = own.send(message).await;
        });
    }

    pub(super) fn answered(
        &mut self,
        now: Timestamp,
        account: AccountKey,
        attempt: AttemptId,
        outcome: Outcome,
    ) {
        let Outcome {
            answer,
            granted,
            message,
            fingerprint,
            spent,
        } = outcome;
        self.note_message(account, message, Some((answer, fingerprint)));
        if let Some(granted) = granted {
            self.keep(account, attempt, granted);
        }
        if spent != SpentTokens::Nothing {
            let refresh_token = spent == SpentTokens::RefreshToken;
            let doubted = Event::Doubted(account, attempt, refresh_token);
            self.engine.handle_event(now, doubted);
        }
        self.engine
            .handle_event(now, Event::Answered(account, attempt, answer));
    }

    /// Notes the message of the provider or of a failure: about the account, or about an entered credential, which is not the account's yet.
    fn note_message(
        &mut self,
        account: AccountKey,
        message: Option<Box<str>>,
        answered: Option<(ProviderAnswer, Box<str>)>,
    ) {
        let in_flight = self.in_flight.get(&account);
        let is_trial = in_flight.is_some_and(|it| it.trial.is_some());
        let Some(entry) = self.accounts.entry_mut(account) else {
            return;
        };
        if is_trial {
            let blocks = answered.as_ref().is_some_and(|(answer, _)| answer.blocks());
            entry.trial = Some(Box::new(TrialNote {
                message,
                blocks,
                fingerprint: answered.map(|(_, fingerprint)| fingerprint),
            }));
            return;
        }
        if let Some((answer, fingerprint)) = answered {
            (entry.notes).note_verdict(answer, &fingerprint, message.as_deref());
            entry.notes.fingerprint = Some(fingerprint);
        }
        entry.notes.message = message;
    }

    /// Keeps the result of a success until it is stored, and its access token until it is published.
    fn keep(&mut self, account: AccountKey, attempt: AttemptId, granted: Granted) {
        let in_flight = self.in_flight.entry(account).or_default();
        if let Some(token) = &granted.access_token {
            in_flight.token = Some((GrantId(attempt.0), Arc::clone(token)));
        }
        in_flight.granted = Some((attempt, granted));
    }

    /// Keeps a token that is about to be published.
    pub(crate) fn keep_token(&mut self, account: AccountKey, token: (GrantId, Arc<AccessToken>)) {
        self.in_flight.entry(account).or_default().token = Some(token);
    }

    /// Drops the secrets of restored tokens that are not worth publishing.
    pub(crate) fn drop_unserved(&mut self) {
        self.in_flight.retain(|_, in_flight| in_flight.is_needed());
    }

    pub(super) fn publish(&mut self, account: AccountKey, publication: Publication) {
        let token = self.issue(account, &publication);
        let Some((entry, token)) = self.accounts.entry_mut(account).zip(token) else {
            return;
        };
        entry.laid_aside = None;
        (self.registry.publications()).publish(account, &entry.served.cell, token);
    }

    /// Stops serving a token that stays held. The token is kept where it is not served.
    pub(super) fn withhold(&mut self, account: AccountKey, held: TokenFacts) {
        let publication = Publication {
            held,
            ahead: Timestamp::FAR,
            unpersisted: false,
        };
        let token = self.issue(account, &publication).map(Arc::new);
        if let Some(entry) = self.accounts.entry_mut(account) {
            self.registry
                .publications()
                .retire(account, &entry.served.cell);
            entry.laid_aside = token;
        }
    }

    /// The token of a grant, from its attempt, or from where it is served or kept.
    fn issue(&mut self, account: AccountKey, publication: &Publication) -> Option<IssuedToken> {
        let entry = self.accounts.entry(account)?;
        let in_flight = self.in_flight.get_mut(&account);
        let is_its = |(grant, _): &mut (GrantId, _)| *grant == publication.held.grant;
        let fresh = in_flight.and_then(|it| it.token.take_if(is_its));
        let token = match fresh {
            Some((_, token)) => token,
            // The same token again, with other facts: it is stored by now.
            None => {
                let known = entry.laid_aside.clone();
                let known = known.or_else(|| entry.served.cell.token().clone())?;
                if known.held.grant != publication.held.grant {
                    return None;
                }
                Arc::clone(&known.token)
            }
        };
        Some(IssuedToken {
            fingerprint: self.telemetry.audit.fingerprint(token.text.expose()),
            token,
            held: publication.held,
            ahead: publication.ahead,
            reported: AtomicBool::new(false),
            unpersisted: publication.unpersisted,
            remark: entry.notes.remark(publication.held.grant),
        })
    }
}
