//! Those who wait: who joins, who is answered, with what.
//!
//! Owns the verdicts. A waiter is an id and its terms: each is settled exactly once and removed by it, or leaves, and none of them can
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

/// How long somebody waits in the line of a host who wants to wait for nothing. Longer than accounts that are asked for at once take at
/// the usual pace of a host, and shorter than a person takes for a hang.
const SHORT: Duration = Duration::from_secs(10);

impl Account {
    /// Somebody wants a token.
    pub(crate) fn wanted(
        &mut self,
        ctx: &mut Context<'_>,
        id: WaiterId,
        demand: Demand,
        want: Want,
    ) {
        if self.absent {
            return settle(ctx, id, Verdict::Fault(WaiterFault::Gone));
        }
        if ctx.draining {
            return settle(ctx, id, Verdict::Fault(WaiterFault::Draining));
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
            // What is held is a newer grant that is not published, and perhaps never will be: the older token goes all the same.
            Want::Rejected(grant) if self.shown == Some(grant) => self.serve_none(ctx),
            Want::Forced => self.insist(ctx.now),
            _ => {}
        }
        // A grant that is not published yet is not stored yet: requests that come meanwhile wait for that.
        let held = self.held.filter(|_| self.published);
        if let (Some(held), true) = (held, want != Want::Forced) {
            if held.is_good(ctx.now, demand.min_validity) {
                return settle(ctx, id, Verdict::Token(held.grant));
            }
            let lifetime = held.lifetime().unwrap_or_default();
            // A demand for nearly the whole lifetime would be met by a new grant for a moment only, and the next `get` would ask for
            // the next one: a token in the first tenth of its life is not replaced.
            let attainable = lifetime.saturating_mul(9) / 10;
            if held.is_good(ctx.now, None)
                && demand
                    .min_validity
                    .is_some_and(|needed| needed > attainable)
            {
                return settle(
                    ctx,
                    id,
                    Verdict::Fault(WaiterFault::Unattainable { lifetime }),
                );
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

    /// A waiter has left. The attempt in flight goes on; nothing more begins for its sake, and it holds up no other.
    pub(crate) fn left(&mut self, ctx: &mut Context<'_>, id: WaiterId) {
        let before = self.waiters.len();
        self.waiters.retain(|waiter| waiter.id != id);
        if self.waiters.len() < before {
            self.consider(ctx);
        }
    }

    /// A person wants something done to the credential. It waits for what is under way.
    pub(crate) fn wish(&mut self, ctx: &mut Context<'_>, wish: Wish) {
        let fault = match wish {
            Wish::Enter(_) if self.absent => WaiterFault::Gone,
            _ if ctx.draining => WaiterFault::Draining,
            Wish::Enter(trial)
                if matches!(self.phase, Phase::Queued(_))
                    && self.entered_from(trial, ctx.now) > ctx.now =>
            {
                // Its host's turn would come too early: better that the person knows now.
                self.entered_too_soon(trial, ctx.now)
            }
            _ => {
                self.wishes.push_back(wish);
                return self.consider(ctx);
            }
        };
        settle(ctx, wish.waiter(), Verdict::Fault(fault));
    }

    /// A person says so: what the account was blocked for may be tried again, and with nothing to log in with so may a refresh token
    /// that was refused.
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

    /// The token held is no good any more, and neither is an older one that is still served in its place.
    pub(crate) fn retire(&mut self, ctx: &mut Context<'_>) {
        self.held = None;
        self.renewing = false;
        self.overtaken = Overtaken::No;
        self.ahead = None;
        self.dirty = true;
        self.serve_none(ctx);
    }

    /// No token is served or laid aside any more, whichever it was. That changes nothing that is stored.
    pub(crate) fn serve_none(&mut self, ctx: &mut Context<'_>) {
        self.published = false;
        self.shown = None;
        ctx.effects.push_back(Effect::Retire(ctx.key));
    }

    /// Serves the token held, if it is one to be served.
    pub(crate) fn publish(&mut self, ctx: &mut Context<'_>) {
        // While its own write runs for the first time it is not to be seen; `deliver` follows.
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

    /// A grant has come: everybody who waited gets it, or learns why it does not do.
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

    /// Answers everybody the same.
    pub(crate) fn settle_all(&mut self, ctx: &mut Context<'_>, fault: WaiterFault) {
        for waiter in std::mem::take(&mut self.waiters) {
            settle(ctx, waiter.id, Verdict::Fault(fault));
        }
    }

    /// Answers those who would not wait until `start`.
    pub(crate) fn settle_impatient(
        &mut self,
        ctx: &mut Context<'_>,
        start: Timestamp,
        fault: WaiterFault,
    ) {
        self.waiters.retain(|waiter| {
            let waits = waiter.demand.start_by >= start;
            if !waits {
                settle(ctx, waiter.id, Verdict::Fault(fault));
            }
            waits
        });
    }

    /// Answers those who would not wait until `start` in the line of a host. A short wait there is nobody's: many accounts that are asked
    /// for at once come one after the other.
    pub(crate) fn settle_held_up(
        &mut self,
        ctx: &mut Context<'_>,
        start: Timestamp,
        fault: WaiterFault,
    ) {
        let short = ctx.now.after(SHORT);
        let mut waits = |id, demand: Demand| {
            let waits = demand.start_by.max(short) >= start && demand.answer_by > start;
            if !waits {
                settle(ctx, id, Verdict::Fault(fault));
            }
            waits
        };
        self.waiters
            .retain(|waiter| waits(waiter.id, waiter.demand));
        self.wishes.retain(|wish| match wish {
            Wish::Enter(trial) => waits(trial.waiter, trial.demand),
            Wish::Forget { .. } => true,
        });
    }

    /// Answers those whose time is over.
    pub(crate) fn settle_late(&mut self, ctx: &mut Context<'_>) {
        let now = ctx.now;
        self.waiters.retain(|waiter| {
            let waits = waiter.demand.answer_by > now;
            if !waits {
                settle(ctx, waiter.id, Verdict::Fault(WaiterFault::TimedOut));
            }
            waits
        });
        // A wish not begun is dropped. One that is being tried or stored goes on.
        self.wishes.retain(|wish| {
            let waits = wish.answer_by().is_none_or(|by| by > now);
            if !waits {
                settle(ctx, wish.waiter(), Verdict::Fault(WaiterFault::TimedOut));
            }
            waits
        });
        if let Some(trial) = self
            .trial
            .as_mut()
            .filter(|trial| !trial.told && trial.demand.answer_by <= now)
        {
            trial.told = true;
            settle(ctx, trial.waiter, Verdict::Fault(WaiterFault::TimedOut));
        }
        if let Phase::Committing(saving, _) = &mut self.phase
            && !saving.told
            && let Some(wish) = saving.wish
            && wish.answer_by().is_some_and(|by| by <= now)
        {
            saving.told = true;
            settle(ctx, wish.waiter(), Verdict::Fault(WaiterFault::TimedOut));
        }
    }

    /// While the store refuses: answers those who would not wait until it is tried again.
    pub(crate) fn settle_refused(&mut self, ctx: &mut Context<'_>, retry: Timestamp) {
        let fault = WaiterFault::StoreUnavailable { retry };
        if ctx.draining {
            self.settle_all(ctx, fault);
        }
        self.settle_impatient(ctx, retry, fault);
        // A wish could only wait in memory for a store that may never come back: better that the person knows.
        while let Some(wish) = self.wishes.pop_front() {
            settle(ctx, wish.waiter(), Verdict::Fault(fault));
        }
    }

    /// While draining, with nothing under way: answers those for whom no attempt begins any more.
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
            settle(ctx, wish.waiter(), Verdict::Fault(WaiterFault::Gone));
        }
        self.tell_trial(ctx, WaiterFault::Gone);
        if self.shown.is_some() {
            self.serve_none(ctx);
        }
        self.consider(ctx);
    }

    /// No attempt begins any more; those who wait for one that runs get its result.
    pub(crate) fn drain(&mut self, ctx: &mut Context<'_>) {
        while let Some(wish) = self.wishes.pop_front() {
            settle(ctx, wish.waiter(), Verdict::Fault(WaiterFault::Draining));
        }
        if matches!(
            self.phase,
            Phase::Resting | Phase::Queued(_) | Phase::Unsaved(..)
        ) {
            self.settle_all(ctx, WaiterFault::Draining);
        }
        self.consider(ctx);
    }

    /// Whether nothing is under way and everything is stored.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Resting | Phase::Queued(_))
            && !self.dirty
            && self.wishes.is_empty()
            && self.waiters.is_empty()
    }

    /// A person's wish was stored.
    pub(crate) fn granted_wish(&mut self, ctx: &mut Context<'_>, wish: Wish) {
        let verdict = match wish {
            Wish::Forget { .. } => Verdict::Done,
            // The configuration asks otherwise by now: what was entered is right, and the token of it is another one.
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

    /// By when the waiter of the wish wants an answer; a wish to forget has no limit.
    pub(crate) fn answer_by(&self) -> Option<Timestamp> {
        match self {
            Self::Enter(trial) => Some(trial.demand.answer_by),
            Self::Forget { .. } => None,
        }
    }
}

pub(crate) fn settle(ctx: &mut Context<'_>, waiter: WaiterId, verdict: Verdict) {
    ctx.effects.push_back(Effect::Settle(waiter, verdict));
}
