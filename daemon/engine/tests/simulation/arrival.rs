//! The arrival of requests at the provider.
//!
//! Owns the checks made then, on the provider's clock and with what only the provider knows, and the fate of each request.

use tokend_engine::{AttemptKind, GrantFacts, ProviderAnswer, Reuse};

use crate::account::Flight;
use crate::provider::{Grant, Said, Secret};
use crate::world::{DAY, HOUR, MINUTE, SECOND, World};

impl World {
    /// A request arrives at the provider: counts it, checks that it may, and says what the provider does.
    pub(crate) fn reach(&mut self, a: usize) -> (ProviderAnswer, Option<Grant>) {
        let (now, account) = (self.now, &mut self.accounts[a]);
        let Some(Flight { kind, secret, .. }) = account.flight else {
            return (ProviderAnswer::MaybeSent, None);
        };
        account.flight = account.flight.map(|flight| Flight {
            arrived: true,
            ..flight
        });
        self.tally.attempts += 1;
        // A wall clock that was set forward while the machine was down makes more time seem to have passed, and only by that may the
        // pace be exceeded: nobody can know better.
        let believed = now + account.drift;
        let rested = account.rest_until <= believed;
        let host = &mut self.hosts[account.plan.host.0 as usize];
        host.arrivals.push(now + host.drift);
        let provider = &mut account.provider;
        let mut paced = provider.attempts.arrive(believed);
        if kind == AttemptKind::Login {
            paced &= provider.logins.arrive(believed);
        }
        if !paced {
            self.breaks(format!(
                "account {a} is asked for more often than its pace: {kind:?}"
            ));
        }
        if !rested {
            self.breaks(format!(
                "account {a} is asked for before the provider's time"
            ));
        }
        self.check_spending(a, kind);
        let own = self.accounts[a].flight.is_some_and(|flight| !flight.trial);
        if kind == AttemptKind::Login && own {
            let account = &mut self.accounts[a];
            account.login_refused &= !account.insisted;
            account.insisted = false;
        }
        self.fate(a, kind, secret)
    }

    /// Whether this login or refresh may be made, as far as refresh tokens are concerned.
    fn check_spending(&mut self, a: usize, kind: AttemptKind) {
        let account = &self.accounts[a];
        let provider = &account.provider;
        let secret = account.flight.and_then(|flight| flight.secret);
        let dangerous = match account.plan.reuse {
            Reuse::RotatesAndReuseRevokes => true,
            Reuse::Unknown => account.can_login,
            Reuse::None | Reuse::Rotates => false,
        };
        let believed = self.now + account.drift;
        let soon = account
            .unrecognised_at
            .is_some_and(|at| believed < at + 2 * HOUR);
        let broken = match (kind, secret) {
            (AttemptKind::Refresh, Some(secret)) if dangerous && provider.is_doubtful(secret) => {
                "a refresh token in doubt is presented again"
            }
            (AttemptKind::Refresh, Some(secret)) if dangerous && provider.is_spent(secret) => {
                "a spent refresh token is presented where that revokes"
            }
            (AttemptKind::Refresh, Some(secret))
                if !account.excused && provider.is_spent(secret) =>
            {
                "a rotated refresh token was lost"
            }
            (AttemptKind::Login, _) if account.flight.is_some_and(|flight| flight.trial) => return,
            (AttemptKind::Login, _) if account.login_refused && !account.insisted => {
                "a login that was refused is made again although nothing changed"
            }
            (AttemptKind::Login, _) if account.outdated => return,
            (AttemptKind::Login, _) if account.stopped() && !account.insisted => {
                "a fourth login is made by itself although three came to nothing"
            }
            (AttemptKind::Login, _) if soon && !account.insisted => {
                "a login follows within two hours of one that nobody understood"
            }
            // What refused the refreshes may have been the provider after all, in words nobody knows.
            (AttemptKind::Login, _) if account.unrecognised.0 >= 3 => return,
            (AttemptKind::Login, _) if !account.plan.refresh_needs_access && !account.excused => {
                // Replies and lifetimes take their time: only one that lives on for a while counts.
                let lives = |secret| provider.lives(secret, self.now + 15 * MINUTE + account.drift);
                match account.owned.is_some_and(lives) {
                    true => "a login is spent although a refresh token lives",
                    false => return,
                }
            }
            _ => return,
        };
        self.breaks(format!("account {a}: {broken}"));
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one branch for each way in which a request ends, drawn in the order that seeds count on"
    )]
    fn fate(
        &mut self,
        a: usize,
        kind: AttemptKind,
        secret: Option<Secret>,
    ) -> (ProviderAnswer, Option<Grant>) {
        let (now, bad) = (self.now, self.misfortune(200));
        let fate = match bad {
            true => self.rng.below(14),
            false => 99,
        };
        let retry_after = match self.rng.below(4) {
            0 => None,
            1 => Some(self.rng.millis(0, 500)),
            2 => Some(self.rng.millis(SECOND, 10 * MINUTE)),
            _ => Some(self.rng.millis(DAY, 4_000 * DAY)),
        };
        let lucky = self.rng.chance(500);
        let provider = &mut self.accounts[a].provider;
        match fate {
            0..=2 => {
                return (
                    ProviderAnswer::Busy {
                        retry_after: retry_after.filter(|_| lucky),
                    },
                    None,
                );
            }
            3 => {
                return (
                    ProviderAnswer::Misbehaved {
                        maybe_processed: lucky,
                    },
                    None,
                );
            }
            4 if lucky => provider.credential_ok = false,
            5 if lucky => provider.misconfigured = true,
            6 => secret
                .into_iter()
                .for_each(|secret| provider.revoke(secret)),
            _ => {}
        }
        if fate == 7 {
            return (ProviderAnswer::MaybeSent, None);
        }
        if fate == 11 && lucky {
            return (ProviderAnswer::Unrecognised, None);
        }
        let good = self.accounts[a].flight.is_none_or(|flight| flight.good);
        let provider = &mut self.accounts[a].provider;
        let said = match good {
            true => provider.process(now, kind, secret),
            false => Said::CredentialRejected,
        };
        match (fate, said) {
            (8 | 9, _) => (ProviderAnswer::MaybeSent, None),
            (10, _) => (
                ProviderAnswer::Misbehaved {
                    maybe_processed: true,
                },
                None,
            ),
            // A gateway tells a limit, with a status that leaves it open what the provider did.
            (13, _) if kind == AttemptKind::Refresh => {
                let account = &mut self.accounts[a];
                account.flight = account.flight.map(|flight| Flight {
                    doubted: true,
                    ..flight
                });
                let retry_after = retry_after.filter(|_| lucky);
                (ProviderAnswer::Busy { retry_after }, None)
            }
            // The access token is of no use, or the new refresh token is.
            (11, Said::Grant(grant)) if grant.refresh.is_some() => (
                ProviderAnswer::Renewed {
                    refresh_lifetime: grant.facts.refresh_lifetime,
                    misconfigured: lucky,
                },
                Some(grant),
            ),
            (12, Said::Grant(grant)) if grant.refresh.is_some() => {
                let facts = GrantFacts {
                    refresh_token: false,
                    refresh_token_lost: true,
                    refresh_lifetime: None,
                    ..grant.facts
                };
                let refresh = None;
                let without = Grant {
                    facts,
                    refresh,
                    ..grant
                };
                (ProviderAnswer::Granted(facts), Some(without))
            }
            (_, Said::Grant(grant)) => (ProviderAnswer::Granted(grant.facts), Some(grant)),
            (_, Said::RefreshRejected) => (ProviderAnswer::RefreshRejected, None),
            (_, Said::CredentialRejected) => (ProviderAnswer::CredentialRejected, None),
            (_, Said::Misconfigured) => (ProviderAnswer::Misconfigured, None),
        }
    }

    pub(crate) fn lose_reply(&mut self, a: usize) {
        self.tally.lost += 1;
        let account = &mut self.accounts[a];
        if let Some(secret) = account.flight.and_then(|flight| flight.secret) {
            account.provider.lose_reply(secret);
        }
    }
}
