//! Every failure of a provider, by name.
//!
//! Only describes what such a provider does; the test `provider` says what follows from it.

use super::raw::Raw;

/// A reply that grants a token.
pub const GOOD: &str =
    r#"{"access_token":"good","refresh_token":"r","token_type":"bearer","expires_in":3600}"#;
/// The header for it.
pub const JSON: &str = "Content-Type: application/json\r\n";

/// Providers that keep a request waiting at each stage of the exchange.
pub fn hanging() -> Vec<(&'static str, Raw)> {
    vec![
        (
            "silent-before-headers",
            Raw::start(|talk| {
                talk.request();
                talk.stay()
            }),
        ),
        (
            "headers-trickle",
            Raw::start(|talk| {
                talk.request();
                talk.say(b"HTTP/1.1 200 OK\r\n");
                talk.trickle(b"X-Slow: y\r\n");
            }),
        ),
        (
            "promises-only",
            Raw::start(|talk| {
                talk.request();
                talk.say(b"HTTP/1.1 102 Processing\r\n\r\n");
                talk.trickle(b"HTTP/1.1 100 Continue\r\n\r\n");
            }),
        ),
        (
            "silent-in-body",
            Raw::start(|talk| {
                talk.request();
                talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access_token\":");
                talk.stay();
            }),
        ),
        (
            "body-trickle",
            Raw::start(|talk| {
                talk.request();
                talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
                talk.trickle(b" ");
            }),
        ),
    ]
}

/// Providers that reply at once, and wrongly.
#[expect(
    clippy::too_many_lines,
    reason = "a list, with an entry for each way to fail"
)]
pub fn broken() -> Vec<(&'static str, Raw)> {
    let json = |body: &str| Raw::answering("200 OK", JSON, body);
    vec![
        ("hangs-up", Raw::saying(&b""[..])),
        ("reset-at-once", Raw::start(|talk| talk.reset())),
        (
            "reset-in-headers",
            Raw::start(|talk| {
                talk.request();
                talk.say(b"HTTP/1.1 200 OK\r\nContent-");
                talk.reset();
            }),
        ),
        (
            "reset-in-body",
            Raw::start(|talk| {
                talk.request();
                talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access_token\":\"half");
                talk.reset();
            }),
        ),
        (
            "cut-short",
            Raw::saying(&b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"[..]),
        ),
        (
            "not-http",
            Raw::saying(&b"220 mail.example.com ESMTP\r\n"[..]),
        ),
        (
            "two-lengths",
            Raw::saying(
                &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}"[..],
            ),
        ),
        (
            "bad-chunks",
            Raw::saying(&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"[..]),
        ),
        (
            "headers-without-end",
            Raw::start(|talk| {
                talk.request();
                talk.say(b"HTTP/1.1 200 OK\r\n");
                talk.say_forever(
                    &b"X-More: and more of the same and more of the same\r\n".repeat(1000),
                );
            }),
        ),
        (
            "header-without-end",
            Raw::start(|talk| {
                talk.request();
                talk.say(b"HTTP/1.1 200 OK\r\nX-Long: ");
                talk.say_forever(&[b'a'; 65536]);
            }),
        ),
        (
            "gigabyte",
            Raw::start(|talk| {
                talk.request();
                talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
                talk.say_forever(&[b' '; 65536]);
            }),
        ),
        (
            "gigabyte-in-chunks",
            Raw::start(|talk| {
                talk.request();
                talk.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                talk.say_forever(&[&b"10000\r\n"[..], &[b' '; 65536], b"\r\n"].concat());
            }),
        ),
        (
            "body-without-end",
            Raw::start(|talk| {
                talk.request();
                talk.say(b"HTTP/1.1 200 OK\r\n\r\n\"");
                talk.say_forever(&[b'a'; 65536]);
            }),
        ),
        ("empty", json("")),
        ("not-json", json("{\"access_token\": oops")),
        (
            "not-utf8",
            Raw::answering("200 OK", JSON, b"{\"access_token\":\"\xff\xfe\"}"),
        ),
        ("deep-json", json(&"[".repeat(900_000))),
        ("deep-objects", json(&"{\"access_token\":".repeat(60_000))),
        (
            "token-is-a-number",
            json(r#"{"access_token":5,"token_type":"bearer","expires_in":3600}"#),
        ),
        (
            "token-is-a-list",
            json(r#"{"access_token":["a"],"token_type":"bearer"}"#),
        ),
        (
            "token-is-null",
            json(r#"{"access_token":null,"expires_in":3600}"#),
        ),
        (
            "token-is-empty",
            json(r#"{"access_token":"","expires_in":3600}"#),
        ),
        (
            "token-with-nul",
            json(r#"{"access_token":"a\u0000b","expires_in":3600}"#),
        ),
        (
            "token-with-line-end",
            json(r#"{"access_token":"a\r\nX-Evil: 1","expires_in":3600}"#),
        ),
        (
            "token-with-escape",
            json(r#"{"access_token":"\u001b[31mred","expires_in":3600}"#),
        ),
        (
            "token-too-long",
            json(&GOOD.replace("good", &"a".repeat(40_000))),
        ),
        ("not-a-bearer", json(&GOOD.replace("bearer", "mac"))),
        ("born-expired", json(&GOOD.replace("3600", "0"))),
        (
            "page",
            Raw::answering(
                "200 OK",
                "Content-Type: text/html\r\n",
                "<html>Welcome to the portal</html>",
            ),
        ),
        ("down", Raw::answering("503 Service Unavailable", "", "")),
        ("strange-status", Raw::answering("599 Whatever", "", "{}")),
        (
            "tls-expected",
            Raw::saying(&b"\x15\x03\x03\x00\x02\x02\x28"[..]),
        ),
    ]
}
