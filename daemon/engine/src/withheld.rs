//! A token that is held and not served.
//!
//! Owns the two reasons: the token was requested with other parameters than now, or a refresh that was sent may have ended it. The
//! second holds from the moment the refresh leaves until it is known that it was not processed, or until another token replaces the held
//! one. Must never serve a token that the provider may have ended, nor give up one that is good.

use crate::account::{Account, Context};
use crate::durable::{AttemptKind, TokenFacts};
use crate::effect::{Effect, Verdict, Withheld};
use crate::event::{Attempt, ProviderAnswer, Want};
use crate::overtaken::Overtaken;
use crate::plan::RefreshPolicy;
use crate::time::Timestamp;
use crate::waiting::settle;

impl ProviderAnswer {
    /// Whether the provider may have processed the request.
    const fn may_be_done(self) -> bool {
        match self {
            Self::Granted(_) | Self::Renewed { .. } | Self::MaybeSent => true,
            Self::Misbehaved { maybe_processed } => maybe_processed,
            Self::Busy { .. }
            | Self::CredentialRejected
            | Self::RefreshRejected
            | Self::Misconfigured
            | Self::Unrecognised
            | Self::NotSent => false,
        }
    }
}

impl Account {
    /// Why the held token is not served, if so.
    pub(crate) fn withheld(&self) -> Option<Withheld> {
        self.held?;
        let ended = self.plan.refresh_ends_access && self.overtaken != Overtaken::No;
        match (ended, self.renewing) {
            (true, _) => Some(Withheld::PerhapsEnded),
            (false, true) => Some(Withheld::AskedOtherwise),
            (false, false) => None,
        }
    }

    /// The held token, unless it is withheld.
    pub(crate) fn served(&self) -> Option<TokenFacts> {
        self.held.filter(|_| self.withheld().is_none())
    }

    /// Stops serving the held token if it is withheld.
    pub(crate) fn withhold(&mut self, ctx: &mut Context<'_>) {
        if let (Some(held), Some(why)) = (self.held, self.withheld()) {
            self.published = false;
            self.shown = None;
            ctx.effects.push_back(Effect::Withhold(ctx.key, held, why));
        }
    }

    /// Serves the held token, or says why not: after a start, and under a new plan.
    pub(crate) fn serve(&mut self, ctx: &mut Context<'_>) {
        match self.withheld() {
            Some(_) => self.withhold(ctx),
            None => {
                self.published = false;
                self.publish(ctx);
            }
        }
    }

    /// Whether this attempt uses the grant of the held token. An entered credential belongs to another grant, unless it is the same.
    fn overtakes(&self, attempt: Attempt) -> bool {
        let own = self.trial.as_ref().is_none_or(|trial| trial.same);
        attempt.kind == AttemptKind::Refresh && own && self.held.is_some()
    }

    /// This attempt is about to leave.
    pub(crate) fn leaves(&mut self, ctx: &mut Context<'_>, attempt: Attempt) {
        if !self.overtakes(attempt) {
            return;
        }
        let before = self.withheld();
        if self.overtaken == Overtaken::No {
            self.overtaken = Overtaken::UnderWay;
        }
        if before != self.withheld() {
            self.withhold(ctx);
        }
    }

    /// Takes the result of the attempt in flight. Returns whether it is certain now that it did not end the held token.
    pub(crate) fn came_back(&mut self, answer: ProviderAnswer) -> bool {
        if self.overtaken != Overtaken::UnderWay {
            return false;
        }
        self.overtaken = match answer.may_be_done() || self.doubted.is_some() {
            true => Overtaken::Perhaps,
            false => Overtaken::No,
        };
        self.overtaken == Overtaken::No
    }

    /// The held token was not ended: serves it again, also to waiters that came meanwhile.
    pub(crate) fn serve_again(&mut self, ctx: &mut Context<'_>) {
        if self.published {
            return;
        }
        self.publish(ctx);
        let Some(held) = self.served().filter(|_| self.published) else {
            return;
        };
        let now = ctx.now;
        self.waiters.retain(|waiter| {
            let wants = waiter.want != Want::Forced && waiter.want != Want::Rejected(held.grant);
            let served = wants && held.is_good(now, waiter.demand.min_validity);
            if served {
                settle(ctx, waiter.id, Verdict::Token(held.grant));
            }
            !served
        });
    }

    /// Whether a withheld token is reason for an attempt without a waiter, as long as it lives.
    pub(crate) fn wants_withheld(&self, now: Timestamp) -> bool {
        let lives = self.held.is_some_and(|held| held.is_good(now, None));
        lives
            && match self.withheld() {
                Some(Withheld::AskedOtherwise) => true,
                // With `on-demand`, the next request for a token causes the attempt.
                Some(Withheld::PerhapsEnded) => self.plan.refresh != RefreshPolicy::OnDemand,
                None => false,
            }
    }

    /// The grant was requested with other parameters than now: stops serving the token. The refresh token stays; the token stays too if
    /// no attempt could request another.
    pub(crate) fn outdate(&mut self, ctx: &mut Context<'_>, by_login: bool, by_refresh: bool) {
        self.outdated = by_login && self.can_login;
        if !self.outdated && !by_refresh {
            return;
        }
        let early = self.plan.refresh_needs_access || self.plan.refresh_presents_access;
        let lives = self.held.is_some_and(|held| held.is_good(ctx.now, None));
        // A refused login does not count.
        let login = self.can_login && self.lives_without_held(ctx.now);
        if early && lives && !login && self.choose(ctx.now).is_ok() {
            // No request is possible without it: it is kept for the one refresh that is made at once.
            self.renewing = true;
            return self.withhold(ctx);
        }
        if !self.lives_without_held(ctx.now) {
            return;
        }
        match self.held {
            Some(_) => self.retire(ctx),
            // An older token may still be served; nothing of it is stored.
            None => self.serve_none(ctx),
        }
    }

    /// Whether an attempt would be possible without the held token.
    fn lives_without_held(&mut self, now: Timestamp) -> bool {
        let held = self.held.take();
        let lives = self.choose(now).is_ok();
        self.held = held;
        lives
    }

    /// No attempt is possible: a token that was kept for its refresh is all there is, and is served again.
    pub(crate) fn keep_what_is_held(&mut self, ctx: &mut Context<'_>) {
        if std::mem::take(&mut self.renewing) {
            self.publish(ctx);
        }
    }
}
