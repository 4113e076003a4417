//! Tokens that are over, and times that stand where a duration is expected.

use super::*;

/// Thirty years and more are no life of a token.
#[test]
fn a_time_in_the_place_of_a_duration_is_a_time() {
    let message =
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
            dated(&message(unit), &body).lifetime,
            seconds(599),
            "{unit} {x}"
        );
        let bare = granted(read(&message(unit), ExchangeKind::Login, 200, &body));
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
    let forever = dated(
        &message("seconds"),
        r#"{"access_token":"a","x":99999999999}"#,
    );
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
                    LifetimeSource::Stated,
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
        assert_eq!(grant.lifetime_source, LifetimeSource::StatedTime, "{how}");
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
