//! A token that is held and not served.
//!
//! Owns the two reasons for that: it was asked for otherwise than now, and a refresh that was sent may have ended it at its provider. The
//! second holds from the moment the refresh leaves until it is known that it was not processed, or another token takes the place of the
//! one held. Must never let a token be served that the provider may have ended, nor give up one that is good.

use crate::account::{Account, Context};
use crate::durable::{AttemptKind, TokenFacts};
use crate::effect::{Effect, Verdict, Withheld};
use crate::event::{Attempt, ProviderAnswer, Want};
use crate::overtaken::Overtaken;
use crate::plan::RefreshPolicy;
use crate::time::Timestamp;
use crate::waiting::settle;

impl ProviderAnswer {
    /// Whether the provider may have done what was asked.
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
    /// Why the token held is not served, if that is so.
    pub(crate) fn withheld(&self) -> Option<Withheld> {
        self.held?;
        let ended = self.plan.refresh_ends_access && self.overtaken != Overtaken::No;
        match (ended, self.renewing) {
            (true, _) => Some(Withheld::PerhapsEnded),
            (false, true) => Some(Withheld::AskedOtherwise),
            (false, false) => None,
        }
    }

    /// The token held, unless it is not to be served.
    pub(crate) fn served(&self) -> Option<TokenFacts> {
        self.held.filter(|_| self.withheld().is_none())
    }

    /// Serves the token held no more, where that is so.
    pub(crate) fn withhold(&mut self, ctx: &mut Context<'_>) {
        if let (Some(held), Some(why)) = (self.held, self.withheld()) {
            self.published = false;
            self.shown = None;
            ctx.effects.push_back(Effect::Withhold(ctx.key, held, why));
        }
    }

    /// Serves the token held, or says why not: after a start, and under another plan.
    pub(crate) fn serve(&mut self, ctx: &mut Context<'_>) {
        match self.withheld() {
            Some(_) => self.withhold(ctx),
            None => {
                self.published = false;
                self.publish(ctx);
            }
        }
    }

    /// Whether this attempt presents what came with the token held: what a person enters belongs to another grant, unless it is the same.
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

    /// This is what came of the attempt under way. Whether it is known now that it has not ended the token held.
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

    /// The token held has not been ended: it is served again, also to those who came meanwhile.
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

    /// Whether a token that is not served is reason for an attempt without a waiter: for as long as it lives.
    pub(crate) fn wants_withheld(&self, now: Timestamp) -> bool {
        let lives = self.held.is_some_and(|held| held.is_good(now, None));
        lives
            && match self.withheld() {
                Some(Withheld::AskedOtherwise) => true,
                // Nobody may be asking: with `on-demand` it is settled before anything is served again, and not earlier.
                Some(Withheld::PerhapsEnded) => self.plan.refresh != RefreshPolicy::OnDemand,
                None => false,
            }
    }

    /// What is held was asked for otherwise than it would be asked for now: the token is not served any more. The refresh token stays, and
    /// so does everything where nothing that can be done asks otherwise.
    pub(crate) fn outdate(&mut self, ctx: &mut Context<'_>, by_login: bool, by_refresh: bool) {
        self.outdated = by_login && self.can_login;
        if !self.outdated && !by_refresh {
            return;
        }
        let early = self.plan.refresh_needs_access || self.plan.refresh_presents_access;
        let lives = self.held.is_some_and(|held| held.is_good(ctx.now, None));
        // A login that was refused is none.
        let login = self.can_login && self.lives_without_held(ctx.now);
        if early && lives && !login && self.choose(ctx.now).is_ok() {
            // Without it there would be nothing left to ask with: it is kept for the one refresh that is made at once.
            self.renewing = true;
            return self.withhold(ctx);
        }
        if !self.lives_without_held(ctx.now) {
            return;
        }
        match self.held {
            Some(_) => self.retire(ctx),
            // Nothing of it is stored: only what is served still until a newer grant takes its place.
            None => self.serve_none(ctx),
        }
    }

    /// Whether an attempt could be made if the token held were gone.
    fn lives_without_held(&mut self, now: Timestamp) -> bool {
        let held = self.held.take();
        let lives = self.choose(now).is_ok();
        self.held = held;
        lives
    }

    /// No attempt can be made: a token that was kept only because it was asked for otherwise is all there is, and served again.
    pub(crate) fn keep_what_is_held(&mut self, ctx: &mut Context<'_>) {
        if std::mem::take(&mut self.renewing) {
            self.publish(ctx);
        }
    }
}
