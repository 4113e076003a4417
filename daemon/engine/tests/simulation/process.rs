//! The daemon's process: it dies, starts, drains and stops.
//!
//! Owns what of an account outlives the process and how it is taken up again. What the disk holds is all that is left of a crash.

use tokend_engine::{
    Adoption, AttemptKind, Durable, Engine, Event, HostKey, HostUsed, Intent, LastAsked,
};

use crate::account::Account;
use crate::store::{DriverSecrets, Purpose};
use crate::window::Window;
use crate::world::{HOUR, Happening, MINUTE, SECOND, START, World, key, say};

impl World {
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
                account.host_drift_written = self.hosts[account.plan.host.0 as usize].drift;
                if let Purpose::Outcome { forget, .. } = purpose {
                    self.wish_landed(a, forget);
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
            account.unsaved = false;
            account.in_engine = false;
            account.asked = LastAsked::default();
        }
        for host in &mut self.hosts {
            host.admitted = 0;
        }
    }

    pub(crate) fn start(&mut self) {
        say!(self, "START");
        self.up = true;
        let seed = self.seed ^ self.now;
        if self.trace.is_some() {
            self.lines.push(format!("engine {seed}"));
        }
        self.engine = Engine::new(seed);
        self.clocks.start(self.now);
        for host in 0..self.hosts.len() {
            self.tell_used(host);
            let plan = self.hosts[host].plan;
            self.tell(Event::Host(host_key(host), plan));
        }
        for a in 0..self.accounts.len() {
            let account = &mut self.accounts[a];
            let durable = account.disk.as_ref().map(|record| &record.durable);
            account.blocked = durable.is_some_and(|durable| durable.block.is_some());
            account.login_refused = account.refused_by(durable);
            let stored = durable
                .map(|durable| durable.no_verdict)
                .unwrap_or_default();
            if account.unrecognised.1 != stored.logins {
                // What was answered last is lost with a daemon that dies before it has stored it.
                account.unrecognised_at = None;
            }
            account.unrecognised = (stored.refreshes, stored.logins);
            // A login under way at a death is one that no answer is known to.
            let lost = durable.is_some_and(|durable| {
                let login = durable
                    .intent
                    .is_some_and(|it| it.kind == AttemptKind::Login);
                login && durable.candidate.is_none()
            });
            account.lost_logins = stored.lost_logins + u32::from(lost);
            let stored_until = account.disk.as_ref().and_then(|record| {
                let deferral = record
                    .durable
                    .deferral
                    .filter(|deferral| deferral.by_provider)?;
                Some(record.anchor.truth(deferral.until))
            });
            if stored_until.is_none_or(|until| until < account.rest_until) {
                // What a provider said is lost with a daemon that dies before it has stored it.
                account.rest_until = 0;
            }
            if let Some(Intent { kind, .. }) = durable.and_then(|durable| durable.intent) {
                // Died between sending and storing: whatever that brought is lost, and what it spent may be spent.
                let doubted = durable.and_then(|durable| durable.refresh);
                let trial = durable.is_some_and(|durable| durable.candidate.is_some());
                account.excused = (kind == AttemptKind::Refresh && !trial)
                    || doubted.is_some_and(|refresh| refresh.in_doubt);
                account.owned = account.disk.as_ref().and_then(|record| record.refresh);
            }
            account.cured_in_flight = false;
            if account.configured && self.up {
                self.adopt(a, false);
            }
        }
    }

    /// Tells the engine what every record on disk knows of its host, also those of accounts that are not configured.
    fn tell_used(&mut self, host: usize) {
        let mut latest: Option<(u64, u64)> = None;
        let mut used = Vec::new();
        for account in &self.accounts {
            let of_host = account.plan.host == host_key(host);
            let Some(record) = account.disk.as_ref().filter(|_| of_host) else {
                continue;
            };
            let restored = self
                .clocks
                .restore(self.now, &record.anchor, &record.durable);
            // What was under way had arrived by now, if it has arrived at all.
            let intents = usize::from(restored.durable.intent.is_some());
            used.push(HostUsed {
                tat: restored.durable.host,
                sent_by: vec![self.clocks.steady(self.now); intents],
            });
            // Where a clock makes more time seem to have passed than has, the one who knows most is excused by as much.
            let known = record.anchor.truth(record.durable.host.0) + account.host_drift_written;
            let drift = account.host_drift_written + restored.ahead;
            if latest.is_none_or(|(most, _)| most < known) {
                latest = Some((known, drift));
            }
        }
        if let Some((_, drift)) = latest {
            let host = &mut self.hosts[host];
            host.drift = host.drift.max(drift);
        }
        for used in used {
            self.tell(Event::HostUsed(host_key(host), used));
        }
    }

    /// Checks that a host was not asked too often since it was last checked, as the host itself counts.
    pub(crate) fn count_host(&mut self, host: usize) {
        let mut window = Window::new(self.hosts[host].plan.rate);
        let mut arrivals = std::mem::take(&mut self.hosts[host].arrivals);
        arrivals.sort_unstable();
        if let Some(at) = arrivals.into_iter().find(|at| !window.arrive(*at)) {
            let at = at - START;
            self.breaks(format!(
                "host {host} is asked too often {at} ms after the start"
            ));
        }
    }

    /// Gives an account to the engine, with what is on disk.
    pub(crate) fn adopt(&mut self, a: usize, cured: bool) {
        let account = &mut self.accounts[a];
        account.configured = true;
        let mut durable = None;
        if !account.in_engine {
            let stored = account.disk.as_ref().map(|record| &record.durable);
            account.blocked = stored.is_some_and(|durable| durable.block.is_some());
            account.login_refused = account.refused_by(stored);
            let restored = account.disk.as_ref().map(|record| {
                self.clocks
                    .restore(self.now, &record.anchor, &record.durable)
            });
            account.secrets = DriverSecrets::load(account.disk.as_ref(), restored.as_ref());
            account.refused = None;
            account.landed = account.secrets.access.map(|(grant, _)| grant);
            if let Some(restored) = restored {
                account.drift = account.drift.max(account.drift_written + restored.ahead);
                durable = Some(restored.durable);
            }
        }
        account.in_engine = true;
        account.blocked &= !cured;
        account.login_refused &= !cured;
        if cured {
            account.understood();
        }
        let adoption = Adoption {
            plan: account.plan,
            can_login: account.can_login,
            cured,
            durable,
            host_unknown: false,
            asked: account.asked.clone(),
        };
        self.tell(Event::Adopt(key(a), Box::new(adoption)));
    }

    pub(crate) fn drain(&mut self) {
        if self.up && !self.calm() && !self.draining {
            self.draining = true;
            self.tell(Event::Drain);
            self.after(SECOND, Happening::Drained);
        }
        let next = self.rng.between(HOUR, 20 * HOUR);
        self.after(next, Happening::Drain);
    }

    /// The shell of a draining daemon stops as soon as the engine is settled.
    pub(crate) fn drained(&mut self) {
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

fn host_key(host: usize) -> HostKey {
    HostKey(u32::try_from(host).unwrap_or_default())
}

impl Account {
    /// Whether a login counts as refused after a start. What was answered, or cured, last is lost with a daemon that dies before it
    /// has stored it.
    fn refused_by(&self, durable: Option<&Durable>) -> bool {
        durable.is_some_and(|durable| {
            let count = durable.no_verdict;
            let stored = count.login_refused || count.login_misconfigured;
            stored || (self.login_refused && durable.block.is_some())
        })
    }
}
