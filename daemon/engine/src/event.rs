//! What happens to the engine.
//!
//! Owns the events. They say what was requested and what came back, never a secret, so all of them may be logged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::durable::{AttemptKind, Durable};
use crate::ids::{AccountKey, AttemptId, GrantId, HostKey, WaiterId};
use crate::pace::Tat;
use crate::plan::{AccountPlan, HostPlan};
use crate::time::Timestamp;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A provider host exists or has other limits.
    Host(HostKey, HostPlan),
    /// The state of a host's rate limit in a stored record, whether or not its account or the host is configured. Sent for every record
    /// at start; the latest counts.
    HostUsed(HostKey, HostUsed),
    /// An account is configured: at start, after a reload, or again after it had been removed.
    ///
    /// Nothing begins for it before the next `handle_timeout`. Adopt all accounts first, because the state of a host's rate limit is the
    /// latest that any of them knows.
    Adopt(AccountKey, Box<Adoption>),
    /// A new account uses a login that was used under another name: what that used up counts. Sent right after it is adopted.
    Spent(AccountKey, LoginUsed),
    /// An account's plan changed, its identity did not.
    Replan {
        /// Whose.
        account: AccountKey,
        /// The new plan.
        plan: AccountPlan,
        /// Whether all that a login needs is at hand.
        can_login: bool,
        /// Whether something changed that may cure what the account is blocked for.
        cured: bool,
    },
    /// The grant was requested with other parameters than now. Follows `Adopt` or `Replan`.
    Outdated {
        /// Of which account.
        account: AccountKey,
        /// Whether only a login can request with the new parameters, and a refresh would bring the old ones again.
        by_login: bool,
        /// Whether a refresh requests with the new parameters too.
        by_refresh: bool,
    },
    /// The attempt being claimed tries the held refresh token, entered again. Sent before `Claimed`.
    EnteredAgain(AccountKey, AttemptId),
    /// An account is no longer configured. Its record stays.
    Remove(AccountKey),
    /// A waiter wants a token.
    Wanted {
        /// Of which account.
        account: AccountKey,
        /// Who.
        waiter: WaiterId,
        /// On which terms.
        demand: Demand,
        /// For which reason.
        want: Want,
    },
    /// A waiter for a token has left and gets no answer.
    Left(AccountKey, WaiterId),
    /// A client was served a token that is about to be refreshed only on demand.
    Asked(AccountKey),
    /// A person entered a credential: it is tried by itself, and replaces the held one once it is granted.
    Entered {
        /// For which account.
        account: AccountKey,
        /// Who gets the result.
        waiter: WaiterId,
        /// On which terms.
        demand: Demand,
        /// Whether it is a refresh token; otherwise it is a secret to log in with.
        refresh_token: bool,
        /// Whether all that a login needs is at hand once it is stored.
        can_login: bool,
    },
    /// A person wants the stored credential and the tokens gone.
    Forget {
        /// Of which account.
        account: AccountKey,
        /// Who gets an answer when it is done.
        waiter: WaiterId,
        /// Whether a login is still possible afterwards, from the configuration alone.
        can_login: bool,
    },
    /// The answer to `Claim`.
    Claimed(AccountKey, AttemptId, Result<(), ClaimRefusal>),
    /// The answer to `Record`.
    Recorded(AccountKey, AttemptId, StoreResult),
    /// The provider may have processed the request in flight, whatever its answer says, and with `true` may have used up the refresh
    /// token. Sent before `Answered`.
    Doubted(AccountKey, AttemptId, bool),
    /// The provider answered, or did not.
    Answered(AccountKey, AttemptId, ProviderAnswer),
    /// The answer to `Commit`.
    Committed(AccountKey, StoreResult),
    /// Finish what is in progress, begin nothing.
    Drain,
}

/// What a login has used up of its rate limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoginUsed {
    /// State of the pace of all attempts.
    pub attempts: Tat,
    /// State of the pace of logins.
    pub logins: Tat,
    /// No attempt before this time, as the provider asked.
    pub deferred_until: Option<Timestamp>,
    /// The latest time at which an attempt arrived that was in flight when a daemon died.
    pub attempt_by: Option<Timestamp>,
    /// The same of a login.
    pub login_by: Option<Timestamp>,
}

impl LoginUsed {
    /// Both together: the later of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            attempts: self.attempts.max(other.attempts),
            logins: self.logins.max(other.logins),
            deferred_until: self.deferred_until.max(other.deferred_until),
            attempt_by: self.attempt_by.max(other.attempt_by),
            login_by: self.login_by.max(other.login_by),
        }
    }

    /// Whether anything of it still counts at `now`.
    #[must_use]
    pub fn counts(&self, now: Timestamp) -> bool {
        // How long an attempt in flight counts depends on the rate it is charged to.
        let in_flight = self.attempt_by.is_some() || self.login_by.is_some();
        let deferred = self.deferred_until.is_some_and(|until| until > now);
        in_flight || deferred || self.attempts.0 > now || self.logins.0 > now
    }
}

/// The state of a provider host's rate limit in records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostUsed {
    /// The state left by attempts that had ended or were in flight when the record was written.
    pub tat: Tat,
    /// The latest times at which attempts arrived that were in flight when a daemon died.
    pub sent_by: Vec<Timestamp>,
}

/// Whether the store did it.
pub type StoreResult = Result<(), StoreRefusal>;

/// The store could not do it; the shell has logged why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreRefusal;

/// Why an attempt cannot be made; the shell has logged the details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimRefusal {
    /// The store does not give the right to it.
    Store,
    /// A secret that the request needs cannot be fetched.
    Secret,
    /// No request can be built from the configuration: nothing changes by itself.
    Request,
    /// No request can carry the refresh token. The provider made it, so no person can correct it.
    RefreshToken,
}

/// An account as it comes to the engine.
#[derive(Debug, Clone)]
pub struct Adoption {
    /// Its plan.
    pub plan: AccountPlan,
    /// Whether all that a login needs is at hand.
    pub can_login: bool,
    /// Whether something changed that may cure what the stored state is blocked for.
    pub cured: bool,
    /// What was stored, with every time already moved to the steady clock.
    pub durable: Option<Durable>,
    /// Whether the record names no host, so that no earlier event reported its host's pace.
    pub host_unknown: bool,
    /// Where connections note that a token was requested.
    pub asked: LastAsked,
}

/// When a token of an account was last requested. Shared with the connections, which answer without an event.
#[derive(Debug, Clone, Default)]
pub struct LastAsked(Arc<AtomicU64>);

impl LastAsked {
    /// Notes that a token was requested.
    pub fn touch(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::Relaxed);
    }

    pub(crate) fn within(&self, duration: Duration, now: Timestamp) -> bool {
        match self.0.load(Ordering::Relaxed) {
            0 => false,
            at => now.since(Timestamp::from_millis(at)) <= duration,
        }
    }
}

/// The terms of a waiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// How long the token must still be valid; `None` takes any token that is handed out.
    pub min_validity: Option<Duration>,
    /// An attempt that can begin only after this is not waited for.
    pub start_by: Timestamp,
    /// An answer after this is not waited for.
    pub answer_by: Timestamp,
}

/// Why a token is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// No usable token was held.
    Get,
    /// An API refused the token of this grant.
    Rejected(GrantId),
    /// A person wants a new one.
    Forced,
}

/// What came of a request to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderAnswer {
    /// A grant.
    Granted(GrantFacts),
    /// A success with a refresh token, and without an access token that can be handed out.
    Renewed {
        /// The refresh token's lifetime, if the provider said.
        refresh_lifetime: Option<Duration>,
        /// Whether the access tokens are of a kind that only a change of the configuration or dialect makes usable.
        misconfigured: bool,
    },
    /// Come back later.
    Busy {
        /// How much later, if the provider said.
        retry_after: Option<Duration>,
    },
    /// The long-lived credential is wrong.
    CredentialRejected,
    /// The refresh token is no longer good.
    RefreshRejected,
    /// The request is wrong.
    Misconfigured,
    /// Not an answer the dialect knows.
    Misbehaved {
        /// Whether the provider may have acted on the request all the same.
        maybe_processed: bool,
    },
    /// Not the provider's own answer: no verdict, and nothing was processed.
    Unrecognised,
    /// The request did not leave: no connection, or no secret to send.
    NotSent,
    /// The request left, or may have; no answer came.
    MaybeSent,
}

impl ProviderAnswer {
    /// Whether no attempt follows it until something changes.
    #[must_use]
    pub const fn blocks(self) -> bool {
        matches!(
            self,
            Self::CredentialRejected
                | Self::Misconfigured
                | Self::Renewed {
                    misconfigured: true,
                    ..
                }
        )
    }
}

/// A grant, without its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GrantFacts {
    /// The access token's lifetime.
    pub lifetime: Option<Duration>,
    /// Whether a refresh token came with it.
    pub refresh_token: bool,
    /// Whether a refresh token came that cannot be used, so that the one that was sent may be spent.
    pub refresh_token_lost: bool,
    /// The refresh token's lifetime, if the provider said.
    pub refresh_lifetime: Option<Duration>,
}

/// Why an attempt is made; goes to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptCause {
    /// A `get` found no usable token.
    Get,
    /// Ahead of expiry.
    Ahead,
    /// An API refused the token.
    Rejected,
    /// A person asked for it.
    Forced,
    /// A person entered a credential: the attempt tries that one, and nothing else.
    Entered,
}

impl AttemptCause {
    /// Its stable name in logs and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Ahead => "ahead-of-expiry",
            Self::Rejected => "rejected",
            Self::Forced => "forced",
            Self::Entered => "entered",
        }
    }
}

impl From<Want> for AttemptCause {
    fn from(want: Want) -> Self {
        match want {
            Want::Get => Self::Get,
            Want::Rejected(_) => Self::Rejected,
            Want::Forced => Self::Forced,
        }
    }
}

/// An attempt as the log shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// Its kind.
    pub kind: AttemptKind,
    /// The host it goes to.
    pub host: HostKey,
    /// Why it was made.
    pub cause: AttemptCause,
    /// When it began; once it is sent, when it was sent.
    pub began: Timestamp,
}
