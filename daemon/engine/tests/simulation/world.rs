//! The world of one run: time, the queue of what will happen, the accounts and their providers.
//!
//! Owns the event loop. It decides nothing: chance comes from the seed, decisions from the engine. The first broken promise
//! ends the run.

use std::collections::BTreeMap;

use tokend_engine::{
    AccountKey, AttemptId, ClaimRefusal, Engine, Event, HostPlan, ProviderAnswer, Timestamp,
    WaiterId,
};

use crate::account::{Account, rate};
use crate::blows::Blow;
use crate::clocks::Clocks;
use crate::provider::Grant;
use crate::random::Rng;

pub(crate) const SECOND: u64 = 1_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;
/// When a run begins: an ordinary day.
pub(crate) const START: u64 = 1_790_000_000_000;

/// How long a run is: faults and people until `storm`, then calm until `span`; in the second half of it nobody acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Length {
    pub(crate) span: u64,
    pub(crate) storm: u64,
}

/// A day, for chance.
pub(crate) const LONG: Length = Length {
    span: DAY,
    storm: DAY - HOUR,
};

/// Short enough to be struck at every boundary.
pub(crate) const SHORT: Length = Length {
    span: 90 * MINUTE,
    storm: 40 * MINUTE,
};

/// What comes a second time although it came already.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Echo {
    Claimed(AttemptId),
    Recorded(AttemptId),
    Answered(AttemptId, ProviderAnswer),
}

/// Something that will happen.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Happening {
    Act(usize),
    Claimed(usize, AttemptId, Result<(), ClaimRefusal>),
    Written(usize),
    Arrives(usize, AttemptId),
    Replied(usize, AttemptId, ProviderAnswer, Option<Grant>),
    Deadline(WaiterId),
    Cure(usize),
    Reload(usize),
    Edit(usize),
    Return(usize),
    Remove(usize),
    Swap(usize),
    Cured(usize),
    Again(usize, Echo),
    Suspend,
    Step,
    Crash,
    Start,
    Drain,
    Drained,
}

/// Somebody who waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) account: usize,
    pub(crate) answer_by: Option<u64>,
    pub(crate) min_validity: Option<u64>,
    pub(crate) rejected: Option<u64>,
    /// Whether the run ends well only if this one gets a token.
    pub(crate) last: bool,
}

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) plan: HostPlan,
    pub(crate) admitted: u32,
    /// When requests came.
    pub(crate) arrivals: Vec<u64>,
    /// As of its accounts.
    pub(crate) drift: u64,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) attempts: u64,
    pub(crate) crashes: u64,
    pub(crate) lost: u64,
    pub(crate) refusals: u64,
    pub(crate) answered: u64,
    pub(crate) rotations: u64,
    /// Refresh tokens that came without an access token that can be handed out.
    pub(crate) halves: u64,
    pub(crate) swaps: u64,
    /// What was entered and not granted; and what was taken into use all the same.
    pub(crate) unproven: u64,
    pub(crate) taken: u64,
    pub(crate) suspends: u64,
    pub(crate) steps: u64,
    pub(crate) echoes: u64,
}

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    pub(crate) engine: Engine,
    pub(crate) up: bool,
    pub(crate) draining: bool,
    pub(crate) queue: BTreeMap<(u64, u64), Happening>,
    pub(crate) order: u64,
    pub(crate) accounts: Vec<Account>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) waiters: BTreeMap<WaiterId, Waiting>,
    pub(crate) next_waiter: u64,
    pub(crate) broken: Option<String>,
    pub(crate) trace: Option<Vec<String>>,
    /// With a trace, the input of the engines and what they did, as `history` reads it.
    pub(crate) lines: Vec<String>,
    pub(crate) trouble: u64,
    pub(crate) tally: Tally,
    pub(crate) clocks: Clocks,
    pub(crate) length: Length,
    /// How many boundaries were passed, and which one is struck by what.
    pub(crate) boundaries: u64,
    pub(crate) blow: Option<(u64, Blow)>,
    pub(crate) refusing_until: u64,
    pub(crate) lossy_until: u64,
    /// The last sleep of the machine.
    pub(crate) slept: (u64, u64),
    work: u64,
}

/// Writes a line of the trace, if there is one.
macro_rules! say {
    ($world:expr, $($line:tt)+) => {
        if $world.trace.is_some() {
            let line = format!($($line)+);
            $world.write_line(line);
        }
    };
}
pub(crate) use say;

/// Keeps the input of the engine, where there is a trace.
macro_rules! note {
    ($world:expr, $($text:tt)+) => {
        if $world.trace.is_some() {
            let at = $world.stamp($world.now);
            let line = crate::history::line(at, &format!($($text)+));
            $world.lines.push(line);
        }
    };
}
pub(crate) use note;

pub(crate) fn key(account: usize) -> AccountKey {
    AccountKey(u32::try_from(account).unwrap_or(u32::MAX))
}

impl World {
    pub(crate) fn new(seed: u64, length: Length, blow: Option<(u64, Blow)>, traced: bool) -> Self {
        let mut rng = Rng::new(seed);
        let hosts: Vec<Host> = (0..rng.between(1, 3))
            .map(|_| Host {
                plan: HostPlan {
                    rate: rate(rng.between(1, 4), rng.between(200, 5_000)),
                    in_flight: u32::try_from(rng.between(1, 3)).unwrap_or(1),
                },
                admitted: 0,
                arrivals: Vec::new(),
                drift: 0,
            })
            .collect();
        let mut accounts: Vec<_> = (0..rng.between(2, 6))
            .map(|_| Account::random(&mut rng, hosts.len()))
            .collect();
        for a in 0..accounts.len() {
            if rng.chance(300) {
                let twin = Account {
                    configured: false,
                    twin: Some(a),
                    ..Account::random(&mut rng, hosts.len())
                };
                accounts[a].twin = Some(accounts.len());
                accounts.push(twin);
            }
        }
        let trouble = rng.pick(&[0, 20, 100, 300]);
        Self {
            seed,
            now: START,
            rng,
            engine: Engine::new(seed),
            up: false,
            draining: false,
            queue: BTreeMap::new(),
            order: 0,
            accounts,
            hosts,
            waiters: BTreeMap::new(),
            next_waiter: 0,
            broken: None,
            trace: traced.then(Vec::new),
            lines: Vec::new(),
            trouble,
            tally: Tally::default(),
            clocks: Clocks::default(),
            length,
            boundaries: 0,
            blow,
            refusing_until: 0,
            lossy_until: 0,
            slept: (0, 0),
            work: 0,
        }
    }

    /// Whether faults are over: from then on everything is well, so that accounts must recover.
    pub(crate) fn calm(&self) -> bool {
        self.now >= self.end_of_storm()
    }

    pub(crate) fn end_of_storm(&self) -> u64 {
        START + self.length.storm
    }

    /// A true time on the engine's clock.
    pub(crate) fn stamp(&self, at: u64) -> Timestamp {
        self.clocks.steady(at)
    }

    /// Whether a fault happens here, weighed by how bad this run is.
    pub(crate) fn misfortune(&mut self, of_thousand: u64) -> bool {
        let weighed = of_thousand * self.trouble / 100;
        !self.calm() && self.rng.chance(weighed)
    }

    pub(crate) fn write_line(&mut self, line: String) {
        let at = self.now - START;
        if let Some(trace) = &mut self.trace {
            if !line.starts_with(' ') {
                self.lines.push(format!("# {line}"));
            }
            trace.push(format!(
                "{:02}:{:02}:{:02}.{:03}  {line}",
                at / HOUR,
                at / MINUTE % 60,
                at / SECOND % 60,
                at % SECOND
            ));
        }
    }

    pub(crate) fn breaks(&mut self, promise: impl Into<String>) {
        let promise = promise.into();
        say!(self, "BROKEN: {promise}");
        self.broken.get_or_insert(promise);
    }

    pub(crate) fn after(&mut self, wait: u64, happening: Happening) {
        self.order += 1;
        self.queue.insert((self.now + wait, self.order), happening);
    }

    pub(crate) fn tell(&mut self, event: Event) {
        say!(self, "  event {event:?}");
        note!(self, "event {event:?}");
        self.engine.handle_event(self.stamp(self.now), event);
        self.pump();
    }

    /// Carries out what the engine wants, or crashes in the middle of it.
    fn pump(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            say!(self, "    effect {effect:?}");
            if self.trace.is_some() {
                self.lines.push(format!("effect {effect:?}"));
            }
            self.work += 1;
            self.carry_out(effect);
            self.boundary();
            if self.up && self.misfortune(3) && self.rng.chance(100) {
                self.crash(None);
            }
            if self.broken.is_some() || !self.up {
                return;
            }
        }
    }

    /// Runs until `end`, or until a promise is broken or `done` says so.
    pub(crate) fn run(&mut self, end: u64, done: impl Fn(&Self) -> bool) {
        let mut last_timer = (0, 0);
        while self.broken.is_none() && !done(self) {
            let due = match self.up {
                true => self.engine.poll_timeout(self.stamp(self.now)),
                false => None,
            };
            let due = due.map(|at| self.clocks.truth(at).max(self.now));
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            let Some(at) = due.into_iter().chain(next).min() else {
                break;
            };
            if at > end {
                break;
            }
            self.now = at;
            self.work += 1;
            if due == Some(at) {
                let stamp = self.stamp(at);
                note!(self, "timeout");
                self.engine.handle_timeout(stamp);
                let again = self.engine.poll_timeout(stamp);
                if again.is_some_and(|again| again <= stamp) {
                    self.breaks(format!("due again at once: {again:?}"));
                }
                last_timer = match last_timer {
                    (before, count) if before == at / SECOND => (before, count + 1),
                    _ => (at / SECOND, 0),
                };
                if last_timer.1 > 500 {
                    self.breaks("the timer does not come to rest");
                }
                self.pump();
            } else if let Some((_, happening)) = self.queue.pop_first() {
                self.happen(happening);
                self.boundary();
            }
            if self.work > 3_000_000 {
                self.breaks("more work than there can be");
            }
        }
        if self.broken.is_none() && !done(self) {
            self.now = end;
        }
    }
}
