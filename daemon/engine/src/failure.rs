//! An attempt that brought no token.
//!
//! Owns what follows from each answer without a grant: another wait, a block, a refresh token that was refused or may be spent.

use crate::account::{Account, Context};
use crate::backoff::{asked_by_provider, backoff};
use crate::durable::{AttemptKind, Block};
use crate::event::{Attempt, ProviderAnswer};
use crate::problem::Problem;

impl Account {
    pub(crate) fn take_failure(
        &mut self,
        ctx: &mut Context<'_>,
        attempt: Attempt,
        answer: ProviderAnswer,
    ) {
        self.came_to_nothing(attempt.kind);
        match answer {
            ProviderAnswer::Granted(_) => {}
            ProviderAnswer::Renewed {
                refresh_lifetime,
                misconfigured,
            } => {
                self.renew(attempt, refresh_lifetime);
                match misconfigured {
                    true => self.stop(Block::Misconfigured),
                    false => self.fail(ctx, attempt.kind, Problem::Misbehaved),
                }
            }
            ProviderAnswer::Busy { retry_after } => {
                self.fail(ctx, attempt.kind, Problem::Busy);
                if let Some(wait) = retry_after {
                    self.deferral = Some(asked_by_provider(wait, ctx.now));
                }
            }
            ProviderAnswer::CredentialRejected => {
                self.no_verdict.login_refused |= attempt.kind == AttemptKind::Login;
                self.stop_for(ctx, attempt.kind, Block::CredentialRejected);
            }
            ProviderAnswer::Misconfigured => {
                self.no_verdict.login_misconfigured |= attempt.kind == AttemptKind::Login;
                self.stop_for(ctx, attempt.kind, Block::Misconfigured);
            }
            ProviderAnswer::Unrecognised => self.unrecognised(ctx, attempt.kind),
            ProviderAnswer::RefreshRejected if attempt.kind == AttemptKind::Refresh => {
                // Definitely refused: the next step is a login, which has its own pace and needs no backoff.
                if let Some(refresh) = &mut self.refresh {
                    refresh.refused = true;
                }
                self.no_verdict.refreshes = 0;
                self.problem = Some(Problem::RefreshRejected);
            }
            // A login cannot have a refresh token refused; the dialect's rule is wrong.
            ProviderAnswer::RefreshRejected => self.fail(ctx, attempt.kind, Problem::Misbehaved),
            ProviderAnswer::Misbehaved { maybe_processed } => {
                if maybe_processed {
                    self.doubt(attempt.kind);
                }
                self.fail(ctx, attempt.kind, Problem::Misbehaved);
            }
            ProviderAnswer::NotSent => self.fail(ctx, attempt.kind, Problem::Unreachable),
            ProviderAnswer::MaybeSent => self.unanswered(ctx, attempt.kind),
        }
        if self.doubts(answer) {
            self.suspect(attempt.kind);
        }
    }

    /// The provider refused an attempt: blocks the account, unless the attempt was a probe after which refreshes continue.
    fn stop_for(&mut self, ctx: &Context<'_>, kind: AttemptKind, block: Block) {
        if !self.was_a_probe(kind, ctx.now) {
            self.stop(block);
        }
    }

    fn stop(&mut self, block: Block) {
        self.block = Some(block);
        self.problem = None;
    }

    pub(crate) fn fail(&mut self, ctx: &mut Context<'_>, kind: AttemptKind, problem: Problem) {
        self.problem = Some(problem);
        self.failures = self.failures.saturating_add(1);
        // A forced request shortens the wait once: from now on its waiter waits like all others.
        for waiter in &mut self.waiters {
            waiter.pressing = false;
        }
        self.deferral = Some(backoff(kind, self.failures, &ctx.dice, ctx.now));
    }
}
