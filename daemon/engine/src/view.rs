//! What an account looks like from outside.
//!
//! Owns what `status` shows: a snapshot of the account, which changes nothing.

use crate::account::{Account, Phase};
use crate::durable::{AttemptKind, Block, TokenFacts};
use crate::effect::WaiterFault;
use crate::no_verdict::NoVerdict;
use crate::pace::Rate;
use crate::problem::Problem;
use crate::time::Timestamp;

/// An account at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// What it is doing.
    pub activity: Activity,
    /// The held token, usable or not, unless it is withheld.
    pub held: Option<TokenFacts>,
    /// Whether a refresh token is held that may be used.
    pub has_refresh_token: bool,
    /// Whether that refresh token may be spent already.
    pub in_doubt: bool,
    /// Why no attempt is made until something changes.
    pub block: Option<Block>,
    /// How the last attempt failed, if it did.
    pub problem: Option<Problem>,
    /// Attempts that failed in a row.
    pub failures: u32,
    /// Attempts without a verdict of the provider.
    pub no_verdict: NoVerdict,
    /// The fault that a `get` without a token would get.
    pub stop: Option<WaiterFault>,
    /// The pace of all attempts: its rate, how many are left, when the next is allowed.
    pub attempts: (Rate, u32, Timestamp),
    /// The pace of logins.
    pub logins: (Rate, u32, Timestamp),
    /// Which kind of attempt would be made next, if one can be.
    pub kind: Option<AttemptKind>,
    /// When its host admits it; `now` if its host does not delay it.
    pub host: Timestamp,
    /// When the next attempt could begin; `None` when none could.
    pub earliest: Option<Timestamp>,
    /// When the next attempt is planned; `None` when only a `get` would cause one.
    pub planned: Option<Timestamp>,
    /// How many waiters there are.
    pub waiters: usize,
}

/// What an account is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Nothing.
    Resting,
    /// Waiting for its provider host.
    Queued,
    /// An attempt is in flight.
    Attempting(AttemptKind),
    /// Writing without an attempt.
    Saving,
    /// The store refuses to write.
    Unsaved,
}

impl View {
    /// `host` is when its host admits it, if known.
    pub(crate) fn of(account: &Account, host: Option<Timestamp>, now: Timestamp) -> Self {
        let (choice, host) = (account.choose(now), host.unwrap_or(now));
        let (attempts, at) = account.plan.attempts.left(account.attempts, now);
        let (logins, login_at) = account.plan.logins.left(account.logins, now);
        Self {
            activity: match &account.phase {
                Phase::Resting => Activity::Resting,
                Phase::Queued(_) => Activity::Queued,
                Phase::Claiming(attempt)
                | Phase::Recording(attempt, _)
                | Phase::Sending(attempt, _) => Activity::Attempting(attempt.kind),
                Phase::Committing(..) => Activity::Saving,
                Phase::Unsaved(..) => Activity::Unsaved,
            },
            held: account.served(),
            has_refresh_token: account.refresh.is_some_and(|refresh| !refresh.refused),
            in_doubt: account.refresh.is_some_and(|refresh| refresh.in_doubt),
            block: account.block,
            problem: account.problem,
            failures: account.failures,
            no_verdict: account.no_verdict,
            stop: choice.err(),
            attempts: (account.plan.attempts, attempts, at),
            logins: (account.plan.logins, logins, login_at),
            kind: choice.ok(),
            host,
            earliest: choice
                .ok()
                .map(|kind| account.earliest(kind, now).max(host)),
            planned: account.next_start(now),
            waiters: account.waiters.len(),
        }
    }
}
