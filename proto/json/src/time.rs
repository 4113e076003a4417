//! Times as texts.

use jiff::Timestamp;

/// A Unix time in milliseconds after RFC 3339, cut to whole seconds, in UTC; `None` beyond the year 9999.
#[must_use]
pub fn rfc3339(ms: u64) -> Option<String> {
    let seconds = i64::try_from(ms / 1000).ok()?;
    let time = Timestamp::from_second(seconds).ok()?;
    Some(time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_cut_to_seconds_and_none_is_beyond_9999() {
        assert_eq!(
            rfc3339(1_700_000_000_999).as_deref(),
            Some("2023-11-14T22:13:20Z")
        );
        assert_eq!(rfc3339(u64::MAX), None);
    }
}
