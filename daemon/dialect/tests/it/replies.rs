//! Replies: the default meaning of each status, rules, and bodies that are of no use.

use std::time::Duration;

use tokend_dialect::{ExchangeKind, Fields, Processed, ProviderReply, RetryAfter};

use crate::support::*;

const PLAIN: &str = "[login]\npath = \"/l\"\nbody.form = { u = \"{username}\" }\n[refresh]\npath = \"/r\"\nbody.form = { t = \"{refresh_token}\" }\n";

#[test]
fn every_status_has_a_default_meaning() {
    let dialect = dialect(PLAIN);
    for (status, login, refresh) in [
        (300, "unrecognised", "unrecognised"),
        (304, "unrecognised", "unrecognised"),
        (400, "unrecognised", "unrecognised"),
        (401, "credential-rejected", "unrecognised"),
        (402, "unrecognised", "unrecognised"),
        (403, "unrecognised", "unrecognised"),
        (404, "unrecognised", "unrecognised"),
        (405, "unrecognised", "unrecognised"),
        (406, "unrecognised", "unrecognised"),
        (407, "unrecognised", "unrecognised"),
        (408, "busy", "busy"),
        (409, "unrecognised", "unrecognised"),
        (415, "unrecognised", "unrecognised"),
        (421, "unrecognised", "unrecognised"),
        (422, "unrecognised", "unrecognised"),
        (423, "unrecognised", "unrecognised"),
        (425, "busy", "busy"),
        (429, "busy", "busy"),
        (499, "unrecognised", "unrecognised"),
        (500, "misbehaved", "misbehaved"),
        (502, "misbehaved", "misbehaved"),
        (503, "busy", "busy"),
        (504, "misbehaved", "misbehaved"),
        (599, "misbehaved", "misbehaved"),
        (999, "misbehaved", "misbehaved"),
    ] {
        assert_eq!(
            read(&dialect, ExchangeKind::Login, status, "").word(),
            login,
            "login {status}"
        );
        assert_eq!(
            read(&dialect, ExchangeKind::Refresh, status, "").word(),
            refresh,
            "refresh {status}"
        );
    }
}

#[test]
fn what_may_have_been_processed_is_said() {
    let dialect = dialect(PLAIN);
    let cases = [
        (200, "{}"),
        (200, "<html>"),
        (204, ""),
        (502, ""),
        (504, ""),
        (520, ""),
        (524, ""),
    ];
    for (status, body) in cases {
        let reply = read(&dialect, ExchangeKind::Refresh, status, body);
        assert!(
            matches!(
                reply,
                ProviderReply::Misbehaved {
                    processed: Processed::Maybe,
                    ..
                }
            ),
            "{status}: {reply:?}"
        );
    }
    for status in [500, 501, 505, 521, 523] {
        let reply = read(&dialect, ExchangeKind::Refresh, status, "");
        assert!(
            matches!(
                reply,
                ProviderReply::Misbehaved {
                    processed: Processed::No,
                    ..
                }
            ),
            "{status}: {reply:?}"
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn rules_come_before_defaults_and_the_first_decides() {
    let dialect = dialect(&format!(
        r#"{PLAIN}
        [[login.rules]]
        status = ["4xx", "500-501"]
        code = [17, "seventeen"]
        class = "busy"
        retry_after = "90s"
        [[login.rules]]
        status = 500
        text = "Out Of Order"
        class = "misbehaved"
        processed = "maybe"
        say = "the provider is down for repairs"
        [[rules]]
        code = "E1"
        at = ["/inner/0/c", {{ header = "x-code" }}]
        class = "misconfigured"
        [[rules]]
        text = "gone for good"
        class = "refresh-token-rejected"
        "#
    ));
    for (status, body) in [
        (400, r#"{"code":17}"#),
        (499, r#"{"error":"seventeen"}"#),
        (501, r#"{"code":"17"}"#),
    ] {
        let reply = read(&dialect, ExchangeKind::Login, status, body);
        let ProviderReply::Busy { retry_after, .. } = &reply else {
            panic!("{reply:?}")
        };
        assert_eq!(
            *retry_after,
            Some(RetryAfter::Delay(Duration::from_secs(90)))
        );
    }
    assert_eq!(
        read(&dialect, ExchangeKind::Login, 502, r#"{"code":17}"#).word(),
        "misbehaved"
    );
    assert_eq!(
        read(&dialect, ExchangeKind::Refresh, 400, r#"{"code":17}"#).word(),
        "unrecognised"
    );
    let down = read(
        &dialect,
        ExchangeKind::Login,
        500,
        "we are OUT OF ORDER today",
    );
    assert!(matches!(
        down,
        ProviderReply::Misbehaved {
            processed: Processed::Maybe,
            ..
        }
    ));
    assert_eq!(
        message(&down).text,
        "the provider is down for repairs (it said: we are OUT OF ORDER today)"
    );
    assert_eq!(
        read(
            &dialect,
            ExchangeKind::Refresh,
            400,
            r#"{"inner":[{"c":"E1"}]}"#
        )
        .word(),
        "misconfigured"
    );
    let headers = dialect.read_reply(
        ExchangeKind::Login,
        &response(400, &[("x-code", "E1")], ""),
        &Fields::new(),
    );
    assert_eq!(headers.word(), "misconfigured");
    // A login cannot mean that a refresh token was rejected: the shared rule is not its own.
    assert_eq!(
        read(&dialect, ExchangeKind::Login, 503, "gone for good").word(),
        "busy"
    );
    assert_eq!(
        read(&dialect, ExchangeKind::Refresh, 503, "gone for good").word(),
        "refresh-token-rejected"
    );
}

#[test]
fn text_is_found_behind_json_escapes() {
    let dialect = dialect(&format!(
        "{PLAIN}[[rules]]\ntext = \"trop d’essais\"\nclass = \"busy\""
    ));
    for body in ["Trop d’essais", r#"{"m":["Trop d\u2019essais!"]}"#] {
        assert_eq!(
            read(&dialect, ExchangeKind::Login, 400, body).word(),
            "busy"
        );
    }
}

#[test]
fn failures_told_with_200() {
    let dialect = dialect(&format!(
        r#"{PLAIN}
        [[rules]]
        status = 200
        code = "LOCKED"
        class = "busy"
        [[login.rules]]
        code = "WRONG"
        class = "credential-rejected"
        "#
    ));
    assert_eq!(
        read(&dialect, ExchangeKind::Login, 200, r#"{"code":"WRONG"}"#).word(),
        "credential-rejected"
    );
    // A rule without a status does not take a token away; one with the status does.
    assert_eq!(
        read(
            &dialect,
            ExchangeKind::Login,
            200,
            r#"{"code":"WRONG","access_token":"a"}"#
        )
        .word(),
        "granted"
    );
    assert_eq!(
        read(
            &dialect,
            ExchangeKind::Login,
            200,
            r#"{"code":"LOCKED","access_token":"a"}"#
        )
        .word(),
        "busy"
    );
}

#[test]
fn a_reply_nobody_can_read_is_misbehaved() {
    let dialect = dialect(PLAIN);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        "",
        "null",
        "[]",
        "<html>",
        "{\"access_token\":",
        &deep,
        r#"{"access_token":null}"#,
        r#"{"access_token":""}"#,
    ] {
        let reply = read(&dialect, ExchangeKind::Login, 200, body);
        assert_eq!(
            message(&reply).text,
            "no access token where the dialect looks for one",
            "{body:.40}"
        );
    }
    let number = read(&dialect, ExchangeKind::Login, 200, r#"{"access_token":17}"#);
    assert_eq!(message(&number).text, "the access token is not a string");
    let huge = format!(
        r#"{{"access_token":"a","pad":"{}"}}"#,
        "x".repeat(1024 * 1024)
    );
    assert_eq!(
        read(&dialect, ExchangeKind::Login, 200, &huge).word(),
        "misbehaved"
    );
}

#[test]
fn a_refresh_token_may_be_a_number() {
    let grant = grant(
        &dialect(PLAIN),
        ExchangeKind::Login,
        r#"{"access_token":"a","refresh_token":12345}"#,
    );
    assert_eq!(refresh(&grant), Some("12345"));
}

#[test]
fn a_form_encoded_reply_is_read() {
    let headers = [(
        "content-type",
        "application/x-www-form-urlencoded; charset=utf-8",
    )];
    let body = "access_token=a%2Fb&token_type=bearer&expires_in=60";
    let grant = granted(dialect(PLAIN).read_reply(
        ExchangeKind::Login,
        &response(200, &headers, body),
        &Fields::new(),
    ));
    assert_eq!((access(&grant), grant.lifetime), ("a/b", seconds(60)));
}

#[test]
fn a_prefix_does_not_belong_to_the_token() {
    let dialect = dialect(&format!(
        "{PLAIN}[reply]\naccess_token = {{ at = \"/token\", prefix = \"Bearer \" }}"
    ));
    for token in ["Bearer abc", "bearer abc", "abc"] {
        assert_eq!(
            access(&grant(
                &dialect,
                ExchangeKind::Login,
                &format!(r#"{{"token":"{token}"}}"#)
            )),
            "abc"
        );
    }
}

#[test]
fn other_token_types_can_be_allowed() {
    let dialect = dialect(&format!("{PLAIN}[reply]\ntoken_types = [\"BearerToken\"]"));
    let grant = grant(
        &dialect,
        ExchangeKind::Login,
        r#"{"access_token":"a","token_type":"BearerToken"}"#,
    );
    assert_eq!(grant.token_type, "Bearer");
    assert_eq!(
        read(
            &dialect,
            ExchangeKind::Login,
            200,
            r#"{"access_token":"a","token_type":"mac"}"#
        )
        .word(),
        "misconfigured"
    );
}

#[test]
fn login_and_refresh_may_answer_differently() {
    let dialect = dialect(&format!(
        "{PLAIN}[reply]\naccess_token = \"/shared\"\nscope = \"/s\"\n[refresh.reply]\naccess_token = \"/own\""
    ));
    let body = r#"{"shared":"a","own":"b","s":"c"}"#;
    assert_eq!(access(&grant(&dialect, ExchangeKind::Login, body)), "a");
    let refreshed = grant(&dialect, ExchangeKind::Refresh, body);
    assert_eq!(
        (access(&refreshed), refreshed.scope.as_deref()),
        ("b", Some("c"))
    );
}

#[test]
fn a_time_to_retry_makes_a_refusal_a_limit() {
    let dialect = dialect(PLAIN);
    let word = |kind, status, retry: &str| {
        let headers = [("retry-after", retry)];
        dialect
            .read_reply(kind, &response(status, &headers, ""), &Fields::new())
            .word()
    };
    for (status, later) in [
        (400, "busy"),
        (403, "busy"),
        (500, "busy"),
        (502, "misbehaved"),
        (301, "unrecognised"),
    ] {
        for kind in [ExchangeKind::Login, ExchangeKind::Refresh] {
            assert_eq!(word(kind, status, "30"), later, "{status}");
        }
    }
    assert_eq!(word(ExchangeKind::Login, 403, "soon"), "unrecognised");
}

#[test]
fn a_rule_says_which_secret_was_refused() {
    let rule = |class: &str, secret: &str| {
        format!(
            "{PLAIN}[fields.api_key]\n[fields.region]\nsecret = false\n[[rules]]\ncode = \"K\"\nclass = \"{class}\"\nsecret = \"{secret}\"\n"
        )
    };
    for secret in ["password", "client_secret", "api_key"] {
        let dialect = dialect(&rule("credential-rejected", secret));
        let shown =
            message(&read(&dialect, ExchangeKind::Login, 401, r#"{"code":"K"}"#)).to_string();
        assert_eq!(
            tokend_dialect::ProviderMessage::secret_in(&shown),
            Some(secret),
            "{shown}"
        );
        let other =
            message(&read(&dialect, ExchangeKind::Login, 401, r#"{"code":"L"}"#)).to_string();
        assert_eq!(
            tokend_dialect::ProviderMessage::secret_in(&other),
            None,
            "{other}"
        );
    }
    for (class, secret, says) in [
        (
            "credential-rejected",
            "region",
            "which is not a secret of an account",
        ),
        (
            "credential-rejected",
            "apikey",
            "valid here: `password`, `client_secret`, `api_key`",
        ),
        (
            "credential-rejected",
            "refresh_token",
            "which is not a secret of an account",
        ),
        (
            "busy",
            "password",
            "only a rule with class `credential-rejected`",
        ),
    ] {
        let error = try_dialect(&rule(class, secret)).unwrap_err();
        assert!(shown(&error).contains(says), "{}", shown(&error));
    }
}

#[test]
fn what_is_told_does_not_repeat_itself() {
    let dialect = dialect(PLAIN);
    for (body, shown) in [
        (r#"{"code":401}"#, "status 401"),
        (r#"{"code":"401","message":"401"}"#, "status 401"),
        (r#"{"error":"nope"}"#, "status 401 (nope)"),
        (r#"{"code":401,"message":"bad"}"#, "status 401: bad"),
    ] {
        let message = message(&read(&dialect, ExchangeKind::Login, 401, body)).to_string();
        assert!(
            message == shown || message.starts_with(&format!("{shown}: {{")),
            "{body}: {message}"
        );
    }
}

#[test]
fn a_name_that_accounts_have_taken_is_refused_with_the_list_of_them() {
    for name in ["base_url", "assumed_lifetime", "proxy"] {
        for table in ["fields", "options"] {
            let error = try_dialect(&format!("{PLAIN}[{table}.{name}]\n")).unwrap_err();
            let error = shown(&error);
            let flat = error.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(
                flat.contains("no key of an account") && flat.contains("`provider`"),
                "{error}"
            );
        }
    }
}
