//! The length of a duration such as `1h 30m`.
//!
//! Owns the one grammar of durations. Each place decides which durations make sense there, and how it reports others.

use std::time::Duration;

/// Why a text is not a duration. Says what to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotADuration {
    /// A number alone.
    #[error(
        "the unit is missing; write a number and a unit: `500ms`, `90s`, `45m`, `1h 30m`, `7d`"
    )]
    NoUnit,
    /// Something else.
    #[error("write a number and a unit: `500ms`, `90s`, `45m`, `1h 30m`, `7d`")]
    Unreadable,
    /// Longer than any limit allows.
    #[error("it is longer than anything here lasts")]
    TooLong,
}

/// The units, from the longest to the shortest, each with its length in milliseconds. A day is 24 hours.
const UNITS: [(&str, u64); 6] = [
    ("w", 7 * 24 * 60 * 60 * 1000),
    ("d", 24 * 60 * 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// Other names of units that people write.
const NAMES: [(&str, &str); 14] = [
    ("week", "w"),
    ("weeks", "w"),
    ("day", "d"),
    ("days", "d"),
    ("hr", "h"),
    ("hour", "h"),
    ("hours", "h"),
    ("min", "m"),
    ("minute", "m"),
    ("minutes", "m"),
    ("sec", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("millis", "ms"),
];

/// Reads `500ms`, `90s`, `45m`, `1h 30m`, `1h30m`, `7d`, `2w`: whole numbers with units, the longest unit first and none twice, with
/// or without blanks between them.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(tokend_notation::duration("1h 30m"), Ok(Duration::from_secs(5400)));
/// assert_eq!(tokend_notation::duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
/// ```
///
/// # Errors
/// [`NotADuration`], which says what to write.
pub fn duration(text: &str) -> Result<Duration, NotADuration> {
    let mut rest = text.trim_matches(' ');
    let mut sum = 0_u64;
    // The index in UNITS from which a unit may still come.
    let mut next = 0;
    while !rest.is_empty() {
        let (number, behind) = split(rest, |c| c.is_ascii_digit());
        let (unit, behind) = split(behind.trim_start_matches(' '), |c| c.is_ascii_alphabetic());
        match (number, unit) {
            ("", _) => return Err(NotADuration::Unreadable),
            (_, "") if behind.is_empty() => return Err(NotADuration::NoUnit),
            _ => {}
        }
        let (at, length) = known(unit).ok_or(NotADuration::Unreadable)?;
        if at < next {
            return Err(NotADuration::Unreadable);
        }
        next = at + 1;
        let number: u64 = number.parse().map_err(|_| NotADuration::TooLong)?;
        let part = number.checked_mul(length).ok_or(NotADuration::TooLong)?;
        sum = sum.checked_add(part).ok_or(NotADuration::TooLong)?;
        rest = behind.trim_start_matches(' ');
    }
    match next {
        0 => Err(NotADuration::Unreadable),
        _ => Ok(Duration::from_millis(sum)),
    }
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// A unit's place in [`UNITS`], and its length.
fn known(unit: &str) -> Option<(usize, u64)> {
    let name = NAMES.iter().find(|(name, _)| *name == unit);
    let unit = name.map_or(unit, |(_, unit)| unit);
    let at = UNITS.iter().position(|(short, _)| *short == unit)?;
    UNITS.get(at).map(|(_, length)| (at, *length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_that_documents_show_is_read() {
        let table = [
            ("500ms", 500),
            ("30s", 30_000),
            ("90s", 90_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("1 h 30 m", 5_400_000),
            (" 1h ", 3_600_000),
            ("1d12h", 129_600_000),
            ("2d", 172_800_000),
            ("7d", 604_800_000),
            ("1w", 604_800_000),
            ("1 hour 30 minutes", 5_400_000),
            ("2days", 172_800_000),
            ("1m 1s 1ms", 61_001),
            ("0s", 0),
            ("0d", 0),
            ("721h", 2_595_600_000),
        ];
        for (text, ms) in table {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_what_to_write() {
        for text in [
            "", " ", "s", "d", "-5s", "PT5S", "5s ago", "5parsecs", "1.5h", "d5s", "٣s", "5s5h",
            "5s 5s", "1m1h", "1h, 30m", "01:30:00", "5\ts", "5S", "5Ms", "1h30m!",
        ] {
            assert_eq!(duration(text), Err(NotADuration::Unreadable), "{text}");
        }
        for text in ["30", "1h30", "1h 30"] {
            assert_eq!(duration(text), Err(NotADuration::NoUnit), "{text}");
        }
        for text in ["99999999999999999999s", "18446744073709551615w"] {
            assert_eq!(duration(text), Err(NotADuration::TooLong), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parts_add_up(hours in 0..1_000_000_u64, minutes in 0..1_000_000_u64, ms in 0..1_000_000_u64) {
            let sum = Duration::from_millis(hours * 3_600_000 + minutes * 60_000 + ms);
            prop_assert_eq!(duration(&format!("{hours}h {minutes}m{ms}ms")), Ok(sum));
        }

        #[test]
        fn no_text_makes_it_fail(text in ".*") {
            let _read = duration(&text);
        }
    }
}
