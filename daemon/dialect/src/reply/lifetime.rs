//! The lifetime of a token: stated in the reply, computed from a JWT, or assumed.
//!
//! Owns units, absolute times and clamps. It must never use the local clock: an absolute time counts from the reply's own `Date` header or
//! from the token's `iat`, so that a wrong local clock does no harm. Where a fraction of a second was lost, the result must never be
//! longer than the provider's lifetime.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{Timestamp, civil, tz::TimeZone};
use serde_json::Value;

use super::parsed::{Parsed, Place, http_date, is_nothing};

/// The longest JWT payload that is decoded, in bytes of base64.
const JWT_LIMIT: usize = 32 * 1024;
/// Larger Unix times (from year 2286 on) are not taken as times.
pub(crate) const LATEST: f64 = 1e10;
/// Numbers of seconds from here on may be Unix times of 2001 and later. As a duration this is thirty years.
pub(super) const UNIX_TIMES: f64 = 1e9;
/// The beginning of 2026. Every provider's clock is later, so without a reference only a later number counts as a Unix time.
const WRITTEN: f64 = 1_767_225_600.0;
/// How long before the reply, in seconds, a time in the place of a duration may lie and still count as an expired time. Providers that
/// answer with a cached token do so only about as long as the token lives. An earlier value is a duration of decades.
const LATELY: f64 = 30.0 * 86_400.0;

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
    Field(LifetimeField),
    Jwt(Token),
}

/// A number or time at a place of the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LifetimeField {
    pub(crate) place: Place,
    pub(crate) unit: Unit,
    /// For a time: the place of the provider's current time, to count from.
    pub(crate) since: Option<Box<Self>>,
}

/// The result of looking up a lifetime.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) lifetime: Option<Duration>,
    pub(crate) source: LifetimeSource,
    /// Why a stated lifetime could not be used, if no source was usable.
    pub(crate) unusable: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Access,
    Refresh,
}

impl Token {
    fn claims(self, access: &str, refresh: Option<&str>) -> Option<Claims> {
        Claims::of(match self {
            Self::Access => access,
            Self::Refresh => refresh?,
        })
    }
}

/// Which of several sources applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    First,
    Shortest,
}

/// A dialect's names for units.
pub(crate) const UNITS: &[(&str, Unit)] = &[
    ("seconds", Unit::Seconds),
    ("milliseconds", Unit::Milliseconds),
    ("minutes", Unit::Minutes),
    ("unix-seconds", Unit::UnixSeconds),
    ("unix-milliseconds", Unit::UnixMilliseconds),
    ("rfc3339", Unit::Rfc3339),
    ("http-date", Unit::HttpDate),
    ("retry-after", Unit::RetryAfter),
];

/// The unit of a number or text in a reply.
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

impl Unit {
    /// The name of the unit in a dialect.
    pub(crate) fn name(self) -> &'static str {
        let known = UNITS.iter().find(|(_, unit)| *unit == self);
        known.map_or("", |(name, _)| name)
    }

    /// Whether it is always a time, and never a number of seconds.
    pub(crate) fn is_time(self) -> bool {
        match self {
            Self::UnixSeconds | Self::UnixMilliseconds | Self::Rfc3339 | Self::HttpDate => true,
            Self::Seconds | Self::Milliseconds | Self::Minutes | Self::RetryAfter => false,
        }
    }
}

/// The source of a grant's lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifetimeSource {
    /// The reply stated a duration.
    Stated,
    /// The reply stated a time, counted from the reply's own date or the token's `iat`.
    StatedTime,
    /// The JWT's `exp`, unverified, counted from the reply's own date or the token's `iat`.
    Jwt,
    /// The dialect's assumption; the reply stated nothing usable.
    Assumed,
    /// Unknown: use the token until an API rejects it.
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
                .map(unix)
                .filter(|time| (0.0..LATEST).contains(time))
        };
        Some(Self {
            exp: time("exp"),
            iat: time("iat"),
        })
    }
}

/// Seconds from the reply until `time`. Both references are the provider's own clocks; the shorter result is the safer one.
///
/// `Date` and most `iat` have whole seconds, so the real time may be up to a second later. Servers that write `exp` with a fraction may
/// drop it when they check (PyJWT does). Both errors are subtracted, but never more than half of the rest, since the shortest lifetimes
/// would otherwise become zero.
fn until(time: f64, references: [Option<f64>; 2]) -> Option<f64> {
    let span = |from: f64| {
        let left = time - from;
        let surely = time.floor() - (from.floor() + 1.0);
        (left > 0.0).then(|| surely.max(left / 2.0))
    };
    let spans = references.into_iter().flatten().filter_map(span);
    spans.min_by(f64::total_cmp)
}

impl LifetimePlan {
    /// Looks a lifetime up. `access` and `refresh` are the tokens of the reply.
    pub(crate) fn find(&self, reply: &Parsed<'_>, access: &str, refresh: Option<&str>) -> Found {
        let iat = Claims::of(access).and_then(|claims| claims.iat);
        let mut found = self.from.iter().filter_map(|from| match from {
            Origin::Field(field) => field.duration(reply, iat),
            Origin::Jwt(token) => {
                let claims = token.claims(access, refresh)?;
                let seconds = until(claims.exp?, [reply.date(), claims.iat])?;
                Some((duration(seconds)?, LifetimeSource::Jwt))
            }
        });
        let taken = match self.take {
            Take::First => found.next(),
            Take::Shortest => found.min_by_key(|(lifetime, _)| *lifetime),
        };
        let bounded = |lifetime: Duration| Some(lifetime.max(self.min).min(self.max));
        let (lifetime, source) = match (taken, self.assumed) {
            (Some((lifetime, source)), _) => (bounded(lifetime), source),
            // Less remains than the configured minimum.
            (None, _) if let Some(source) = self.expired(reply, access, refresh) => {
                (Some(Duration::ZERO), source)
            }
            (None, Some(assumed)) => (bounded(assumed), LifetimeSource::Assumed),
            (None, None) => (None, LifetimeSource::Unknown),
        };
        let unusable = match taken {
            Some(_) => None,
            None => self.unusable(reply, access, refresh),
        };
        Found {
            lifetime,
            source,
            unusable,
        }
    }

    /// The first source whose time is in the past by all of the provider's clocks: the token has expired.
    fn expired(
        &self,
        reply: &Parsed<'_>,
        access: &str,
        refresh: Option<&str>,
    ) -> Option<LifetimeSource> {
        let iat = Claims::of(access).and_then(|claims| claims.iat);
        self.from.iter().find_map(|from| match from {
            Origin::Field(field) => field
                .is_past(reply, iat)
                .then_some(LifetimeSource::StatedTime),
            Origin::Jwt(token) => {
                let claims = token.claims(access, refresh)?;
                let is_past = is_past(claims.exp?, [reply.date(), claims.iat]);
                is_past.then_some(LifetimeSource::Jwt)
            }
        })
    }

    /// Why no source is usable; a reason about a time comes before one about an invalid value.
    fn unusable(&self, reply: &Parsed<'_>, access: &str, refresh: Option<&str>) -> Option<String> {
        let iat = Claims::of(access).and_then(|claims| claims.iat);
        let why = |from: &Origin| match from {
            Origin::Field(field) => field.unusable(reply, iat),
            Origin::Jwt(token) => {
                let claims = token.claims(access, refresh)?;
                let name = match token {
                    Token::Access => "access",
                    Token::Refresh => "refresh",
                };
                let references = [reply.date(), claims.iat];
                let why = why_uncountable(claims.exp?, &references, "the token an `iat`");
                Some((true, format!("`exp` of the {name} token {why}")))
            }
        };
        let mut found: Vec<(bool, String)> = self.from.iter().filter_map(why).collect();
        found.sort_by_key(|(is_time, _)| !is_time);
        found.into_iter().next().map(|(_, why)| why)
    }
}

/// Whether there is a reference, and the time is past by all of them.
fn is_past(time: f64, references: [Option<f64>; 2]) -> bool {
    let mut known = references.into_iter().flatten().peekable();
    known.peek().is_some() && known.all(|from| from >= time)
}

/// Why a time cannot be turned into a duration. `other` names what a reply without a `Date` could count from.
fn why_uncountable(time: f64, references: &[Option<f64>], other: &str) -> String {
    let is_past = references.iter().flatten().any(|from| *from >= time);
    match is_past {
        true => "is over already by the provider's own clock".to_owned(),
        false => {
            format!("is a time with nothing to count it from: the reply has no `Date`, nor {other}")
        }
    }
}

impl LifetimeField {
    fn duration(&self, reply: &Parsed<'_>, iat: Option<f64>) -> Option<(Duration, LifetimeSource)> {
        match self.read_lifetime(reply, iat)? {
            Reading::Seconds(seconds) => Some((duration(seconds)?, LifetimeSource::Stated)),
            Reading::Time(time) => {
                let left = until(time, self.references(reply, iat))?;
                Some((duration(left)?, LifetimeSource::StatedTime))
            }
        }
    }

    /// The value at the place, as a lifetime. A number that may be a Unix time counts as one if it is in the future or only recently past.
    /// Otherwise it is a duration, from a provider whose tokens last for decades.
    fn read_lifetime(&self, reply: &Parsed<'_>, iat: Option<f64>) -> Option<Reading> {
        let reading = self.read(reply, LATEST)?;
        let Reading::Time(time) = reading else {
            return Some(reading);
        };
        let mut known = self.references(reply, iat).into_iter().flatten().peekable();
        let is_time = match known.peek() {
            Some(_) => known.any(|from| time >= from - LATELY),
            None => time > WRITTEN,
        };
        Some(match self.unit {
            Unit::Seconds if !is_time => Reading::Seconds(time),
            _ => reading,
        })
    }

    /// The references a time counts from, where known.
    fn references(&self, reply: &Parsed<'_>, iat: Option<f64>) -> [Option<f64>; 2] {
        match self.reference(reply) {
            Some(now) => [Some(now), None],
            None => [reply.date(), iat],
        }
    }

    /// Whether the place holds a time that is past.
    fn is_past(&self, reply: &Parsed<'_>, iat: Option<f64>) -> bool {
        match self.read_lifetime(reply, iat) {
            Some(Reading::Time(time)) => is_past(time, self.references(reply, iat)),
            Some(Reading::Seconds(_)) | None => false,
        }
    }

    /// The provider's time as the reply states it.
    fn reference(&self, reply: &Parsed<'_>) -> Option<f64> {
        match self.since.as_ref()?.read(reply, LATEST)? {
            Reading::Time(time) => Some(time),
            Reading::Seconds(_) => None,
        }
    }

    /// Why the value at the place is unusable, and whether it is a time. `None` if the place is empty.
    fn unusable(&self, reply: &Parsed<'_>, iat: Option<f64>) -> Option<(bool, String)> {
        let value = self.place.find(reply)?;
        if value.as_str().is_some_and(is_nothing) {
            return None;
        }
        let place = &self.place;
        Some(match self.read_lifetime(reply, iat) {
            Some(Reading::Time(time)) => {
                let references = [self.reference(reply), reply.date(), iat];
                let other = match &self.since {
                    Some(since) => format!("a time at `{}`", since.place),
                    None => "the token an `iat`; `since` can name a place in the reply".to_owned(),
                };
                let why = why_uncountable(time, &references, &other);
                (true, format!("`{place}` {why}"))
            }
            Some(Reading::Seconds(_)) => (false, format!("`{place}` is a negative number")),
            None => (
                false,
                format!("`{place}` cannot be read as {}", self.unit.name()),
            ),
        })
    }

    /// The number of seconds or the time at the place, if it is valid and not after `latest`.
    pub(crate) fn read(&self, reply: &Parsed<'_>, latest: f64) -> Option<Reading> {
        let value = self.place.find(reply)?;
        let text = || value.as_str().map(str::trim);
        let span = |factor: f64| number(&value).map(|number| Reading::Seconds(number * factor));
        let time = |seconds: f64| {
            (1.0..latest)
                .contains(&seconds)
                .then_some(Reading::Time(seconds))
        };
        match self.unit {
            Unit::Seconds => match number(&value)? {
                // Probably meant for the other member of that name; as a duration it would be thirty years.
                number if (UNIX_TIMES..LATEST).contains(&unix(number)) => time(unix(number)),
                number => Some(Reading::Seconds(number)),
            },
            Unit::Milliseconds => span(0.001),
            Unit::Minutes => span(60.0),
            Unit::UnixSeconds => time(unix(number(&value)?)),
            Unit::UnixMilliseconds => time(number(&value)? / 1000.0),
            Unit::Rfc3339 => time(rfc3339(text()?)?),
            Unit::HttpDate => time(http_date(text()?)?),
            Unit::RetryAfter => span(1.0).or_else(|| time(http_date(text()?)?)),
        }
    }
}

/// The value at a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reading {
    /// A number of seconds from the reply.
    Seconds(f64),
    /// Seconds since the epoch.
    Time(f64),
}

/// A positive duration from seconds, limited before any arithmetic uses it; `None` for zero or negative seconds.
pub(crate) fn duration(seconds: f64) -> Option<Duration> {
    const TEN_YEARS: f64 = 10.0 * 366.0 * 24.0 * 3600.0;
    (seconds >= 0.0)
        .then(|| Duration::try_from_secs_f64(seconds.min(TEN_YEARS)).ok())
        .flatten()
}

/// A Unix time in seconds, from one that may be in milliseconds or microseconds: no token expires fifty thousand years from now.
pub(super) fn unix(number: f64) -> f64 {
    match number {
        number if number >= 1e15 => number / 1e6,
        number if number >= 1e12 => number / 1e3,
        number => number,
    }
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

/// RFC 3339, or ISO 8601 without an offset, which servers use for UTC.
pub(super) fn rfc3339(text: &str) -> Option<f64> {
    let time = text.parse::<Timestamp>().ok().or_else(|| {
        let civil: civil::DateTime = text.parse().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })?;
    Some(time.as_duration().as_secs_f64())
}
