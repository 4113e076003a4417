//! What follows when the provider gave no verdict: something in front of it answered, or no answer came.
//!
//! Owns the rules for [`NoVerdict`], the count of such attempts since the last grant or changed credential, and the pauses after them.
//! Must never give up a credential for an answer that is not the provider's own, nor try a credential that may be wrong for ever.

use std::time::Duration;

use crate::account::{Account, Context, Phase};
use crate::backoff::{Dice, LONGEST_UNRECOGNISED, doubled};
use crate::durable::{AttemptKind, Deferral};
use crate::effect::{Missing, WaiterFault};
use crate::event::ProviderAnswer;
use crate::ids::AttemptId;
use crate::no_verdict::NoVerdict;
use crate::plan::Reuse;
use crate::problem::Problem;
use crate::time::Timestamp;

/// The first pause after a refresh that something in front of the provider answered; each further one is twice as long.
const FIRST_REFRESH: Duration = Duration::from_secs(60);
/// The first pause after such a login; the next one is twice as long.
const FIRST_LOGIN: Duration = Duration::from_secs(2 * 60 * 60);
/// The longest pause after such a login, also if the stored time is later because a clock was wrong.
const LONGEST_LOGIN: Duration = Duration::from_secs(4 * 60 * 60);
/// How many such logins are made, and how many without an answer. The provider may be saying that the password is wrong, by hanging up
/// or in words that no rule knows, and may count failures.
const LOGINS: u32 = 3;
/// After how many such refreshes a login is tried: the provider may have refused the refresh token in words that no rule knows.
const REFRESHES_FOR_A_LOGIN: u32 = 3;

impl NoVerdict {
    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The stored state, corrected if a clock was wrong.
    pub(crate) fn clamp(self, now: Timestamp) -> Self {
        let longest = now.after(LONGEST_LOGIN);
        Self {
            logins_from: self
                .logins_from
                .filter(|from| *from > now)
                .map(|from| from.min(longest)),
            ..self
        }
    }

    /// Why no login is made any more without a person.
    pub(crate) fn stop(&self) -> Option<WaiterFault> {
        if self.login_refused {
            return Some(WaiterFault::LoginRequired(Missing::CredentialRejected));
        }
        if self.login_misconfigured {
            return Some(WaiterFault::Misconfigured);
        }
        if self.lost_logins >= LOGINS {
            return Some(WaiterFault::LoginRequired(Missing::NoAnswer));
        }
        (self.logins >= LOGINS).then_some(WaiterFault::LoginRequired(Missing::Unrecognised))
    }

    /// What remains of it after a new or working refresh token: what is known about logins stays.
    pub(crate) fn of_logins(self) -> Self {
        Self {
            login_refused: self.login_refused,
            login_misconfigured: self.login_misconfigured,
            ..Self::default()
        }
    }

    /// A person insists: allows one more attempt. If that is a refresh, a refused login stays refused.
    pub(crate) fn once_more(&mut self, refreshes: bool) {
        self.login_refused &= refreshes;
        self.login_misconfigured &= refreshes;
        self.logins = self.logins.min(LOGINS - 1);
        self.lost_logins = self.lost_logins.min(LOGINS - 1);
    }
}

impl Account {
    /// Something in front of the provider answered an attempt of this kind.
    pub(crate) fn unrecognised(&mut self, ctx: &mut Context<'_>, kind: AttemptKind) {
        self.fail(ctx, kind, Problem::Unrecognised);
        let count = &mut self.no_verdict;
        match kind {
            AttemptKind::Refresh => {
                count.refreshes = count.refreshes.saturating_add(1);
                self.probed = self.probed.min(count.refreshes.saturating_sub(1));
                let until = ctx.now.after(refresh_pause(count.refreshes, &ctx.dice));
                self.deferral = Some(Deferral {
                    until,
                    by_provider: false,
                });
            }
            AttemptKind::Login => {
                count.logins = count.logins.saturating_add(1);
                let pause = doubled(FIRST_LOGIN, count.logins.saturating_sub(1)).min(LONGEST_LOGIN);
                count.logins_from = Some(ctx.now.after(pause));
            }
        }
    }

    /// An attempt of this kind ended with its outcome unknown.
    pub(crate) fn doubt(&mut self, kind: AttemptKind) {
        self.problem = Some(Problem::InDoubt);
        self.suspect(kind);
    }

    /// Notes that the provider may have processed the request in flight, whatever its answer will say.
    pub(crate) fn doubted(&mut self, id: AttemptId, refresh_token: bool) {
        if matches!(self.phase, Phase::Sending(attempt, _) if attempt.id == id) {
            self.doubted = Some(refresh_token);
        }
    }

    /// Whether the refresh token that was sent may be spent in spite of this answer.
    pub(crate) fn doubts(&self, answer: ProviderAnswer) -> bool {
        let settled = matches!(
            answer,
            ProviderAnswer::Granted(_)
                | ProviderAnswer::Renewed { .. }
                | ProviderAnswer::RefreshRejected
        );
        self.doubted == Some(true) && !settled
    }

    /// The refresh token that an attempt of this kind sent may be spent.
    pub(crate) fn suspect(&mut self, kind: AttemptKind) {
        if let (AttemptKind::Refresh, Some(refresh)) = (kind, &mut self.refresh) {
            // Where tokens do not rotate, this one cannot be spent. Whether a spent one may be sent again is decided at its next use:
            // the plan may have changed by then.
            refresh.in_doubt |= self.plan.reuse != Reuse::None;
        }
    }

    /// No answer came to an attempt that may have been sent. A server may hang up on a wrong password, so logins are counted.
    pub(crate) fn unanswered(&mut self, ctx: &mut Context<'_>, kind: AttemptKind) {
        self.doubt(kind);
        self.fail(ctx, kind, Problem::InDoubt);
        self.lost(kind);
    }

    /// An attempt of this kind has no known answer, because the provider hung up or the daemon died.
    pub(crate) fn lost(&mut self, kind: AttemptKind) {
        if kind == AttemptKind::Login {
            let count = &mut self.no_verdict.lost_logins;
            *count = count.saturating_add(1);
        }
    }

    /// An attempt failed. If it was a login tried in place of refreshes without a verdict, refreshes continue before the next login:
    /// otherwise a login that cannot be made would keep a refresh token from ever being tried.
    pub(crate) fn came_to_nothing(&mut self, kind: AttemptKind) {
        if kind == AttemptKind::Login {
            self.probed = self.no_verdict.refreshes;
        }
    }

    /// Whether refreshes continue although the provider refused this attempt: it was a login tried in place of a refresh, and nothing is
    /// known against the refresh token.
    pub(crate) fn was_a_probe(&self, kind: AttemptKind, now: Timestamp) -> bool {
        let undoubted = self.usable(now).is_some_and(|refresh| !refresh.in_doubt);
        kind == AttemptKind::Login && undoubted && !self.outdated
    }

    /// Whether to try a login although there is a refresh token: the refusals may have been the provider's after all. Only once for the
    /// same refreshes, and only if it can be made at once, so that refreshes continue meanwhile.
    pub(crate) fn doubts_refresh(&self, now: Timestamp) -> bool {
        let count = &self.no_verdict;
        let enough = REFRESHES_FOR_A_LOGIN.saturating_mul(count.logins.saturating_add(1));
        self.can_login
            && count.stop().is_none()
            && count.refreshes >= enough.max(self.probed.saturating_add(REFRESHES_FOR_A_LOGIN))
            && count.logins_from.is_none_or(|from| from <= now)
            && self.paced(AttemptKind::Login, now) <= now
    }
}

/// From a minute to six hours, with a little jitter so that accounts behind one gateway do not come back together.
fn refresh_pause(count: u32, dice: &Dice) -> Duration {
    let pause = doubled(FIRST_REFRESH, count.saturating_sub(1)).min(LONGEST_UNRECOGNISED);
    (pause + dice.roll_up_to(pause / 8)).min(LONGEST_UNRECOGNISED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AccountKey, AttemptId};

    #[test]
    fn pauses_of_refreshes_grow_from_a_minute_to_six_hours() {
        let mut last = Duration::ZERO;
        for count in 1..=40 {
            let dice = Dice::new(7, AccountKey(1), AttemptId(u64::from(count)));
            let pause = refresh_pause(count, &dice);
            assert!(pause >= FIRST_REFRESH && pause <= LONGEST_UNRECOGNISED);
            assert!(pause > last || pause == LONGEST_UNRECOGNISED, "{count}");
            last = pause;
        }
        assert_eq!(last, LONGEST_UNRECOGNISED);
    }
}
