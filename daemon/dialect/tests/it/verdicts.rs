//! What is the provider's own word, and what something in front of it may have said.

use std::sync::Arc;

use tokend_dialect::{Dialect, ExchangeKind, Fields, Processed, ProviderReply, Silence};

use crate::support::*;

const PLAIN: &str = "[login]\npath = \"/l\"\nbody.form = { u = \"{username}\" }\n[refresh]\npath = \"/r\"\nbody.form = { t = \"{refresh_token}\" }\n";
const PAGE: &str = "<!DOCTYPE html><html><head><title>Attention Required!</title></head></html>";
const EVERY: [&str; 5] = [
    "oauth2",
    "jwt-api",
    "ad-verification",
    "firebase-accounts",
    "client-credentials",
];

fn all() -> Vec<Arc<Dialect>> {
    let built_in = EVERY.iter().map(|name| builtin(name));
    built_in.chain([Arc::new(dialect(PLAIN))]).collect()
}

fn answers(
    dialect: &Dialect,
    status: u16,
    headers: &[(&str, &str)],
    body: &str,
) -> Vec<ProviderReply> {
    [ExchangeKind::Login, ExchangeKind::Refresh]
        .map(|kind| {
            let response = response(status, headers, body.to_owned());
            dialect.read_reply(kind, &response, &Fields::new())
        })
        .into()
}

#[test]
fn a_page_is_no_verdict_whatever_its_status() {
    let html = [("content-type", "text/html; charset=utf-8")];
    let pages = [
        PAGE,
        "\u{feff}\n <HTML>",
        "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>",
    ];
    for dialect in all() {
        for status in [
            301, 302, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 409, 410, 413, 414, 421,
            422, 423, 426, 431, 451, 494, 499,
        ] {
            for page in pages {
                for reply in answers(&dialect, status, &[], page) {
                    assert_eq!(
                        reply.word(),
                        "unrecognised",
                        "{} {status} {page}",
                        dialect.name()
                    );
                }
            }
            for reply in answers(&dialect, status, &html, "Access denied") {
                assert_eq!(reply.word(), "unrecognised", "{} {status}", dialect.name());
            }
        }
    }
}

#[test]
fn a_gateway_that_speaks_json_or_plain_text_is_no_verdict_either() {
    for dialect in all() {
        for (status, body) in [
            (403, r#"{"message":"Forbidden"}"#),
            (403, r#"{"message":"Missing Authentication Token"}"#),
            (403, "error code: 1020"),
            (403, ""),
            (404, "404 page not found\n"),
            (404, r#"{"message":"no Route matched with those values"}"#),
            (409, r#"{"error":"conflict"}"#),
            (421, "Misdirected Request"),
            (400, r#"{"error":"server_error"}"#),
            (400, r#"{"error":"internal_failure"}"#),
            (400, "Client sent an HTTP request to an HTTPS server.\n"),
            (499, ""),
        ] {
            for reply in answers(&dialect, status, &[], body) {
                assert_eq!(
                    reply.word(),
                    "unrecognised",
                    "{} {status} {body}",
                    dialect.name()
                );
            }
        }
        for reply in answers(&dialect, 400, &[], r#"{"error":"temporarily_unavailable"}"#) {
            assert_eq!(reply.word(), "busy", "{}", dialect.name());
        }
    }
}

#[test]
fn a_success_that_is_not_the_providers_is_no_verdict_at_login_and_leaves_a_refresh_in_doubt() {
    let html = [("content-type", "text/html")];
    let json = [("content-type", "application/json")];
    for dialect in all() {
        for (headers, body, login) in [
            (
                &html[..],
                "<!doctype html><title>Sign in</title>",
                "unrecognised",
            ),
            (&html[..], "wrong password", "unrecognised"),
            (&[][..], PAGE, "unrecognised"),
            (&[][..], "", "unrecognised"),
            (&[][..], "OK\n", "unrecognised"),
            (&json[..], "\"wrong password\"", "unrecognised"),
            (&json[..], "[]", "unrecognised"),
            (&json[..], "null", "unrecognised"),
            (&json[..], PAGE, "misbehaved"),
            (&json[..], "{}", "misbehaved"),
            (&json[..], "\u{1}\u{2}", "misbehaved"),
            (&[][..], "{\"access_token\":\"ey", "misbehaved"),
        ] {
            for status in [200, 201, 204, 226] {
                let [at_login, at_refresh] = &answers(&dialect, status, headers, body)[..] else {
                    panic!("two requests");
                };
                let name = dialect.name();
                assert_eq!(at_login.word(), login, "{name} {status} {body}");
                assert!(
                    may_have_been_processed(at_refresh),
                    "{name} {status} {body}"
                );
            }
        }
        for reply in answers(&dialect, 511, &html, PAGE) {
            assert_eq!(reply.word(), "unrecognised", "{}", dialect.name());
        }
    }
    // Where the whole body is the token, a page is none.
    let whole = dialect(&format!("{PLAIN}[reply]\naccess_token = \"\"\n"));
    assert_eq!(answers(&whole, 200, &html, PAGE)[0].word(), "unrecognised");
    // A rule knows better.
    let knows = dialect(&format!(
        "{PLAIN}[[login.rules]]\nstatus = 200\ntext = \"sign in\"\nclass = \"credential-rejected\"\n"
    ));
    let page = "<!doctype html><title>Sign in</title>";
    assert_eq!(
        answers(&knows, 200, &html, page)[0].word(),
        "credential-rejected"
    );
}

#[test]
fn a_success_with_an_object_is_the_providers_own_whatever_code_it_has() {
    let json = [("content-type", "application/json")];
    let html = [("content-type", "text/html")];
    for dialect in all() {
        for body in [
            r#"{"code":0,"message":"all well","data":null}"#,
            r#"{"code":"E17","message":"try later"}"#,
            r#"{"error":"wrong_password"}"#,
            r#"{"error":{"code":40001}}"#,
            "{}",
        ] {
            for headers in [&json[..], &html[..], &[]] {
                let replies = answers(&dialect, 200, headers, body);
                assert_eq!(replies[0].word(), "misbehaved", "{} {body}", dialect.name());
            }
        }
    }
    // A rule knows better.
    let knows = dialect(&format!(
        "{PLAIN}[[login.rules]]\ncode = \"wrong_password\"\nat = \"/error\"\nclass = \"credential-rejected\"\n"
    ));
    let replies = answers(&knows, 200, &json, r#"{"error":"wrong_password"}"#);
    assert_eq!(replies[0].word(), "credential-rejected");
}

#[test]
fn a_rate_limit_told_as_a_refusal_is_busy() {
    for dialect in all() {
        for (status, headers, body) in [
            (
                403,
                &[("x-ratelimit-remaining", "0")][..],
                r#"{"message":"API rate limit exceeded"}"#,
            ),
            (403, &[("ratelimit-remaining", "0")][..], ""),
            (403, &[][..], "You have exceeded a secondary rate limit."),
            (400, &[][..], r#"{"message":"Rate exceeded"}"#),
            (403, &[][..], r#"{"message":"Request was throttled."}"#),
            (
                403,
                &[][..],
                "<html><title>Error 1015: You are being rate limited</title></html>",
            ),
            (400, &[][..], r#"{"error":"slow_down"}"#),
        ] {
            for reply in answers(&dialect, status, headers, body) {
                assert_eq!(reply.word(), "busy", "{} {status} {body}", dialect.name());
            }
        }
    }
    let counted_down = [("x-ratelimit-remaining", "0")];
    let replies = answers(&dialect(PLAIN), 401, &counted_down, "");
    assert_eq!(
        replies[0].word(),
        "credential-rejected",
        "a 401 that counts refuses all the same"
    );
}

#[test]
fn a_rule_by_status_alone_claims_no_page_and_one_with_words_does() {
    let dialect = dialect(&format!(
        "{PLAIN}[[rules]]\nstatus = 403\nclass = \"credential-rejected\"\n[[rules]]\nstatus = 404\ntext = \"wrong password\"\nclass = \"credential-rejected\"\n[[rules]]\nstatus = 302\nclass = \"busy\"\n[[rules]]\nstatus = 401\nclass = \"unrecognised\"\n"
    ));
    for (status, body, word) in [
        (403, "", "credential-rejected"),
        (403, "no", "credential-rejected"),
        (403, PAGE, "unrecognised"),
        (
            404,
            "<html>Wrong password, sorry</html>",
            "credential-rejected",
        ),
        (404, PAGE, "unrecognised"),
        (302, PAGE, "busy"),
        (401, "{}", "unrecognised"),
    ] {
        for reply in answers(&dialect, status, &[], body) {
            assert_eq!(reply.word(), word, "{status} {body}");
        }
    }
}

#[test]
fn the_codes_of_the_standards_are_the_providers_word_in_any_dialect() {
    let dialect = dialect(PLAIN);
    for (code, login, refresh) in [
        (
            "invalid_client",
            "credential-rejected",
            "credential-rejected",
        ),
        (
            "invalid_grant",
            "credential-rejected",
            "refresh-token-rejected",
        ),
        (
            "access_denied",
            "credential-rejected",
            "refresh-token-rejected",
        ),
        ("invalid_scope", "misconfigured", "misconfigured"),
        ("invalid_token", "unrecognised", "refresh-token-rejected"),
        ("nobody_knows", "unrecognised", "unrecognised"),
    ] {
        for status in [400, 403, 404, 422] {
            let words: Vec<_> = answers(&dialect, status, &[], &format!(r#"{{"error":"{code}"}}"#))
                .iter()
                .map(ProviderReply::word)
                .collect();
            assert_eq!(words, [login, refresh], "{status} {code}");
        }
        // In a page it is part of a text.
        for reply in answers(
            &dialect,
            403,
            &[],
            &format!("<p>{{\"error\":\"{code}\"}}</p>"),
        ) {
            assert_eq!(reply.word(), "unrecognised", "{code}");
        }
    }
}

#[test]
fn a_code_beside_the_status_of_a_redirect_a_limit_or_a_gateway_ends_nothing() {
    let codes = [
        "invalid_grant",
        "invalid_client",
        "unauthorized_client",
        "invalid_request",
    ];
    for dialect in all() {
        for code in codes {
            let body = format!(r#"{{"error":"{code}"}}"#);
            for (status, word) in [
                (302, "unrecognised"),
                (307, "unrecognised"),
                (407, "unrecognised"),
                (408, "busy"),
                (421, "unrecognised"),
                (425, "busy"),
                (429, "busy"),
                (499, "unrecognised"),
                (502, "misbehaved"),
                (503, "busy"),
                (504, "misbehaved"),
                (520, "misbehaved"),
            ] {
                for reply in answers(&dialect, status, &[], &body) {
                    assert_eq!(reply.word(), word, "{} {status} {code}", dialect.name());
                }
            }
        }
    }
    // Nor does a rule that names the code alone.
    let ruled = dialect(&format!(
        "{PLAIN}[[rules]]\ncode = \"locked\"\nat = \"/error\"\nclass = \"credential-rejected\"\n"
    ));
    for status in [408, 425, 429] {
        for reply in answers(&ruled, status, &[], r#"{"error":"locked"}"#) {
            assert_eq!(reply.word(), "busy", "{status}");
        }
    }
    // A rule that names the status knows better.
    let knows = dialect(&format!(
        "{PLAIN}[[rules]]\nstatus = 429\ncode = \"locked\"\nat = \"/error\"\nclass = \"credential-rejected\"\n"
    ));
    for reply in answers(&knows, 429, &[], r#"{"error":"locked"}"#) {
        assert_eq!(reply.word(), "credential-rejected");
    }
}

#[test]
fn a_rule_says_what_it_means_that_no_answer_came() {
    let none = dialect(PLAIN);
    for silence in [Silence::Closed, Silence::TimedOut] {
        assert!(none.read_silence(ExchangeKind::Login, silence).is_none());
    }
    let closes = dialect(&format!(
        "{PLAIN}[[login.rules]]\nno_answer = \"closed\"\nclass = \"credential-rejected\"\nsay = \"it hangs up on a wrong password\"\n[[rules]]\nno_answer = true\nclass = \"misbehaved\"\nprocessed = \"no\"\n"
    ));
    let word = |kind, silence| {
        let reply = closes.read_silence(kind, silence);
        reply.map(|reply| (reply.word(), told(&reply).to_string()))
    };
    let rejected = (
        "credential-rejected",
        "it hangs up on a wrong password".to_owned(),
    );
    let failed = ("misbehaved", "no answer came".to_owned());
    assert_eq!(word(ExchangeKind::Login, Silence::Closed), Some(rejected));
    assert_eq!(
        word(ExchangeKind::Login, Silence::TimedOut),
        Some(failed.clone())
    );
    assert_eq!(word(ExchangeKind::Refresh, Silence::Closed), Some(failed));
    // It matches no reply, not even an empty one.
    for status in [200, 204, 401, 500] {
        let before = answers(&none, status, &[], "");
        let after = answers(&closes, status, &[], "");
        let words =
            |replies: &[ProviderReply]| replies.iter().map(ProviderReply::word).collect::<Vec<_>>();
        assert_eq!(words(&before), words(&after), "{status}");
    }
}

#[test]
fn no_class_of_a_rule_takes_the_doubt_off_a_refresh_token_without_an_answer() {
    for (place, kinds) in [
        ("refresh.rules", &[ExchangeKind::Refresh][..]),
        ("rules", &[ExchangeKind::Refresh, ExchangeKind::Login]),
    ] {
        for class in [
            "busy",
            "credential-rejected",
            "misconfigured",
            "unrecognised",
        ] {
            let text = format!(
                "{PLAIN}[[{place}]]\nno_answer = true\nclass = \"{class}\"\nsay = \"it hung up\"\n"
            );
            let dialect = dialect(&text);
            for (&kind, silence) in kinds.iter().zip([Silence::Closed, Silence::TimedOut]) {
                let reply = dialect.read_silence(kind, silence).expect("the rule's");
                assert_eq!(told(&reply).to_string(), "it hung up");
                match kind {
                    ExchangeKind::Login => assert_eq!(reply.word(), class),
                    ExchangeKind::Refresh => {
                        assert!(may_have_been_processed(&reply), "{class}: {reply:?}")
                    }
                }
            }
        }
    }
}

#[test]
fn who_answers_in_front_of_a_provider_does_not_take_the_doubt_off_a_refresh_token() {
    let text = format!("{PLAIN}[[rules]]\nstatus = \"200-599\"\nclass = \"unrecognised\"\n");
    let dialect = dialect(&text);
    for status in [200, 204, 502, 504, 520, 524] {
        let [login, refresh] = &answers(&dialect, status, &[], "")[..] else {
            panic!("two requests");
        };
        assert_eq!(login.word(), "unrecognised", "{status}");
        assert!(may_have_been_processed(refresh), "{status}: {refresh:?}");
    }
    for status in [302, 404, 500, 503] {
        for reply in answers(&dialect, status, &[], "") {
            assert_eq!(reply.word(), "unrecognised", "{status}");
        }
    }
}

#[test]
fn no_class_of_a_rule_takes_the_doubt_off_a_refresh_token_where_a_gateway_answered() {
    use tokend_dialect::SpentTokens;
    let spent = |reply: &ProviderReply| reply.provider_message().map(|told| told.spent);
    let body = r#"{"code": "E1", "message": "bad gateway"}"#;
    let json = [("content-type", "application/json")];
    for class in ["busy", "credential-rejected", "misconfigured"] {
        let rule =
            |what: &str| dialect(&format!("{PLAIN}[[rules]]\n{what}\nclass = \"{class}\"\n"));
        for what in [
            "status = \"200-599\"",
            "status = \"5xx\"\ncode = \"E1\"\nat = \"/code\"",
            "text = \"gateway\"",
        ] {
            for status in [502, 504, 520, 524] {
                let [login, refresh] = &answers(&rule(what), status, &json, body)[..] else {
                    panic!("two requests");
                };
                assert_eq!((login.word(), refresh.word()), (class, class), "{what}");
                assert_eq!(spent(login), Some(SpentTokens::Nothing));
                assert_eq!(
                    spent(refresh),
                    Some(SpentTokens::RefreshToken),
                    "{what} {status}"
                );
            }
        }
        // A success says nothing by its status, and names an error in words of the provider's own.
        for (what, expected) in [
            ("status = 200", SpentTokens::RefreshToken),
            (
                "status = 200\ncode = \"E1\"\nat = \"/code\"",
                SpentTokens::Nothing,
            ),
            ("code = \"E1\"\nat = \"/code\"", SpentTokens::Nothing),
            (
                "status = 200\ntext = \"gateway\"\nprocessed = \"maybe\"",
                SpentTokens::RefreshToken,
            ),
            ("status = 200\nprocessed = \"no\"", SpentTokens::Nothing),
        ] {
            let refresh = &answers(&rule(what), 200, &json, body)[1];
            assert_eq!(
                (refresh.word(), spent(refresh)),
                (class, Some(expected)),
                "{what}"
            );
        }
        let certain = rule("status = 502\nprocessed = \"no\"");
        for reply in answers(&certain, 502, &json, body) {
            assert_eq!(
                (reply.word(), spent(&reply)),
                (class, Some(SpentTokens::Nothing))
            );
        }
    }
}

#[test]
fn a_token_of_a_foreign_type_was_brought_by_a_refresh_that_was_done() {
    use tokend_dialect::SpentTokens;
    for (refresh_token, expected) in [
        ("null", SpentTokens::AccessToken),
        ("\"next\"", SpentTokens::AccessToken),
        (r#"{"a": 1}"#, SpentTokens::RefreshToken),
    ] {
        let body = format!(
            r#"{{"access_token": "a", "token_type": "DPoP", "refresh_token": {refresh_token}}}"#
        );
        let [login, refresh] = &answers(&dialect(PLAIN), 200, &[], &body)[..] else {
            panic!("two requests");
        };
        let spent = |reply: &ProviderReply| reply.provider_message().map(|told| told.spent);
        assert_eq!(spent(login), Some(SpentTokens::Nothing), "{body}");
        assert_eq!(spent(refresh), Some(expected), "{body}");
        assert_eq!(refresh.word(), "misconfigured", "{body}");
    }
}

fn may_have_been_processed(reply: &ProviderReply) -> bool {
    matches!(
        reply,
        ProviderReply::Misbehaved {
            processed: Processed::Maybe,
            ..
        }
    )
}

#[test]
fn a_rule_for_no_answer_has_nothing_of_an_answer() {
    for (rule, message) in [
        (
            "no_answer = true\nstatus = 401",
            "a rule with `no_answer` has no `status`",
        ),
        (
            "no_answer = \"closed\"\ntext = \"x\"",
            "a rule with `no_answer` has no `status`",
        ),
        ("no_answer = false", "would match every reply"),
        ("no_answer = \"close\"", "did you mean `closed`?"),
    ] {
        let text = format!("{PLAIN}[[login.rules]]\n{rule}\nclass = \"credential-rejected\"\n");
        let error = try_dialect(&text).expect_err(rule);
        let mistakes: Vec<String> = error
            .diagnostics()
            .kept()
            .iter()
            .map(|it| format!("{} {}", it.message(), it.help().unwrap_or_default()))
            .collect();
        assert!(
            mistakes.join("\n").contains(message),
            "{rule}: {mistakes:?}"
        );
    }
}
