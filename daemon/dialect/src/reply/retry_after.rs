//! When a busy provider wants to be asked again.
//!
//! Owns turning seconds, dates and body values into one answer. It subtracts the reply's own `Date` where there is one, so
//! that the local clock does not matter; it never reads a clock.

use std::time::Duration;

use http::header;

use super::{
    lifetime::{Reading, Told, Unit, duration},
    parsed::{Parsed, Place},
};

/// Longer waits than this are cut: a provider that says a year has made a mistake.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// When to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// After this time, counted from the reply; at most seven days.
    Delay(Duration),
    /// At this time, in Unix seconds by the provider's clock: the reply had no `Date` to subtract.
    At(u64),
}

/// The `Retry-After` header (RFC 9110 section 10.2.3), then the dialect's places, then the rule's own time.
pub(crate) fn find(
    reply: &Parsed<'_>,
    places: &[Told],
    assumed: Option<Duration>,
) -> Option<RetryAfter> {
    let told = in_header(reply).or_else(|| places.iter().find_map(|told| told.read(reply)));
    match told {
        Some(Reading::Seconds(seconds)) => duration(seconds.max(0.0)).map(delay),
        Some(Reading::Time(time)) => match reply.date() {
            Some(date) => duration((time - date).max(0.0)).map(delay),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "read as 1 to 10^10"
            )]
            None => Some(RetryAfter::At(time.ceil() as u64)),
        },
        None => assumed.map(delay),
    }
}

/// What the `Retry-After` header says, if that can be understood.
pub(crate) fn in_header(reply: &Parsed<'_>) -> Option<Reading> {
    let place = Place::header(header::RETRY_AFTER);
    Told {
        place,
        unit: Unit::RetryAfter,
        since: None,
    }
    .read(reply)
}

fn delay(wait: Duration) -> RetryAfter {
    RetryAfter::Delay(wait.min(LONGEST))
}
