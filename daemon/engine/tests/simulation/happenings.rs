//! What happens to the engine: the store answers, requests arrive, replies come back or do not, the daemon dies.
//!
//! Owns the faults of store, network and process. What happens at the provider is in `arrival`.

use tokend_engine::{
    AttemptId, AttemptKind, ClaimRefusal, Event, GrantFacts, ProviderAnswer, StoreRefusal, WaiterId,
};

use crate::provider::Grant;
use crate::store::{Brought, Purpose};
use crate::world::{DAY, Echo, HOUR, Happening, MINUTE, SECOND, World, key};

impl World {
    pub(crate) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Act(a) => self.act(a),
            Happening::Cure(a) => self.cure(a),
            Happening::Reload(a) => self.reload(a),
            Happening::Edit(a) => self.edit(a),
            Happening::Return(a) => self.come_back(a),
            Happening::Deadline(waiter) => self.deadline(waiter),
            Happening::Claimed(a, id, result) => {
                if self.up && self.accounts[a].admitted == Some(id) {
                    self.accounts[a].unsaved |= result == Err(ClaimRefusal::Store);
                    self.tell(Event::Claimed(key(a), id, result));
                }
            }
            Happening::Written(a) => self.written(a),
            Happening::Arrives(a, id) => self.arrives(a, id),
            Happening::Replied(a, id, answer, grant) => self.replied(a, id, answer, grant),
            Happening::Remove(a) => {
                if self.accounts[a].configured {
                    self.remove(a);
                }
            }
            Happening::Swap(a) => self.swap(a),
            Happening::Cured(a) => self.cured(a),
            Happening::Again(a, echo) => self.again(a, echo),
            Happening::Suspend => {
                self.suspend();
                let next = self.rng.between(MINUTE, 24 * HOUR);
                self.after(next, Happening::Suspend);
            }
            Happening::Step => {
                self.step_wall();
                let next = self.rng.between(MINUTE, 12 * HOUR);
                self.after(next, Happening::Step);
            }
            Happening::Crash => {
                if self.up && !self.calm() {
                    self.crash(None);
                    if self.rng.chance(300) {
                        self.reboot();
                    }
                }
                self.plan_crash();
            }
            Happening::Start => self.start(),
            Happening::Drain => self.drain(),
            Happening::Drained => self.drained(),
        }
    }

    fn deadline(&mut self, waiter: WaiterId) {
        if self.waiters.contains_key(&waiter) {
            self.breaks(format!("{waiter:?} was never answered"));
        }
    }

    fn written(&mut self, a: usize) {
        let account = &mut self.accounts[a];
        let Some(write) = account.write.take() else {
            return;
        };
        if write.lands {
            account.disk = Some(write.record);
            account.drift_written = account.drift;
            account.host_drift_written = self.hosts[account.plan.host.0 as usize].drift;
        }
        account.unsaved = !write.says_ok;
        let result = write.says_ok.then_some(()).ok_or(StoreRefusal);
        let event = match write.purpose {
            Purpose::Intent(id) => {
                account.recorded = write.says_ok.then_some(id);
                Event::Recorded(key(a), id, result)
            }
            Purpose::Outcome { granted, forget } => {
                if forget && write.lands {
                    // Also where the store says that it is not.
                    account.owned = None;
                }
                // A refresh token alone is nothing that is served.
                let brought = granted.and_then(|id| account.secrets.grants.get(&id.0));
                if let (Some(id), Some(Brought::Grant(..))) = (granted, brought) {
                    let side = match write.says_ok {
                        true => &mut account.landed,
                        false => &mut account.refused,
                    };
                    *side = Some(id.0);
                }
                if write.says_ok {
                    self.wish_landed(a, forget);
                }
                Event::Committed(key(a), result)
            }
        };
        self.tell(event);
    }

    pub(crate) fn wish_landed(&mut self, a: usize, forget: bool) {
        if forget {
            let account = &mut self.accounts[a];
            account.owned = None;
            account.blocked = false;
            account.login_refused = false;
            account.understood();
        }
    }

    fn arrives(&mut self, a: usize, id: AttemptId) {
        if self.accounts[a].flight.is_none_or(|flight| flight.id != id) {
            return;
        }
        if self.misfortune(30) {
            return self.after(0, Happening::Replied(a, id, ProviderAnswer::NotSent, None));
        }
        let (mut answer, mut grant) = self.reach(a);
        if let (ProviderAnswer::Granted(facts), Some(grant), true) =
            (&mut answer, &mut grant, self.misfortune(10))
        {
            // Over by the provider's own clock: born expired, while an older one may be good still.
            facts.lifetime = Some(std::time::Duration::ZERO);
            (grant.access.lifetime_known, grant.access.expires) = (true, self.now);
        }
        if self.loses(a) {
            (answer, grant) = (ProviderAnswer::MaybeSent, None);
        }
        let lost = matches!(
            answer,
            ProviderAnswer::MaybeSent
                | ProviderAnswer::Misbehaved {
                    maybe_processed: true
                }
                | ProviderAnswer::Granted(GrantFacts {
                    refresh_token_lost: true,
                    ..
                })
        );
        let doubted = self.accounts[a].flight.is_some_and(|flight| flight.doubted);
        if lost || doubted {
            self.lose_reply(a);
        }
        let wait = match self.misfortune(30) {
            true => self.rng.between(SECOND, 10 * MINUTE),
            false => self.rng.between(5, 300),
        };
        self.after(wait, Happening::Replied(a, id, answer, grant));
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one branch for each answer, with what the books then say"
    )]
    fn replied(&mut self, a: usize, id: AttemptId, answer: ProviderAnswer, grant: Option<Grant>) {
        let sound = self
            .engine
            .view(key(a), self.stamp(self.now))
            .is_some_and(|view| view.has_refresh_token && !view.in_doubt);
        let account = &mut self.accounts[a];
        let Some(flight) = account.flight.filter(|flight| flight.id == id) else {
            return;
        };
        // One whose answer was lost brings none that says something else.
        let doubted = flight.doubted && matches!(answer, ProviderAnswer::Busy { .. });
        account.excused |= doubted && !flight.trial;
        account.flight = None;
        account.admitted = None;
        self.hosts[account.plan.host.0 as usize].admitted -= 1;
        match answer {
            ProviderAnswer::Granted(facts) => {
                account.outdated &= flight.kind == AttemptKind::Refresh && !flight.trial;
                if let Some(grant) = grant {
                    account.secrets.grants.clear();
                    let brought = Brought::Grant(flight.kind, grant);
                    account.secrets.grants.insert(id.0, brought);
                    if grant.refresh.is_some() || flight.kind == AttemptKind::Login {
                        self.tally.rotations += 1;
                        account.owned = grant.refresh;
                    } else if flight.trial {
                        account.owned = flight.secret;
                    }
                    account.excused =
                        facts.refresh_token_lost && flight.kind == AttemptKind::Refresh;
                    account.blocked = false;
                    // A refresh says nothing of what logins are made with.
                    account.login_refused &= flight.kind == AttemptKind::Refresh;
                    account.understood();
                }
            }
            ProviderAnswer::Renewed { misconfigured, .. } => {
                if let Some(refresh) = grant.and_then(|grant| grant.refresh) {
                    account.secrets.grants.clear();
                    let brought = Brought::RefreshToken(refresh);
                    account.secrets.grants.insert(id.0, brought);
                    self.tally.halves += 1;
                    if !flight.trial {
                        account.owned = Some(refresh);
                        account.excused = false;
                    }
                }
                // Of a trial it is said when what was entered takes its place.
                if !flight.trial {
                    account.blocked = misconfigured && !account.cured_in_flight;
                }
            }
            // Nothing that is said of a trial is said of what is held.
            ProviderAnswer::RefreshRejected
            | ProviderAnswer::MaybeSent
            | ProviderAnswer::Misbehaved { .. }
            | ProviderAnswer::CredentialRejected
            | ProviderAnswer::Misconfigured
            | ProviderAnswer::Unrecognised
                if flight.trial => {}
            ProviderAnswer::Unrecognised if account.cured_in_flight => account.understood(),
            ProviderAnswer::Unrecognised => match flight.kind {
                AttemptKind::Refresh => account.unrecognised.0 += 1,
                AttemptKind::Login => {
                    account.unrecognised.1 += 1;
                    account.unrecognised_at = Some(self.now + account.drift);
                }
            },
            ProviderAnswer::RefreshRejected if flight.kind == AttemptKind::Refresh => {
                account.owned = None
            }
            ProviderAnswer::MaybeSent
                if flight.kind == AttemptKind::Login && !account.cured_in_flight =>
            {
                account.lost_logins += 1;
            }
            ProviderAnswer::MaybeSent
            | ProviderAnswer::Misbehaved {
                maybe_processed: true,
            } => account.excused |= flight.kind == AttemptKind::Refresh,
            ProviderAnswer::CredentialRejected | ProviderAnswer::Misconfigured => {
                let login = flight.kind == AttemptKind::Login;
                let stops = !account.cured_in_flight;
                account.login_refused |= login && stops;
                // The refreshes go on where it was tried for them.
                if !(login && account.unrecognised.0 >= 3 && sound) {
                    account.blocked = stops;
                }
            }
            ProviderAnswer::Busy {
                retry_after: Some(wait),
            } => {
                let wait = u64::try_from(wait.as_millis()).unwrap_or(DAY);
                account.rest_until = self.now + wait.clamp(SECOND, DAY);
            }
            _ => {}
        }
        account.cured_in_flight = false;
        if doubted {
            self.tell(Event::Doubted(key(a), id, true));
        }
        self.echo(0, a, Echo::Answered(id, answer));
        self.tell(Event::Answered(key(a), id, answer));
    }

    /// An event comes a second time. It must change nothing, which the promises show.
    fn again(&mut self, a: usize, echo: Echo) {
        if !self.up {
            return;
        }
        // Nobody may hear twice of what was not heard once.
        let early = match echo {
            Echo::Claimed(id) => self.accounts[a].admitted == Some(id),
            Echo::Recorded(id) => matches!(
                self.accounts[a].write,
                Some(crate::store::Write { purpose: Purpose::Intent(now), .. }) if now == id
            ),
            Echo::Answered(..) => false,
        };
        if early {
            return;
        }
        self.tally.echoes += 1;
        self.tell(match echo {
            Echo::Claimed(id) => Event::Claimed(key(a), id, Ok(())),
            Echo::Recorded(id) => Event::Recorded(key(a), id, Ok(())),
            Echo::Answered(id, answer) => Event::Answered(key(a), id, answer),
        });
    }
}
