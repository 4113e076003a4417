//! Lifetimes and retry times: units, absolute times, clamps, and numbers that make no sense.

use std::time::Duration;

use tokend_dialect::{
    Dialect, ExchangeKind, Fields, Grant, LifetimeSource, ProviderReply, RetryAfter,
};

use crate::support::*;

mod over;
mod retry;

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
        assert_eq!(grant.lifetime_source, LifetimeSource::Stated);
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
            (seconds(599), LifetimeSource::StatedTime),
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
        (seconds(59), LifetimeSource::StatedTime)
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
        let message = dialect.read_reply(
            ExchangeKind::Login,
            &response(200, &[("x-life", "60")], body),
            &Fields::new(),
        );
        assert_eq!(
            granted(message).lifetime,
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
        (seconds(0), LifetimeSource::Stated)
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
fn a_builtin_dialect_takes_a_token_that_lasts_fifty_years() {
    let dialect = builtin("oauth2");
    let body = r#"{"access_token":"a","refresh_token":"r","expires_in":1576800000,"refresh_expires_in":1576800000}"#;
    let grant = dated(&dialect, body);
    assert_eq!(grant.lifetime, seconds(366 * 86_400));
    assert!(grant.refresh_lifetime > seconds(9 * 366 * 86_400));
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
            (seconds(599), LifetimeSource::StatedTime),
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
