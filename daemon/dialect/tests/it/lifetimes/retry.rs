//! When to come back, in header and body.

use super::*;

#[test]
fn retry_after_in_seconds_or_as_a_date() {
    let dialect = builtin("oauth2");
    let retry = |headers: &[(&str, &str)]| match dialect.read_reply(
        ExchangeKind::Login,
        &response(503, headers, ""),
        &Fields::new(),
    ) {
        ProviderReply::Busy { retry_after, .. } => retry_after,
        other => panic!("{other:?}"),
    };
    let delay = |seconds| Some(RetryAfter::Delay(Duration::from_secs(seconds)));
    let later = "Sat, 21 Nov 2026 12:01:40 GMT";
    assert_eq!(retry(&[]), None);
    assert_eq!(retry(&[("retry-after", "120")]), delay(120));
    assert_eq!(retry(&[("retry-after", later), ("date", DATE)]), delay(100));
    assert_eq!(retry(&[("retry-after", DATE), ("date", later)]), delay(0));
    assert_eq!(
        retry(&[("retry-after", later)]),
        Some(RetryAfter::At(DATE_UNIX + 100))
    );
    assert_eq!(retry(&[("retry-after", "-5")]), delay(0));
    assert_eq!(
        retry(&[("retry-after", "99999999999")]),
        delay(7 * 24 * 3600)
    );
    for nonsense in ["tomorrow", "inf", "NaN", ""] {
        assert_eq!(retry(&[("retry-after", nonsense)]), None, "{nonsense}");
    }
}

#[test]
fn of_several_times_to_retry_the_longest_counts_and_one_beyond_the_range_is_the_longest() {
    let dialect = dialect(
        "[login]\npath = \"/l\"\nbody.form = { u = \"{username}\" }\n[reply]\nretry_after = [\"/wait\", { at = \"/at\", unit = \"unix-seconds\" }]",
    );
    let retry = |headers: &[(&str, &str)], body: &str| {
        let reply = dialect.read_reply(
            ExchangeKind::Login,
            &response(429, headers, body.to_owned()),
            &Fields::new(),
        );
        let ProviderReply::Busy { retry_after, .. } = reply else {
            panic!("{reply:?}")
        };
        retry_after
    };
    let delay = |seconds| Some(RetryAfter::Delay(Duration::from_secs(seconds)));
    let week = 7 * 24 * 3600;
    let dated = ("date", DATE);
    assert_eq!(
        retry(&[("retry-after", "2"), ("retry-after", "90")], "{}"),
        delay(90)
    );
    assert_eq!(retry(&[("retry-after", "90, 2")], "{}"), delay(90));
    assert_eq!(
        retry(&[("retry-after", "2")], r#"{"wait":300}"#),
        delay(300)
    );
    assert_eq!(
        retry(&[("retry-after", "400")], r#"{"wait":300}"#),
        delay(400)
    );
    for far in [
        "1e999",
        "99999999999999999999",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ] {
        assert_eq!(retry(&[("retry-after", far)], "{}"), delay(week), "{far}");
    }
    assert_eq!(retry(&[dated], r#"{"at":99999999999}"#), delay(week));
    // A Unix time is not a number of seconds to wait.
    let unix = (DATE_UNIX + 60).to_string();
    assert_eq!(retry(&[("retry-after", &unix), dated], "{}"), delay(60));
    let milliseconds = ((DATE_UNIX + 60) * 1000).to_string();
    assert_eq!(
        retry(&[("retry-after", &milliseconds), dated], "{}"),
        delay(60)
    );
    assert_eq!(retry(&[dated], &format!(r#"{{"wait":{unix}}}"#)), delay(60));
    assert_eq!(
        retry(&[("retry-after", "5")], &format!(r#"{{"at":{unix}}}"#)),
        Some(RetryAfter::Later(Duration::from_secs(5), DATE_UNIX + 60))
    );
}

/// RFC 9110 has seconds and dates of one form; servers have more.
#[test]
fn a_time_to_retry_is_understood_as_servers_write_it() {
    let dialect = builtin("oauth2");
    let retry = |text: &str| match dialect.read_reply(
        ExchangeKind::Login,
        &response(429, &[("retry-after", text), ("date", DATE)], ""),
        &Fields::new(),
    ) {
        ProviderReply::Busy { retry_after, .. } => retry_after,
        other => panic!("{other:?}"),
    };
    for text in [
        "100",
        "\"100\"",
        "100s",
        "1m 40s",
        "100 seconds",
        "100;comment=x",
        " , 100",
        "+100",
        "Sat, 21 Nov 2026 12:01:40 GMT",
        "Sat, 21 Nov 2026 12:01:40 UTC",
        "Sat, 21 Nov 2026 12:01:40 +0000",
        "Sat, 21 Nov 2026 12:01:40 -0000",
        "Sat, 21 Nov 2026 12:00:10 GMT, Sat, 21 Nov 2026 12:01:40 GMT",
        "2, Sat, 21 Nov 2026 12:01:40 GMT, 3",
        "2026-11-21T12:01:40Z",
        "2026-11-21T14:01:40+02:00",
        "1795262500",
        "1795262500000",
        "1795262500000000",
    ] {
        let expected = Some(RetryAfter::Delay(Duration::from_secs(100)));
        assert_eq!(retry(text), expected, "{text}");
    }
    for nonsense in [
        "Sat",
        "Sat,",
        ",",
        ";",
        "\"",
        "0x64",
        "100 years ago",
        "-",
        "1.2.3",
    ] {
        assert_eq!(retry(nonsense), None, "{nonsense}");
    }
}

#[test]
fn retry_after_from_the_body_when_the_header_says_nothing() {
    let dialect = dialect(
        "[login]\npath = \"/l\"\nbody.form = { u = \"{username}\" }\n[reply]\nretry_after = [{ at = \"/retry_after_ms\", unit = \"milliseconds\" }]",
    );
    let retry = |headers: &[(&str, &str)]| {
        let reply = dialect.read_reply(
            ExchangeKind::Login,
            &response(429, headers, r#"{"retry_after_ms":2500}"#),
            &Fields::new(),
        );
        let ProviderReply::Busy { retry_after, .. } = reply else {
            panic!("{reply:?}")
        };
        retry_after
    };
    assert_eq!(
        retry(&[]),
        Some(RetryAfter::Delay(Duration::from_millis(2500)))
    );
    assert_eq!(
        retry(&[("retry-after", "9")]),
        Some(RetryAfter::Delay(Duration::from_secs(9)))
    );
}
