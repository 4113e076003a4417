//! Storing the result of an attempt or of a person's wish.
//!
//! Owns the order: a result is stored first, then published, then reported. If the store refuses it, the result is kept, served from
//! memory and stored again later; no attempt begins before it is stored.

use crate::account::{Account, Context, Phase, Saving};
use crate::backoff::unsaved;
use crate::durable::AttemptKind;
use crate::effect::{Commit, Effect, WaiterFault};
use crate::event::StoreResult;
use crate::problem::Problem;
use crate::waiting::refuse;
use crate::wishes::Wish;

impl Account {
    /// Stores the current state, with the secrets that go with it.
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

    /// Handles the store's answer about an outcome or a change.
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
        if let Some(wish) = saving.wish.filter(|_| !saving.answered) {
            self.granted_wish(ctx, wish);
        }
        self.consider(ctx);
    }

    /// Handles a refusal of the store. The result is kept and served from memory, and no attempt begins until the write has succeeded: an
    /// attempt would spend a refresh token whose successor could not be kept either.
    fn not_committed(&mut self, ctx: &mut Context<'_>, mut saving: Box<Saving>, tries: u32) {
        let granted = saving.granted;
        let retry = unsaved(tries, ctx.now);
        if let Some(wish) = saving.wish.filter(|_| !saving.answered) {
            // The wish is done in memory and will be stored; its waiter learns now that it is not stored yet.
            saving.answered = true;
            let fault = WaiterFault::StoreUnavailable { retry };
            refuse(ctx, wish.waiter(), fault);
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
            // The store was so slow that the token has expired. This counts as a failure like a token born expired; otherwise the waiters
            // would trigger one fetch after another.
            self.fail(ctx, AttemptKind::Refresh, Problem::BornExpired);
            self.dirty = true;
        }
        // The token may have been served from memory while the store refused: now it is stored, and the registry may report it as stored.
        self.published = false;
        self.publish(ctx);
        self.settle_granted(ctx);
    }
}
