//! Waiters: who joins, who is answered, and with which verdict.
//!
//! Owns the verdicts. A waiter is an id and its terms. Each waiter is settled exactly once, and removed by it, or leaves. No waiter can
//! hold up or cancel an attempt.

use std::time::Duration;

use crate::account::{Account, Context, Phase, Waiter};
use crate::durable::AttemptKind;
use crate::effect::{Effect, Pace, Publication, Verdict, WaiterFault};
use crate::event::{Demand, Want};
use crate::ids::WaiterId;
use crate::no_verdict::NoVerdict;
use crate::overtaken::Overtaken;
use crate::time::Timestamp;
use crate::wishes::{Trial, Wish};

/// How long a waiter stays in the queue of a host even if it does not want to wait. Longer than many accounts requested at once need at
/// the usual rate limit of a host, and shorter than a person takes for a hang.
const SHORT: Duration = Duration::from_secs(10);

impl Account {
    /// Handles a request for a token.
    pub(crate) fn wanted(
        &mut self,
        ctx: &mut Context<'_>,
        id: WaiterId,
        demand: Demand,
        want: Want,
    ) {
        if self.absent {
            return refuse(ctx, id, WaiterFault::Gone);
        }
        if ctx.draining {
            return refuse(ctx, id, WaiterFault::Draining);
        }
        match want {
            Want::Rejected(grant) if self.held.is_some_and(|held| held.grant == grant) => {
                self.retire(ctx);
                if self.plan.refresh_presents_access
                    && let Some(refresh) = &mut self.refresh
                {
                    refresh.refused = true;
                }
            }
            // The held grant is newer and not published, and perhaps never will be: the rejected older token is retired all the same.
            Want::Rejected(grant) if self.shown == Some(grant) => self.serve_none(ctx),
            Want::Forced => self.insist(ctx.now),
            _ => {}
        }
        // An unpublished grant is not stored yet: requests in the meantime wait for it.
        let held = self.held.filter(|_| self.published);
        if let (Some(held), true) = (held, want != Want::Forced) {
            if held.is_good(ctx.now, demand.min_validity) {
                return settle(ctx, id, Verdict::Token(held.grant));
            }
            let lifetime = held.lifetime().unwrap_or_default();
            // A new grant could meet a demand for nearly the whole lifetime only for a moment, and the next `get` would request another
            // one: a token in the first tenth of its life is not replaced.
            let attainable = lifetime.saturating_mul(9) / 10;
            if held.is_good(ctx.now, None)
                && demand
                    .min_validity
                    .is_some_and(|needed| needed > attainable)
            {
                return refuse(ctx, id, WaiterFault::Unattainable { lifetime });
            }
        }
        self.waiters.push(Waiter {
            id,
            demand,
            want,
            pressing: want == Want::Forced,
        });
        self.consider(ctx);
    }

    /// Removes a waiter that has left. The attempt in flight goes on; no further attempt begins for this waiter, and it delays no other.
    pub(crate) fn left(&mut self, ctx: &mut Context<'_>, id: WaiterId) {
        let before = self.waiters.len();
        self.waiters.retain(|waiter| waiter.id != id);
        if self.waiters.len() < before {
            self.consider(ctx);
        }
    }

    /// Handles a person's wish to change the credential. It waits for the work in progress.
    pub(crate) fn wish(&mut self, ctx: &mut Context<'_>, wish: Wish) {
        let fault = match wish {
            Wish::Enter(_) if self.absent => WaiterFault::Gone,
            _ if ctx.draining => WaiterFault::Draining,
            Wish::Enter(trial)
                if matches!(self.phase, Phase::Queued(_))
                    && self.entered_from(trial, ctx.now) > ctx.now =>
            {
                // The trial could not start at the host's turn, so the person learns now.
                self.entered_too_soon(trial, ctx.now)
            }
            _ => {
                self.wishes.push_back(wish);
                return self.consider(ctx);
            }
        };
        refuse(ctx, wish.waiter(), fault);
    }

    /// A person insists: the cause of a block may be tried again, and if the account has no credential for a login, so may a refused
    /// refresh token.
    fn insist(&mut self, now: Timestamp) {
        if !matches!(self.phase, Phase::Resting) {
            return;
        }
        self.unfit = None;
        if self.block.take().is_some() {
            self.dirty = true;
        }
        if self.no_verdict.stop().is_some() {
            let refreshes = self.choose(now) == Ok(AttemptKind::Refresh);
            self.no_verdict.once_more(refreshes);
            self.dirty = true;
        }
        if let Some(refresh) = self.refresh.as_mut().filter(|_| !self.can_login) {
            self.dirty |= std::mem::take(&mut refresh.refused);
        }
    }

    /// Retires the held token, and any older one that is still served in its place.
    pub(crate) fn retire(&mut self, ctx: &mut Context<'_>) {
        self.held = None;
        self.renewing = false;
        self.overtaken = Overtaken::No;
        self.ahead = None;
        self.dirty = true;
        self.serve_none(ctx);
    }

    /// Stops serving any token, published or laid aside. The stored state does not change.
    pub(crate) fn serve_none(&mut self, ctx: &mut Context<'_>) {
        self.published = false;
        self.shown = None;
        ctx.effects.push_back(Effect::Retire(ctx.key));
    }

    /// Serves the held token, if it may be served.
    pub(crate) fn publish(&mut self, ctx: &mut Context<'_>) {
        // During the first write of a grant it is not visible yet; `deliver` follows.
        let early = matches!(&self.phase, Phase::Committing(saving, 0) if saving.granted);
        let hidden = self.absent || self.published || early;
        let Some(held) = self.served().filter(|_| !hidden) else {
            return;
        };
        if held.is_good(ctx.now, None) {
            self.published = true;
            self.shown = Some(held.grant);
            self.ahead = self.ahead_of(&held, &ctx.dice);
            let unpersisted = match &self.phase {
                Phase::Unsaved(saving, ..) | Phase::Committing(saving, _) => saving.granted,
                _ => false,
            };
            let ahead = self.ahead.unwrap_or(Timestamp::FAR);
            ctx.effects.push_back(Effect::Publish(
                ctx.key,
                Publication {
                    held,
                    ahead,
                    unpersisted,
                },
            ));
        }
    }

    /// Settles the waiters after a grant: each gets the token, or learns why the token does not meet its demand.
    pub(crate) fn settle_granted(&mut self, ctx: &mut Context<'_>) {
        let Some(held) = self.served().filter(|held| held.is_good(ctx.now, None)) else {
            return;
        };
        if !self.waiters.is_empty() {
            self.asked.touch(ctx.now);
        }
        let lifetime = held.expires.map(|expires| expires.since(ctx.now));
        for waiter in std::mem::take(&mut self.waiters) {
            let verdict = match (waiter.demand.min_validity, lifetime) {
                (Some(needed), Some(lifetime)) if needed > lifetime => {
                    Verdict::Fault(WaiterFault::Unattainable { lifetime })
                }
                _ => Verdict::Token(held.grant),
            };
            settle(ctx, waiter.id, verdict);
        }
    }

    /// Answers all waiters with the same fault.
    pub(crate) fn settle_all(&mut self, ctx: &mut Context<'_>, fault: WaiterFault) {
        for waiter in std::mem::take(&mut self.waiters) {
            refuse(ctx, waiter.id, fault);
        }
    }

    /// Answers the waiters that would not wait until `start`.
    pub(crate) fn settle_impatient(
        &mut self,
        ctx: &mut Context<'_>,
        start: Timestamp,
        fault: WaiterFault,
    ) {
        self.waiters
            .retain(|it| waits(ctx, it.demand.start_by >= start, it.id, fault));
    }

    /// Answers the waiters and trials that would not wait until `start` in the queue of a host. A short wait there is no reason to give
    /// up: accounts requested at once are served one after the other.
    pub(crate) fn settle_held_up(
        &mut self,
        ctx: &mut Context<'_>,
        start: Timestamp,
        fault: WaiterFault,
    ) {
        let short = ctx.now.after(SHORT);
        let mut stays = |id, demand: Demand| {
            let stays = demand.start_by.max(short) >= start && demand.answer_by > start;
            waits(ctx, stays, id, fault)
        };
        self.waiters
            .retain(|waiter| stays(waiter.id, waiter.demand));
        self.wishes.retain(|wish| match wish {
            Wish::Enter(trial) => stays(trial.waiter, trial.demand),
            Wish::Forget { .. } => true,
        });
    }

    /// Answers the waiters whose time is over.
    pub(crate) fn settle_late(&mut self, ctx: &mut Context<'_>) {
        let (now, fault) = (ctx.now, WaiterFault::TimedOut);
        self.waiters
            .retain(|it| waits(ctx, it.demand.answer_by > now, it.id, fault));
        // A wish that has not begun is dropped. One that is being tried or stored goes on.
        self.wishes.retain(|wish| {
            let in_time = wish.answer_by().is_none_or(|by| by > now);
            waits(ctx, in_time, wish.waiter(), fault)
        });
        if (self.trial.as_ref()).is_some_and(|trial| trial.demand.answer_by <= now) {
            self.answer_trial(ctx, fault);
        }
        if let Phase::Committing(saving, _) = &mut self.phase
            && !saving.answered
            && let Some(wish) = saving.wish
            && wish.answer_by().is_some_and(|by| by <= now)
        {
            saving.answered = true;
            refuse(ctx, wish.waiter(), fault);
        }
    }

    /// While the store refuses: answers the waiters that would not wait until the next try.
    pub(crate) fn settle_refused(&mut self, ctx: &mut Context<'_>, retry: Timestamp) {
        let fault = WaiterFault::StoreUnavailable { retry };
        if ctx.draining {
            self.settle_all(ctx, fault);
        }
        self.settle_impatient(ctx, retry, fault);
        // A wish could only wait in memory for a store that may never recover, so the person learns now.
        while let Some(wish) = self.wishes.pop_front() {
            refuse(ctx, wish.waiter(), fault);
        }
    }

    /// While draining, with no work in progress: answers the waiters for which no attempt begins any more.
    pub(crate) fn settle_drained(&mut self, ctx: &mut Context<'_>) {
        let fault = match self.choose(ctx.now) {
            Err(fault) => fault,
            Ok(kind) => match self.earliest(kind, ctx.now) {
                start if start > ctx.now => self.not_before(kind, start, ctx.now),
                _ => WaiterFault::Draining,
            },
        };
        self.settle_all(ctx, fault);
    }

    /// The fault for a waiter that would have to wait until `start` for an attempt of this kind.
    pub(crate) fn not_before(
        &self,
        kind: AttemptKind,
        start: Timestamp,
        now: Timestamp,
    ) -> WaiterFault {
        let waits = |until: Timestamp| until >= start;
        let deferred = self.deferral.is_some_and(|it| waits(it.until))
            || (kind == AttemptKind::Login && self.no_verdict.logins_from.is_some_and(waits));
        match self.problem {
            Some(problem) if deferred => WaiterFault::Failed {
                problem,
                retry: start,
            },
            _ => {
                let login = kind == AttemptKind::Login
                    && self.plan.logins.left(self.logins, now).1 >= start;
                WaiterFault::Paced {
                    retry: start,
                    by: if login { Pace::Logins } else { Pace::Attempts },
                    problem: self.problem,
                }
            }
        }
    }

    /// The account is no longer configured.
    pub(crate) fn remove(&mut self, ctx: &mut Context<'_>) {
        self.absent = true;
        self.settle_all(ctx, WaiterFault::Gone);
        while let Some(wish) = self.wishes.pop_front() {
            refuse(ctx, wish.waiter(), WaiterFault::Gone);
        }
        self.answer_trial(ctx, WaiterFault::Gone);
        if self.shown.is_some() {
            self.serve_none(ctx);
        }
        self.consider(ctx);
    }

    /// Begins no further attempt; waiters for a running attempt get its result.
    pub(crate) fn drain(&mut self, ctx: &mut Context<'_>) {
        while let Some(wish) = self.wishes.pop_front() {
            refuse(ctx, wish.waiter(), WaiterFault::Draining);
        }
        if matches!(
            self.phase,
            Phase::Resting | Phase::Queued(_) | Phase::Unsaved(..)
        ) {
            self.settle_all(ctx, WaiterFault::Draining);
        }
        self.consider(ctx);
    }

    /// Whether no work is in progress and everything is stored.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Resting | Phase::Queued(_))
            && !self.dirty
            && self.wishes.is_empty()
            && self.waiters.is_empty()
    }

    /// Answers a person's wish once it is stored.
    pub(crate) fn granted_wish(&mut self, ctx: &mut Context<'_>, wish: Wish) {
        let verdict = match wish {
            Wish::Forget { .. } => Verdict::Done,
            // The configuration has changed since: the entered credential is right, but its token does not match the new requests.
            Wish::Enter(trial) if self.served().is_none() && self.problem.is_none() => {
                return self.wanted(ctx, trial.waiter, trial.demand, Want::Get);
            }
            Wish::Enter(_) => self.proven(ctx.now),
        };
        settle(ctx, wish.waiter(), verdict);
    }

    /// Gives up all secrets in memory; the caller stores that.
    pub(crate) fn forget(&mut self, ctx: &mut Context<'_>, can_login: bool) {
        self.block = None;
        self.problem = None;
        self.no_verdict = NoVerdict::default();
        self.unsendable = false;
        self.unfit = None;
        self.can_login = can_login;
        self.refresh = None;
        self.spare = false;
        self.retire(ctx);
    }
}

impl Wish {
    pub(crate) fn waiter(&self) -> WaiterId {
        match self {
            Self::Enter(Trial { waiter, .. }) | Self::Forget { waiter, .. } => *waiter,
        }
    }

    /// The time by which the waiter of the wish wants an answer; a wish to forget has no limit.
    pub(crate) fn answer_by(&self) -> Option<Timestamp> {
        match self {
            Self::Enter(trial) => Some(trial.demand.answer_by),
            Self::Forget { .. } => None,
        }
    }
}

/// Whether a waiter goes on waiting. One that does not gets the fault.
fn waits(ctx: &mut Context<'_>, waits: bool, waiter: WaiterId, fault: WaiterFault) -> bool {
    if !waits {
        refuse(ctx, waiter, fault);
    }
    waits
}

pub(crate) fn refuse(ctx: &mut Context<'_>, waiter: WaiterId, fault: WaiterFault) {
    settle(ctx, waiter, Verdict::Fault(fault));
}

pub(crate) fn settle(ctx: &mut Context<'_>, waiter: WaiterId, verdict: Verdict) {
    ctx.effects.push_back(Effect::Settle(waiter, verdict));
}
