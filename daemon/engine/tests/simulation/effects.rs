//! Carrying out effects, and the promises checked while doing it.
//!
//! Owns the order of things as the shell sees it: what was claimed, recorded, sent, stored and published.

use tokend_engine::{
    AccountKey, AttemptId, AttemptKind, ClaimRefusal, Commit, Durable, Effect, Fate, Keeping,
    ProviderAnswer, Publication, Unproved, Unproven, Verdict, WaiterId,
};

use crate::account::Flight;
use crate::store::{Entered, Purpose, Write};
use crate::world::{Echo, Happening, MINUTE, SECOND, World};

impl World {
    pub(crate) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Claim(key, id, _, by) => self.claim(index(key), id, by),
            Effect::Record(key, id, durable) => self.record(index(key), id, &durable),
            Effect::Send(key, id, kind) => self.send(index(key), id, kind),
            Effect::Commit(key, commit) => self.commit(index(key), &commit),
            Effect::Release(key, id) => self.release(index(key), id),
            Effect::Publish(key, publication) => self.publish(index(key), publication),
            Effect::Retire(key) | Effect::Withhold(key, ..) => {
                self.accounts[index(key)].slot = None
            }
            Effect::Settle(waiter, verdict) => self.settle(waiter, verdict),
            Effect::Attempted(_, attempted) => {
                if attempted.ended != self.stamp(self.now) {
                    self.breaks("an attempt is reported with a wrong time");
                }
            }
            Effect::Dropped(key) => self.dropped(index(key)),
        }
    }

    /// Perhaps repeats an event later.
    pub(crate) fn echo(&mut self, wait: u64, a: usize, echo: Echo) {
        if self.misfortune(5) {
            let later = self.rng.between(0, MINUTE);
            self.after(wait + later, Happening::Again(a, echo));
        }
    }

    /// Whether the machine slept at `at` and has only just woken.
    fn asleep(&self, at: u64) -> bool {
        let (from, to) = self.slept;
        from <= at && self.now == to
    }

    fn store_delay(&mut self) -> u64 {
        match self.misfortune(10) {
            true => self.rng.between(0, MINUTE),
            false => self.rng.between(0, 30),
        }
    }

    fn claim(&mut self, a: usize, id: AttemptId, entered_by: Option<WaiterId>) {
        let account = &mut self.accounts[a];
        if account.admitted.is_some() || account.flight.is_some() || account.write.is_some() {
            return self.breaks(format!("account {a} claims while something is under way"));
        }
        if account.blocked && entered_by.is_none() {
            return self.breaks(format!(
                "account {a} is tried again although nothing changed"
            ));
        }
        if let Err(why) = account.secrets.try_entered(entered_by) {
            return self.breaks(format!("account {a}: {why}"));
        }
        account.admitted = Some(id);
        let host = &mut self.hosts[account.plan.host.0 as usize];
        host.admitted += 1;
        if host.admitted > host.plan.in_flight {
            return self.breaks(format!("too many in flight at the host of account {a}"));
        }
        let result = if self.refuses(8) {
            Err(ClaimRefusal::Store)
        } else if self.misfortune(8) {
            Err(ClaimRefusal::Secret)
        } else {
            Ok(())
        };
        let wait = self.store_delay();
        self.after(wait, Happening::Claimed(a, id, result));
        self.echo(wait, a, Echo::Claimed(id));
    }

    fn record(&mut self, a: usize, id: AttemptId, durable: &Durable) {
        let admitted = self.accounts[a].admitted;
        if admitted != Some(id) || durable.intent.map(|intent| intent.attempt) != Some(id) {
            return self.breaks(format!("account {a} records what it has not claimed"));
        }
        let secrets = &mut self.accounts[a].secrets;
        secrets.candidate = secrets.trying;
        self.write(a, durable, Purpose::Intent(id));
    }

    fn write(&mut self, a: usize, durable: &Durable, purpose: Purpose) {
        if self.accounts[a].write.is_some() {
            return self.breaks(format!("account {a} writes twice at once"));
        }
        let anchor = self.clocks.anchor(self.now);
        let record = match self.accounts[a].secrets.record(durable, anchor) {
            Ok(record) => record,
            Err(why) => return self.breaks(format!("account {a}: {why}")),
        };
        let says_ok = !self.refuses(25);
        let lands = says_ok || self.rng.chance(100);
        if !says_ok {
            self.tally.refusals += 1;
        }
        self.accounts[a].write = Some(Write {
            record,
            purpose,
            says_ok,
            lands,
        });
        let wait = self.store_delay();
        self.after(wait, Happening::Written(a));
        if let Purpose::Intent(id) = purpose {
            self.echo(wait, a, Echo::Recorded(id));
        }
    }

    fn send(&mut self, a: usize, id: AttemptId, kind: AttemptKind) {
        let account = &mut self.accounts[a];
        if account.recorded.take() != Some(id) {
            return self.breaks(format!("account {a} sends before its intent is stored"));
        }
        if account.flight.is_some() {
            return self.breaks(format!("account {a} has two attempts at once"));
        }
        let (secret, good) = match account.secrets.trying {
            Some(Entered::Refresh(secret)) => (Some(secret), true),
            Some(Entered::Password(good)) => (None, good),
            None => (account.secrets.refresh, true),
        };
        let secret = secret.filter(|_| kind == AttemptKind::Refresh);
        if kind == AttemptKind::Refresh && secret.is_none() {
            return self.breaks(format!("account {a} refreshes with nothing"));
        }
        account.flight = Some(Flight {
            id,
            kind,
            secret,
            good,
            trial: account.secrets.trying.is_some(),
            arrived: false,
            doubted: false,
        });
        let wait = match self.misfortune(30) {
            true => self.rng.between(SECOND, 2 * MINUTE),
            false => self.rng.between(0, 100),
        };
        self.after(wait, Happening::Arrives(a, id));
    }

    fn release(&mut self, a: usize, id: AttemptId) {
        let account = &mut self.accounts[a];
        if account.flight.is_some() {
            return self.breaks(format!("account {a} gives up what it has sent"));
        }
        if account.admitted == Some(id) {
            account.admitted = None;
            self.hosts[account.plan.host.0 as usize].admitted -= 1;
        }
    }

    fn commit(&mut self, a: usize, commit: &Commit) {
        if self.accounts[a].flight.is_some() || commit.durable.intent.is_some() {
            return self.breaks(format!("account {a} commits in mid-attempt"));
        }
        self.fate_of_entered(a, commit);
        if let Err(why) = self.accounts[a].secrets.apply(commit) {
            return self.breaks(format!("account {a}: {why}"));
        }
        let purpose = Purpose::Outcome {
            granted: commit.granted,
            forget: commit.forget,
        };
        self.write(a, &commit.durable, purpose);
        if self.misfortune(3) {
            self.after(0, Happening::Edit(a));
        }
    }

    /// What was entered takes the place of what was held: only with a grant, or where nothing could be lost by it.
    fn fate_of_entered(&mut self, a: usize, commit: &Commit) {
        let account = &mut self.accounts[a];
        let taken = match commit.fate {
            Some(Fate::Takes) if account.secrets.brought(commit).is_some() => {
                // Accepted, and without an access token to hand out.
                account.owned = account.secrets.brought(commit);
                account.excused = false;
                account.blocked = commit.durable.block.is_some();
                account.understood();
                account.login_refused &=
                    !matches!(account.secrets.candidate, Some(Entered::Password(_)));
                return;
            }
            Some(Fate::Takes) if commit.granted.is_none() => match account.secrets.candidate {
                Some(Entered::Refresh(secret)) => secret,
                Some(Entered::Password(_)) => {
                    return self.breaks(format!("account {a} takes a password unproven"));
                }
                None => return,
            },
            Some(Fate::SpareTakes) => match account.secrets.spare {
                Some(secret) => secret,
                None => return,
            },
            _ => return,
        };
        // Its life counts from when its request left, which may have been a quarter of an hour before the provider made it.
        let soon = self.now + 15 * MINUTE + account.drift;
        let lives = |secret| account.provider.lives(secret, soon);
        let lost = account
            .owned
            .filter(|_| !account.excused)
            .is_some_and(lives)
            && !account.plan.refresh_needs_access;
        account.owned = Some(taken);
        account.excused = true;
        if commit.fate == Some(Fate::Takes) {
            account.understood();
            account.unrecognised.0 = commit.durable.no_verdict.refreshes;
        }
        account.blocked = commit.durable.block.is_some();
        self.tally.taken += 1;
        if lost {
            self.breaks(format!(
                "account {a} gives a living refresh token up for one that was not granted"
            ));
        }
    }

    /// An entered credential was not granted: the result must be about that one, and nothing of the old one may be gone.
    fn unproven(&mut self, a: usize, it: Unproven) {
        self.tally.unproven += 1;
        if matches!(it.why, Unproved::Answered(ProviderAnswer::Granted(_))) {
            self.breaks(format!("account {a} calls a grant unproven"));
        }
        let refused = matches!(
            it.why,
            Unproved::Answered(ProviderAnswer::RefreshRejected) | Unproved::NotPrepared(_)
        );
        if refused && it.kept != Keeping::Dropped {
            self.breaks(format!("account {a} keeps what was refused"));
        }
    }

    fn publish(&mut self, a: usize, publication: Publication) {
        let (account, now) = (&mut self.accounts[a], self.now);
        let grant = publication.held.grant.0;
        account.slot = Some(publication);
        let landed = account.landed == Some(grant);
        let refused = account.refused == Some(grant);
        let in_memory = refused && publication.unpersisted;
        if !landed && !in_memory {
            return self.breaks(format!("account {a} publishes what is not stored"));
        }
        if landed && publication.unpersisted {
            return self.breaks(format!("account {a} calls unpersisted what is stored"));
        }
        let access = account.secrets.access.filter(|(held, _)| *held == grant);
        match access {
            Some((_, access)) if account.provider.has_ended(access) => {
                self.breaks(format!("account {a} publishes a token that was ended"));
            }
            Some((_, access)) if access.lifetime_known && access.excused_until() <= now => {
                self.breaks(format!("account {a} publishes an expired token"));
            }
            Some(_) => {}
            None => self.breaks(format!("account {a} publishes a token that is not held")),
        }
    }

    fn settle(&mut self, waiter: WaiterId, verdict: Verdict) {
        let Some(waiting) = self.waiters.remove(&waiter) else {
            return self.breaks(format!("{waiter:?} is answered, and does not wait"));
        };
        self.tally.answered += 1;
        let (a, now) = (waiting.account, self.now);
        if waiting
            .answer_by
            .is_some_and(|by| by < now && !self.asleep(by))
        {
            return self.breaks(format!("{waiter:?} is answered late"));
        }
        match verdict {
            Verdict::Token(grant) => {
                let account = &self.accounts[a];
                let slot = account.slot.filter(|slot| slot.held.grant == grant);
                let (Some(slot), Some((_, access))) = (slot, account.secrets.access) else {
                    return self.breaks(format!("{waiter:?} is given a token that is not served"));
                };
                if self.is_ended(a, grant.0) {
                    self.breaks(format!("{waiter:?} is given a token that was ended"));
                } else if waiting.rejected == Some(grant.0) {
                    self.breaks(format!("{waiter:?} is given the token it rejected"));
                } else if access.lifetime_known && access.excused_until() <= now {
                    self.breaks(format!("{waiter:?} is given an expired token"));
                } else if let (Some(needed), Some(expires)) =
                    (waiting.min_validity, slot.held.expires)
                    && expires < self.stamp(now + needed)
                {
                    self.breaks(format!("{waiter:?} is given a token for too short"));
                }
            }
            Verdict::Done if self.accounts[a].slot.is_some() => {
                self.breaks(format!("account {a} serves what was forgotten"));
            }
            Verdict::Done => {}
            Verdict::Unproven(it) => self.unproven(a, it),
            Verdict::Fault(fault) => self.receive_fault(waiting, fault),
        }
    }

    fn dropped(&mut self, a: usize) {
        let account = &mut self.accounts[a];
        if account.flight.is_some() || account.write.is_some() || account.admitted.is_some() {
            return self.breaks(format!("account {a} is dropped in mid-attempt"));
        }
        account.in_engine = false;
        account.slot = None;
    }
}

pub(crate) fn index(key: AccountKey) -> usize {
    key.0 as usize
}
