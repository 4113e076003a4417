//! How long a token lives: told in the reply, computed from a JWT, or assumed.
//!
//! Owns units, absolute times and clamps. It must never use the local clock: an absolute time counts from the reply's own
//! `Date` header or from the token's `iat`, so that a wrong local clock does no harm. Where a fraction of a second was lost it
//! must never guess that the token lives longer than its provider means.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{Timestamp, civil, tz::TimeZone};
use serde_json::Value;

use super::parsed::{Parsed, Place, http_date};

/// The longest JWT payload that is decoded, in bytes of base64.
const JWT_LIMIT: usize = 32 * 1024;
/// Unix times from here on (year 2286) are taken to be no times at all.
const LATEST: f64 = 1e10;

/// Where lifetimes are found, in order of precedence, and their bounds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LifetimePlan {
    pub(crate) from: Vec<Origin>,
    pub(crate) take: Take,
    pub(crate) assumed: Option<Duration>,
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Told(Told),
    Jwt(Token),
}

/// A number or time at a place of the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) place: Place,
    pub(crate) unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Access,
    Refresh,
}

/// Which of several sources is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    First,
    Shortest,
}

/// What a number or text in a reply means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Milliseconds,
    Minutes,
    UnixSeconds,
    UnixMilliseconds,
    Rfc3339,
    HttpDate,
    /// Seconds, or a date: RFC 9110 section 10.2.3.
    RetryAfter,
}

/// Where a grant's lifetime comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifetimeSource {
    /// The reply said a duration.
    Told,
    /// The reply said a time, counted from the reply's own date or the token's `iat`.
    ToldTime,
    /// The JWT's `exp`, unverified, counted from the reply's own date or the token's `iat`.
    Jwt,
    /// The dialect's assumption; the reply said nothing that could be used.
    Assumed,
    /// Nothing is known: use the token until an API refuses it.
    Unknown,
}

/// `exp` and `iat` of an unverified JWT. They may be floats, and either may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Claims {
    pub(crate) exp: Option<f64>,
    pub(crate) iat: Option<f64>,
}

impl Claims {
    /// Reads the payload of anything that looks like a JWT, whatever its `alg`.
    pub(crate) fn of(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        if payload.len() > JWT_LIMIT {
            return None;
        }
        let json = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        let claims: Value = serde_json::from_slice(&json).ok()?;
        let time = |name| {
            claims
                .get(name)
                .and_then(number)
                .filter(|time| (0.0..LATEST).contains(time))
        };
        Some(Self {
            exp: time("exp"),
            iat: time("iat"),
        })
    }

    /// Seconds that remain: from the reply's date where that says something, but never more than from `iat`.
    fn remaining(self, date: Option<f64>) -> Option<f64> {
        until(self.exp?, date, self.iat)
    }
}

/// Seconds from the reply until `time`. Both references are the provider's own clocks; the shorter answer is the safer.
///
/// `Date` and most `iat` have whole seconds: what follows may have happened up to a second later. Servers that write `exp` with a
/// fraction may cut it off when they check (PyJWT does). Both are taken off, but never more than half of what is left, as the
/// shortest lifetimes would otherwise be none at all.
fn until(time: f64, date: Option<f64>, iat: Option<f64>) -> Option<f64> {
    let span = |from: f64| {
        let left = time - from;
        let surely = time.floor() - (from.floor() + 1.0);
        (left > 0.0).then(|| surely.max(left / 2.0))
    };
    let spans = [date, iat].into_iter().flatten().filter_map(span);
    spans.min_by(f64::total_cmp)
}

impl LifetimePlan {
    /// Looks a lifetime up. `access` and `refresh` are the tokens of the reply.
    pub(crate) fn find(
        &self,
        reply: &Parsed<'_>,
        access: &str,
        refresh: Option<&str>,
    ) -> (Option<Duration>, LifetimeSource) {
        let iat = Claims::of(access).and_then(|claims| claims.iat);
        let mut found = self.from.iter().filter_map(|from| match from {
            Origin::Told(told) => told.duration(reply, iat),
            Origin::Jwt(token) => {
                let token = if *token == Token::Access {
                    Some(access)
                } else {
                    refresh
                };
                let seconds = Claims::of(token?)?.remaining(reply.date())?;
                Some((duration(seconds)?, LifetimeSource::Jwt))
            }
        });
        let taken = match self.take {
            Take::First => found.next(),
            Take::Shortest => found.min_by_key(|(lifetime, _)| *lifetime),
        };
        let (lifetime, source) = match (taken, self.assumed) {
            (Some((lifetime, source)), _) => (lifetime, source),
            (None, Some(assumed)) => (assumed, LifetimeSource::Assumed),
            (None, None) => return (None, LifetimeSource::Unknown),
        };
        (Some(lifetime.max(self.min).min(self.max)), source)
    }
}

impl Told {
    fn duration(&self, reply: &Parsed<'_>, iat: Option<f64>) -> Option<(Duration, LifetimeSource)> {
        match self.read(reply)? {
            Reading::Seconds(seconds) => Some((duration(seconds)?, LifetimeSource::Told)),
            Reading::Time(time) => Some((
                duration(until(time, reply.date(), iat)?)?,
                LifetimeSource::ToldTime,
            )),
        }
    }

    /// The number of seconds or the time that stands at the place, if it makes sense.
    pub(crate) fn read(&self, reply: &Parsed<'_>) -> Option<Reading> {
        let value = self.place.find(reply)?;
        let text = || value.as_str().map(str::trim);
        let span = |factor: f64| number(&value).map(|number| Reading::Seconds(number * factor));
        let time = |seconds: f64| {
            (1.0..LATEST)
                .contains(&seconds)
                .then_some(Reading::Time(seconds))
        };
        match self.unit {
            Unit::Seconds => span(1.0),
            Unit::Milliseconds => span(0.001),
            Unit::Minutes => span(60.0),
            Unit::UnixSeconds => time(number(&value)?),
            Unit::UnixMilliseconds => time(number(&value)? / 1000.0),
            Unit::Rfc3339 => time(rfc3339(text()?)?),
            Unit::HttpDate => time(http_date(text()?)?),
            Unit::RetryAfter => span(1.0).or_else(|| time(http_date(text()?)?)),
        }
    }
}

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reading {
    /// A number of seconds from the reply.
    Seconds(f64),
    /// Seconds since the epoch.
    Time(f64),
}

/// A duration from seconds: not from negative ones or none at all, and bounded before anybody computes with it.
pub(crate) fn duration(seconds: f64) -> Option<Duration> {
    const TEN_YEARS: f64 = 10.0 * 366.0 * 24.0 * 3600.0;
    (seconds >= 0.0)
        .then(|| Duration::try_from_secs_f64(seconds.min(TEN_YEARS)).ok())
        .flatten()
}

/// A JSON number, or a string that holds one.
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number: &f64| number.is_finite())
}

/// RFC 3339, or ISO 8601 without an offset, which servers write when they mean UTC.
fn rfc3339(text: &str) -> Option<f64> {
    let time = text.parse::<Timestamp>().ok().or_else(|| {
        let civil: civil::DateTime = text.parse().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })?;
    Some(time.as_duration().as_secs_f64())
}
