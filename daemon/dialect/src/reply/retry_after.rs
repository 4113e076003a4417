//! When a busy provider wants to be asked again.
//!
//! Owns turning seconds, dates and body values into one answer: of several the longest. It subtracts the reply's own `Date` where there is one, so
//! that the local clock does not matter; it never reads a clock.

use std::time::Duration;

use http::header;

use super::{
    lifetime::{LATEST, Reading, Told, duration},
    parsed::{Parsed, http_date},
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
    /// Both were told: whichever is later.
    Later(Duration, u64),
}

/// Numbers of seconds from here on are Unix times: of 2001 and later. As a wait it would be thirty years.
const UNIX_TIMES: f64 = 1e9;
/// And from here on such times are in milliseconds.
const UNIX_MILLISECONDS: f64 = 1e12;

/// The longest of what `Retry-After` headers (RFC 9110 section 10.2.3) and the dialect's places tell, else the rule's own time.
pub(crate) fn find(
    reply: &Parsed<'_>,
    places: &[Told],
    assumed: Option<Duration>,
) -> Option<RetryAfter> {
    let of_places = places.iter().filter_map(|told| {
        let unbounded = told.read_up_to(reply, f64::INFINITY)?;
        let is_span = !told.unit.is_time();
        Some(match unbounded {
            Reading::Seconds(seconds) if is_span => of_number(seconds),
            other => other,
        })
    });
    let (mut delay, mut at) = (None::<Duration>, None::<u64>);
    for reading in headers(reply).chain(of_places) {
        match (reading, reply.date()) {
            (Reading::Time(time), _) if time >= LATEST => delay = Some(LONGEST),
            (Reading::Time(time), Some(date)) => delay = delay.max(span(time - date)),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "not negative, and below 10^10"
            )]
            (Reading::Time(time), None) => at = at.max(Some(time.max(0.0).ceil() as u64)),
            (Reading::Seconds(seconds), _) => delay = delay.max(span(seconds)),
        }
    }
    match (delay, at) {
        (Some(delay), Some(at)) => Some(RetryAfter::Later(delay, at)),
        (Some(delay), None) => Some(RetryAfter::Delay(delay)),
        (None, Some(at)) => Some(RetryAfter::At(at)),
        (None, None) => assumed.map(|wait| RetryAfter::Delay(wait.min(LONGEST))),
    }
}

/// Whether a `Retry-After` header says something that can be understood.
pub(crate) fn is_in_header(reply: &Parsed<'_>) -> bool {
    headers(reply).next().is_some()
}

fn headers<'a>(reply: &'a Parsed<'_>) -> impl Iterator<Item = Reading> + 'a {
    let lines = reply.response.headers().get_all(header::RETRY_AFTER).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    // A list of times is none, but what joins lines of a header makes one of them.
    lines.flat_map(|line| match of_text(line) {
        Some(reading) => vec![reading],
        None => line.split(',').filter_map(of_text).collect(),
    })
}

fn of_text(text: &str) -> Option<Reading> {
    let text = text.trim();
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.');
    match text.starts_with(is_number) {
        true => text.parse().ok().map(of_number),
        false => http_date(text).map(Reading::Time),
    }
}

fn of_number(number: f64) -> Reading {
    match number {
        number if number >= UNIX_MILLISECONDS => Reading::Time(number / 1000.0),
        number if number >= UNIX_TIMES => Reading::Time(number),
        number => Reading::Seconds(number),
    }
}

fn span(seconds: f64) -> Option<Duration> {
    duration(seconds.max(0.0)).map(|wait| wait.min(LONGEST))
}
