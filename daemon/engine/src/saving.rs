//! Storing what came of an attempt, or of a wish.
//!
//! Owns the way from an outcome to what is served: stored first, then published, then reported. If the store refuses it, it is kept,
//! served from memory and tried again; nothing is attempted before it has landed.

use crate::account::{Account, Context, Phase, Saving};
use crate::backoff::unsaved;
use crate::durable::AttemptKind;
use crate::effect::{Commit, Effect, Verdict, WaiterFault};
use crate::event::StoreResult;
use crate::problem::Problem;
use crate::waiting::settle;
use crate::wishes::Wish;

impl Account {
    /// Stores what is known now, with the secrets that go with it.
    pub(crate) fn save(&mut self, ctx: &mut Context<'_>, mut saving: Saving) {
        saving.fate = saving.fate.or(self.fate.take());
        let commit = Commit {
            durable: self.durable(None, ctx.hosts, ctx.now),
            granted: saving.attempt.filter(|_| saving.granted || saving.renewed),
            fate: saving.fate,
            forget: matches!(saving.wish, Some(Wish::Forget { .. })),
        };
        self.dirty = false;
        ctx.effects
            .push_back(Effect::Commit(ctx.key, Box::new(commit)));
        self.phase = Phase::Committing(Box::new(saving), 0);
    }

    /// An outcome or a change is stored, or not.
    pub(crate) fn committed(&mut self, ctx: &mut Context<'_>, result: StoreResult) {
        let (saving, tries) = match std::mem::replace(&mut self.phase, Phase::Resting) {
            Phase::Committing(saving, tries) => (saving, tries),
            other => {
                self.phase = other;
                return;
            }
        };
        if result.is_err() {
            return self.not_committed(ctx, saving, tries);
        }
        if let Some(attempt) = saving.attempt {
            ctx.effects.push_back(Effect::Release(ctx.key, attempt));
        }
        if saving.granted {
            self.deliver(ctx);
        }
        if let Some(wish) = saving.wish.filter(|_| !saving.told) {
            self.granted_wish(ctx, wish);
        }
        self.consider(ctx);
    }

    /// The store refused. What was obtained is kept and served from memory, and nothing is attempted until the write has landed:
    /// an attempt would spend a refresh token whose successor could not be kept either.
    fn not_committed(&mut self, ctx: &mut Context<'_>, mut saving: Box<Saving>, tries: u32) {
        let granted = saving.granted;
        let retry = unsaved(tries, ctx.now);
        if let Some(wish) = saving.wish.filter(|_| !saving.told) {
            // It is done in memory and will be stored; its waiter should hear now that it is not stored yet.
            saving.told = true;
            let fault = WaiterFault::StoreUnavailable { retry };
            settle(ctx, wish.waiter(), Verdict::Fault(fault));
        }
        self.dirty = true;
        self.phase = Phase::Unsaved(saving, retry, tries.saturating_add(1));
        if granted {
            self.deliver(ctx);
        }
        self.consider(ctx);
    }

    fn deliver(&mut self, ctx: &mut Context<'_>) {
        let over = self.held.is_some_and(|held| !held.is_good(ctx.now, None));
        let unseen = over && !self.published && self.problem.is_none();
        if unseen && matches!(self.phase, Phase::Resting) {
            // The store was so slow that nothing is left of the lifetime: a failure like a token born expired, or those who wait would
            // have the next one fetched at once, and the next.
            self.fail(ctx, AttemptKind::Refresh, Problem::BornExpired);
            self.dirty = true;
        }
        // It may have been served from memory while the store refused: now it is stored, and the registry may say so.
        self.published = false;
        self.publish(ctx);
        self.settle_granted(ctx);
    }
}
