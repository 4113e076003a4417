//! A trial: an attempt with a credential that a person entered.
//!
//! Owns the rule that a credential replaces another only once its grant is durable. Until then the held credential stays unchanged, is
//! served, and is used by every other attempt. A trial is an attempt like any other, with an intent, a debit and an answer; its intent is
//! stored together with the candidate, so that a refresh token that was sent is never only in memory. Must never take a credential into
//! use after an answer that does not grant, unless no other credential is held.

use crate::account::{Account, Context, Phase, Saving};
use crate::backoff::asked_by_provider;
use crate::durable::{AttemptKind, Block, Candidate, RefreshToken};
use crate::effect::{Fate, Keeping, Unproved, Unproven, Verdict, WaiterFault};
use crate::event::{Attempt, AttemptCause, ClaimRefusal, ProviderAnswer};
use crate::ids::AttemptId;
use crate::no_verdict::NoVerdict;
use crate::plan::Reuse;
use crate::problem::Problem;
use crate::time::Timestamp;
use crate::waiting::{refuse, settle};
use crate::wishes::{Trial, Wish};

/// A refresh token without any history.
const NEW: RefreshToken = RefreshToken {
    expires: None,
    in_doubt: false,
    refused: false,
};

impl Account {
    /// Begins the trial of the first wish, or puts it into the queue of the host. `false` if the person learned that the credential
    /// cannot be tried now; the wish is then dropped.
    pub(crate) fn try_entered(&mut self, ctx: &mut Context<'_>, trial: Trial) -> bool {
        if self.entered_from(trial, ctx.now) > ctx.now {
            self.wishes.pop_front();
            let fault = self.entered_too_soon(trial, ctx.now);
            refuse(ctx, trial.waiter, fault);
            return false;
        }
        let turn = std::mem::take(&mut ctx.turn);
        let host = self.plan.host_of(trial.kind);
        if !ctx.hosts.admit(host, ctx.key, ctx.now, turn) {
            self.phase = Phase::Queued(host);
            self.wait_in_queue(ctx, host);
            return matches!(self.phase, Phase::Queued(_));
        }
        self.wishes.pop_front();
        self.trial = Some(Box::new(trial));
        self.begin(ctx, trial.kind, host, AttemptCause::Entered);
        true
    }

    /// The earliest time for the trial. A person can skip our own backoff, but never the provider's Retry-After.
    pub(crate) fn entered_from(&self, trial: Trial, now: Timestamp) -> Timestamp {
        let named = self.deferral.filter(|deferral| deferral.by_provider);
        self.paced(trial.kind, now)
            .max(named.map_or(now, |deferral| deferral.until))
    }

    /// The fault for the waiter if the credential may not be tried yet.
    pub(crate) fn entered_too_soon(&self, trial: Trial, now: Timestamp) -> WaiterFault {
        self.not_before(trial.kind, self.entered_from(trial, now), now)
    }

    /// Ends the trial before its request. Its waiter gets `fault`, or else the wait that the rate limits demand now.
    pub(crate) fn not_tried(&mut self, ctx: &mut Context<'_>, fault: Option<WaiterFault>) {
        if let Some(trial) = self.trial.as_deref().copied() {
            let fault = fault.unwrap_or_else(|| self.entered_too_soon(trial, ctx.now));
            self.answer_trial(ctx, fault);
            self.trial = None;
        }
    }

    /// Answers the waiter of the trial before the trial is over.
    pub(crate) fn answer_trial(&mut self, ctx: &mut Context<'_>, fault: WaiterFault) {
        if let Some(trial) = self.trial.as_mut().filter(|trial| !trial.answered) {
            trial.answered = true;
            refuse(ctx, trial.waiter, fault);
        }
    }

    /// Ends the trial, because no request could be built with the entered credential.
    pub(crate) fn not_prepared(&mut self, ctx: &mut Context<'_>, refusal: ClaimRefusal) {
        if let Some(trial) = self.trial.take() {
            let why = Unproved::NotPrepared(refusal);
            self.answer_unproven(ctx, *trial, why, Keeping::Dropped);
        }
    }

    /// Notes that this attempt tries a refresh token that the account already holds.
    pub(crate) fn entered_again(&mut self, id: AttemptId) {
        let Phase::Claiming(attempt) = self.phase else {
            return;
        };
        if let Some(trial) = self.trial.as_mut().filter(|_| attempt.id == id) {
            trial.same = attempt.kind == AttemptKind::Refresh && self.refresh.is_some();
        }
    }

    /// Handles the provider's answer, or its absence, to the request of a trial.
    pub(crate) fn conclude(
        &mut self,
        ctx: &mut Context<'_>,
        attempt: Attempt,
        trial: Trial,
        answer: ProviderAnswer,
    ) -> Saving {
        let outcome = Saving {
            attempt: Some(attempt.id),
            ..Saving::default()
        };
        if let ProviderAnswer::Granted(facts) = answer {
            self.can_login_with(trial);
            self.unsendable = false;
            self.unfit = None;
            self.spare = false;
            self.outdated = false;
            if trial.kind == AttemptKind::Refresh {
                self.refresh = Some(NEW);
            }
            self.take_grant(ctx, attempt, facts);
            return Saving {
                granted: true,
                wish: Some(Wish::Enter(trial)),
                answered: trial.answered,
                fate: Some(Fate::Takes),
                ..outcome
            };
        }
        let kept = self.keep(ctx, attempt, trial, answer);
        self.answer_unproven(ctx, trial, Unproved::Answered(answer), kept);
        Saving {
            renewed: matches!(answer, ProviderAnswer::Renewed { .. }),
            fate: match kept {
                Keeping::Dropped => None,
                Keeping::Beside => Some(Fate::Spared),
                Keeping::InPlace => Some(Fate::Takes),
            },
            ..outcome
        }
    }

    /// What happens to a candidate that was not granted.
    ///
    /// A trial does not use up a password or a client secret, and the person still has it. It may use up a refresh token: if no other
    /// credential is held, the refresh token is given up only when the provider refuses it.
    fn keep(
        &mut self,
        ctx: &mut Context<'_>,
        attempt: Attempt,
        trial: Trial,
        answer: ProviderAnswer,
    ) -> Keeping {
        let unknown = matches!(
            answer,
            ProviderAnswer::MaybeSent
                | ProviderAnswer::Misbehaved {
                    maybe_processed: true
                }
        ) || self.doubts(answer);
        let renewed = matches!(answer, ProviderAnswer::Renewed { .. });
        let refused = answer == ProviderAnswer::RefreshRejected;
        if trial.same && (renewed || unknown || refused) {
            // The candidate is the held refresh token: keeping it as a spare too would present it twice.
            self.take_failure(ctx, attempt, answer);
            return match refused {
                true => Keeping::Dropped,
                false => Keeping::InPlace,
            };
        }
        if renewed {
            // Accepted with a new refresh token, but without an access token to replace the held one.
            if self.holds(ctx.now) {
                (self.spare, self.spare_unsent) = (true, true);
                return Keeping::Beside;
            }
            self.can_login_with(trial);
            self.take_place(ctx, attempt, answer);
            return Keeping::InPlace;
        }
        if attempt.kind == AttemptKind::Refresh && !refused && !self.holds(ctx.now) {
            self.take_place(ctx, attempt, answer);
            return Keeping::InPlace;
        }
        if let ProviderAnswer::Busy {
            retry_after: Some(wait),
        } = answer
        {
            // This concerns the account, whichever credential was used.
            self.problem = Some(Problem::Busy);
            self.deferral = Some(asked_by_provider(wait, ctx.now));
        }
        if attempt.kind == AttemptKind::Refresh && unknown && !self.spares_better() {
            (self.spare, self.spare_unsent) = (true, false);
            return Keeping::Beside;
        }
        Keeping::Dropped
    }

    /// The entered login credential is in place now. A refresh token does not change whether a login is possible. That may also have
    /// changed since the credential was entered, since the account may have been forgotten. The shell reports it again once this is
    /// stored.
    fn can_login_with(&mut self, trial: Trial) {
        if trial.kind == AttemptKind::Login {
            self.can_login = trial.can_login;
        }
    }

    /// No other credential is held: the entered one becomes the account's, and the answer applies to it.
    fn take_place(&mut self, ctx: &mut Context<'_>, attempt: Attempt, answer: ProviderAnswer) {
        self.refresh = Some(NEW);
        self.unsendable = false;
        self.problem = None;
        self.no_verdict = match attempt.kind {
            AttemptKind::Refresh => self.no_verdict.of_logins(),
            // Logins use the entered credential, and the provider accepted it.
            AttemptKind::Login => NoVerdict::default(),
        };
        let before = self.block.take();
        self.take_failure(ctx, attempt, answer);
        if self.block.is_none() && self.choose(ctx.now) != Ok(AttemptKind::Refresh) {
            // The next attempt would use the credential that was refused before, and it has not changed.
            self.block = before;
        }
    }

    /// Whether an attempt with the held credential is possible, now or once a request that the provider calls wrong is corrected. If so,
    /// another credential may not replace it without a grant.
    fn holds(&self, now: Timestamp) -> bool {
        let refresh = self
            .usable(now)
            .is_some_and(|refresh| !refresh.in_doubt || self.may_replay());
        let login = match self.block {
            Some(Block::CredentialRejected) => false,
            Some(Block::Misconfigured) => true,
            None => self.no_verdict.stop().is_none(),
        };
        refresh || (login && self.can_login)
    }

    /// The daemon died during a trial: its outcome is unknown, and the held credential is unchanged.
    pub(crate) fn lost_trial(&mut self, candidate: Candidate, now: Timestamp) {
        if candidate.kind == AttemptKind::Login {
            return;
        }
        if self.holds(now) {
            if !self.spares_better() {
                (self.spare, self.spare_unsent) = (true, false);
                self.fate = Some(Fate::Spared);
            }
            return;
        }
        self.fate = Some(Fate::Takes);
        self.refresh = Some(NEW);
        self.no_verdict = self.no_verdict.of_logins();
        self.doubt(AttemptKind::Refresh);
        self.failures = self.failures.saturating_add(1);
        self.unblock_for_a_refresh(now);
    }

    /// The account holds another refresh token than when it was blocked. The block stays unless the next attempt would be a refresh.
    /// A login that was refused stays refused in any case, which is remembered apart from the block.
    fn unblock_for_a_refresh(&mut self, now: Timestamp) {
        let before = self.block.take();
        if self.choose(now) != Ok(AttemptKind::Refresh) {
            self.block = before;
        }
    }

    /// Whether a spare refresh token is kept that was never sent. A token whose outcome is unknown does not replace it. Of two tokens
    /// that are alike in this the newer is kept: the person who entered it knew of the other, and its grant may have ended the other.
    fn spares_better(&self) -> bool {
        self.spare && self.spare_unsent
    }

    /// Takes the spare refresh token into use, if no other credential is left and it may be presented.
    pub(crate) fn take_spare(&mut self, now: Timestamp) -> bool {
        let in_doubt = self.plan.reuse != Reuse::None && !self.spare_unsent;
        // A request that the provider calls wrong is wrong with any refresh token. A refused password does not affect a refresh token.
        let wrong = self.block == Some(Block::Misconfigured);
        let left = self.holds(now) || wrong || self.absent;
        if !self.spare || left || (in_doubt && !self.may_replay()) {
            return false;
        }
        self.spare = false;
        self.unsendable = false;
        self.refresh = Some(RefreshToken { in_doubt, ..NEW });
        self.fate = Some(Fate::SpareTakes);
        self.unblock_for_a_refresh(now);
        true
    }

    /// The verdict once the entered credential was granted and the grant is stored.
    pub(crate) fn proven(&self, now: Timestamp) -> Verdict {
        match self.held.filter(|held| held.is_good(now, None)) {
            _ if self.absent => Verdict::Fault(WaiterFault::Gone),
            Some(held) => Verdict::Token(held.grant),
            None => {
                let retry = match self.choose(now) {
                    Ok(kind) => self.earliest(kind, now),
                    Err(_) => now,
                };
                let problem = self.problem.unwrap_or(Problem::BornExpired);
                Verdict::Fault(WaiterFault::Failed { problem, retry })
            }
        }
    }

    fn answer_unproven(&self, ctx: &mut Context<'_>, trial: Trial, why: Unproved, kept: Keeping) {
        if trial.answered {
            return;
        }
        let retry = match kept {
            Keeping::InPlace => self
                .choose(ctx.now)
                .map_or(ctx.now, |kind| self.earliest(kind, ctx.now)),
            Keeping::Dropped | Keeping::Beside => self.entered_from(trial, ctx.now),
        };
        settle(
            ctx,
            trial.waiter,
            Verdict::Unproven(Unproven { why, kept, retry }),
        );
    }
}
