//! Reads the rate limits for providers.

use std::time::Duration;

use tokend_document::{Diagnostics, Section, Value};
use tokend_engine::{LARGEST_BURST, LONGEST_PERIOD, Rate};

/// Limits on how often a provider is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pacing {
    /// All attempts of the account.
    pub attempts: Rate,
    /// Its logins, which also count as attempts.
    pub logins: Rate,
    /// All attempts at the provider's host. Where accounts on one host differ, the strictest limit counts.
    pub host: Rate,
    /// How many attempts may be in flight at the provider's host at once.
    pub host_in_flight: u32,
}

/// A `pacing` table. A missing value comes from the next level: account, then defaults, then dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct PacingTable {
    attempts: Option<Rate>,
    logins: Option<Rate>,
    host: Option<Rate>,
    host_in_flight: Option<u32>,
}

impl PacingTable {
    /// Reads `pacing` of a table, if it is there.
    pub(super) fn read(table: &mut Section<'_>, diagnostics: &mut Diagnostics) -> Self {
        let Some(mut section) = table.section("pacing", diagnostics) else {
            return Self::default();
        };
        let pacing = Self {
            attempts: section.read("attempts", diagnostics, rate),
            logins: section.read("logins", diagnostics, rate),
            host: section.read("host", diagnostics, rate),
            host_in_flight: section.read("host_in_flight", diagnostics, in_flight),
        };
        section.finish(diagnostics);
        pacing
    }

    /// This table, with missing values from `other`.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            attempts: self.attempts.or(other.attempts),
            logins: self.logins.or(other.logins),
            host: self.host.or(other.host),
            host_in_flight: self.host_in_flight.or(other.host_in_flight),
        }
    }

    /// This table, with missing values from the dialect.
    pub(super) fn over(self, dialect: Pacing) -> Pacing {
        Pacing {
            attempts: self.attempts.unwrap_or(dialect.attempts),
            logins: self.logins.unwrap_or(dialect.logins),
            host: self.host.unwrap_or(dialect.host),
            host_in_flight: self.host_in_flight.unwrap_or(dialect.host_in_flight),
        }
    }
}

fn in_flight(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<u32> {
    value.integer(1..=10_000, diagnostics)
}

/// `{ burst = 5, every = "1m" }`
fn rate(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Rate> {
    if !value.is_table() {
        let help =
            "write `{ burst = 5, every = \"1m\" }`: five at once, then one a minute".to_owned();
        let found = format!("expected a rate, found {}", value.kind());
        return value.wrong(diagnostics, found, help);
    }
    let mut section = value.section(diagnostics)?;
    let burst = section.require("burst", "how many may happen at once", diagnostics);
    let burst = burst.and_then(|value| value.integer(1..=LARGEST_BURST, diagnostics));
    let what = "how long one takes to come back, such as \"1m\"";
    let every = section.require("every", what, diagnostics);
    let range = Duration::from_millis(1)..=LONGEST_PERIOD;
    let every = every.and_then(|value| value.duration(range, diagnostics));
    section.finish(diagnostics);
    let (burst, every) = (burst?, every?);
    Rate::new(burst, every).or_else(|| {
        let help = "make the burst smaller or the period shorter".to_owned();
        let message = "a full burst would take longer than ten years to come back";
        value.wrong(diagnostics, message, help)
    })
}
