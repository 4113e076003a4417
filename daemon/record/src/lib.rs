//! Conversion between the facts about an account and its stored record.
//!
//! Owns the translation between the engine's facts on the monotonic clock and the store's record on the wall clock, with the secrets that
//! belong to them. A record holds no secret that the facts do not mention: secrets that the engine gave up are dropped here.

mod entered;
mod forgotten;
mod key;
mod store_reader;
mod used;

pub use entered::{Entered, EnteredFacts, entered, settle_fate, take_candidate};
pub use forgotten::{Leftovers, forget, purge};
pub use key::RecordKey;
pub use store_reader::StoreReader;
use used::kind;
pub use used::{host_used, spent};

use std::sync::Arc;

use tokend_dialect::Asks;
use tokend_engine::{
    AttemptId, AttemptKind, Block, Candidate, Deferral, Durable, Fate, GrantId, Intent, NoVerdict,
    Problem, ProviderAnswer, RefreshToken, Tat, Timestamp, TokenFacts,
};
use tokend_store as store;
use tokend_store::Record;
use tokend_upstream::{AccessToken, Granted};

use secrecy::{ExposeSecret as _, SecretString};

use tokend_process::clock::Clock;

/// What the driver knows about an account beside the engine: texts for people, and which secrets a person entered.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// The last attempt, as status shows it.
    pub last_attempt: Option<store::StoredAttempt>,
    /// The provider's last complaint, safe to show.
    pub message: Option<Box<str>>,
    /// Whether `message` is about a shortage of the machine. Known only in this run.
    pub was_short: bool,
    /// Fingerprint of the configuration and the secrets that `message` is about.
    pub fingerprint: Option<Box<str>>,
    /// Fingerprint of the inputs of the last attempt without a verdict; of the last such login, if there was one.
    pub no_verdict: Option<Box<str>>,
    /// The last login that the provider refused. It counts while the engine says that logins stopped because of a refusal.
    pub refused: Option<Box<RefusedLogin>>,
    /// Which secrets a person entered.
    pub entered: Entered,
    /// The token request that the held grant came from; `None` where that is unknown.
    pub asks: Option<Asks>,
}

/// A login that the provider refused, or called wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedLogin {
    /// Fingerprint of its inputs.
    pub fingerprint: Box<str>,
    /// The provider's complaint about this login, safe to show. Later attempts get other complaints, which say nothing about this login.
    pub message: Option<Box<str>>,
}

impl Notes {
    /// What could not be used in the reply that brought this grant, if this grant is the last one.
    pub fn remark(&self, grant: GrantId) -> Option<Box<str>> {
        let last = self.last_attempt.as_ref().filter(|it| it.id == grant.0)?;
        last.outcome.strip_prefix("granted: ").map(Into::into)
    }

    /// Notes the inputs of an attempt that ended without a verdict; for a refused login also the provider's complaint. A login's inputs
    /// take precedence over a refresh's, since a login has more inputs.
    pub fn note_verdict(
        &mut self,
        answer: ProviderAnswer,
        fingerprint: &str,
        message: Option<&str>,
    ) {
        let login = |it: &str| it.starts_with("login-");
        let lost = answer == ProviderAnswer::MaybeSent && login(fingerprint);
        if answer == ProviderAnswer::Unrecognised || lost {
            let known = self.no_verdict.as_deref().is_some_and(login);
            if login(fingerprint) || !known {
                self.no_verdict = Some(fingerprint.into());
            }
        } else if matches!(answer, ProviderAnswer::Granted(_)) {
            self.no_verdict = None;
        } else if matches!(
            answer,
            ProviderAnswer::CredentialRejected | ProviderAnswer::Misconfigured
        ) && login(fingerprint)
        {
            self.refused = Some(Box::new(RefusedLogin {
                fingerprint: fingerprint.into(),
                message: message.map(Into::into),
            }));
        }
    }

    /// The fingerprint of the inputs of attempts without a verdict.
    fn made_with(&self, no_verdict: NoVerdict) -> Option<&str> {
        match stopped_by_refusal(no_verdict) {
            true => self.refused.as_ref().map(|login| &*login.fingerprint),
            false => self.no_verdict.as_deref(),
        }
    }

    /// The fingerprint of the inputs that have to change before the account makes attempts again by itself; `None` where it waits for no
    /// change.
    pub fn hangs_on(&self, block: Option<&Block>, no_verdict: NoVerdict) -> Option<Box<str>> {
        match block {
            Some(Block::CredentialRejected | Block::Misconfigured) => {
                Some(self.fingerprint.clone().unwrap_or_default())
            }
            None if no_verdict.is_none() => None,
            None => self.made_with(no_verdict).map(Into::into),
        }
    }
}

/// Whether logins have stopped because one was refused, or called wrong.
fn stopped_by_refusal(no_verdict: NoVerdict) -> bool {
    no_verdict.login_refused || no_verdict.login_misconfigured
}

/// A record in the form the daemon works with.
#[derive(Debug)]
pub struct RestoredRecord {
    /// The facts of the engine.
    pub durable: Durable,
    /// Whether the record names no host.
    pub host_unknown: bool,
    /// The driver's knowledge beside the engine.
    pub notes: Notes,
    /// The access token, if the facts mention one.
    pub token: Option<(GrantId, Arc<AccessToken>)>,
}

/// Restores a record: every time moves to the monotonic clock.
pub fn restore(record: &Record, clock: &Clock) -> RestoredRecord {
    let at = |wall| clock.restore(&record.anchor, wall).at;
    let written = clock.restore(&record.anchor, record.anchor.wall_ms);
    // If the clock is behind the time of writing, the token's age is unknown, so the token does not count as valid.
    let grant = (record.grant.as_ref()).filter(|_| written.elapsed.is_some());
    let (held, token) = grant.and_then(|grant| held(grant, at)).unzip();
    RestoredRecord {
        durable: Durable {
            overtaken: held.is_some() && grant.is_some_and(|grant| grant.overtaken),
            held,
            ..facts(record, at)
        },
        host_unknown: record.host.is_none(),
        notes: notes(record),
        token,
    }
}

/// The facts of a record, except those of its access token.
fn facts(record: &Record, at: impl Fn(i64) -> Timestamp + Copy) -> Durable {
    let credential = &record.credential;
    let spare = credential.spare_refresh_token.is_some();
    Durable {
        attempts: Tat(at(record.pace.attempts_tat)),
        logins: Tat(at(record.pace.logins_tat)),
        host: Tat(at(record.pace.host_tat)),
        last_attempt: AttemptId(record.last_begun),
        intent: record.intent.as_ref().map(|intent| Intent {
            attempt: AttemptId(intent.attempt),
            kind: kind(intent.kind),
        }),
        overtaken: false,
        held: None,
        refresh: credential.refresh_token.as_ref().map(|_| RefreshToken {
            expires: credential.refresh_expires_at.map(at),
            in_doubt: credential.refresh_in_doubt,
            refused: credential.refresh_refused,
        }),
        candidate: (record.candidate.as_ref()).map(|it| candidate(it, credential)),
        spare,
        spare_unsent: spare && credential.spare_unsent,
        block: record.block.as_ref().map(|block| match block.reason {
            store::BlockReason::CredentialRejected => Block::CredentialRejected,
            store::BlockReason::Misconfigured => Block::Misconfigured,
        }),
        problem: record.problem.as_deref().and_then(problem_named),
        failures: record.failures,
        deferral: record.deferred_until.map(|until| Deferral {
            until: at(until),
            by_provider: record.deferred_by_provider,
        }),
        no_verdict: (record.no_verdict.as_ref()).map_or_else(NoVerdict::default, |stored| {
            NoVerdict {
                refreshes: stored.refreshes,
                logins: stored.logins,
                logins_from: stored.logins_from.map(at),
                lost_logins: stored.lost_logins,
                login_refused: stored.login_refused,
                login_misconfigured: stored.login_misconfigured,
            }
        }),
    }
}

fn candidate(stored: &store::StoredCandidate, credential: &store::Credential) -> Candidate {
    let secrets = &stored.entered.secrets;
    Candidate {
        attempt: AttemptId(stored.attempt),
        kind: match secrets.refresh_token() {
            Some(_) => AttemptKind::Refresh,
            None => AttemptKind::Login,
        },
        same: credential.holds(secrets),
    }
}

fn notes(record: &Record) -> Notes {
    let unanswered = record.no_verdict.as_ref();
    let unanswered = unanswered.filter(|stored| !stored.fingerprint.is_empty());
    Notes {
        was_short: false,
        last_attempt: record.last_attempt.clone(),
        message: record.provider_message.as_deref().map(Into::into),
        fingerprint: (record.block.as_ref()).map(|block| block.fingerprint.as_str().into()),
        no_verdict: unanswered.map(|stored| stored.fingerprint.as_str().into()),
        refused: unanswered.map(|stored| {
            Box::new(RefusedLogin {
                fingerprint: stored.fingerprint.as_str().into(),
                message: stored.provider_message.as_deref().map(Into::into),
            })
        }),
        entered: entered(record),
        asks: record.asks.as_deref().and_then(Asks::parse),
    }
}

/// The token of a stored grant: both its facts and its text, or neither.
fn held(
    grant: &store::StoredGrant,
    at: impl Fn(i64) -> Timestamp,
) -> Option<(TokenFacts, (GrantId, Arc<AccessToken>))> {
    let facts = TokenFacts {
        grant: GrantId(grant.id),
        issued: at(grant.issued_at),
        expires: grant.expires_at.map(at),
    };
    let token = AccessToken::new(
        grant.access_token.expose_secret(),
        grant.token_type.as_str(),
        grant.scope.as_deref(),
    )?;
    Some((facts, (facts.grant, Arc::new(token))))
}

/// Updates a record from the facts. Secrets that the facts do not mention are dropped.
pub fn update(record: &mut Record, durable: &Durable, host: &str, notes: &Notes, clock: &Clock) {
    let anchor = clock.anchor();
    let wall = |at: Timestamp| clock.to_wall_at(&anchor, at);
    let since = record.block.as_ref().map(|block| block.since);
    record.pace = store::PaceState {
        attempts_tat: wall(durable.attempts.0),
        logins_tat: wall(durable.logins.0),
        host_tat: wall(durable.host.0),
    };
    record.host = Some(host.to_owned());
    record.last_begun = durable.last_attempt.0;
    record.intent = durable.intent.map(|intent| store::StoredIntent {
        attempt: intent.attempt.0,
        kind: stored_kind(intent.kind),
        begun_at: anchor.wall_ms,
    });
    // A token other than the held one is a token that was given up.
    let grant = record.grant.take().zip(durable.held);
    record.grant = grant
        .filter(|(grant, held)| grant.id == held.grant.0)
        .map(|(grant, held)| store::StoredGrant {
            issued_at: wall(held.issued),
            expires_at: held.expires.map(wall),
            overtaken: durable.overtaken,
            ..grant
        });
    update_credential(&mut record.credential, durable, wall);
    record.candidate = (record.candidate.take()).filter(|_| durable.candidate.is_some());
    record.block = durable.block.map(|block| store::StoredBlock {
        reason: match block {
            Block::CredentialRejected => store::BlockReason::CredentialRejected,
            Block::Misconfigured => store::BlockReason::Misconfigured,
        },
        since: since.unwrap_or(anchor.wall_ms),
        fingerprint: notes.fingerprint.as_deref().unwrap_or_default().to_owned(),
    });
    record.problem = durable.problem.map(|it| problem_name(it).to_owned());
    record.failures = durable.failures;
    record.deferred_until = durable.deferral.map(|deferral| wall(deferral.until));
    record.deferred_by_provider = durable.deferral.is_some_and(|it| it.by_provider);
    record.no_verdict = stored_no_verdict(durable.no_verdict, notes, wall);
    record.asks = notes.asks.map(|asks| asks.to_string());
    record.provider_message = notes.message.as_deref().map(str::to_owned);
    record.last_attempt.clone_from(&notes.last_attempt);
    record.anchor = anchor;
}

fn update_credential(
    credential: &mut store::Credential,
    durable: &Durable,
    wall: impl Fn(Timestamp) -> i64,
) {
    let refresh = durable.refresh;
    credential.refresh_token = (credential.refresh_token.take()).filter(|_| refresh.is_some());
    credential.refresh_entered = (credential.refresh_entered).filter(|_| refresh.is_some());
    credential.refresh_expires_at = refresh.and_then(|it| it.expires).map(wall);
    credential.refresh_in_doubt = refresh.is_some_and(|it| it.in_doubt);
    credential.refresh_refused = refresh.is_some_and(|it| it.refused);
    let spare = credential.spare_refresh_token.take();
    credential.spare_refresh_token = spare.filter(|_| durable.spare);
    credential.spare_unsent = durable.spare && durable.spare_unsent;
}

fn stored_no_verdict(
    no_verdict: NoVerdict,
    notes: &Notes,
    wall: impl Fn(Timestamp) -> i64,
) -> Option<store::StoredNoVerdict> {
    let refused = notes.refused.as_ref();
    let refused = refused.filter(|_| stopped_by_refusal(no_verdict));
    (!no_verdict.is_none()).then(|| store::StoredNoVerdict {
        refreshes: no_verdict.refreshes,
        logins: no_verdict.logins,
        logins_from: no_verdict.logins_from.map(wall),
        lost_logins: no_verdict.lost_logins,
        login_refused: no_verdict.login_refused,
        login_misconfigured: no_verdict.login_misconfigured,
        fingerprint: (notes.made_with(no_verdict)).unwrap_or_default().to_owned(),
        provider_message: refused
            .and_then(|login| login.message.as_deref())
            .map(str::to_owned),
    })
}

/// Puts the secrets of a success into the record; [`update`] adds its times.
pub fn take_granted(record: &mut Record, id: AttemptId, granted: Granted, fate: Option<Fate>) {
    let Granted {
        access_token,
        refresh_token,
        ..
    } = granted;
    if let Some(token) = &access_token {
        record.grant = Some(store::StoredGrant {
            id: id.0,
            access_token: SecretString::from(token.text.expose().to_owned()),
            token_type: token.token_type.to_string(),
            scope: token.scope.as_deref().map(str::to_owned),
            issued_at: 0,
            expires_at: None,
            overtaken: false,
        });
    }
    let Some(refresh_token) = refresh_token else {
        return;
    };
    let is_login = |intent: &store::StoredIntent| intent.kind == store::StoredAttemptKind::Login;
    let of_login = record.intent.as_ref().is_some_and(is_login);
    let credential = &mut record.credential;
    if of_login {
        credential.refresh_entered = None;
    }
    // The successor of an entered credential, or a credential that came with it, belongs in the same place.
    let place = match access_token.is_none() && fate == Some(Fate::Spared) {
        true => &mut credential.spare_refresh_token,
        false => &mut credential.refresh_token,
    };
    *place = Some(refresh_token);
}

/// The store's value for a kind.
pub fn stored_kind(kind: AttemptKind) -> store::StoredAttemptKind {
    match kind {
        AttemptKind::Login => store::StoredAttemptKind::Login,
        AttemptKind::Refresh => store::StoredAttemptKind::Refresh,
    }
}

const PROBLEMS: [(Problem, &str); 8] = [
    (Problem::Unprepared, "unprepared"),
    (Problem::Unreachable, "unreachable"),
    (Problem::Busy, "busy"),
    (Problem::Misbehaved, "misbehaved"),
    (Problem::InDoubt, "in-doubt"),
    (Problem::RefreshRejected, "refresh-rejected"),
    (Problem::BornExpired, "born-expired"),
    (Problem::Unrecognised, "unrecognised"),
];

/// The stable name of a problem, in the store and in the log.
pub fn problem_name(problem: Problem) -> &'static str {
    PROBLEMS
        .iter()
        .find(|(known, _)| *known == problem)
        .map_or("unknown", |(_, name)| name)
}

fn problem_named(name: &str) -> Option<Problem> {
    PROBLEMS
        .iter()
        .find(|(_, known)| *known == name)
        .map(|(problem, _)| *problem)
}

#[cfg(test)]
mod tests;
