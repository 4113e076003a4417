//! How often a provider may be asked: the defaults a dialect states for its accounts.
//!
//! Owns the numbers only; keeping the pace is the engine's work.

use std::time::Duration;

/// A GCRA limit: a burst, and then one per period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRate {
    /// How many may come at once after a long rest; at least one.
    pub burst: u32,
    /// After the burst one is allowed in each period; never zero.
    pub period: Duration,
}

/// Default pacing of a dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultPacing {
    /// All attempts of one account.
    pub attempts: DefaultRate,
    /// Logins of one account, counted in addition to `attempts`.
    pub logins: DefaultRate,
    /// All attempts at one provider host.
    pub host: DefaultRate,
    /// Attempts in flight at one provider host at the same time.
    pub host_in_flight: u32,
}

impl DefaultPacing {
    /// The limits of a dialect that sets none: about the pace of a careful person.
    pub(crate) const CAREFUL: Self = Self {
        attempts: rate(3, 60),
        logins: rate(2, 600),
        host: rate(10, 1),
        host_in_flight: 4,
    };
}

const fn rate(burst: u32, seconds: u64) -> DefaultRate {
    let period = Duration::from_secs(seconds);
    DefaultRate { burst, period }
}
