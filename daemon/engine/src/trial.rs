//! What a person entered, tried by itself.
//!
//! Owns the rule that a credential replaces another only once it was granted and that is durable: until then what is held stays
//! as it is, is served, and is what every other attempt is made with. A trial is an attempt like any other, with an intent, a debit
//! and an answer; its intent is stored together with the candidate, so that a refresh token that was sent is never only in memory.
//! Must never take a credential into use because of an answer that does not grant, but where nothing else is held.

use crate::account::{Account, Context, Phase, Saving};
use crate::backoff::told;
use crate::durable::{AttemptKind, Block, Candidate, RefreshToken};
use crate::effect::{Fate, Keeping, Unproved, Unproven, Verdict, WaiterFault};
use crate::event::{Attempt, AttemptCause, ClaimRefusal, ProviderAnswer};
use crate::ids::AttemptId;
use crate::no_verdict::NoVerdict;
use crate::plan::Reuse;
use crate::problem::Problem;
use crate::time::Timestamp;
use crate::waiting::settle;
use crate::wishes::{Trial, Wish};

/// A refresh token about which nothing is known yet.
const NEW: RefreshToken = RefreshToken {
    expires: None,
    in_doubt: false,
    refused: false,
};

impl Account {
    /// Begins to try what stands first among the wishes, or takes it to the line of the host. `false` when whoever entered it was told
    /// that it cannot be tried now: then the wish is gone.
    pub(crate) fn try_entered(&mut self, ctx: &mut Context<'_>, trial: Trial) -> bool {
        if self.entered_from(trial, ctx.now) > ctx.now {
            self.wishes.pop_front();
            let fault = self.entered_too_soon(trial, ctx.now);
            settle(ctx, trial.waiter, Verdict::Fault(fault));
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

    /// The earliest time at which what was entered may be tried. A person shortens our own backoff, never what the provider named.
    pub(crate) fn entered_from(&self, trial: Trial, now: Timestamp) -> Timestamp {
        let named = self.deferral.filter(|deferral| deferral.told);
        self.paced(trial.kind, now)
            .max(named.map_or(now, |deferral| deferral.until))
    }

    /// The fault for the waiter when the credential may not be tried yet.
    pub(crate) fn entered_too_soon(&self, trial: Trial, now: Timestamp) -> WaiterFault {
        self.not_before(trial.kind, self.entered_from(trial, now), now)
    }

    /// The trial ends before its request. Its waiter gets `fault`, or the wait that the pace demands now.
    pub(crate) fn not_tried(&mut self, ctx: &mut Context<'_>, fault: Option<WaiterFault>) {
        if let Some(trial) = self.trial.as_deref().copied() {
            let fault = fault.unwrap_or_else(|| self.entered_too_soon(trial, ctx.now));
            self.tell_trial(ctx, fault);
            self.trial = None;
        }
    }

    /// Answers the waiter of the trial before it is over.
    pub(crate) fn tell_trial(&mut self, ctx: &mut Context<'_>, fault: WaiterFault) {
        if let Some(trial) = self.trial.as_mut().filter(|trial| !trial.told) {
            trial.told = true;
            settle(ctx, trial.waiter, Verdict::Fault(fault));
        }
    }

    /// No request could be made with what was entered.
    pub(crate) fn not_prepared(&mut self, ctx: &mut Context<'_>, refusal: ClaimRefusal) {
        if let Some(trial) = self.trial.take() {
            let why = Unproved::NotPrepared(refusal);
            self.tell_unproven(ctx, *trial, why, Keeping::Dropped);
        }
    }

    /// What this attempt is about to try is the refresh token that is held.
    pub(crate) fn entered_again(&mut self, id: AttemptId) {
        let Phase::Claiming(attempt) = self.phase else {
            return;
        };
        if let Some(trial) = self.trial.as_mut().filter(|_| attempt.id == id) {
            trial.same = attempt.kind == AttemptKind::Refresh && self.refresh.is_some();
        }
    }

    /// The provider answered the request that was made with what was entered, or did not.
    pub(crate) fn conclude(
        &mut self,
        ctx: &mut Context<'_>,
        attempt: Attempt,
        trial: Trial,
        answer: ProviderAnswer,
    ) -> Saving {
        let outcome = Saving::outcome(attempt.id, false);
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
                told: trial.told,
                fate: Some(Fate::Takes),
                ..outcome
            };
        }
        let kept = self.keep(ctx, attempt, trial, answer);
        self.tell_unproven(ctx, trial, Unproved::Answered(answer), kept);
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

    /// What becomes of a candidate that was not granted.
    ///
    /// A password or a client secret is not used up by being tried, and the person still has it. A refresh token may be: where
    /// nothing else is held it is given up only when the provider refuses it.
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
            // Sent, spent or refused was what is held: kept beside as well, it would be presented twice.
            self.take_failure(ctx, attempt, answer);
            return match refused {
                true => Keeping::Dropped,
                false => Keeping::InPlace,
            };
        }
        if renewed {
            // Accepted, and it brought a refresh token; but no access token to replace the one held with.
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
            // Said of the account, whatever it was asked with.
            self.problem = Some(Problem::Busy);
            self.deferral = Some(told(wait, ctx.now));
        }
        if attempt.kind == AttemptKind::Refresh && unknown && !self.spares_better() {
            (self.spare, self.spare_unsent) = (true, false);
            return Keeping::Beside;
        }
        Keeping::Dropped
    }

    /// What was entered for logins is there now. A refresh token does not change whether one is possible, and what was known when it was
    /// entered may have changed since: the account may have been forgotten. The shell tells it anew once this is stored.
    fn can_login_with(&mut self, trial: Trial) {
        if trial.kind == AttemptKind::Login {
            self.can_login = trial.can_login;
        }
    }

    /// Nothing else is held: what was entered is what the account has, and the answer is about that.
    fn take_place(&mut self, ctx: &mut Context<'_>, attempt: Attempt, answer: ProviderAnswer) {
        self.refresh = Some(NEW);
        self.unsendable = false;
        self.problem = None;
        self.no_verdict = match attempt.kind {
            AttemptKind::Refresh => self.no_verdict.of_logins(),
            // What logins are made with is what was entered, and the provider took it.
            AttemptKind::Login => NoVerdict::default(),
        };
        let before = self.block.take();
        self.take_failure(ctx, attempt, answer);
        if self.block.is_none() && self.choose(ctx.now) != Ok(AttemptKind::Refresh) {
            // What was refused before would be tried next, and nothing of that has changed.
            self.block = before;
        }
    }

    /// Whether an attempt could be made with what is held, now or when what the provider calls wrong is corrected: what another
    /// credential may not replace unproven.
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

    /// The daemon died during a trial: its outcome is unknown, and what was held is unchanged.
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

    /// Another refresh token is held than when the account was blocked. What was refused before stays so where it would be tried next; a
    /// login that was refused stays so in any case, which is remembered apart from the block.
    fn unblock_for_a_refresh(&mut self, now: Timestamp) {
        let before = self.block.take();
        if self.choose(now) != Ok(AttemptKind::Refresh) {
            self.block = before;
        }
    }

    /// Whether a refresh token is kept beside that was never sent. One whose outcome is unknown does not take its place; of two such
    /// ones the newer is kept, which a person entered knowing of the other, and whose grant may have ended that.
    fn spares_better(&self) -> bool {
        self.spare && self.spare_unsent
    }

    /// Takes the refresh token that was kept beside what is held into use, when nothing else is left and it may be presented.
    pub(crate) fn take_spare(&mut self, now: Timestamp) -> bool {
        let in_doubt = self.plan.reuse != Reuse::None && !self.spare_unsent;
        // A request that is called wrong is wrong with any refresh token. A refused password is not.
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

    /// What was entered was granted, and that is stored.
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

    fn tell_unproven(&self, ctx: &mut Context<'_>, trial: Trial, why: Unproved, kept: Keeping) {
        if trial.told {
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
