//! Pacing: how often a provider may be asked.
//!
//! Owns the arithmetic of rate limits, using `governor`. The whole state is one number, the theoretical arrival time (TAT) of GCRA, so
//! it can be stored before a request leaves and restored as it was. Never waits, never reads a clock.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use crate::time::Timestamp;

/// A limit: a burst, and one more every period.
///
/// In any window of length `w` at most `burst + w / period` debits succeed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    burst: NonZeroU32,
    /// In nanoseconds: each account has two rates, and the longest period fits many times over.
    period: u64,
}

/// The longest period a rate may have. Longer ones would make the arithmetic of a full burst overflow.
pub const LONGEST_PERIOD: Duration = Duration::from_secs(31 * 24 * 3600);
/// The largest burst a rate may have.
pub const LARGEST_BURST: u32 = 1_000_000;

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rate")
            .field("burst", &self.burst)
            .field("period", &self.period())
            .finish()
    }
}

impl Rate {
    /// A rate of `burst` at once and one more every `period`.
    ///
    /// `None` for a burst of zero or above [`LARGEST_BURST`], a period under a millisecond or above [`LONGEST_PERIOD`], or a
    /// full burst that takes longer than ten years to come back.
    #[must_use]
    pub fn new(burst: u32, period: Duration) -> Option<Self> {
        let rate = Self {
            burst: NonZeroU32::new(burst)?,
            period: u64::try_from(period.as_nanos()).ok()?,
        };
        let refill = period.checked_mul(burst)?;
        let fits = burst <= LARGEST_BURST
            && period >= Duration::from_millis(1)
            && period <= LONGEST_PERIOD
            && refill <= Duration::from_secs(10 * 366 * 24 * 3600);
        fits.then_some(rate)
    }

    /// How many may happen at once.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst.get()
    }

    /// How long it takes until one more is allowed.
    #[must_use]
    pub const fn period(self) -> Duration {
        Duration::from_nanos(self.period)
    }

    /// Asks for one at `now`. The new state, or the earliest time at which it will be granted.
    ///
    /// # Errors
    /// The time before which the pace allows no more.
    pub fn debit(self, tat: Tat, now: Timestamp) -> Result<Tat, Timestamp> {
        let (result, after) = self.measure(tat, now);
        result.map(|_left| after)
    }

    /// How many are left at `now`, and when the next one is allowed (`now` when one is left).
    #[must_use]
    pub fn left(self, tat: Tat, now: Timestamp) -> (u32, Timestamp) {
        match self.measure(tat, now).0 {
            Ok(left) => (left, now),
            Err(earliest) => (0, earliest),
        }
    }

    /// A stored state, limited to a full burst from `now`: a clock that was wrong must not block an account for years.
    #[must_use]
    pub fn clamp(self, tat: Tat, now: Timestamp) -> Tat {
        Tat(tat
            .0
            .min(now.after(self.period().saturating_mul(self.burst.get()))))
    }

    /// The state after a request that was debited earlier and was over by `at`.
    ///
    /// The provider counts requests when they arrive, which is later than their debit. Charged again at their end, no window at the
    /// provider holds more than the rate allows, however slow the store and the network are.
    #[must_use]
    pub fn spent(self, tat: Tat, at: Timestamp) -> Tat {
        tat.max(Tat(at.after(self.period())))
    }

    /// The state after `count` more at `now`, whether or not the pace allows them.
    #[must_use]
    pub fn charge(self, tat: Tat, now: Timestamp, count: u32) -> Tat {
        Tat(tat.0.max(now).after(self.period().saturating_mul(count)))
    }

    fn measure(self, tat: Tat, now: Timestamp) -> (Result<u32, Timestamp>, Tat) {
        let Some(quota) = Quota::with_period(self.period()) else {
            return (Err(Timestamp::FAR), tat); // Not reachable: `new` refuses a period of zero.
        };
        let stamp = Stamp(Cell::new(Nanos::from(0)));
        let cell = TatCell(Cell::new(nanos(tat.0)));
        // Built while the stamp is zero, so that the limiter starts at zero and the TAT is an absolute time.
        let limiter = RateLimiter::<_, _, _, StateInformationMiddleware>::new(
            quota.allow_burst(self.burst),
            cell,
            &stamp,
        );
        stamp.0.set(nanos(now));
        let result = match limiter.check() {
            Ok(snapshot) => Ok(snapshot
                .remaining_burst_capacity()
                .saturating_add(1)
                .min(self.burst.get())),
            Err(refusal) => Err(stamp_at_or_after(refusal.earliest_possible())),
        };
        let after = limiter.into_state_store().0.get();
        (result, Tat(stamp_at_or_after(after)))
    }
}

/// The state of a pace: the theoretical arrival time of GCRA, on the steady clock. Zero is a pace never used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Tat(pub Timestamp);

/// Nanoseconds since the origin of the steady clock; 2^64 of them reach the year 2554.
fn nanos(at: Timestamp) -> Nanos {
    Nanos::from(at.as_millis().saturating_mul(1_000_000))
}

fn stamp_at_or_after(nanos: Nanos) -> Timestamp {
    Timestamp::from_millis(nanos.as_u64().div_ceil(1_000_000))
}

/// governor's clock: a stamp that the caller sets.
struct Stamp(Cell<Nanos>);

impl Clock for &Stamp {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.get()
    }
}

/// governor's state: one TAT.
struct TatCell(Cell<Nanos>);

impl StateStore for TatCell {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, next) = f(Some(self.0.get()))?;
        self.0.set(next);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests;
