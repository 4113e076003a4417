//! An attempt from the decision to its last write.
//!
//! Owns the order that is the design: claim, debit, store the intent, send; `saving` continues from the answer. Nothing leaves before
//! its debit is durable; nothing is published before its refresh token is durable. An attempt that was sent is never given up.

use std::time::Duration;

use crate::account::{Account, Context, Phase, Saving};
use crate::backoff::unsaved;
use crate::durable::{AttemptKind, Intent, RefreshToken, TokenFacts};
use crate::effect::{Attempted, Effect, Pace, WaiterFault};
use crate::event::{Attempt, AttemptCause, ClaimRefusal, GrantFacts, ProviderAnswer, StoreResult};
use crate::ids::{AttemptId, GrantId, HostKey};
use crate::no_verdict::NoVerdict;
use crate::overtaken::Overtaken;
use crate::pace::Tat;
use crate::plan::Reuse;
use crate::problem::Problem;
use crate::time::Timestamp;
use crate::wishes::Wish;

impl Account {
    /// While nothing is in progress, starts what is due: a wish of a person, an attempt, or a write.
    pub(crate) fn consider(&mut self, ctx: &mut Context<'_>) {
        self.settle_late(ctx);
        match &self.phase {
            Phase::Queued(host)
                if self.wanted_by_none(ctx.now)
                    || ctx.draining
                    || self.absent
                    || self
                        .wishes
                        .front()
                        .is_some_and(|wish| !self.waits_at(*host, wish)) =>
            {
                ctx.hosts.leave(*host, ctx.key);
                self.phase = Phase::Resting;
            }
            Phase::Queued(host) => self.wait_in_queue(ctx, *host),
            Phase::Unsaved(_, retry, _) => {
                let retry = *retry;
                self.settle_refused(ctx, retry);
            }
            _ => {}
        }
        if !matches!(self.phase, Phase::Resting) {
            return;
        }
        if self.fate.is_some() || self.take_spare(ctx.now) {
            return self.save(ctx, Saving::default());
        }
        while let Some(wish) = self.wishes.front().copied() {
            match wish {
                Wish::Forget { can_login, .. } => {
                    self.wishes.pop_front();
                    self.forget(ctx, can_login);
                    let saving = Saving {
                        wish: Some(wish),
                        ..Saving::default()
                    };
                    return self.save(ctx, saving);
                }
                Wish::Enter(trial) if self.try_entered(ctx, trial) => return,
                Wish::Enter(_) => {}
            }
        }
        if ctx.draining {
            self.settle_drained(ctx);
        }
        if !ctx.draining && !self.absent && !self.wanted_by_none(ctx.now) {
            self.try_to_begin(ctx);
        }
        if self.dirty && matches!(self.phase, Phase::Resting) {
            self.save(ctx, Saving::default());
        }
    }

    /// Whether a wish waits in the queue of this host.
    fn waits_at(&self, host: HostKey, wish: &Wish) -> bool {
        match wish {
            Wish::Enter(trial) => self.plan.host_of(trial.kind) == host,
            Wish::Forget { .. } => false,
        }
    }

    fn wanted_by_none(&self, now: Timestamp) -> bool {
        self.waiters.is_empty() && self.wishes.is_empty() && !self.wants_ahead(now)
    }

    fn try_to_begin(&mut self, ctx: &mut Context<'_>) {
        let kind = match self.choose(ctx.now) {
            Ok(kind) => kind,
            Err(fault) => {
                self.keep_what_is_held(ctx);
                return self.settle_all(ctx, fault);
            }
        };
        let earliest = self.earliest(kind, ctx.now);
        if earliest > ctx.now {
            let fault = self.not_before(kind, earliest, ctx.now);
            return self.settle_impatient(ctx, earliest, fault);
        }
        let turn = std::mem::take(&mut ctx.turn);
        let host = self.plan.host_of(kind);
        if !ctx.hosts.admit(host, ctx.key, ctx.now, turn) {
            self.phase = Phase::Queued(host);
            return self.wait_in_queue(ctx, host);
        }
        let cause = self
            .waiters
            .first()
            .map_or(AttemptCause::Ahead, |waiter| waiter.want.into());
        self.begin(ctx, kind, host, cause);
    }

    /// Begins an attempt that the host has admitted.
    pub(crate) fn begin(
        &mut self,
        ctx: &mut Context<'_>,
        kind: AttemptKind,
        host: HostKey,
        cause: AttemptCause,
    ) {
        self.last_attempt = self.last_attempt.next();
        let attempt = Attempt {
            id: self.last_attempt,
            kind,
            host,
            cause,
            began: ctx.now,
        };
        let entered_by = self.trial.as_ref().map(|trial| trial.waiter);
        ctx.effects
            .push_back(Effect::Claim(ctx.key, attempt.id, kind, entered_by));
        self.phase = Phase::Claiming(attempt);
    }

    /// Answers the waiters that the host's rate limit holds for too long. If an attempt has to end first, they keep waiting: it may end
    /// at any moment.
    pub(crate) fn wait_in_queue(&mut self, ctx: &mut Context<'_>, host: HostKey) {
        if self.waiters.is_empty() && self.wishes.is_empty() {
            return;
        }
        let expected = ctx.hosts.expected(host, ctx.key, ctx.now);
        if !self.still_waits(ctx, expected) {
            ctx.hosts.leave(host, ctx.key);
        }
    }

    /// As `wait_in_queue`, for an account that is expected to begin then. Returns whether it still waits.
    pub(crate) fn still_waits(
        &mut self,
        ctx: &mut Context<'_>,
        expected: Option<Timestamp>,
    ) -> bool {
        let Some(start) = expected.filter(|start| *start > ctx.now) else {
            return true;
        };
        let fault = WaiterFault::Paced {
            retry: start,
            by: Pace::Host(self.choose(ctx.now).unwrap_or(AttemptKind::Login)),
            problem: self.problem,
        };
        self.settle_held_up(ctx, start, fault);
        let waits = !self.wanted_by_none(ctx.now);
        if !waits {
            self.phase = Phase::Resting;
        }
        waits
    }

    /// Handles the answer to a claim.
    pub(crate) fn claimed(
        &mut self,
        ctx: &mut Context<'_>,
        id: AttemptId,
        result: Result<(), ClaimRefusal>,
    ) {
        let Phase::Claiming(attempt) = self.phase else {
            return;
        };
        if attempt.id != id {
            return;
        }
        match result {
            Ok(()) => {}
            Err(ClaimRefusal::Store) => return self.not_recorded(ctx, attempt),
            Err(
                refusal @ (ClaimRefusal::Secret
                | ClaimRefusal::Request
                | ClaimRefusal::RefreshToken),
            ) => {
                if self.trial.is_some() {
                    self.not_prepared(ctx, refusal);
                } else if refusal == ClaimRefusal::RefreshToken
                    && attempt.kind == AttemptKind::Refresh
                {
                    // As useless as a refused one: the next step is a login, which has its own rate limit and needs no backoff.
                    self.unsendable = true;
                    self.problem = Some(Problem::RefreshRejected);
                } else if refusal == ClaimRefusal::Request {
                    // Trying again would fail in the same way, until the configuration changes or a person insists.
                    self.came_to_nothing(attempt.kind);
                    self.unfit = Some(attempt.kind);
                    self.problem = None;
                } else {
                    self.came_to_nothing(attempt.kind);
                    self.fail(ctx, AttemptKind::Refresh, Problem::Unprepared);
                }
                self.report(ctx, attempt, None);
                self.give_up(ctx, attempt);
                return self.consider(ctx);
            }
        }
        let fits = self.trial.is_some() || self.choose(ctx.now) == Ok(attempt.kind);
        let Some((attempts, logins)) = self.debit(attempt.kind, ctx.now).filter(|_| fits) else {
            // A new plan has a lower rate, or the refresh token is gone.
            self.not_tried(ctx, None);
            self.give_up(ctx, attempt);
            return self.consider(ctx);
        };
        let before = (self.attempts, self.logins);
        (self.attempts, self.logins) = (attempts, logins);
        self.last_host = attempt.host;
        let intent = Intent {
            attempt: attempt.id,
            kind: attempt.kind,
        };
        let durable = self.durable(Some(intent), ctx.hosts, ctx.now);
        ctx.effects
            .push_back(Effect::Record(ctx.key, attempt.id, Box::new(durable)));
        self.phase = Phase::Recording(attempt, before);
    }

    fn debit(&self, kind: AttemptKind, now: Timestamp) -> Option<(Tat, Tat)> {
        let attempts = self.plan.attempts.debit(self.attempts, now).ok()?;
        let logins = match kind {
            AttemptKind::Login => self.plan.logins.debit(self.logins, now).ok()?,
            AttemptKind::Refresh => self.logins,
        };
        Some((attempts, logins))
    }

    /// Handles the store's answer about the intent and its debits.
    pub(crate) fn recorded(&mut self, ctx: &mut Context<'_>, id: AttemptId, result: StoreResult) {
        let Phase::Recording(attempt, before) = self.phase else {
            return;
        };
        if attempt.id != id {
            return;
        }
        if result.is_err() {
            // Nothing was sent, so nothing is owed.
            (self.attempts, self.logins) = before;
            return self.not_recorded(ctx, attempt);
        }
        self.dirty = false;
        self.refusals = 0;
        self.leaves(ctx, attempt);
        ctx.effects
            .push_back(Effect::Send(ctx.key, attempt.id, attempt.kind));
        let attempt = Attempt {
            began: ctx.now,
            ..attempt
        };
        self.phase = Phase::Sending(attempt, before);
    }

    /// Handles a refusal of the store before anything was sent.
    ///
    /// The intent may be on disk although the store refused it. The true state is written as soon as the store works again, and no
    /// attempt begins before that. If the daemon dies first, the next start takes the intent for an attempt in doubt, which is safe.
    fn not_recorded(&mut self, ctx: &mut Context<'_>, attempt: Attempt) {
        self.dirty = true;
        self.report(ctx, attempt, None);
        self.give_up(ctx, attempt);
        // With growing pauses: a store may refuse intents and accept everything else.
        let retry = unsaved(self.refusals, ctx.now);
        self.not_tried(ctx, Some(WaiterFault::StoreUnavailable { retry }));
        self.refusals = self.refusals.saturating_add(1);
        self.phase = Phase::Unsaved(Box::default(), retry, 1);
        self.consider(ctx);
    }

    /// Gives up an attempt before anything was sent.
    fn give_up(&mut self, ctx: &mut Context<'_>, attempt: Attempt) {
        ctx.hosts.release(attempt.host);
        ctx.effects.push_back(Effect::Release(ctx.key, attempt.id));
        self.phase = Phase::Resting;
        if std::mem::take(&mut self.cured) {
            self.cure();
        }
    }

    /// Handles the provider's answer, or its absence.
    pub(crate) fn answered(
        &mut self,
        ctx: &mut Context<'_>,
        id: AttemptId,
        answer: ProviderAnswer,
    ) {
        let Phase::Sending(attempt, before) = self.phase else {
            return;
        };
        if attempt.id != id {
            return;
        }
        if answer == ProviderAnswer::NotSent {
            // Nothing was sent, so the rate limits are restored, and stored with the outcome. A crash before that finds the intent and
            // its debits, as it must. A new plan may have lowered them further in the meantime.
            ctx.hosts.release(attempt.host);
            self.attempts = self.attempts.min(before.0);
            self.logins = self.logins.min(before.1);
        } else {
            ctx.hosts.ended(attempt.host, ctx.now);
            self.spend(attempt.kind, ctx.now);
        }
        let unharmed = self.came_back(answer);
        let outcome = Saving {
            attempt: Some(attempt.id),
            ..Saving::default()
        };
        let saving = match (self.trial.take(), answer) {
            (Some(trial), answer) => self.conclude(ctx, attempt, *trial, answer),
            (None, ProviderAnswer::Granted(facts)) => {
                self.take_grant(ctx, attempt, facts);
                Saving {
                    granted: true,
                    ..outcome
                }
            }
            (None, other) => {
                self.take_failure(ctx, attempt, other);
                Saving {
                    renewed: matches!(other, ProviderAnswer::Renewed { .. }),
                    ..outcome
                }
            }
        };
        if std::mem::take(&mut self.cured) {
            self.phase = Phase::Resting;
            self.cure();
        }
        if unharmed {
            self.serve_again(ctx);
        }
        self.doubted = None;
        self.report(ctx, attempt, Some(answer));
        self.save(ctx, saving);
    }

    pub(crate) fn take_grant(
        &mut self,
        ctx: &mut Context<'_>,
        attempt: Attempt,
        facts: GrantFacts,
    ) {
        let expires = facts.lifetime.map(|lifetime| attempt.began.after(lifetime));
        self.outdated &= attempt.kind == AttemptKind::Refresh;
        self.held = Some(TokenFacts {
            grant: GrantId(attempt.id.0),
            issued: attempt.began,
            expires,
        });
        self.published = false;
        self.renewing = false;
        self.overtaken = Overtaken::No;
        self.ahead = None;
        self.block = None;
        self.no_verdict = match attempt.kind {
            AttemptKind::Refresh => self.no_verdict.of_logins(),
            AttemptKind::Login => NoVerdict::default(),
        };
        match (facts.refresh_token, attempt.kind) {
            (true, _) => self.renew(attempt, facts.refresh_lifetime),
            // Without a new refresh token, the one that was sent stays valid (RFC 6749, section 6). If a new one came and cannot be
            // kept, the old one may be spent.
            (false, AttemptKind::Refresh) => {
                let in_doubt = facts.refresh_token_lost && self.plan.reuse != Reuse::None;
                self.refresh = self.refresh.map(|refresh| RefreshToken {
                    in_doubt,
                    refused: false,
                    ..refresh
                });
            }
            (false, AttemptKind::Login) => self.refresh = None,
        }
        if self.held.is_some_and(|held| held.is_good(ctx.now, None)) {
            self.problem = None;
            self.failures = 0;
            self.deferral = None;
        } else {
            self.fail(ctx, attempt.kind, Problem::BornExpired);
        }
    }

    /// Takes a new refresh token: neither in doubt nor refused, whatever came with it.
    pub(crate) fn renew(&mut self, attempt: Attempt, lifetime: Option<Duration>) {
        self.unsendable = false;
        self.outdated &= attempt.kind == AttemptKind::Refresh;
        self.refresh = Some(RefreshToken {
            expires: lifetime.map(|lifetime| attempt.began.after(lifetime)),
            in_doubt: false,
            refused: false,
        });
    }

    fn report(&self, ctx: &mut Context<'_>, attempt: Attempt, answer: Option<ProviderAnswer>) {
        let next = match self.choose(ctx.now) {
            Ok(kind) => {
                let host = self.plan.host_of(kind);
                let host = ctx.hosts.expected(host, ctx.key, ctx.now);
                self.earliest(kind, ctx.now).max(host.unwrap_or(ctx.now))
            }
            Err(_) => Timestamp::FAR,
        };
        ctx.effects.push_back(Effect::Attempted(
            ctx.key,
            Attempted {
                attempt,
                answer,
                ended: ctx.now,
                next,
            },
        ));
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, ctx: &mut Context<'_>) {
        self.settle_late(ctx);
        match std::mem::replace(&mut self.phase, Phase::Resting) {
            Phase::Unsaved(saving, until, tries) if until <= ctx.now => {
                self.save(ctx, *saving);
                if let Phase::Committing(_, count) = &mut self.phase {
                    *count = tries;
                }
            }
            other => self.phase = other,
        }
        self.consider(ctx);
    }
}
