//! The time at which a busy provider asks for the next attempt.
//!
//! Owns turning seconds, dates and body values into one answer; the longest wins. It subtracts the reply's own `Date` where there is one,
//! so that the local clock does not matter; it never reads a clock.

use std::time::Duration;

use http::header;

use super::{
    lifetime::{LATEST, LifetimeField, Reading, UNIX_TIMES, duration, rfc3339, unix},
    parsed::{Parsed, http_date},
};

/// Longer waits are cut to this: a provider that asks for a year has made a mistake.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// The time of the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// After this time, counted from the reply; at most seven days.
    Delay(Duration),
    /// At this time, in Unix seconds by the provider's clock: the reply had no `Date` to subtract.
    At(u64),
    /// The reply stated both: the later one counts.
    Later(Duration, u64),
}

/// The longest time from `Retry-After` headers (RFC 9110 section 10.2.3) and the dialect's places, else the rule's own time.
pub(crate) fn find(
    reply: &Parsed<'_>,
    places: &[LifetimeField],
    assumed: Option<Duration>,
) -> Option<RetryAfter> {
    let of_places = places.iter().filter_map(|field| {
        Some(match field.read(reply, f64::INFINITY)? {
            Reading::Seconds(seconds) if !field.unit.is_time() => of_number(seconds),
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

/// Whether a `Retry-After` header has a valid value.
pub(crate) fn is_in_header(reply: &Parsed<'_>) -> bool {
    headers(reply).next().is_some()
}

fn headers<'a>(reply: &'a Parsed<'_>) -> impl Iterator<Item = Reading> + 'a {
    let lines = reply.response.headers().get_all(header::RETRY_AFTER).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    // A list is not a valid value, but joining header lines produces one.
    lines.flat_map(|line| match of_text(line) {
        Some(reading) => vec![reading],
        None => members(line).filter_map(|it| of_text(&it)).collect(),
    })
}

/// The parts between commas, except for the comma after the weekday of a date.
fn members(line: &str) -> impl Iterator<Item = String> + '_ {
    let mut parts = line.split(',').map(str::trim);
    std::iter::from_fn(move || {
        let part = parts.next()?;
        let is_weekday = part.len() >= 3 && part.chars().all(|c| c.is_ascii_alphabetic());
        let rest = is_weekday.then(|| parts.next()).flatten();
        Some(rest.map_or_else(|| part.to_owned(), |rest| format!("{part}, {rest}")))
    })
}

/// A number of seconds or a date, as in RFC 9110, and the variants of real servers: a unit after the number, quotes, parameters, an RFC
/// 3339 date, or a date with another notation of the zone.
fn of_text(text: &str) -> Option<Reading> {
    let text = text.split(';').next().unwrap_or(text);
    let text = text.trim().trim_matches('"').trim();
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.');
    if let Some(number) = text.parse().ok().filter(|_| text.starts_with(is_number)) {
        return Some(of_number(number));
    }
    if let Ok(span) = tokend_notation::duration(text) {
        return Some(Reading::Seconds(span.as_secs_f64()));
    }
    let zones = [" UTC", " Z", " +0000", " -0000"];
    let bare = zones.iter().find_map(|zone| text.strip_suffix(zone));
    let date = match bare {
        Some(bare) => http_date(&format!("{bare} GMT")),
        None => http_date(text),
    };
    date.or_else(|| rfc3339(text)).map(Reading::Time)
}

fn of_number(number: f64) -> Reading {
    match unix(number) {
        time if time >= UNIX_TIMES && number.is_finite() => Reading::Time(time),
        _ => Reading::Seconds(number),
    }
}

fn span(seconds: f64) -> Option<Duration> {
    duration(seconds.max(0.0)).map(|wait| wait.min(LONGEST))
}
