//! What people and programs do: they ask, reject, insist, enter, forget, reload.
//!
//! Owns the load of a run, and the session's part of serving: a token that is good is handed out without an event.

use tokend_engine::{AccountPlan, Demand, Event, GrantId, WaiterFault, WaiterId, Want};

use crate::account::Account;
use crate::provider::{Access, Secret};
use crate::store::Entered;
use crate::world::{HOUR, Happening, MINUTE, SECOND, Waiting, World, key, note, say};

impl World {
    pub(crate) fn people_begin(&mut self) {
        for a in 0..self.accounts.len() {
            let first = self.rng.between(0, 10 * MINUTE);
            self.after(first, Happening::Act(a));
            let reload = self.rng.between(0, 12 * HOUR);
            self.after(reload, Happening::Reload(a));
        }
        let drain = self.rng.between(HOUR, 20 * HOUR);
        self.after(drain, Happening::Drain);
        let step = self.rng.between(MINUTE, 12 * HOUR);
        self.after(step, Happening::Step);
        let sleep = self.rng.between(MINUTE, 24 * HOUR);
        self.after(sleep, Happening::Suspend);
        self.plan_crash();
    }

    pub(crate) fn act(&mut self, a: usize) {
        if self.up {
            match self.rng.below(1000) {
                0..850 => self.get(a, Want::Get),
                850..900 => {
                    for _ in 0..self.rng.between(2, 12) {
                        self.get(a, Want::Get);
                    }
                }
                900..960 => self.reject(a),
                960..985 => self.get(a, Want::Forced),
                985..992 => self.enter(a),
                992..995 => self.forget(a),
                _ => self.tell(Event::Asked(key(a))),
            }
        }
        let wait = match self.rng.chance(25) {
            true => self.rng.between(HOUR, 5 * HOUR),
            false => self.rng.between(0, 4 * MINUTE),
        };
        self.after(wait, Happening::Act(a));
    }

    fn get(&mut self, a: usize, want: Want) {
        let lifetime = self.accounts[a].provider.lifetime;
        let min_validity = match self.rng.below(8) {
            0 => Some(MINUTE),
            1 => Some(lifetime / 2),
            2 => Some(lifetime * 2),
            _ => None,
        };
        let served =
            self.up && want != Want::Rejected(GrantId(0)) && self.served(a, want, min_validity);
        if !served && self.up {
            let wait = self.rng.pick(&[0, 0, 30 * SECOND, 20 * MINUTE]);
            let timeout = wait + self.rng.between(0, 90 * SECOND);
            self.want(a, want, min_validity, wait, timeout);
        }
    }

    /// What a session does without the engine.
    fn served(&mut self, a: usize, want: Want, min_validity: Option<u64>) -> bool {
        let (account, now) = (&self.accounts[a], self.stamp(self.now));
        let Some(slot) = account.slot.filter(|_| want == Want::Get) else {
            return false;
        };
        if !slot
            .held
            .is_good(now, min_validity.map(std::time::Duration::from_millis))
        {
            return false;
        }
        account.asked.touch(now);
        note!(self, "asked {:?}", key(a));
        let ahead = slot.ahead <= now;
        let expired = self.expired(a);
        if expired.is_some_and(|access| access.lifetime_known && access.excused_until() <= self.now)
        {
            self.breaks(format!("account {a} serves an expired token"));
        }
        if self.is_ended(a, slot.held.grant.0) {
            self.breaks(format!(
                "account {a} serves a token that its provider has ended"
            ));
        }
        if expired.is_some() {
            // Its lifetime is unknown: only the API can refuse it.
            self.get(a, Want::Rejected(slot.held.grant));
        } else if ahead {
            self.tell(Event::Asked(key(a)));
        }
        true
    }

    fn expired(&self, a: usize) -> Option<Access> {
        let account = &self.accounts[a];
        let grant = account.slot?.held.grant.0;
        let (_, access) = account.secrets.access.filter(|(held, _)| *held == grant)?;
        (access.expires <= self.now).then_some(access)
    }

    /// Whether a refresh has ended the token of this grant at its provider: from when it is sent on nobody can know that it has not.
    pub(crate) fn is_ended(&self, a: usize, grant: u64) -> bool {
        let account = &self.accounts[a];
        let access = account.secrets.access.filter(|(held, _)| *held == grant);
        access.is_some_and(|(_, access)| account.provider.has_ended(access))
    }

    fn reject(&mut self, a: usize) {
        let Some(slot) = self.accounts[a].slot else {
            return;
        };
        for _ in 0..self.rng.between(1, 5) {
            self.get(a, Want::Rejected(slot.held.grant));
        }
    }

    pub(crate) fn want(&mut self, a: usize, want: Want, min: Option<u64>, wait: u64, timeout: u64) {
        let forever = wait == u64::MAX;
        let by = self.now.saturating_add(timeout);
        let waiter = self.wait_for(Waiting {
            account: a,
            answer_by: Some(by),
            min_validity: min,
            rejected: match want {
                Want::Rejected(grant) => Some(grant.0),
                _ => None,
            },
            last: forever,
        });
        let account = &mut self.accounts[a];
        let busy = account.unsaved || account.write.is_some() || account.admitted.is_some();
        if want == Want::Forced && !busy {
            account.blocked = false;
            account.unrecognised.1 = account.unrecognised.1.min(2);
            account.lost_logins = account.lost_logins.min(2);
        }
        account.insisted |= want == Want::Forced;
        self.tell(Event::Wanted {
            account: key(a),
            waiter,
            demand: Demand {
                min_validity: min.map(std::time::Duration::from_millis),
                start_by: self.stamp(self.now.saturating_add(wait)),
                answer_by: self.stamp(by),
            },
            want,
        });
        let slot = self.accounts[a].slot.map(|slot| slot.held.grant);
        let heard = self.up && !self.draining && self.accounts[a].configured;
        if let (Want::Rejected(grant), true) = (want, heard)
            && slot == Some(grant)
        {
            self.breaks(format!(
                "account {a} serves a token that was reported as refused"
            ));
        }
    }

    fn wait_for(&mut self, waiting: Waiting) -> WaiterId {
        self.next_waiter += 1;
        let waiter = WaiterId(self.next_waiter);
        self.waiters.insert(waiter, waiting);
        let limit = waiting.answer_by.map_or(3 * HOUR, |by| by - self.now + 1);
        self.after(limit, Happening::Deadline(waiter));
        waiter
    }

    fn enter(&mut self, a: usize) {
        if !self.accounts[a].configured {
            return;
        }
        let by = self.now + self.rng.between(SECOND, 5 * MINUTE);
        let password = self.accounts[a].can_login && self.rng.chance(500);
        let right = self.rng.chance(700);
        let waiter = self.wait_for(Waiting {
            account: a,
            answer_by: Some(by),
            min_validity: None,
            rejected: None,
            last: false,
        });
        let (now, account) = (self.now, &mut self.accounts[a]);
        let entered = match password {
            true => {
                account.provider.credential_ok |= right;
                Entered::Password(right)
            }
            false if right => Entered::Refresh(account.provider.found_family(now)),
            false => Entered::Refresh(Secret {
                family: usize::MAX,
                serial: 0,
            }),
        };
        account.secrets.entered.insert(waiter, entered);
        let can_login = account.can_login;
        let demand = Demand {
            min_validity: None,
            start_by: self.stamp(now),
            answer_by: self.stamp(by),
        };
        self.tell(Event::Entered {
            account: key(a),
            waiter,
            demand,
            refresh_token: !password,
            can_login,
        });
    }

    fn forget(&mut self, a: usize) {
        if !self.accounts[a].configured {
            return;
        }
        let can_login = self.accounts[a].can_login;
        let waiter = self.wait_for(Waiting {
            account: a,
            answer_by: None,
            min_validity: None,
            rejected: None,
            last: false,
        });
        self.tell(Event::Forget {
            account: key(a),
            waiter,
            can_login,
        });
    }

    /// Somebody got no token. If only a person can help, one does after a while.
    pub(crate) fn receive_fault(&mut self, waiting: Waiting, fault: WaiterFault) {
        let a = waiting.account;
        let hopeless = matches!(
            fault,
            WaiterFault::LoginRequired(_) | WaiterFault::Misconfigured
        );
        if waiting.last {
            let account = &self.accounts[a];
            let helpless = (!account.can_login || account.login_refused)
                && (account.excused
                    || account.outdated
                    || account.plan.refresh_needs_access
                    || account.owned.is_none_or(|secret| {
                        !account
                            .provider
                            .lives(secret, self.now + HOUR + account.drift)
                    }));
            if !hopeless || !(account.blocked || account.stopped() || helpless) {
                self.breaks(format!("account {a} does not recover: {fault:?}"));
            }
        } else if hopeless && self.rng.chance(300) {
            let wait = self.rng.between(0, 30 * MINUTE);
            self.after(wait, Happening::Cure(a));
        }
    }

    pub(crate) fn cure(&mut self, a: usize) {
        if !self.up || !self.accounts[a].configured {
            return;
        }
        let provider = &mut self.accounts[a].provider;
        provider.credential_ok = true;
        provider.misconfigured = false;
        match self.rng.chance(500) || !self.accounts[a].can_login {
            true => self.enter(a),
            false => self.replan(a, self.accounts[a].plan, true),
        }
    }

    fn replan(&mut self, a: usize, plan: AccountPlan, cured: bool) {
        let account = &mut self.accounts[a];
        account.plan = plan;
        account.provider.attempts.restart(plan.attempts);
        account.provider.logins.restart(plan.logins);
        if cured {
            account.blocked = false;
            account.login_refused = false;
            account.understood();
            account.cured_in_flight = account.admitted.is_some();
        }
        let can_login = account.can_login;
        self.tell(Event::Replan {
            account: key(a),
            plan,
            can_login,
            cured,
        });
    }

    pub(crate) fn reload(&mut self, a: usize) {
        let next = self.rng.between(10 * MINUTE, 12 * HOUR);
        self.after(next, Happening::Reload(a));
        self.edit(a);
    }

    /// Somebody changes the configuration of an account.
    pub(crate) fn edit(&mut self, a: usize) {
        if !self.up || !self.accounts[a].configured || self.calm() {
            return;
        }
        let plan = self.accounts[a].plan;
        match self.rng.below(8) {
            0 => self.replan(a, plan, false),
            1 => {
                let refresh = Account::policy(&mut self.rng);
                self.replan(a, AccountPlan { refresh, ..plan }, false);
            }
            2 => {
                let attempts = Account::attempts(&mut self.rng);
                let logins = Account::logins(&mut self.rng);
                self.replan(
                    a,
                    AccountPlan {
                        attempts,
                        logins,
                        ..plan
                    },
                    false,
                );
            }
            3 => self.replan(a, plan, true),
            7 => self.ask_otherwise(a),
            4 | 5 if self.accounts[a].twin.is_some() => {
                self.swap(a);
                let back = self.soon();
                self.after(back, Happening::Swap(a));
            }
            _ => {
                self.remove(a);
                let back = self.soon();
                self.after(back, Happening::Return(a));
            }
        }
    }

    /// A reload after which the account would be asked for otherwise.
    fn ask_otherwise(&mut self, a: usize) {
        let by_login = self.rng.chance(500);
        self.replan(a, self.accounts[a].plan, false);
        let account = &mut self.accounts[a];
        account.outdated |= by_login && account.can_login;
        if self.up {
            let account = key(a);
            self.tell(Event::Outdated {
                account,
                by_login,
                by_refresh: !by_login,
            });
        }
        let stopped = self.engine.stop(key(a), self.stamp(self.now)).is_some();
        let nothing_to_do = stopped || (by_login && !self.accounts[a].can_login);
        if self.up && !nothing_to_do && self.accounts[a].slot.is_some() {
            self.breaks(format!("account {a} serves what was asked for otherwise"));
        }
    }

    fn soon(&mut self) -> u64 {
        let most = self.rng.pick(&[10, 2 * SECOND, HOUR / 2]);
        self.rng.between(0, most)
    }

    /// An account is taken out of the configuration.
    pub(crate) fn remove(&mut self, a: usize) {
        say!(self, "REMOVE {a}");
        self.accounts[a].configured = false;
        if self.up {
            self.tell(Event::Remove(key(a)));
        }
    }

    /// The identity of an account is changed to its other one: that one comes, then this one goes, as in one reload.
    pub(crate) fn swap(&mut self, a: usize) {
        let Some(b) = self.accounts[a].twin else {
            return;
        };
        let (goes, comes) = match self.accounts[a].configured {
            true => (a, b),
            false => (b, a),
        };
        say!(self, "SWAP {goes} for {comes}");
        self.tally.swaps += 1;
        self.accounts[goes].configured = false;
        self.accounts[comes].configured = true;
        if self.up {
            self.adopt(comes, false);
        }
        if self.up && self.broken.is_none() {
            self.tell(Event::Remove(key(goes)));
        }
    }

    /// A reload that says everything was cured.
    pub(crate) fn cured(&mut self, a: usize) {
        if self.up && self.accounts[a].configured {
            self.replan(a, self.accounts[a].plan, true);
        }
    }

    /// A removed account is configured again.
    pub(crate) fn come_back(&mut self, a: usize) {
        self.accounts[a].configured = true;
        if self.up {
            let cured = self.rng.chance(200);
            if cured && self.accounts[a].in_engine {
                self.accounts[a].cured_in_flight = self.accounts[a].admitted.is_some();
            }
            self.adopt(a, cured);
        }
    }
}
