//! One account: what it holds, what it is doing, and what it may do next.
//!
//! Owns the phase and the facts; an attempt is a value inside the phase, so there can be only one. The decisions that need no
//! effect are here; `attempt` carries attempts through, `waiting` answers those who wait.

use std::collections::VecDeque;

use crate::backoff::{self, Dice};
use crate::durable::{
    AttemptKind, Block, Candidate, Deferral, Durable, Intent, RefreshToken, TokenFacts,
};
use crate::effect::{Effect, Fate, Missing, WaiterFault};
use crate::event::{Adoption, Attempt, Demand, LastAsked, Want};
use crate::host::Hosts;
use crate::ids::{AccountKey, AttemptId, GrantId, HostKey, WaiterId};
use crate::no_verdict::NoVerdict;
use crate::overtaken::Overtaken;
use crate::pace::Tat;
use crate::plan::{AccountPlan, Reuse};
use crate::problem::Problem;
use crate::time::Timestamp;
use crate::wishes::{Trial, Wish, Wishes};

/// What an account's decisions need from outside the account.
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) key: AccountKey,
    pub(crate) effects: &'a mut VecDeque<Effect>,
    pub(crate) hosts: &'a mut Hosts,
    pub(crate) dice: Dice,
    pub(crate) draining: bool,
    /// Whether the account was just called from its host's queue.
    pub(crate) turn: bool,
}

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) plan: AccountPlan,
    pub(crate) can_login: bool,
    pub(crate) asked: LastAsked,
    /// Removed from the configuration; kept only until its work in progress is over.
    pub(crate) absent: bool,
    pub(crate) held: Option<TokenFacts>,
    /// Whether `held` is served.
    pub(crate) published: bool,
    /// The grant whose token connections serve. It may be older than `held`: a good token is served until a newer one is published, and
    /// a newer one that was born expired never is.
    pub(crate) shown: Option<GrantId>,
    pub(crate) refresh: Option<RefreshToken>,
    /// Whether no request can carry `refresh`. Not stored: another plan may have another request, and the next start finds out again.
    pub(crate) unsendable: bool,
    /// The kind of request that cannot be built from the configuration. Not stored: the next start finds out again.
    pub(crate) unfit: Option<AttemptKind>,
    pub(crate) block: Option<Block>,
    pub(crate) problem: Option<Problem>,
    pub(crate) failures: u32,
    pub(crate) deferral: Option<Deferral>,
    pub(crate) no_verdict: NoVerdict,
    /// How many refreshes without a verdict there were when the last login failed. Not stored: the next start tries one login more.
    pub(crate) probed: u32,
    pub(crate) attempts: Tat,
    pub(crate) logins: Tat,
    pub(crate) last_attempt: AttemptId,
    /// The host of the last attempt, which is the one that is stored.
    pub(crate) last_host: HostKey,
    /// When to refresh ahead of expiry.
    pub(crate) ahead: Option<Timestamp>,
    pub(crate) phase: Phase,
    /// Whether something has changed that is not stored yet.
    pub(crate) dirty: bool,
    /// How often in a row the store refused to let an attempt begin.
    pub(crate) refusals: u32,
    /// Whether something was cured while an attempt was in flight: what the attempt finds may be cured already.
    pub(crate) cured: bool,
    pub(crate) waiters: Vec<Waiter>,
    /// What people want done to the credential, one after the other, between attempts.
    pub(crate) wishes: Wishes,
    /// The credential that the attempt in flight tries, from its claim to its answer.
    pub(crate) trial: Option<Box<Trial>>,
    /// Whether the grant was requested with other parameters than now, and only a login can change that. Not stored: the next start
    /// finds out again.
    pub(crate) outdated: bool,
    /// Whether the held token is kept only for the refresh that needs it, and not served. Not stored, likewise.
    pub(crate) renewing: bool,
    /// Whether a refresh was sent that may have ended the held token.
    pub(crate) overtaken: Overtaken,
    /// Whether the provider may have processed the request in flight, whatever its answer says; and whether that used up the refresh
    /// token.
    pub(crate) doubted: Option<bool>,
    /// Whether a spare refresh token is kept beside the held one.
    pub(crate) spare: bool,
    /// Whether the provider brought the spare one and it was never sent.
    pub(crate) spare_unsent: bool,
    /// What the next write does with a stored credential. That write comes before anything else.
    pub(crate) fate: Option<Fate>,
}

#[derive(Debug)]
pub(crate) enum Phase {
    /// Nothing is in progress.
    Resting,
    /// In the queue of this host.
    Queued(HostKey),
    /// Asking for the right to attempt.
    Claiming(Attempt),
    /// Storing the intent. With the state of the rate limits before the debit, in case it cannot be stored.
    Recording(Attempt, (Tat, Tat)),
    /// The request is out. With the same state, in case the request never left.
    Sending(Attempt, (Tat, Tat)),
    /// Storing an outcome, or a change without an attempt; and how often the store refused it.
    Committing(Box<Saving>, u32),
    /// The store refused an outcome. It is tried again at the given time, and nothing is attempted before it is stored.
    Unsaved(Box<Saving>, Timestamp, u32),
}

/// What is being stored: the outcome of an attempt, or a change that no attempt brought.
#[derive(Debug, Default)]
pub(crate) struct Saving {
    pub(crate) attempt: Option<AttemptId>,
    pub(crate) granted: bool,
    /// Whether the attempt brought a refresh token and no access token.
    pub(crate) renewed: bool,
    pub(crate) wish: Option<Wish>,
    /// Whether the waiter of the wish was answered before it was stored.
    pub(crate) answered: bool,
    pub(crate) fate: Option<Fate>,
}

/// A client that waits for a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiter {
    pub(crate) id: WaiterId,
    pub(crate) demand: Demand,
    pub(crate) want: Want,
    /// Whether it still shortens the wait after a failure, which a forced request does for one attempt.
    pub(crate) pressing: bool,
}

impl Account {
    pub(crate) fn adopt(adoption: Adoption, now: Timestamp) -> Self {
        let Adoption {
            plan,
            can_login,
            cured,
            durable,
            asked,
            ..
        } = adoption;
        let stored = durable.unwrap_or_default();
        let mut account = Self {
            plan,
            can_login,
            asked,
            absent: false,
            held: stored
                .held
                .map(|held| held.clamp(now))
                .filter(|held| held.is_good(now, None)),
            published: false,
            shown: None,
            unsendable: false,
            unfit: None,
            refresh: stored.refresh,
            block: stored.block,
            problem: stored.problem,
            failures: stored.failures,
            deferral: stored
                .deferral
                .and_then(|deferral| backoff::clamp(deferral, now)),
            no_verdict: stored.no_verdict.clamp(now),
            probed: 0,
            attempts: plan.attempts.clamp(stored.attempts, now),
            logins: plan.logins.clamp(stored.logins, now),
            last_attempt: stored.last_attempt,
            last_host: plan.host,
            ahead: None,
            phase: Phase::Resting,
            dirty: false,
            refusals: 0,
            cured: false,
            waiters: Vec::new(),
            wishes: Wishes::default(),
            trial: None,
            outdated: false,
            renewing: false,
            overtaken: Overtaken::restored(stored.overtaken, false),
            doubted: None,
            spare: stored.spare,
            spare_unsent: stored.spare && stored.spare_unsent,
            fate: None,
        };
        if let Some(intent) = stored.intent {
            account.interrupted(intent, &stored, now);
        }
        if cured {
            account.cure();
        }
        account
    }

    /// The daemon died between the intent and the outcome: the request may have been answered.
    fn interrupted(&mut self, intent: Intent, stored: &Durable, now: Timestamp) {
        let Intent { kind, attempt } = intent;
        match (stored.candidate).filter(|it| it.attempt == attempt && !it.same) {
            Some(candidate) => self.lost_trial(candidate, now),
            None => {
                let refreshed = kind == AttemptKind::Refresh;
                self.overtaken = Overtaken::restored(stored.overtaken, refreshed);
                self.doubt(kind);
                self.lost(kind);
                self.failures = self.failures.saturating_add(1);
            }
        }
        // It was sent at an unknown time, at the latest now. Stored, so that the next start knows.
        self.spend(kind, now);
        self.dirty = true;
    }

    /// The configuration changed, the identity did not.
    pub(crate) fn replan(
        &mut self,
        plan: AccountPlan,
        can_login: bool,
        cured: bool,
        now: Timestamp,
    ) {
        self.plan = plan;
        self.unsendable = false;
        self.unfit = None;
        self.outdated = false;
        self.can_login = can_login;
        // A debt at a slower rate is not owed at a faster one.
        self.attempts = plan.attempts.clamp(self.attempts, now);
        self.logins = plan.logins.clamp(self.logins, now);
        if cured {
            self.cure();
        }
    }

    /// Another plan is about to take effect: the account leaves the queue of a host that it no longer asks.
    pub(crate) fn go_elsewhere(&mut self, ctx: &mut Context<'_>, plan: &AccountPlan) {
        if let Phase::Queued(host) = self.phase
            && host != plan.host
            && Some(host) != plan.refresh_host
        {
            ctx.hosts.leave(host, ctx.key);
            self.phase = Phase::Resting;
        }
    }

    /// An attempt of this kind reached the provider by `at`, or may have.
    pub(crate) fn spend(&mut self, kind: AttemptKind, at: Timestamp) {
        self.attempts = self.plan.attempts.spent(self.attempts, at);
        if kind == AttemptKind::Login {
            self.logins = self.plan.logins.spent(self.logins, at);
        }
    }

    /// Something changed that may lift a block.
    pub(crate) fn cure(&mut self) {
        // An attempt in flight may have been sent before the change, so its result does not count against what changed.
        self.cured = matches!(
            self.phase,
            Phase::Claiming(_) | Phase::Recording(..) | Phase::Sending(..)
        );
        if self.block.take().is_some() {
            self.problem = None;
            self.dirty = true;
        }
        if !self.no_verdict.is_none() {
            self.no_verdict = NoVerdict::default();
            self.dirty = true;
        }
        if self.deferral.is_some_and(|deferral| !deferral.by_provider) {
            self.deferral = None;
        }
    }

    /// The state to store.
    pub(crate) fn durable(&self, intent: Option<Intent>, hosts: &Hosts, now: Timestamp) -> Durable {
        Durable {
            attempts: self.attempts,
            logins: self.logins,
            host: hosts.tat(self.last_host, now),
            last_attempt: self.last_attempt,
            intent,
            held: self.held,
            overtaken: self.held.is_some() && self.overtaken == Overtaken::Perhaps,
            refresh: self.refresh,
            candidate: intent.zip(self.trial.as_deref()).map(
                |(Intent { attempt, kind }, trial)| Candidate {
                    attempt,
                    kind,
                    same: trial.same,
                },
            ),
            spare: self.spare,
            spare_unsent: self.spare && self.spare_unsent,
            block: self.block,
            problem: self.problem,
            failures: self.failures,
            deferral: self.deferral,
            no_verdict: self.no_verdict,
        }
    }

    /// Which kind of attempt would be made now, or why none can be.
    pub(crate) fn choose(&self, now: Timestamp) -> Result<AttemptKind, WaiterFault> {
        match self.due_kind(now) {
            Ok(kind) if self.unfit == Some(kind) => Err(WaiterFault::Unfit),
            chosen => chosen,
        }
    }

    fn due_kind(&self, now: Timestamp) -> Result<AttemptKind, WaiterFault> {
        match self.block {
            Some(Block::CredentialRejected) => {
                return Err(WaiterFault::LoginRequired(Missing::CredentialRejected));
            }
            Some(Block::Misconfigured) => return Err(WaiterFault::Misconfigured),
            None => {}
        }
        let refused = self.unsendable || self.refresh.is_some_and(|refresh| refresh.refused);
        let stop = self.no_verdict.stop().filter(|_| self.can_login);
        // A refresh would bring a grant with the old parameters again.
        let again = self.outdated && self.can_login;
        match self.usable(now).filter(|_| !again) {
            Some(refresh)
                if (!refresh.in_doubt || self.may_replay()) && !self.doubts_refresh(now) =>
            {
                Ok(AttemptKind::Refresh)
            }
            _ if let Some(fault) = stop => Err(fault),
            _ if self.can_login => Ok(AttemptKind::Login),
            Some(_) => Err(WaiterFault::LoginRequired(Missing::InDoubt)),
            None if refused => Err(WaiterFault::LoginRequired(Missing::RefreshRejected)),
            None => Err(WaiterFault::LoginRequired(Missing::NoCredential)),
        }
    }

    /// The held refresh token, unless the provider would refuse it or it cannot be sent.
    pub(crate) fn usable(&self, now: Timestamp) -> Option<RefreshToken> {
        let too_late = self.plan.refresh_needs_access
            && !self.plan.refresh_presents_access
            && !self.held.is_some_and(|held| held.is_good(now, None));
        self.refresh.filter(|refresh| {
            let alive = refresh.expires.is_none_or(|expires| expires > now);
            alive && !refresh.refused && !self.unsendable && !too_late
        })
    }

    /// Whether a refresh token that may be spent is presented again.
    pub(crate) fn may_replay(&self) -> bool {
        match self.plan.reuse {
            Reuse::None | Reuse::Rotates => true,
            Reuse::RotatesAndReuseRevokes => false,
            // Without a login, presenting it again is the last chance, and there is nothing more to lose.
            Reuse::Unknown => !self.can_login,
        }
    }

    /// The earliest time for an attempt of this kind, without regard to its host.
    pub(crate) fn earliest(&self, kind: AttemptKind, now: Timestamp) -> Timestamp {
        let forced = self.waiters.iter().any(|waiter| waiter.pressing);
        let deferral = self.deferral.filter(|it| it.by_provider || !forced);
        let logins = self.no_verdict.logins_from;
        let logins = logins.filter(|_| kind == AttemptKind::Login && !forced);
        self.paced(kind, now)
            .max(deferral.map_or(now, |it| it.until))
            .max(logins.unwrap_or(now))
    }

    /// The earliest time that the rate limits allow.
    pub(crate) fn paced(&self, kind: AttemptKind, now: Timestamp) -> Timestamp {
        let attempts = self.plan.attempts.left(self.attempts, now).1;
        match kind {
            AttemptKind::Refresh => attempts,
            AttemptKind::Login => attempts.max(self.plan.logins.left(self.logins, now).1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred thousand accounts are held at once. What few accounts have at any time is boxed.
    #[test]
    fn an_account_takes_little_memory() {
        assert!(size_of::<Account>() <= 344, "{}", size_of::<Account>());
        assert!(size_of::<Phase>() <= 48, "{}", size_of::<Phase>());
        assert!(
            size_of::<AccountPlan>() <= 56,
            "{}",
            size_of::<AccountPlan>()
        );
    }
}
