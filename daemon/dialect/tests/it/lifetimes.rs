//! Lifetimes and retry times: units, absolute times, clamps, and numbers that make no sense.

use std::time::Duration;

use tokend_dialect::{
    Dialect, ExchangeKind, Fields, Grant, LifetimeSource, ProviderReply, RetryAfter,
};

use crate::support::*;

fn with_lifetime(lifetime: &str) -> Dialect {
    dialect(&format!(
        "[login]\npath = \"/l\"\nbody.form = {{ u = \"{{username}}\" }}\n[reply]\nlifetime = {lifetime}"
    ))
}

/// A grant from a reply with a `Date` header.
fn dated(dialect: &Dialect, body: &str) -> Grant {
    granted(dialect.read_reply(
        ExchangeKind::Login,
        &response(200, &[("date", DATE)], body.to_owned()),
        &Fields::new(),
    ))
}

#[test]
fn units() {
    for (unit, value, expected) in [
        ("seconds", "90", 90_000),
        ("seconds", "\" 90 \"", 90_000),
        ("seconds", "1.5", 1_500),
        ("seconds", "\"1e2\"", 100_000),
        ("milliseconds", "4952", 4_952),
        ("minutes", "45", 2_700_000),
    ] {
        let dialect = with_lifetime(&format!(
            "{{ from = [{{ at = \"/x\", unit = \"{unit}\" }}] }}"
        ));
        let grant = grant(
            &dialect,
            ExchangeKind::Login,
            &format!(r#"{{"access_token":"a","x":{value}}}"#),
        );
        assert_eq!(
            grant.lifetime,
            Some(Duration::from_millis(expected)),
            "{unit} {value}"
        );
        assert_eq!(grant.lifetime_source, LifetimeSource::Told);
    }
}

#[test]
fn absolute_times_count_from_the_date_of_the_reply() {
    let later = DATE_UNIX + 600;
    for (unit, value) in [
        ("unix-seconds", later.to_string()),
        ("unix-seconds", format!("\"{later}.0\"")),
        ("unix-milliseconds", format!("{later}000")),
        ("rfc3339", "\"2026-11-21T12:10:00Z\"".to_owned()),
        ("rfc3339", "\"2026-11-21 12:10:00\"".to_owned()),
        ("http-date", "\"Sat, 21 Nov 2026 12:10:00 GMT\"".to_owned()),
    ] {
        let text = format!("{{ from = [{{ at = \"/x\", unit = \"{unit}\" }}], assumed = \"5m\" }}");
        let dialect = with_lifetime(&text);
        let body = format!(r#"{{"access_token":"a","x":{value}}}"#);
        let grant = dated(&dialect, &body);
        assert_eq!(
            (grant.lifetime, grant.lifetime_source),
            (seconds(599), LifetimeSource::ToldTime),
            "{unit} {value}"
        );
        // Without a reference the assumption holds: the local clock is nobody's reference.
        let reply = read(&dialect, ExchangeKind::Login, 200, &body);
        let grant = granted(reply);
        assert_eq!(
            (grant.lifetime, grant.lifetime_source),
            (seconds(300), LifetimeSource::Assumed)
        );
    }
}

#[test]
fn an_absolute_time_may_count_from_the_iat_of_the_token() {
    let dialect = with_lifetime("{ from = [{ at = \"/x\", unit = \"unix-seconds\" }] }");
    let token = jwt(r#"{"iat": 1000000000}"#);
    let grant = grant(
        &dialect,
        ExchangeKind::Login,
        &format!(r#"{{"access_token":"{token}","x":1000000060}}"#),
    );
    assert_eq!(
        (grant.lifetime, grant.lifetime_source),
        (seconds(59), LifetimeSource::ToldTime)
    );
}

#[test]
fn a_jwt_counts_from_iat_or_date_whichever_leaves_less() {
    let dialect = with_lifetime("{ from = [{ jwt = \"access_token\" }], assumed = \"5m\" }");
    let (date, exp) = (DATE_UNIX, DATE_UNIX + 600);
    for (payload, with_date, without) in [
        (format!(r#"{{"exp":{exp}}}"#), 599, 300),
        (format!(r#"{{"exp":{exp},"iat":{date}}}"#), 599, 599),
        // A token from the provider's cache has lived for a while already.
        (
            format!(r#"{{"exp":{exp},"iat":{}}}"#, date - 3000),
            599,
            3599,
        ),
        // A date that is far off must not make a token look dead.
        (
            r#"{"exp":1000000600,"iat":1000000000}"#.to_owned(),
            599,
            599,
        ),
        (format!(r#"{{"iat":{date}}}"#), 300, 300),
        (format!(r#"{{"exp":"{exp}"}}"#), 599, 300),
        (r#"{"exp":-5,"iat":"x"}"#.to_owned(), 300, 300),
        (r#"{"exp":1e300}"#.to_owned(), 300, 300),
    ] {
        let body = format!(r#"{{"access_token":"{}"}}"#, jwt(&payload));
        assert_eq!(
            dated(&dialect, &body).lifetime,
            seconds(with_date),
            "{payload} with a date"
        );
        assert_eq!(
            grant(&dialect, ExchangeKind::Login, &body).lifetime,
            seconds(without),
            "{payload} without"
        );
    }
}

#[test]
fn fractions_that_were_lost_never_make_a_token_live_longer() {
    let dialect = with_lifetime("{ from = [{ jwt = \"access_token\" }], assumed = \"5m\" }");
    let date = DATE_UNIX;
    for (exp, iat, expected) in [
        // Four seconds from 12:00:00.9: a server that cuts `exp` off refuses the token after 3.1 s.
        ("4.9", "0.9", 3_000),
        ("4.1", "0.1", 3_000),
        ("4.999999", "0.999999", 3_000),
        // Both cut off by the server itself, after which it looks the same.
        ("4", "0", 3_000),
        // Cut off with nothing before it.
        ("2.5", "0.5", 1_000),
        // So short that a second is too much to take off.
        ("1", "0", 500),
        ("1.75", "0.75", 500),
        ("0.75", "0.25", 250),
    ] {
        let time = |text: &str| {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
            let whole = date + whole.parse::<u64>().unwrap();
            if text.contains('.') {
                format!("{whole}.{fraction}")
            } else {
                whole.to_string()
            }
        };
        let token = jwt(&format!(r#"{{"exp":{},"iat":{}}}"#, time(exp), time(iat)));
        let body = format!(r#"{{"access_token":"{token}"}}"#);
        let expected = Some(Duration::from_millis(expected));
        assert_eq!(dated(&dialect, &body).lifetime, expected, "{exp}, {iat}");
        assert_eq!(
            grant(&dialect, ExchangeKind::Login, &body).lifetime,
            expected,
            "{exp}, {iat} without a date"
        );
    }
}

#[test]
fn what_is_no_jwt_says_nothing() {
    let dialect = with_lifetime("{ from = [{ jwt = \"access_token\" }], assumed = \"5m\" }");
    for token in ["a.b", "a.b.c", "..", "a.e30.c", "a.W10.c", "opaque"] {
        let grant = dated(&dialect, &format!(r#"{{"access_token":"{token}"}}"#));
        assert_eq!(
            (grant.lifetime, grant.lifetime_source),
            (seconds(300), LifetimeSource::Assumed),
            "{token}"
        );
    }
}

#[test]
fn numbers_that_make_no_sense_are_passed_over() {
    let dialect = with_lifetime("{ from = [\"/x\", { header = \"x-life\" }], assumed = \"5m\" }");
    for value in [
        "-1", "null", "true", "\"soon\"", "\"NaN\"", "\"inf\"", "{}", "[60]",
    ] {
        let body = format!(r#"{{"access_token":"a","x":{value}}}"#);
        assert_eq!(
            grant(&dialect, ExchangeKind::Login, &body).lifetime,
            seconds(300),
            "{value}"
        );
        let told = dialect.read_reply(
            ExchangeKind::Login,
            &response(200, &[("x-life", "60")], body),
            &Fields::new(),
        );
        assert_eq!(
            granted(told).lifetime,
            seconds(60),
            "{value}: the next place is asked"
        );
    }
}

#[test]
fn zero_is_told_and_huge_is_cut() {
    let dialect = with_lifetime("{ from = [\"/x\"], assumed = \"5m\" }");
    let life = |value: &str| {
        grant(
            &dialect,
            ExchangeKind::Login,
            &format!(r#"{{"access_token":"a","x":{value}}}"#),
        )
    };
    assert_eq!(
        (life("0").lifetime, life("0").lifetime_source),
        (seconds(0), LifetimeSource::Told)
    );
    for huge in ["999999999999", "1e300", "18446744073709551616", "\"1e30\""] {
        assert_eq!(life(huge).lifetime, seconds(366 * 24 * 3600), "{huge}");
    }
}

#[test]
fn bounds_and_precedence() {
    let bounded = with_lifetime("{ from = [\"/x\", \"/y\"], min = \"1m\", max = \"1h\" }");
    let life = |dialect: &Dialect, members: &str| {
        grant(
            dialect,
            ExchangeKind::Login,
            &format!(r#"{{"access_token":"a"{members}}}"#),
        )
        .lifetime
    };
    assert_eq!(life(&bounded, r#","x":5"#), seconds(60));
    assert_eq!(life(&bounded, r#","x":7200"#), seconds(3600));
    assert_eq!(life(&bounded, r#","x":120,"y":90"#), seconds(120));
    assert_eq!(life(&bounded, ""), None);
    let shortest = with_lifetime("{ from = [\"/x\", \"/y\"], take = \"shortest\" }");
    assert_eq!(life(&shortest, r#","x":120,"y":90"#), seconds(90));
    assert_eq!(life(&shortest, r#","x":120,"y":-90"#), seconds(120));
}

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
        let told = Some(RetryAfter::Delay(Duration::from_secs(100)));
        assert_eq!(retry(text), told, "{text}");
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

/// Thirty years and more are no life of a token.
#[test]
fn a_time_in_the_place_of_a_duration_is_a_time() {
    let told =
        |unit: &str| with_lifetime(&format!(r#"{{ from = {{ at = "/x", unit = "{unit}" }} }}"#));
    let at = DATE_UNIX + 600;
    for (unit, x) in [
        ("seconds", format!("{at}")),
        ("seconds", format!("\"{at}\"")),
        ("seconds", format!("{at}000")),
        ("unix-seconds", format!("{at}000")),
        ("unix-seconds", format!("{at}000000")),
        ("unix-seconds", format!("{at}")),
    ] {
        let body = format!(r#"{{"access_token":"a","x":{x}}}"#);
        assert_eq!(
            dated(&told(unit), &body).lifetime,
            seconds(599),
            "{unit} {x}"
        );
        let bare = granted(read(&told(unit), ExchangeKind::Login, 200, &body));
        assert_eq!(bare.lifetime, None, "{unit} {x}");
        let remark = bare.remarks.join("; ");
        assert!(
            remark.contains("a time with nothing to count it from"),
            "{remark}"
        );
    }
    let claims = format!(r#"{{"exp":{at}000,"iat":{DATE_UNIX}000}}"#);
    let body = format!(r#"{{"access_token":"{}"}}"#, jwt(&claims));
    let of_token = with_lifetime(r#"{ from = { jwt = "access_token" } }"#);
    assert_eq!(dated(&of_token, &body).lifetime, seconds(599));
    // What is no time either is as long as anything.
    let forever = dated(&told("seconds"), r#"{"access_token":"a","x":99999999999}"#);
    assert!(forever.lifetime > seconds(300 * 86_400));
}

#[test]
fn a_number_of_seconds_that_would_be_a_time_in_the_past_is_the_duration_it_says() {
    let year = seconds(366 * 86_400);
    for take in ["first", "shortest"] {
        let dialect = with_lifetime(&format!(r#"{{ from = "/x", take = "{take}" }}"#));
        for x in [
            "1576800000",
            "1000000000",
            "\"1577836800\"",
            "1420070400000",
        ] {
            let body = format!(r#"{{"access_token":"a","x":{x}}}"#);
            let token = jwt(&format!(r#"{{"iat":{DATE_UNIX}}}"#));
            let issued = format!(r#"{{"access_token":"{token}","x":{x}}}"#);
            for (grant, how) in [
                (dated(&dialect, &body), "Date"),
                (
                    granted(read(&dialect, ExchangeKind::Login, 200, &body)),
                    "nothing",
                ),
                (
                    granted(read(&dialect, ExchangeKind::Login, 200, &issued)),
                    "iat",
                ),
            ] {
                assert_eq!(grant.lifetime, year, "{x} with {how}");
                assert_eq!(
                    grant.lifetime_source,
                    LifetimeSource::Told,
                    "{x} with {how}"
                );
                assert!(grant.remarks.is_empty(), "{:?}", grant.remarks);
            }
        }
        // The largest number of 32 bits is far off either way.
        let body = r#"{"access_token":"a","x":2147483647}"#;
        assert_eq!(dated(&dialect, body).lifetime, year);
        let bare = granted(read(&dialect, ExchangeKind::Login, 200, body));
        assert_eq!(bare.lifetime, None, "until an API refuses it");
    }
}

#[test]
fn a_time_in_the_place_of_a_duration_that_passed_lately_is_a_token_that_is_over() {
    let over = |grant: &Grant, how: &str| {
        assert_eq!(grant.lifetime, seconds(0), "{how}");
        assert_eq!(grant.lifetime_source, LifetimeSource::ToldTime, "{how}");
        assert!(!grant.remarks.is_empty(), "{how}");
    };
    for take in ["first", "shortest"] {
        let dialect = with_lifetime(&format!(
            r#"{{ from = "/x", take = "{take}", assumed = "10m" }}"#
        ));
        for ago in [0, 1, 3600, 29 * 86_400] {
            let x = DATE_UNIX - ago;
            for x in [x.to_string(), format!("\"{x}\""), format!("{x}000")] {
                let body = format!(r#"{{"access_token":"a","x":{x}}}"#);
                over(&dated(&dialect, &body), &format!("{x} with Date"));
                let token = jwt(&format!(r#"{{"iat":{DATE_UNIX}}}"#));
                let body = format!(r#"{{"access_token":"{token}","x":{x}}}"#);
                let grant = granted(read(&dialect, ExchangeKind::Login, 200, &body));
                over(&grant, &format!("{x} with iat"));
            }
        }
        let long_ago = DATE_UNIX - 31 * 86_400;
        let body = format!(r#"{{"access_token":"a","x":{long_ago}}}"#);
        assert_eq!(dated(&dialect, &body).lifetime, seconds(366 * 86_400));
    }
    let passed = DATE_UNIX - 1;
    let body = format!(r#"{{"access_token":"a","refresh_token":"r","expires_in":{passed}}}"#);
    over(&dated(&builtin("oauth2"), &body), "a built-in dialect");
}

#[test]
fn a_builtin_dialect_takes_a_token_that_lasts_fifty_years() {
    let dialect = builtin("oauth2");
    let body = r#"{"access_token":"a","refresh_token":"r","expires_in":1576800000,"refresh_expires_in":1576800000}"#;
    let grant = dated(&dialect, body);
    assert_eq!(grant.lifetime, seconds(366 * 86_400));
    assert!(grant.refresh_lifetime > seconds(9 * 366 * 86_400));
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

#[test]
fn a_time_counts_from_the_time_that_the_reply_itself_tells() {
    let later = DATE_UNIX + 600;
    for (source, issued) in [
        (
            r#"{ at = "/x", unit = "unix-seconds", since = "/issued" }"#,
            DATE_UNIX.to_string(),
        ),
        (
            r#"{ at = "/x", unit = "unix-seconds", since = { at = "/issued", unit = "unix-milliseconds" } }"#,
            format!("{DATE_UNIX}000"),
        ),
        (
            r#"{ at = "/x", unit = "unix-seconds", since = { at = "/issued", unit = "rfc3339" } }"#,
            "\"2026-11-21T12:00:00Z\"".to_owned(),
        ),
        (
            r#"{ at = "/x", unit = "unix-seconds", since = { at = "/issued", unit = "http-date" } }"#,
            format!("\"{DATE}\""),
        ),
    ] {
        let dialect = with_lifetime(&format!("{{ from = [{source}], assumed = \"5m\" }}"));
        let body = format!(r#"{{"access_token":"a","x":{later},"issued":{issued}}}"#);
        let grant = granted(read(&dialect, ExchangeKind::Login, 200, &body));
        assert_eq!(
            (grant.lifetime, grant.lifetime_source),
            (seconds(599), LifetimeSource::ToldTime),
            "{source}"
        );
        assert!(grant.remarks.is_empty(), "{:?}", grant.remarks);
        // It is the reply's own word, whatever the header says; without it the header counts.
        let odd = [("date", "Sat, 21 Nov 2020 12:00:00 GMT")];
        let dated_oddly = response(200, &odd, body);
        let grant = granted(dialect.read_reply(ExchangeKind::Login, &dated_oddly, &Fields::new()));
        assert_eq!(grant.lifetime, seconds(599));
        let without = format!(r#"{{"access_token":"a","x":{later}}}"#);
        assert_eq!(dated(&dialect, &without).lifetime, seconds(599));
    }
}

#[test]
fn a_token_that_is_over_by_its_providers_own_clock_has_no_life_and_not_the_assumed_one() {
    let over = DATE_UNIX - 60;
    let date: &[(&str, &str)] = &[("date", DATE)];
    let expired = jwt(&format!(r#"{{"exp":{over}}}"#));
    let born_so = jwt(&format!(r#"{{"exp":{over},"iat":{over}}}"#));
    let unix = r#"at = "/x", unit = "unix-seconds""#;
    let cases = [
        (
            format!("{{ {unix} }}"),
            format!(r#"{{"access_token":"a","x":{over}}}"#),
            date,
        ),
        (
            format!("{{ {unix}, since = \"/issued\" }}"),
            format!(r#"{{"access_token":"a","x":{over},"issued":{DATE_UNIX}}}"#),
            &[],
        ),
        (
            r#"{ jwt = "access_token" }"#.to_owned(),
            format!(r#"{{"access_token":"{expired}"}}"#),
            date,
        ),
        (
            r#"{ jwt = "access_token" }"#.to_owned(),
            format!(r#"{{"access_token":"{born_so}"}}"#),
            &[],
        ),
    ];
    for (source, body, headers) in &cases {
        for take in ["first", "shortest"] {
            let lifetime = |from: &str| {
                format!(r#"{{ from = [{from}], take = "{take}", assumed = "5m", min = "1m" }}"#)
            };
            let grant = |from: &str, body: &str| {
                let response = response(200, headers, body.to_owned());
                let dialect = with_lifetime(&lifetime(from));
                let reply = dialect.read_reply(ExchangeKind::Login, &response, &fields(&[]));
                granted(reply.assuming(Some(Duration::from_secs(600))))
            };
            let over = grant(source, body);
            assert_eq!(over.lifetime, Some(Duration::ZERO), "{body}");
            let remark = over.remarks.join("; ");
            assert!(remark.contains("the token is not handed out"), "{remark}");
            assert!(
                remark.contains("is over already by the provider's own clock"),
                "{remark}"
            );
            // What another source says counts.
            let body = body.replacen('{', r#"{"y":90,"#, 1);
            let said = grant(&format!(r#"{source}, "/y""#), &body);
            assert_eq!(said.lifetime, Some(Duration::from_secs(90)), "{body}");
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn an_expiry_that_was_told_and_cannot_be_used_is_told() {
    let at =
        |unit: &str| format!(r#"{{ from = [{{ at = "/x", unit = "{unit}" }}], assumed = "5m" }}"#);
    let later = DATE_UNIX + 600;
    let jwt = jwt(&format!(r#"{{"exp":{later}}}"#));
    for (lifetime, body, says) in [
        (
            at("unix-seconds"),
            format!(r#"{{"access_token":"a","x":{later}}}"#),
            "`/x` is a time with nothing to count it from",
        ),
        (
            at("unix-seconds"),
            format!(r#"{{"access_token":"a","x":{later}}}"#),
            "`since` can name a place",
        ),
        (
            at("rfc3339"),
            r#"{"access_token":"a","x":"soon"}"#.to_owned(),
            "`/x` cannot be read as rfc3339",
        ),
        (
            at("seconds"),
            r#"{"access_token":"a","x":-1}"#.to_owned(),
            "`/x` is a negative number",
        ),
        (
            at("seconds"),
            r#"{"access_token":"a","x":{"s":1}}"#.to_owned(),
            "`/x` cannot be read as seconds",
        ),
        (
            r#"{ from = { jwt = "access_token" } }"#.to_owned(),
            format!(r#"{{"access_token":"{jwt}"}}"#),
            "`exp` of the access token is a time with nothing",
        ),
        (
            r#"{ from = { at = "/x", unit = "unix-seconds", since = "/issued" } }"#.to_owned(),
            format!(r#"{{"access_token":"a","x":{later}}}"#),
            "a time at `/issued`",
        ),
        (
            r#"{ from = { at = "/x", unit = "unix-seconds", since = "/issued" } }"#.to_owned(),
            format!(r#"{{"access_token":"a","x":{later},"issued":{later}}}"#),
            "is over already",
        ),
    ] {
        let dialect = with_lifetime(&lifetime);
        let grant = granted(read(&dialect, ExchangeKind::Login, 200, &body));
        let remark = grant.remarks.join("; ");
        assert!(remark.contains(says), "{body}: {remark}");
        assert!(!remark.contains(&later.to_string()), "{remark}");
        let shown = dialect.explain_reply(ExchangeKind::Login, &response(200, &[], body));
        assert!(shown.contains(says), "{shown}");
    }
    // Nothing was told, or another source says it.
    for body in [
        r#"{"access_token":"a"}"#,
        r#"{"access_token":"a","x":null}"#,
        r#"{"access_token":"a","x":"null"}"#,
    ] {
        let grant = granted(read(
            &with_lifetime(&at("rfc3339")),
            ExchangeKind::Login,
            200,
            body,
        ));
        assert!(grant.remarks.is_empty(), "{body}: {:?}", grant.remarks);
    }
    let either = with_lifetime(r#"{ from = [{ at = "/x", unit = "rfc3339" }, "/y"] }"#);
    let grant = granted(read(
        &either,
        ExchangeKind::Login,
        200,
        r#"{"access_token":"a","x":"soon","y":60}"#,
    ));
    assert!(grant.remarks.is_empty() && grant.lifetime == seconds(60));
}

#[test]
fn what_an_account_assumes_comes_before_what_the_dialect_does_and_after_what_is_told() {
    let dialect = with_lifetime(r#"{ from = "/x", assumed = "5m" }"#);
    let assuming = |body: &str| {
        let reply = read(&dialect, ExchangeKind::Login, 200, body);
        granted(reply.assuming(Some(Duration::from_secs(42)))).lifetime
    };
    assert_eq!(assuming(r#"{"access_token":"a"}"#), seconds(42));
    assert_eq!(assuming(r#"{"access_token":"a","x":60}"#), seconds(60));
}

#[test]
fn a_reference_is_a_time_of_a_time() {
    for (source, says) in [
        (
            r#"{ at = "/x", since = "/y" }"#,
            "beside a number of seconds",
        ),
        (
            r#"{ at = "/x", unit = "minutes", since = "/y" }"#,
            "beside a number of minutes",
        ),
        (
            r#"{ at = "/x", unit = "rfc3339", since = { at = "/y", unit = "seconds" } }"#,
            "`since` is not a time",
        ),
        (
            r#"{ at = "/x", unit = "rfc3339", since = { at = "/y" } }"#,
            "`since` is not a time",
        ),
        (
            r#"{ at = "/x", unit = "rfc3339", since = { at = "/y", unit = "rfc3339", since = "/z" } }"#,
            "unknown key `since`",
        ),
        (r#"{ at = "/x", unit = "rfc3339", since = 17 }"#, "table"),
    ] {
        let text = format!(
            "[login]\npath = \"/l\"\nbody.form = {{ u = \"{{username}}\" }}\n[reply]\nlifetime = {{ from = [{source}] }}"
        );
        let error = try_dialect(&text).unwrap_err();
        assert!(shown(&error).contains(says), "{}", shown(&error));
    }
}
