//! When an account needs something without being asked.
//!
//! Owns whether an attempt is wanted and when; `attempt` makes it. Decides by need, never by what happened last.

use crate::account::{Account, Phase};
use crate::backoff::Dice;
use crate::durable::TokenFacts;
use crate::plan::RefreshPolicy;
use crate::time::Timestamp;
use crate::wishes::Wish;

impl Account {
    /// When to refresh the held token ahead of its expiry.
    pub(crate) fn ahead_of(&self, held: &TokenFacts, dice: &Dice) -> Option<Timestamp> {
        let lifetime = held.lifetime().filter(|lifetime| !lifetime.is_zero())?;
        let early = self.plan.refresh_needs_access || self.plan.refresh_presents_access;
        let share = if early {
            60 + dice.roll(10)
        } else if self.plan.refresh_ends_access {
            // Late: this refresh ends the old token for all its holders.
            94 + dice.roll(4)
        } else {
            75 + dice.roll(10)
        };
        let share = u32::try_from(share).unwrap_or(80);
        (self.plan.refresh != RefreshPolicy::OnDemand)
            .then(|| held.issued.after(lifetime.saturating_mul(share) / 100))
    }

    /// Whether to hold a token even if no client requests one.
    fn keeps_fresh(&self) -> bool {
        self.plan.refresh == RefreshPolicy::Always
    }

    /// Whether an attempt is wanted although there is no waiter.
    pub(crate) fn wants_ahead(&self, now: Timestamp) -> bool {
        if self.keeps_fresh() && !self.held.is_some_and(|held| held.is_good(now, None)) {
            // Whatever the reason: a failure, a forgotten or a new credential, a restart.
            return true;
        }
        if self.wants_withheld(now) {
            return true;
        }
        let due = self.ahead.is_some_and(|ahead| ahead <= now);
        due && match self.plan.refresh {
            RefreshPolicy::Always => true,
            RefreshPolicy::OnDemand => false,
            RefreshPolicy::Auto => {
                let lifetime = self.held.and_then(|held| held.lifetime());
                self.asked.within(lifetime.unwrap_or_default(), now)
            }
        }
    }

    /// When something is due without an event.
    pub(crate) fn due(&self, now: Timestamp, draining: bool) -> Option<Timestamp> {
        let impatient = self
            .waiters
            .iter()
            .map(|waiter| waiter.demand.answer_by)
            .chain(self.wishes.iter().filter_map(Wish::answer_by))
            .min();
        let saving = match &self.phase {
            Phase::Committing(saving, _) if !saving.answered => {
                saving.wish.as_ref().and_then(Wish::answer_by)
            }
            _ => (self.trial.as_ref())
                .filter(|trial| !trial.answered)
                .map(|trial| trial.demand.answer_by),
        };
        let own = match &self.phase {
            Phase::Unsaved(_, until, _) => Some(*until),
            Phase::Resting if !draining && !self.absent => self.next_start(now),
            _ => None,
        };
        [impatient, saving, own].into_iter().flatten().min()
    }

    /// When the next attempt is to begin, if one is wanted.
    pub(crate) fn next_start(&self, now: Timestamp) -> Option<Timestamp> {
        let kind = self.choose(now).ok()?;
        let earliest = self.earliest(kind, now);
        if !self.waiters.is_empty() || self.wants_ahead(now) {
            return Some(earliest);
        }
        let over = self.held.filter(|_| self.keeps_fresh());
        [self.ahead, over.map(|held| held.usable_until())]
            .into_iter()
            .flatten()
            .filter(|at| *at > now && *at != Timestamp::FAR)
            .min()
            .map(|at| at.max(earliest))
    }
}
