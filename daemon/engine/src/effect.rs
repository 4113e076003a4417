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
    /// Obtain the right to attempt and everything the request needs; answer with `Claimed`. With a waiter, the attempt is made with
    /// what that one entered, in the place of what is stored or configured.
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
    /// Do not serve this token, which is held all the same: it may be served again, and a refresh may need it.
    Withhold(AccountKey, TokenFacts, Withheld),
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
    /// What is to become of a stored credential that is not in use. A candidate of which nothing is said here is dropped.
    pub fate: Option<Fate>,
    /// Whether every secret of the account is to be dropped first.
    pub forget: bool,
}

/// What becomes of a credential that is stored and not in use. Doing it twice is doing it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// The candidate takes the place of what was held of its kind.
    Takes,
    /// The candidate, a refresh token, is kept beside what is held.
    Spared,
    /// The refresh token that was kept beside what is held takes its place.
    SpareTakes,
}

/// A token to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    /// The grant and its times.
    pub held: TokenFacts,
    /// From when on a session reports that the token was asked for.
    pub ahead: Timestamp,
    /// Whether it is only in memory, because the store refused it.
    pub unpersisted: bool,
}

/// Why a token that is held is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Withheld {
    /// It was asked for otherwise than now, and a refresh needs it.
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
    /// What was entered did not prove itself.
    Unproven(Unproven),
    /// No, and why.
    Fault(WaiterFault),
}

/// What came of a credential that a person entered, where no grant did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unproven {
    /// Why not.
    pub why: Unproved,
    /// What became of it.
    pub kept: Keeping,
    /// When it could be tried again.
    pub retry: Timestamp,
}

/// Why what was entered did not prove itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unproved {
    /// No request could be made with it.
    NotPrepared(ClaimRefusal),
    /// The provider's answer.
    Answered(ProviderAnswer),
}

/// What became of a credential that did not prove itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keeping {
    /// It is not stored, and what was held is as it was.
    Dropped,
    /// A refresh token that may have been spent: kept beside what is held, for when nothing else is left.
    Beside,
    /// A refresh token that was not refused, where nothing else is held: it is the account's now.
    InPlace,
}

/// Why a waiter gets no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaiterFault {
    /// Only a person can help.
    LoginRequired(Missing),
    /// The provider called the request wrong.
    Misconfigured,
    /// No request can be made of what the account is configured with.
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
    Host(AttemptKind),
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
    /// No answer came to one login after the other: the credential may be wrong.
    NoAnswer,
}
