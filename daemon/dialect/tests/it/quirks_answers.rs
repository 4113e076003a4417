//! What real servers were seen to answer: quirks 1 to 9 of the list of real servers, one test or more for each.

use std::time::Duration;

use tokend_dialect::{
    ExchangeKind, Fields, LifetimeSource, Processed, ProviderReply, REFRESH_TOKEN,
};

use crate::support::*;

const LOGIN: &str = "[login]\npath = \"/login\"\nbody.form = { username = \"{username}\", password = \"{password}\" }\n";

#[test]
fn quirk_01_expires_in_string() {
    let dialect = builtin("oauth2");
    let life = |body: &str| grant(&dialect, ExchangeKind::Login, body).lifetime;
    assert_eq!(
        life(r#"{"access_token":"a","expires_in":"3600"}"#),
        seconds(3600)
    );
    assert_eq!(life(r#"{"access_token":"a","expires_in":0}"#), seconds(0));
    assert_eq!(life(r#"{"access_token":"a"}"#), None);
    assert_eq!(
        grant(
            &dialect,
            ExchangeKind::Refresh,
            r#"{"access_token":"a","expires_in":2}"#
        )
        .lifetime,
        seconds(2)
    );
}

#[test]
fn quirk_01_milliseconds_under_another_name() {
    let dialect = dialect(&format!(
        "{LOGIN}[reply]\nlifetime.from = [{{ at = \"/expires\", unit = \"milliseconds\" }}, {{ at = \"/expires_in_ms\", unit = \"milliseconds\" }}]"
    ));
    let life = |body: &str| grant(&dialect, ExchangeKind::Login, body).lifetime;
    assert_eq!(
        life(r#"{"access_token":"a","expires":5000}"#),
        Some(Duration::from_secs(5))
    );
    assert_eq!(
        life(r#"{"access_token":"a","expires_in_ms":4952}"#),
        Some(Duration::from_millis(4952))
    );
}

#[test]
fn quirk_01_iso_8601_with_microseconds() {
    let dialect = dialect(&format!(
        "{LOGIN}[reply]\nlifetime.from = [{{ at = \"/expires_at\", unit = \"rfc3339\" }}]"
    ));
    for time in [
        "2026-11-21T12:30:00.500000Z",
        "2026-11-21T12:30:00.5",
        "2026-11-21T13:30:00.5+01:00",
    ] {
        let body = format!(r#"{{"access_token":"a","expires_at":"{time}"}}"#);
        let grant = granted(dialect.read_reply(
            ExchangeKind::Login,
            &response(200, &[("date", DATE)], body),
            &Fields::new(),
        ));
        assert_eq!(grant.lifetime, seconds(1799), "{time}");
        assert_eq!(grant.lifetime_source, LifetimeSource::StatedTime);
    }
}

#[test]
fn quirk_02_exp_is_a_float_and_any_alg_will_do() {
    let dialect = builtin("ad-verification");
    let token = jwt(r#"{"iat": 1795285518.5, "exp": 1795285818.591467}"#);
    let grant = grant(
        &dialect,
        ExchangeKind::Login,
        &format!(r#"{{"access_token":"{token}"}}"#),
    );
    // 300.09 s, of which the server that writes this honours 299.5.
    assert_eq!(grant.lifetime, seconds(299));
}

#[test]
fn quirk_03_token_under_many_names() {
    for (place, body) in [
        ("/access", r#"{"access":"tok"}"#),
        ("/token", r#"{"token":"tok"}"#),
        ("/idToken", r#"{"idToken":"tok"}"#),
        ("/id_token", r#"{"id_token":"tok"}"#),
        ("/AccessToken", r#"{"AccessToken":"tok"}"#),
        ("/data/access_token", r#"{"data":{"access_token":"tok"}}"#),
        (
            "/AuthenticationResult/AccessToken",
            r#"{"AuthenticationResult":{"AccessToken":"tok"}}"#,
        ),
        ("/0/t~1k", r#"[{"t/k":"tok"}]"#),
        ("", r#""tok""#),
        ("", "tok\n"),
    ] {
        let dialect = dialect(&format!(
            "{LOGIN}[reply]\naccess_token = [\"/nothing/here\", \"{place}\"]"
        ));
        assert_eq!(
            access(&grant(&dialect, ExchangeKind::Login, body)),
            "tok",
            "{place}"
        );
    }
}

#[test]
fn quirk_03_token_in_a_header_with_201_or_in_a_cookie() {
    let dialect = dialect(&format!(
        "{LOGIN}[reply]\naccess_token = {{ header = \"X-Subject-Token\" }}\nrefresh_token = {{ cookie = \"refresh\" }}"
    ));
    let headers = [
        ("x-subject-token", "tok"),
        ("set-cookie", "sid=1; Path=/"),
        ("set-cookie", "refresh=r1; HttpOnly; Path=/"),
    ];
    let grant = granted(dialect.read_reply(
        ExchangeKind::Login,
        &response(201, &headers, "{}"),
        &Fields::new(),
    ));
    assert_eq!((access(&grant), refresh(&grant)), ("tok", Some("r1")));
}

#[test]
fn quirk_04_null_refresh_token_keeps_the_one_held() {
    let dialect = builtin("oauth2");
    for member in [
        "\"refresh_token\": null,",
        "\"refresh_token\": \"\",",
        "\"refresh_token\": false,",
        "",
    ] {
        let body = format!(r#"{{{member} "access_token": "a"}}"#);
        assert_eq!(
            refresh(&grant(&dialect, ExchangeKind::Refresh, &body)),
            None,
            "{member}"
        );
    }
    let same = grant(
        &dialect,
        ExchangeKind::Refresh,
        r#"{"access_token":"a","refresh_token":"the same"}"#,
    );
    assert_eq!(refresh(&same), Some("the same"));
}

#[test]
fn quirk_05_identical_access_token_is_no_error() {
    let dialect = builtin("oauth2");
    let held = fields(&[
        ("access_token", "the-held-one"),
        (REFRESH_TOKEN, "refresh-token-one"),
    ]);
    let reply = dialect.read_reply(
        ExchangeKind::Refresh,
        &response(200, &[], r#"{"access_token":"the-held-one"}"#),
        &held,
    );
    assert_eq!(access(&granted(reply)), "the-held-one");
}

#[test]
fn quirk_06_token_type_without_case_and_no_dpop() {
    let dialect = builtin("oauth2");
    for name in ["bearer", "Bearer", "BEARER", " bearer "] {
        let body = format!(r#"{{"access_token":"a","token_type":"{name}"}}"#);
        assert_eq!(
            grant(&dialect, ExchangeKind::Login, &body).token_type,
            "Bearer"
        );
    }
    assert_eq!(
        grant(&dialect, ExchangeKind::Login, r#"{"access_token":"a"}"#).token_type,
        "Bearer"
    );
    let reply = read(
        &dialect,
        ExchangeKind::Login,
        200,
        r#"{"access_token":"a","token_type":"DPoP"}"#,
    );
    assert!(
        matches!(reply, ProviderReply::Misconfigured(_)),
        "{reply:?}"
    );
    assert!(
        message(&reply)
            .text
            .starts_with("the provider issues tokens of type DPoP"),
        "{reply:?}"
    );
}

#[test]
fn quirk_07_tokens_are_opaque_and_long() {
    let dialect = builtin("oauth2");
    for token in [
        "a/b+c==",
        &"x".repeat(954),
        &"y".repeat(32 * 1024),
        "%41%42",
    ] {
        let body = format!(r#"{{"access_token":"{token}","refresh_token":"{token}"}}"#);
        let grant = grant(&dialect, ExchangeKind::Login, &body);
        assert_eq!((access(&grant), refresh(&grant)), (token, Some(token)));
    }
    for token in [&"x".repeat(32 * 1024 + 1), "two words", "new\\nline", "é"] {
        let reply = read(
            &dialect,
            ExchangeKind::Login,
            200,
            &format!(r#"{{"access_token":"{token}"}}"#),
        );
        assert!(
            matches!(
                reply,
                ProviderReply::Misbehaved {
                    processed: Processed::Maybe,
                    ..
                }
            ),
            "{reply:?}"
        );
    }
}

#[test]
fn quirk_08_scope_absent_narrower_empty_or_a_list() {
    let dialect = builtin("oauth2");
    let scope = |member: &str| {
        grant(
            &dialect,
            ExchangeKind::Login,
            &format!(r#"{{"access_token":"a"{member}}}"#),
        )
        .scope
    };
    assert_eq!(scope(""), None);
    assert_eq!(scope(r#","scope":"read""#).as_deref(), Some("read"));
    assert_eq!(scope(r#","scope":"""#), None);
    assert_eq!(scope(r#","scope":["a","b"]"#).as_deref(), Some("a b"));
    assert_eq!(scope(r#","scope":"a\u001b[2J""#), None);
}

#[test]
fn quirk_09_trailing_newline_and_byte_order_mark() {
    let dialect = builtin("oauth2");
    for body in [
        "{\"access_token\":\"a\"}\r\n\n",
        "\u{feff}{\"access_token\":\"a\"}",
    ] {
        assert_eq!(access(&grant(&dialect, ExchangeKind::Login, body)), "a");
    }
}
