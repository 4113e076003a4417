//! Durations and times in words, and back.
//!
//! Owns how `4 min 10 s` reads, how long a duration on the command line may be, and that no text moves a cursor. The caller passes the
//! clock and the time zone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

pub(crate) use tokend_json::rfc3339;

const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Reads a duration in the common grammar; at most 30 days.
///
/// # Errors
/// A sentence that says what was expected.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    match tokend_notation::duration(text) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) => Err("it is longer than 30 days".to_owned()),
        Err(why) => Err(why.to_string()),
    }
}

/// A duration in its two largest units: `4 min 10 s`, `2 d 3 h`, `120 ms`. Fractions of a unit are cut.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let pair = |large: u64, name: &str, small: u64, unit: &str| match small {
        0 => format!("{large} {name}"),
        small => format!("{large} {name} {small} {unit}"),
    };
    match (days, hours, minutes, seconds) {
        (0, 0, 0, 0) => format!("{} ms", duration.as_millis()),
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => pair(minutes, "min", seconds % 60, "s"),
        (0, hours, minutes, _) => pair(hours, "h", minutes % 60, "min"),
        (days, hours, ..) => pair(days, "d", hours % 24, "h"),
    }
}

/// A future moment, both ways: `in 4 min 10 s (at 14:03:05)`. Rounded up, so that it is not too early.
pub(crate) fn moment(now: Timestamp, wait: Duration) -> String {
    let wait = match wait.subsec_nanos() {
        0 => wait,
        _ => Duration::from_secs(wait.as_secs().saturating_add(1)),
    };
    match wait {
        Duration::ZERO => "now".to_owned(),
        wait => {
            match now.checked_add(SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX)) {
                Ok(then) => format!("in {} ({})", duration(wait), clock_time(now, then)),
                Err(_) => format!("in {}", duration(wait)),
            }
        }
    }
}

/// A Unix time in milliseconds, seen from now: `in 4 min (at 14:03:05)`, or `now` once it has passed.
pub(crate) fn moment_at(now: Timestamp, ms: u64) -> String {
    moment(now, until(now, ms))
}

/// How long until a Unix time in milliseconds; zero once it has passed.
pub(crate) fn until(now: Timestamp, ms: u64) -> Duration {
    let now = u64::try_from(now.as_millisecond()).unwrap_or(0);
    Duration::from_millis(ms.saturating_sub(now))
}

/// How long since a Unix time in milliseconds.
pub(crate) fn since(now: Timestamp, ms: u64) -> Duration {
    let now = u64::try_from(now.as_millisecond()).unwrap_or(0);
    Duration::from_millis(now.saturating_sub(ms))
}

/// A time as RFC 3339 writes it, in whole seconds.
pub(crate) fn rfc3339_of(time: SystemTime) -> Option<String> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    rfc3339(u64::try_from(since.as_millis()).ok()?)
}

/// The local time of day.
pub(crate) fn time_of_day(now: Timestamp) -> String {
    let here = now.to_zoned(TimeZone::system());
    here.strftime("%H:%M:%S").to_string()
}

/// A text without characters that move a terminal's cursor: some texts come from a provider.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn clock_time(now: Timestamp, then: Timestamp) -> String {
    let zone = TimeZone::system();
    let (now, then) = (now.to_zoned(zone.clone()), then.to_zoned(zone));
    match now.date() == then.date() {
        true => then.strftime("at %H:%M:%S").to_string(),
        false => then.strftime("on %Y-%m-%d at %H:%M:%S").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations_up_to_a_month() {
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("30d"), Ok(LONGEST));
        for text in ["30d 1ms", "721h", "5w"] {
            let too_long = "it is longer than 30 days";
            assert_eq!(parse_duration(text).unwrap_err(), too_long, "{text}");
        }
        let message = parse_duration("PT5S").unwrap_err();
        assert!(
            message.starts_with("write a number and a unit: "),
            "{message}"
        );
    }

    #[test]
    fn says_durations() {
        let cases = [
            (0, "0 ms"),
            (120, "120 ms"),
            (12_000, "12 s"),
            (250_000, "4 min 10 s"),
            (3_600_000, "1 h"),
            (3_959_000, "1 h 5 min"),
            (183_600_000, "2 d 3 h"),
        ];
        for (ms, expected) in cases {
            assert_eq!(duration(Duration::from_millis(ms)), expected);
        }
    }

    #[test]
    fn says_moments() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        assert_eq!(moment(now, Duration::ZERO), "now");
        assert!(moment(now, Duration::from_millis(1)).starts_with("in 1 s (at "));
        assert!(moment(now, Duration::from_secs(172_800)).starts_with("in 2 d (on 2023-11-1"));
        assert_eq!(moment_at(now, 1_600_000_000_000), "now");
        assert!(moment(now, Duration::MAX).starts_with("in "));
    }

    #[test]
    fn writes_rfc_3339() {
        assert_eq!(rfc3339(1_700_000_000_999).unwrap(), "2023-11-14T22:13:20Z");
        assert_eq!(rfc3339(u64::MAX), None);
    }
}
