//! What happens to the engine: the store answers, requests arrive, replies come back or do not, the daemon dies.
//!
//! Owns the faults of store, network and process. What happens at the provider is in `door`.

use tokend_engine::{
    Adoption, Answer, Asked, AttemptId, Engine, Event, HostKey, Intent, Kind, StoreRefusal,
    WaiterId,
};

use crate::provider::Grant;
use crate::store::{Entered, Purpose, Vault};
use crate::world::{DAY, Echo, HOUR, Happening, MINUTE, SECOND, World, key, say};

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
                if self.up && self.accounts[a].admitted.map(|(id, _)| id) == Some(id) {
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
        }
        let result = write.says_ok.then_some(()).ok_or(StoreRefusal);
        let event = match write.purpose {
            Purpose::Intent(id) => {
                account.recorded = write.says_ok.then_some(id);
                Event::Recorded(key(a), id, result)
            }
            Purpose::Outcome {
                granted,
                entered,
                forget,
            } => {
                if let Some(id) = granted {
                    let side = match write.says_ok {
                        true => &mut account.landed,
                        false => &mut account.refused,
                    };
                    *side = Some(id.0);
                }
                if write.says_ok {
                    self.wish_landed(a, entered, forget);
                }
                Event::Committed(key(a), result)
            }
        };
        self.tell(event);
    }

    fn wish_landed(&mut self, a: usize, entered: Option<WaiterId>, forget: bool) {
        let account = &mut self.accounts[a];
        if forget {
            account.owned = None;
        }
        match entered.and_then(|waiter| account.vault.entered.remove(&waiter)) {
            Some(Entered::Refresh(secret)) => {
                (account.owned, account.excused) = (Some(secret), false);
            }
            Some(Entered::Password) | None => {}
        }
        if forget || entered.is_some() {
            account.blocked = false;
        }
    }

    fn arrives(&mut self, a: usize, id: AttemptId) {
        if self.accounts[a].flight.is_none_or(|flight| flight.id != id) {
            return;
        }
        if self.misfortune(30) {
            return self.after(0, Happening::Replied(a, id, Answer::NotSent, None));
        }
        let (mut answer, mut grant) = self.reach(a);
        if self.loses(a) {
            (answer, grant) = (Answer::MaybeSent, None);
        }
        let lost = matches!(
            answer,
            Answer::MaybeSent
                | Answer::Misbehaved {
                    maybe_processed: true
                }
        );
        if lost {
            self.lose_reply(a);
        }
        let wait = match self.misfortune(30) {
            true => self.rng.between(SECOND, 10 * MINUTE),
            false => self.rng.between(5, 300),
        };
        self.after(wait, Happening::Replied(a, id, answer, grant));
    }

    fn replied(&mut self, a: usize, id: AttemptId, answer: Answer, grant: Option<Grant>) {
        let account = &mut self.accounts[a];
        let Some(flight) = account.flight.filter(|flight| flight.id == id) else {
            return;
        };
        account.flight = None;
        account.admitted = None;
        self.hosts[account.plan.host.0 as usize].admitted -= 1;
        match answer {
            Answer::Granted(_) => {
                if let Some(grant) = grant {
                    account.vault.grants.clear();
                    account.vault.grants.insert(id.0, (flight.kind, grant));
                    if grant.refresh.is_some() || flight.kind == Kind::Login {
                        self.tally.rotations += 1;
                        account.owned = grant.refresh;
                    }
                    account.excused = false;
                    account.blocked = false;
                }
            }
            Answer::RefreshRejected if flight.kind == Kind::Refresh => account.owned = None,
            Answer::MaybeSent
            | Answer::Misbehaved {
                maybe_processed: true,
            } => account.excused |= flight.kind == Kind::Refresh,
            Answer::CredentialRejected | Answer::Misconfigured => {
                account.blocked = !account.cured_in_flight;
            }
            Answer::Busy {
                retry_after: Some(wait),
            } => {
                let wait = u64::try_from(wait.as_millis()).unwrap_or(DAY);
                account.rest_until = self.now + wait.clamp(SECOND, DAY);
            }
            _ => {}
        }
        account.cured_in_flight = false;
        self.echo(0, a, Echo::Answered(id, answer));
        self.tell(Event::Answered(key(a), id, answer));
    }

    /// What the engine was told comes a second time. It must change nothing, which the promises show.
    fn again(&mut self, a: usize, echo: Echo) {
        if !self.up {
            return;
        }
        // Nobody may hear twice of what was not heard once.
        let early = match echo {
            Echo::Claimed(id) => self.accounts[a].admitted.map(|(id, _)| id) == Some(id),
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

    pub(crate) fn plan_crash(&mut self) {
        let wait = match self.rng.chance(100) {
            true => self.rng.between(100, 5 * SECOND),
            false => self.rng.between(MINUTE, 8 * HOUR),
        };
        self.after(wait, Happening::Crash);
    }

    /// The daemon dies. What was being sent has arrived or not, what was being written has landed or not: as said, or by chance.
    pub(crate) fn crash(&mut self, said: Option<(bool, bool)>) {
        say!(self, "CRASH");
        self.tally.crashes += 1;
        for a in 0..self.accounts.len() {
            let lucky = said.map_or_else(|| self.rng.chance(500), |(arrives, _)| arrives);
            if self.accounts[a]
                .flight
                .is_some_and(|flight| !flight.arrived)
                && lucky
            {
                // Its reply goes nowhere.
                self.reach(a);
            }
            if self.accounts[a].flight.is_some_and(|flight| flight.arrived) {
                self.lose_reply(a);
            }
            let lucky = said.map_or_else(|| self.rng.chance(500), |(_, lands)| lands);
            let account = &mut self.accounts[a];
            if let Some(write) = account.write.take().filter(|_| lucky) {
                let purpose = write.purpose;
                account.disk = Some(write.record);
                account.drift_written = account.drift;
                if let Purpose::Outcome {
                    entered, forget, ..
                } = purpose
                {
                    self.wish_landed(a, entered, forget);
                }
            }
        }
        self.stop();
        let wait = match self.rng.chance(500) {
            true => self.rng.between(50, SECOND),
            false => self.rng.between(SECOND, 5 * MINUTE),
        };
        self.after(wait, Happening::Start);
    }

    fn stop(&mut self) {
        self.up = false;
        self.draining = false;
        self.waiters.clear();
        self.queue.retain(|_, happening| {
            !matches!(
                happening,
                Happening::Claimed(..)
                    | Happening::Written(..)
                    | Happening::Arrives(..)
                    | Happening::Replied(..)
                    | Happening::Deadline(_)
                    | Happening::Drained
                    | Happening::Again(..)
            )
        });
        for account in &mut self.accounts {
            account.flight = None;
            account.admitted = None;
            account.recorded = None;
            account.slot = None;
            account.in_engine = false;
            account.asked = Asked::default();
        }
        for host in &mut self.hosts {
            host.admitted = 0;
        }
    }

    pub(crate) fn start(&mut self) {
        say!(self, "START");
        self.up = true;
        self.engine = Engine::new(self.seed ^ self.now);
        self.clocks.start(self.now);
        for host in 0..self.hosts.len() {
            self.hosts[host].drift_before = self.hosts[host].drift;
            let name = HostKey(u32::try_from(host).unwrap_or_default());
            let plan = self.hosts[host].plan;
            self.tell(Event::Host(name, plan));
        }
        for a in 0..self.accounts.len() {
            let account = &mut self.accounts[a];
            let durable = account.disk.as_ref().map(|record| &record.durable);
            account.blocked = durable.is_some_and(|durable| durable.block.is_some());
            let told = durable.and_then(|durable| durable.deferral);
            if !told.is_some_and(|deferral| deferral.told) {
                // What a provider said is lost with a daemon that dies before it has stored it.
                account.rest_until = 0;
            }
            if let Some(Intent { kind, .. }) = durable.and_then(|durable| durable.intent) {
                // Died between sending and storing: whatever that brought is lost, and what it spent may be spent.
                let doubted = durable.and_then(|durable| durable.refresh);
                account.excused =
                    kind == Kind::Refresh || doubted.is_some_and(|refresh| refresh.in_doubt);
                account.owned = account.disk.as_ref().and_then(|record| record.refresh);
            }
            account.cured_in_flight = false;
            if account.configured && self.up {
                self.adopt(a, false);
            }
        }
    }

    /// Gives an account to the engine, with what is on disk.
    pub(crate) fn adopt(&mut self, a: usize, cured: bool) {
        let account = &mut self.accounts[a];
        account.configured = true;
        let mut durable = None;
        if !account.in_engine {
            let stored = account
                .disk
                .as_ref()
                .and_then(|record| record.durable.block);
            account.blocked = stored.is_some();
            let restored = account.disk.as_ref().map(|record| {
                self.clocks
                    .restore(self.now, &record.anchor, &record.durable)
            });
            account.vault = Vault::load(account.disk.as_ref(), restored.as_ref());
            account.refused = None;
            account.landed = account.vault.access.map(|(grant, _)| grant);
            if let Some(restored) = restored {
                account.drift = account.drift.max(account.drift_written + restored.ahead);
                let host = &mut self.hosts[account.plan.host.0 as usize];
                host.drift = host.drift.max(host.drift_before + restored.ahead);
                durable = Some(restored.durable);
            }
        }
        account.in_engine = true;
        account.blocked &= !cured;
        let adoption = Adoption {
            plan: account.plan,
            can_login: account.can_login,
            cured,
            durable,
            asked: account.asked.clone(),
        };
        self.tell(Event::Adopt(key(a), Box::new(adoption)));
    }

    fn drain(&mut self) {
        if self.up && !self.calm() && !self.draining {
            self.draining = true;
            self.tell(Event::Drain);
            self.after(SECOND, Happening::Drained);
        }
        let next = self.rng.between(HOUR, 20 * HOUR);
        self.after(next, Happening::Drain);
    }

    /// The shell of a draining daemon stops as soon as the engine is settled.
    fn drained(&mut self) {
        if !self.up || !self.draining {
            return;
        }
        let stranded = self.waiters.values().any(|waiting| {
            let account = &self.accounts[waiting.account];
            account.flight.is_none() && account.write.is_none() && account.admitted.is_none()
        });
        if stranded {
            return self.breaks("somebody waits in a drain although nothing is under way");
        }
        if !self.engine.is_settled() {
            return self.after(SECOND, Happening::Drained);
        }
        if !self.waiters.is_empty() {
            return self.breaks("a drained engine leaves somebody waiting");
        }
        let busy = self.accounts.iter().any(|account| {
            account.flight.is_some() || account.write.is_some() || account.admitted.is_some()
        });
        if busy {
            return self.breaks("a drained engine leaves something under way");
        }
        say!(self, "STOP");
        self.stop();
        self.after(SECOND, Happening::Start);
    }
}
