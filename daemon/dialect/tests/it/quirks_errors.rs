//! How real servers fail, and what their tokens live through: quirks 16 to 27 of the list of real servers.
//!
//! Not here, because the broker does not do it: 24 (introspection), 28 (servers that accept tokens past expiry: the broker never
//! relies on a refusal), 31 (device flow), 32 (discovery), 33 (pinning of test servers). Of 26 only what reuse of a refresh token costs.

use std::time::Duration;

use tokend_dialect::{
    DeclaredReuse, ExchangeKind, Fields, Processed, ProviderReply, REFRESH_TOKEN, RetryAfter,
};

use crate::support::*;

const LOGIN: &str = "[login]\npath = \"/login\"\nbody.form = { username = \"{username}\", password = \"{password}\" }\n";

#[test]
fn quirk_16_bad_credentials_in_many_shapes() {
    for (name, status, body) in [
        ("oauth2", 400, r#"{"error":"invalid_grant"}"#),
        ("oauth2", 403, r#"{"error":"access_denied"}"#),
        ("jwt-api", 400, r#"{"detail":"LOGIN_BAD_CREDENTIALS"}"#),
        (
            "ad-verification",
            400,
            r#"{"detail":"Incorrect username or password"}"#,
        ),
        (
            "firebase-accounts",
            400,
            r#"{"error":{"message":"INVALID_PASSWORD"}}"#,
        ),
    ] {
        let reply = read(&builtin(name), ExchangeKind::Login, status, body);
        assert!(
            matches!(reply, ProviderReply::CredentialRejected(_)),
            "{name} {status} {body}: {reply:?}"
        );
    }
    for name in ["oauth2", "jwt-api", "ad-verification", "firebase-accounts"] {
        for body in ["", "Unauthorized", r#"{"message":"wrong"}"#] {
            let reply = read(&builtin(name), ExchangeKind::Login, 401, body);
            assert!(
                matches!(reply, ProviderReply::CredentialRejected(_)),
                "{name} {body}: {reply:?}"
            );
        }
    }
    // What none of them knows is left alone: a dialect says it with a rule.
    let cognito =
        r#"{"__type":"NotAuthorizedException","message":"Incorrect username or password."}"#;
    assert_eq!(
        read(&builtin("oauth2"), ExchangeKind::Login, 400, cognito).word(),
        "unrecognised"
    );
    let knowing = dialect(&format!(
        "{LOGIN}[[login.rules]]\ncode = \"NotAuthorizedException\"\nclass = \"credential-rejected\"\n"
    ));
    assert_eq!(
        read(&knowing, ExchangeKind::Login, 400, cognito).word(),
        "credential-rejected"
    );
    assert!(matches!(
        read(
            &builtin("oauth2"),
            ExchangeKind::Login,
            400,
            r#"{"error":"invalid_request"}"#
        ),
        ProviderReply::Misconfigured(_)
    ));
}

#[test]
fn quirk_17_refused_refresh_in_many_shapes() {
    let refused = [
        ("jwt-api", 422, r#"{"msg":"Not enough segments"}"#),
        (
            "ad-verification",
            400,
            r#"{"detail":"Invalid session! Please try again."}"#,
        ),
        ("ad-verification", 422, "{}"),
        (
            "firebase-accounts",
            400,
            r#"{"error":{"message":"INVALID_REFRESH_TOKEN"}}"#,
        ),
        (
            "firebase-accounts",
            401,
            r#"{"detail":"Token is invalid","code":"token_not_valid"}"#,
        ),
        ("oauth2", 401, r#"{"error":"invalid_token"}"#),
        ("oauth2", 200, r#"{"error":"bad_refresh_token"}"#),
    ];
    for (name, status, body) in refused {
        let reply = read(&builtin(name), ExchangeKind::Refresh, status, body);
        assert!(
            matches!(reply, ProviderReply::RefreshRejected(_)),
            "{name} {status} {body}: {reply:?}"
        );
    }
    for name in ["oauth2", "jwt-api", "ad-verification", "firebase-accounts"] {
        let dialect = builtin(name);
        for code in ["invalid_grant", "invalid_request", "expired_token"] {
            let reply = read(
                &dialect,
                ExchangeKind::Refresh,
                400,
                &format!(r#"{{"error":"{code}"}}"#),
            );
            assert!(
                matches!(reply, ProviderReply::RefreshRejected(_)),
                "{name} {code}: {reply:?}"
            );
        }
        for status in [408, 425, 429] {
            assert!(
                matches!(
                    read(&dialect, ExchangeKind::Refresh, status, ""),
                    ProviderReply::Busy { .. }
                ),
                "{name} {status}"
            );
        }
    }
}

#[test]
fn quirk_18_rejection_of_an_access_token_is_per_dialect() {
    let dialect = dialect(&format!(
        "{LOGIN}[[rejection]]\nstatus = [401, 403, 422]\n[[rejection]]\nstatus = 400\ncode = \"access_denied\"\nat = \"/error\""
    ));
    let rejection = dialect.rejection();
    for status in [401, 403, 422] {
        assert!(rejection.matches(status, b""));
    }
    assert!(rejection.matches(400, br#"{"error":"access_denied"}"#));
    assert!(!rejection.matches(400, br#"{"error":"bad_request"}"#));
    assert!(!rejection.is_below_400());
    let lists = "[[rejection]]\nstatus = 401\n[[rejection]]\nstatus = 200\ntext = \"expired\"";
    let rejects_softly = crate::support::dialect(&format!("{LOGIN}{lists}"));
    assert!(rejects_softly.rejection().is_below_400());
    assert!(rejects_softly.rejection().matches(200, b"It has expired"));
}

#[test]
fn quirk_19_a_lock_out_told_with_500() {
    let body = r#"{"error":"server_error","error_description":"Too many login attempts. Wait 10 minutes"}"#;
    let reply = read(&builtin("oauth2"), ExchangeKind::Login, 500, body);
    let ProviderReply::Busy { retry_after, .. } = &reply else {
        panic!("{reply:?}")
    };
    assert_eq!(
        *retry_after,
        Some(RetryAfter::Delay(Duration::from_secs(600)))
    );
    for status in [500, 501] {
        let reply = read(&builtin("oauth2"), ExchangeKind::Login, status, "{}");
        assert!(
            matches!(
                reply,
                ProviderReply::Misbehaved {
                    processed: Processed::No,
                    ..
                }
            ),
            "{reply:?}"
        );
    }
}

#[test]
fn quirk_20_a_500_leaves_the_refresh_token_good_and_its_body_is_redacted() {
    let (old, new) = (jwt(r#"{"sub":"old"}"#), jwt(r#"{"sub":"new"}"#));
    let body = format!(
        r#"{{"error":"(sqlite3.IntegrityError) UNIQUE constraint failed: token.value [SQL: INSERT INTO token VALUES ('{new}', '{old}')]"}}"#
    );
    let sent = fields(&[(REFRESH_TOKEN, &old)]);
    let reply =
        builtin("oauth2").read_reply(ExchangeKind::Refresh, &response(500, &[], body), &sent);
    assert!(
        matches!(
            reply,
            ProviderReply::Misbehaved {
                processed: Processed::No,
                ..
            }
        ),
        "{reply:?}"
    );
    let shown = format!("{reply:?}");
    assert!(shown.contains("UNIQUE constraint failed"), "{shown}");
    for token in [&old, &new] {
        assert!(
            token.split('.').take(2).all(|part| !shown.contains(part)),
            "{shown}"
        );
    }
}

#[test]
fn quirk_21_429_with_retry_after_and_any_body() {
    let dialect = builtin("oauth2");
    for body in [
        r#"{"detail":"Request was throttled."}"#,
        "Too Many Requests",
        "",
    ] {
        let reply = dialect.read_reply(
            ExchangeKind::Login,
            &response(429, &[("retry-after", "60")], body),
            &Fields::new(),
        );
        let ProviderReply::Busy { retry_after, .. } = &reply else {
            panic!("{reply:?}")
        };
        assert_eq!(
            *retry_after,
            Some(RetryAfter::Delay(Duration::from_secs(60)))
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn quirk_22_error_shapes() {
    let dialect = dialect(LOGIN);
    for (body, code, text) in [
        (
            r#"{"error":"e1","error_description":"words"}"#,
            Some("e1"),
            "words",
        ),
        (r#"{"detail":"words"}"#, None, "words"),
        (
            r#"{"detail":[{"type":"missing","loc":["body","username"],"msg":"Field required","input":null}]}"#,
            None,
            "body.username: Field required",
        ),
        (
            r#"{"error":{"code":401,"message":"words"}}"#,
            Some("401"),
            "words",
        ),
        (
            r#"{"error":{"code":"e2","message":"words"}}"#,
            Some("e2"),
            "words",
        ),
        (
            r#"{"code":"e3","code_reason":"r","message":"words"}"#,
            Some("e3"),
            "words",
        ),
        (
            r#"{"errors":[{"message":"words","extensions":{"code":"e4"}}]}"#,
            Some("e4"),
            "words",
        ),
        (r#"{"message":"words"}"#, None, "words"),
        (r#"{"message":{"message":"words"}}"#, None, "words"),
        (r#"{"msg":"words"}"#, None, "words"),
        (
            r#"{"errcode":"M_UNKNOWN_TOKEN","error":"words","soft_logout":true}"#,
            Some("M_UNKNOWN_TOKEN"),
            "words",
        ),
        (r#"{"__type":"E5","message":"words"}"#, Some("E5"), "words"),
        (
            r#"{"data":{},"message":"words","status":400}"#,
            None,
            "words",
        ),
        (
            r#"{"type":"about:blank","title":"T","detail":"words"}"#,
            None,
            "words",
        ),
        (
            r#"{"refresh":["This field is required."]}"#,
            None,
            r#"{"refresh":["This field is required."]}"#,
        ),
        (r#""words""#, None, "words"),
        (
            "<!DOCTYPE html><html><head><title>Bad\n Request</title></head></html>",
            None,
            "an HTML page, \"Bad Request\"",
        ),
        ("<html></html>", None, "an HTML page"),
        (
            "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>",
            None,
            "an XML document",
        ),
        ("plain words\n", None, "plain words"),
        ("", None, ""),
    ] {
        let reply = read(&dialect, ExchangeKind::Login, 400, body);
        assert_eq!(
            (
                message(&reply).code.as_deref(),
                message(&reply).text.as_str()
            ),
            (code, text),
            "{body}"
        );
    }
}

#[test]
fn quirk_23_www_authenticate_is_not_depended_upon() {
    let dialect = builtin("oauth2");
    for challenge in [
        "error=invalid_request,error_description=Invalid request",
        "Bearer error=\"invalid_token\"",
        "",
    ] {
        let reply = dialect.read_reply(
            ExchangeKind::Refresh,
            &response(401, &[("www-authenticate", challenge)], ""),
            &Fields::new(),
        );
        assert!(
            matches!(reply, ProviderReply::Unrecognised(_)),
            "{challenge}"
        );
    }
}

#[test]
fn quirk_25_and_27_what_a_refresh_does_to_the_access_token() {
    let refresh = "[refresh]\npath = \"/r\"\nbody.form = { t = \"{refresh_token}\" }\n";
    let plain = dialect(refresh);
    assert!(!plain.refresh_ends_access_token() && !plain.refresh_needs_valid_access_token());
    let odd = dialect(&format!(
        "{refresh}ends_access_token = true\nneeds_valid_access_token = true\n"
    ));
    assert!(odd.refresh_ends_access_token() && odd.refresh_needs_valid_access_token());
}

#[test]
fn quirk_26_what_reuse_costs_is_said() {
    for (word, reuse) in [
        ("none", DeclaredReuse::None),
        ("rotates", DeclaredReuse::Rotates),
        (
            "rotates-and-reuse-revokes",
            DeclaredReuse::RotatesAndReuseRevokes,
        ),
        ("unknown", DeclaredReuse::Unknown),
    ] {
        let text = format!(
            "[refresh]\npath = \"/r\"\nbody.form = {{ t = \"{{refresh_token}}\" }}\nreuse = \"{word}\"\n"
        );
        assert_eq!(dialect(&text).reuse(), reuse);
    }
    assert_eq!(builtin("oauth2").reuse(), DeclaredReuse::Unknown);
}
