//! The clocks of the simulated machine, and what the shell makes of stored times.
//!
//! Owns the difference between the time that passes (the provider's), the wall clock that somebody sets, and the steady clock of
//! one process. It models what the daemon's `clock` and `record` do at a restart; the engine sees steady times only.

use std::time::Duration;

use tokend_engine::{Durable, Tat, Timestamp};

/// The daemon's steady clock never begins before 2001.
const EARLIEST: i64 = 1_000_000_000_000;

#[derive(Debug, Default)]
pub(crate) struct Clocks {
    /// How far the wall clock is ahead of the true time.
    pub(crate) wrong: i64,
    /// How far the steady clock of this process is ahead of it. It stays as it was at start.
    shift: i64,
    boot: u64,
}

/// When a record was written, on every clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Anchor {
    at: u64,
    steady: Timestamp,
    wall: i64,
    boot: u64,
}

/// A record's state on the steady clock of this process.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) durable: Durable,
    /// How much more time is believed to have passed than has, or less.
    pub(crate) ahead: u64,
    pub(crate) behind: u64,
}

impl Anchor {
    /// A time of the record as the true one.
    pub(crate) fn truth(&self, at: Timestamp) -> u64 {
        (self.at + at.as_millis()).saturating_sub(self.steady.as_millis())
    }
}

impl Clocks {
    /// A process starts.
    pub(crate) fn start(&mut self, now: u64) {
        self.shift = self.wall(now).max(EARLIEST) - signed(now);
    }

    pub(crate) fn reboot(&mut self) {
        self.boot += 1;
    }

    fn wall(&self, at: u64) -> i64 {
        signed(at).saturating_add(self.wrong)
    }

    /// A true time on the steady clock.
    pub(crate) fn steady(&self, at: u64) -> Timestamp {
        Timestamp::from_millis(at.saturating_add_signed(self.shift))
    }

    /// A steady time as the true one.
    pub(crate) fn truth(&self, at: Timestamp) -> u64 {
        at.as_millis().saturating_add_signed(-self.shift)
    }

    pub(crate) fn anchor(&self, now: u64) -> Anchor {
        Anchor {
            at: now,
            steady: self.steady(now),
            wall: self.wall(now),
            boot: self.boot,
        }
    }

    /// Brings what was stored onto the steady clock: exactly within a boot, by the wall clock across one, and with no time passed
    /// where the wall clock is behind. Then nobody knows how old the access token is, and it is not served.
    pub(crate) fn restore(&self, now: u64, anchor: &Anchor, durable: &Durable) -> Restored {
        let passed = signed(now - anchor.at);
        let believed = match self.boot == anchor.boot {
            true => Some(passed),
            false => Some(self.wall(now) - anchor.wall).filter(|elapsed| *elapsed >= 0),
        };
        let steady = signed(self.steady(now).as_millis());
        let at = |stored: Timestamp| {
            let ahead = signed(stored.as_millis()) - signed(anchor.steady.as_millis());
            let moved = steady
                .saturating_add(ahead)
                .saturating_sub(believed.unwrap_or_default());
            Timestamp::from_millis(u64::try_from(moved).unwrap_or_default())
        };
        let mut durable = durable.clone();
        for tat in [
            &mut durable.attempts,
            &mut durable.logins,
            &mut durable.host,
        ] {
            *tat = Tat(at(tat.0));
        }
        durable.held = durable.held.filter(|_| believed.is_some());
        if let Some(held) = &mut durable.held {
            (held.issued, held.expires) = (at(held.issued), held.expires.map(at));
        }
        if let Some(refresh) = &mut durable.refresh {
            refresh.expires = refresh.expires.map(at);
        }
        if let Some(deferral) = &mut durable.deferral {
            deferral.until = at(deferral.until);
        }
        let count = &mut durable.no_verdict;
        count.logins_from = count.logins_from.map(at);
        let believed = believed.unwrap_or_default();
        Restored {
            durable,
            ahead: u64::try_from(believed - passed).unwrap_or_default(),
            behind: u64::try_from(passed - believed).unwrap_or_default(),
        }
    }
}

/// Milliseconds as a duration.
pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn signed(at: u64) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}
