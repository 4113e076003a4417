//! What the engine wants done.
//!
//! Owns the effects and the verdicts that waiters get. The shell carries effects out in the order given and reports back by
//! events. No effect carries a secret.

use std::time::Duration;

use crate::durable::{AttemptKind, Durable, TokenFacts};
use crate::event::{Attempt, ClaimRefusal, ProviderAnswer};
use crate::ids::{AccountKey, AttemptId, GrantId, WaiterId};
use crate::problem::Problem;
use crate::time::Timestamp;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Obtain the right to attempt and everything the request needs; answer with `Claimed`. With a waiter, the attempt uses the
    /// credential that this waiter entered instead of the stored or configured one.
    Claim(AccountKey, AttemptId, AttemptKind, Option<WaiterId>),
    /// Store the intent and the debits durably, with the candidate that the attempt tries; answer with `Recorded`.
    Record(AccountKey, AttemptId, Box<Durable>),
    /// Ask the provider; answer with `Answered`, always.
    Send(AccountKey, AttemptId, AttemptKind),
    /// Store the outcome durably; answer with `Committed`.
    Commit(AccountKey, Box<Commit>),
    /// Give the right to attempt back.
    Release(AccountKey, AttemptId),
    /// Serve the token of this grant from now on.
    Publish(AccountKey, Publication),
    /// Serve no token of this account.
    Retire(AccountKey),
    /// Do not serve this token, but keep it: it may be served again, and a refresh may need it.
    Withhold(AccountKey, TokenFacts, Withheld),
    /// Answer a waiter.
    Settle(WaiterId, Verdict),
    /// An attempt is over.
    Attempted(AccountKey, Attempted),
    /// The account is gone from the engine.
    Dropped(AccountKey),
}

/// What to store, and which secrets in memory go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The state to store.
    pub durable: Durable,
    /// The attempt whose grant, or refresh token alone, is stored with it.
    pub granted: Option<AttemptId>,
    /// What becomes of a stored credential that is not in use. A candidate without a fate is dropped.
    pub fate: Option<Fate>,
    /// Whether every secret of the account is to be dropped first.
    pub forget: bool,
}

/// What becomes of a stored credential that is not in use. Doing it twice is the same as doing it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// The candidate replaces the held credential of its kind.
    Takes,
    /// The candidate, a refresh token, is kept as the spare one.
    Spared,
    /// The spare refresh token replaces the held one.
    SpareTakes,
}

/// A token to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    /// The grant and its times.
    pub held: TokenFacts,
    /// When connections begin to report requests for the token.
    pub ahead: Timestamp,
    /// Whether it is only in memory, because the store refused it.
    pub unpersisted: bool,
}

/// Why a token that is held is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Withheld {
    /// It was requested with other parameters than now, and a refresh needs it.
    AskedOtherwise,
    /// A refresh was sent that may have ended it.
    PerhapsEnded,
}

/// An attempt that is over, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempted {
    /// The attempt.
    pub attempt: Attempt,
    /// What came of it; `None` when it was given up before anything was sent.
    pub answer: Option<ProviderAnswer>,
    /// When it was over.
    pub ended: Timestamp,
    /// The earliest time of the next one.
    pub next: Timestamp,
}

/// The answer to a waiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The token of this grant, published just before.
    Token(GrantId),
    /// Done as asked.
    Done,
    /// The entered credential was not granted a token.
    Unproven(Unproven),
    /// A fault.
    Fault(WaiterFault),
}

/// What happened to an entered credential that was not granted a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unproven {
    /// Why not.
    pub why: Unproved,
    /// What became of it.
    pub kept: Keeping,
    /// When it could be tried again.
    pub retry: Timestamp,
}

/// Why an entered credential was not granted a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unproved {
    /// No request could be made with it.
    NotPrepared(ClaimRefusal),
    /// The provider's answer.
    Answered(ProviderAnswer),
}

/// What became of an entered credential that was not granted a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keeping {
    /// It is not stored; the held credential is unchanged.
    Dropped,
    /// A refresh token that may be spent: kept as a spare for when no other credential is left.
    Beside,
    /// A refresh token that was not refused: no other credential was held, so it is taken into use.
    InPlace,
}

/// Why a waiter gets no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaiterFault {
    /// Only a person can help.
    LoginRequired(Missing),
    /// The provider called the request wrong.
    Misconfigured,
    /// No request can be built from the configuration.
    Unfit,
    /// The last attempt failed; the next may be made at `retry`.
    Failed {
        /// How it failed.
        problem: Problem,
        /// When the next attempt may be made.
        retry: Timestamp,
    },
    /// The pace allows the next attempt at `retry`.
    Paced {
        /// When the next attempt may be made.
        retry: Timestamp,
        /// Which rate limit delays it.
        by: Pace,
        /// How the last attempt failed, if it did.
        problem: Option<Problem>,
    },
    /// The provider's tokens do not live as long as requested.
    Unattainable {
        /// How long they live.
        lifetime: Duration,
    },
    /// The waiter's time is over. An attempt in flight continues.
    TimedOut,
    /// The daemon is stopping.
    Draining,
    /// The store refuses to write, so nothing may be sent.
    StoreUnavailable {
        /// When it is tried again.
        retry: Timestamp,
    },
    /// The account is not configured (any more).
    Gone,
}

/// A rate limit that may be used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Of all attempts of the account.
    Attempts,
    /// Of its logins.
    Logins,
    /// Of the provider host that attempts of this kind go to, shared by all its accounts.
    Host(AttemptKind),
}

/// What an account lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The provider refused the credential.
    CredentialRejected,
    /// There is none.
    NoCredential,
    /// Only a refresh token that may be spent, at a provider where sending it again revokes everything.
    InDoubt,
    /// The refresh token was refused and there is nothing to log in with.
    RefreshRejected,
    /// Something in front of the provider answered several logins.
    Unrecognised,
    /// Several logins got no answer: the credential may be wrong.
    NoAnswer,
}
