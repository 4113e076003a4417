//! What is the provider's own word, and what something in front of it may have said.

use std::sync::Arc;

use tokend_dialect::{Dialect, ExchangeKind, Fields, Processed, ProviderReply, Silence};

use crate::support::*;

mod doubt;

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

fn may_have_been_processed(reply: &ProviderReply) -> bool {
    matches!(
        reply,
        ProviderReply::Misbehaved {
            processed: Processed::Maybe,
            ..
        }
    )
}
