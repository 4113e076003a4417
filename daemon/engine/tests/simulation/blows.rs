//! Blows: one fault at one chosen boundary.
//!
//! Owns the systematic half of the simulation. Between any two things that happen there is a boundary; a run can be struck at any
//! one of them, so that a seed's whole schedule is tried, not a sample of it.

use tokend_engine::AttemptKind;

use crate::world::{Happening, MINUTE, SECOND, World, say};

/// What strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    /// The daemon dies. Says whether requests under way still reach the provider, and writes under way the disk; and whether the
    /// machine went down with it, with a battery that lost the time.
    Crash {
        arrives: bool,
        lands: bool,
        reboot: bool,
    },
    /// The store refuses everything for a while, from what is being written now; a refused write may land all the same.
    Refuse { lands: bool },
    /// The store refuses, and soon afterwards the daemon dies.
    RefuseThenCrash,
    /// No reply comes back for a while.
    Lose,
    /// The machine sleeps.
    Suspend,
    /// Every account that has another identity changes to it, and soon back.
    Swap,
    /// Every account is taken out of the configuration, and soon put back.
    Remove,
    /// The configuration is loaded again and says that everything was cured.
    Reload,
}

pub(crate) const CRASHES: [Blow; 6] = [
    crash(false, false, false),
    crash(false, true, false),
    crash(true, false, false),
    crash(true, true, false),
    crash(true, false, true),
    crash(true, true, true),
];

pub(crate) const OTHERS: [Blow; 8] = [
    Blow::Refuse { lands: false },
    Blow::Refuse { lands: true },
    Blow::RefuseThenCrash,
    Blow::Lose,
    Blow::Suspend,
    Blow::Swap,
    Blow::Remove,
    Blow::Reload,
];

const fn crash(arrives: bool, lands: bool, reboot: bool) -> Blow {
    Blow::Crash {
        arrives,
        lands,
        reboot,
    }
}

impl World {
    /// Something has just happened. Only boundaries before the calm count: after it everything has to be well.
    pub(crate) fn boundary(&mut self) {
        if self.calm() {
            return;
        }
        self.boundaries += 1;
        if let Some((_, blow)) = self.blow.filter(|(at, _)| *at == self.boundaries) {
            say!(self, "BLOW {blow:?}");
            self.strike(blow);
        }
    }

    fn strike(&mut self, blow: Blow) {
        let soon = self.rng.between(10, 20 * SECOND);
        match blow {
            Blow::Crash {
                arrives,
                lands,
                reboot,
            } => {
                if self.up {
                    self.crash(Some((arrives, lands)));
                }
                if reboot {
                    self.reboot();
                }
            }
            Blow::Refuse { lands } => self.refuse(lands),
            Blow::RefuseThenCrash => {
                self.refuse(false);
                self.after(soon, Happening::Crash);
            }
            Blow::Lose => self.lossy_until = self.now + self.rng.between(SECOND, 2 * MINUTE),
            // What the shell tells the engine comes between effects, never among them.
            Blow::Suspend => self.after(0, Happening::Suspend),
            Blow::Swap => (0..self.accounts.len()).for_each(|a| {
                if self.accounts[a].configured && self.accounts[a].twin.is_some() {
                    self.after(0, Happening::Swap(a));
                    self.after(soon, Happening::Swap(a));
                }
            }),
            Blow::Remove => (0..self.accounts.len()).for_each(|a| {
                if self.accounts[a].configured {
                    self.after(0, Happening::Remove(a));
                    self.after(soon, Happening::Return(a));
                }
            }),
            Blow::Reload => {
                (0..self.accounts.len()).for_each(|a| self.after(0, Happening::Cured(a)));
            }
        }
    }

    fn refuse(&mut self, lands: bool) {
        self.refusing_until = self.now + self.rng.between(SECOND, 10 * MINUTE);
        for account in &mut self.accounts {
            if let Some(write) = &mut account.write {
                (write.says_ok, write.lands) = (false, lands);
                self.tally.refusals += 1;
            }
        }
    }

    /// The machine sleeps: true time goes on, and nothing of the daemon does. What was to happen meanwhile happens on waking.
    pub(crate) fn suspend(&mut self) {
        if self.calm() {
            return;
        }
        let longest = self
            .end_of_storm()
            .saturating_sub(self.now)
            .saturating_sub(MINUTE);
        let most = self
            .rng
            .pick(&[30 * SECOND, 10 * MINUTE, 3 * 60 * MINUTE])
            .min(longest);
        let until = self.now + self.rng.between(0, most);
        say!(self, "SUSPEND");
        self.tally.suspends += 1;
        let late: Vec<_> = self
            .queue
            .range(..(until, 0))
            .map(|(when, _)| *when)
            .collect();
        for when in late {
            if let Some(happening) = self.queue.remove(&when) {
                let later = u64::from(matches!(happening, Happening::Deadline(_)));
                self.queue.insert((until + later, when.1), happening);
            }
        }
        self.slept = (self.now, until);
        self.now = until;
        say!(self, "RESUME");
    }

    /// The machine starts again, perhaps without knowing what time it is.
    pub(crate) fn reboot(&mut self) {
        self.clocks.reboot();
        self.step_wall();
        say!(
            self,
            "REBOOT, the wall clock is wrong by {} ms",
            self.clocks.wrong
        );
    }

    /// Somebody or something sets the wall clock.
    pub(crate) fn step_wall(&mut self) {
        self.tally.steps += 1;
        let (minute, day) = (60_000, 86_400_000);
        let from_1970 = -i64::try_from(self.now).unwrap_or_default();
        self.clocks.wrong = self.rng.pick(&[
            0,
            0,
            0,
            1_500,
            -1_500,
            60 * minute,
            -60 * minute,
            3_650 * day,
            -3_650 * day,
            from_1970,
            from_1970 + day,
        ]);
    }

    /// Whether the store refuses just now, by chance or by a blow.
    pub(crate) fn refuses(&mut self, of_thousand: u64) -> bool {
        self.misfortune(of_thousand) || self.now < self.refusing_until && !self.calm()
    }

    /// Whether a reply gets lost by a blow.
    pub(crate) fn loses(&mut self, a: usize) -> bool {
        let lost = self.now < self.lossy_until && !self.calm();
        if lost
            && self.accounts[a]
                .flight
                .is_some_and(|flight| flight.kind == AttemptKind::Refresh)
        {
            self.lose_reply(a);
        }
        lost
    }
}
