//! What follows when the provider gave no verdict: something in front of it answered, or no answer came.
//!
//! Owns [`NoVerdict`], the count of such attempts since the last grant or changed credential, and the pauses after them. It must never
//! give anything up for an answer that is not the provider's own, nor let a credential that may be wrong be tried for ever.

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
/// The longest pause after such a login, for times that were stored by a clock that was wrong.
const LONGEST_LOGIN: Duration = Duration::from_secs(4 * 60 * 60);
/// How many such logins are made, and how many without an answer: the provider may be saying in words nobody knows, or by hanging up,
/// that the password is wrong, and may count.
const LOGINS: u32 = 3;
/// After how many such refreshes a login is tried: the provider may have refused the refresh token in words that no rule knows.
const REFRESHES_FOR_A_LOGIN: u32 = 3;

impl NoVerdict {
    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// What is stored, as it may be believed at `now`.
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

    /// Why no login is made any more by itself.
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

    /// What is left of it where a refresh token proved itself or came: what a login is made with is as it was.
    pub(crate) fn of_logins(self) -> Self {
        Self {
            login_refused: self.login_refused,
            login_misconfigured: self.login_misconfigured,
            ..Self::default()
        }
    }

    /// A person says so: once more. Where a refresh is what is made then, a login that was refused stays so.
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

    /// The provider may have done what the attempt under way asks for, whatever its answer will say.
    pub(crate) fn doubted(&mut self, id: AttemptId, refresh_token: bool) {
        if matches!(self.phase, Phase::Sending(attempt, _) if attempt.id == id) {
            self.doubted = Some(refresh_token);
        }
    }

    /// Whether the refresh token that was sent may be spent, although this was answered.
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
            // Where tokens do not rotate this one cannot be spent. What a spent one costs is looked up when it is to be used again:
            // the plan may have changed by then.
            refresh.in_doubt |= self.plan.reuse != Reuse::None;
        }
    }

    /// No answer came to an attempt of this kind that may have been sent. A server may hang up on a wrong password, so that logins count.
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

    /// An attempt of this kind came to nothing: where it was a login that was tried for refreshes without a verdict, those go on before
    /// the next one, or a login that cannot be made would keep a refresh token from being tried for ever.
    pub(crate) fn came_to_nothing(&mut self, kind: AttemptKind) {
        if kind == AttemptKind::Login {
            self.probed = self.no_verdict.refreshes;
        }
    }

    /// Whether the refreshes go on although the provider refused this attempt: a login that was tried in the place of one, of whose token
    /// nothing is known but that something in front of the provider answered.
    pub(crate) fn was_a_probe(&self, kind: AttemptKind, now: Timestamp) -> bool {
        let undoubted = self.usable(now).is_some_and(|refresh| !refresh.in_doubt);
        kind == AttemptKind::Login && undoubted && !self.outdated
    }

    /// Whether a login is to be tried although there is a refresh token: what refused that one may have been the provider after all.
    /// Never twice for the same refreshes, and only where it can be made at once, so that the refreshes go on meanwhile.
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

/// From a minute to six hours, with a little chance on top so that accounts behind one gateway do not come back together.
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
