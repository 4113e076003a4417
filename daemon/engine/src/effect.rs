//! What the engine wants done.
//!
//! Owns the effects and the verdicts told to waiters. The shell carries effects out in the order given and reports back by
//! events. No effect carries a secret.

use std::time::Duration;

use crate::durable::{Durable, Held, Kind};
use crate::event::{Answer, Attempt};
use crate::ids::{AccountKey, AttemptId, GrantId, WaiterId};
use crate::time::Timestamp;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Obtain the right to attempt and everything the request needs; answer with `Claimed`.
    Claim(AccountKey, AttemptId, Kind),
    /// Store the intent and the debits durably; answer with `Recorded`.
    Record(AccountKey, AttemptId, Box<Durable>),
    /// Ask the provider; answer with `Answered`, always.
    Send(AccountKey, AttemptId, Kind),
    /// Store the outcome durably; answer with `Committed`.
    Commit(AccountKey, Box<Commit>),
    /// Give the right to attempt back.
    Release(AccountKey, AttemptId),
    /// Serve the token of this grant from now on.
    Publish(AccountKey, Publication),
    /// Serve no token of this account.
    Retire(AccountKey),
    /// Tell a waiter.
    Settle(WaiterId, Verdict),
    /// An attempt is over.
    Attempted(AccountKey, Attempted),
    /// The account is gone from the engine.
    Dropped(AccountKey),
}

/// What to store, and which secrets that are waiting go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The state to store.
    pub durable: Durable,
    /// The attempt whose grant, or whose refresh token alone, is to be stored with it.
    pub granted: Option<AttemptId>,
    /// Whose entered credential is to be stored with it. When the store refuses, that waiter is told so and the same credential
    /// comes again with the next try: it is to be kept until it is stored.
    pub entered: Option<WaiterId>,
    /// Whether every secret of the account is to be dropped first.
    pub forget: bool,
}

/// A token to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    /// The grant and its times.
    pub held: Held,
    /// From when on a session reports that the token was asked for.
    pub ahead: Timestamp,
    /// Whether it is only in memory, because the store refused it.
    pub unpersisted: bool,
}

/// An attempt that is over, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempted {
    /// The attempt.
    pub attempt: Attempt,
    /// What came of it; `None` when it was given up before anything was sent.
    pub answer: Option<Answer>,
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
    /// No, and why.
    Fault(Fault),
}

/// Why a waiter gets no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Only a person can help.
    LoginRequired(Missing),
    /// The provider called the request wrong.
    Misconfigured,
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
        /// Which pace holds it.
        by: Pace,
        /// How the last attempt failed, if it did.
        problem: Option<Problem>,
    },
    /// The provider's tokens do not live as long as was asked for.
    Unattainable {
        /// How long they live.
        lifetime: Duration,
    },
    /// The time the waiter gave is over. An attempt that runs goes on.
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

/// A pace that may be used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Of all attempts of the account.
    Attempts,
    /// Of its logins.
    Logins,
    /// Of the provider host that attempts of this kind go to, which all accounts there share.
    Host(Kind),
}

/// What an account lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The provider refused the credential.
    CredentialRejected,
    /// There is none.
    NoCredential,
    /// Only a refresh token that may be spent, at a provider where presenting it again revokes everything.
    InDoubt,
    /// The refresh token was refused and there is nothing to log in with.
    RefreshRejected,
    /// Something in front of the provider answered one login after the other.
    Unrecognised,
}

/// How an attempt failed, as far as a waiter is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Problem {
    /// A secret the request needs could not be had; nothing was sent and nothing was debited.
    Unprepared,
    /// The provider was not reached, nothing was sent.
    Unreachable,
    /// The provider asks to come later.
    Busy,
    /// The provider's answer makes no sense.
    Misbehaved,
    /// No answer came; the outcome is not known.
    InDoubt,
    /// The refresh token was refused.
    RefreshRejected,
    /// The token came with no lifetime left.
    BornExpired,
    /// Something in front of the provider answered, or the provider in words nobody knows.
    Unrecognised,
}
