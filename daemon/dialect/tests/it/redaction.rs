//! What a provider echoes never leaves this crate: the secrets of the request in every encoding, and tokens it never sent.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use tokend_dialect::{ExchangeKind, Fields, ProviderReply, REFRESH_TOKEN};

use crate::support::*;

const PASSWORD: &str = "p%40ss w\"rd+é\\/<&>";

fn text(body: &str, sent: &Fields) -> String {
    let reply = builtin("oauth2").read_reply(
        ExchangeKind::Login,
        &response(400, &[], body.to_owned()),
        sent,
    );
    assert!(!matches!(reply, ProviderReply::Granted(_)));
    format!("{} | {:?}", message(&reply), reply)
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn a_secret_in_any_encoding_is_hidden() {
    let sent = fields(&[("username", "you"), ("password", PASSWORD)]);
    let form: String = form_urlencoded::byte_serialize(PASSWORD.as_bytes()).collect();
    let json = serde_json::to_string(PASSWORD).unwrap();
    let ascii_json: String = json
        .chars()
        .map(|c| {
            if c.is_ascii() {
                c.to_string()
            } else {
                format!("\\u{:04X}", c as u32)
            }
        })
        .collect();
    let html = PASSWORD
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&#62;")
        .replace('"', "&#x22;");
    let basic = STANDARD.encode(format!("you:{PASSWORD}"));
    for echo in [
        PASSWORD.to_owned(),
        form.clone(),
        percent(PASSWORD),
        form.to_lowercase(),
        json.clone(),
        serde_json::to_string(&json).unwrap(),
        ascii_json,
        html,
        STANDARD.encode(PASSWORD),
        URL_SAFE_NO_PAD.encode(PASSWORD),
        basic.clone(),
        percent(&basic),
        STANDARD.encode(format!("{}:{form}", "ab")),
    ] {
        let shown = text(&format!("echo: {echo} end"), &sent);
        assert!(shown.contains("[redacted]"), "{echo}: {shown}");
        assert!(!shown.contains(&echo), "{echo}: {shown}");
        for part in ["p%40ss", "p%2540", "cCU0MHNz", "w\\\"rd", "rd+é"] {
            assert!(!shown.contains(part), "{echo}: {shown}");
        }
    }
}

#[test]
fn a_validation_error_that_echoes_the_request_is_hidden() {
    let token = "rt-0123456789";
    let body = format!(
        r#"{{"detail":[{{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary","input":"refresh_token={token}"}}]}}"#
    );
    let sent = fields(&[(REFRESH_TOKEN, token)]);
    let reply = builtin("ad-verification").read_reply(
        ExchangeKind::Refresh,
        &response(422, &[], body),
        &sent,
    );
    assert!(matches!(reply, ProviderReply::RefreshRejected(_)));
    assert_eq!(
        message(&reply).text,
        "body: Input should be a valid dictionary"
    );
    let whole = format!(r#"{{"unknown shape":{{"input":"refresh_token={token}"}}}}"#);
    let reply = builtin("ad-verification").read_reply(
        ExchangeKind::Refresh,
        &response(422, &[], whole),
        &sent,
    );
    assert_eq!(
        message(&reply).text,
        r#"{"unknown shape":{"input":"refresh_token=[redacted]"}}"#
    );
}

#[test]
fn a_secret_that_was_cut_off_is_hidden() {
    let sent = fields(&[("client_secret", "correct-horse-battery-staple")]);
    for echo in [
        "got 'correct-horse...'",
        "the secret was correct-hor",
        "secret corr",
    ] {
        let shown = text(echo, &sent);
        assert!(!shown.contains("corr"), "{shown}");
    }
    // A body longer than what is looked at, cut in the middle of the secret.
    let padding = " ".repeat(4090);
    let shown = text(
        &format!("begin{padding}correct-horse-battery-staple"),
        &sent,
    );
    assert!(
        shown.starts_with("status 400: begin [redacted] |") && !shown.contains("corr"),
        "{shown}"
    );
}

#[test]
fn a_short_secret_withholds_the_whole_text() {
    let sent = fields(&[("password", "abc")]);
    assert!(text("the password abc is wrong", &sent).starts_with("status 400: [redacted]"));
    assert!(text("wrong", &sent).starts_with("status 400: wrong"));
}

#[test]
fn a_custom_secret_is_hidden_even_when_it_was_set_as_plain() {
    let dialect =
        dialect("[fields.pin_code]\n[login]\npath = \"/l\"\nbody.form = { p = \"{pin_code}\" }");
    let mut sent = Fields::new();
    sent.set("pin_code", "4711-0815");
    let reply = dialect.read_reply(
        ExchangeKind::Login,
        &response(400, &[], "pin 4711-0815 is wrong"),
        &sent,
    );
    assert_eq!(message(&reply).text, "pin [redacted] is wrong");
}

#[test]
fn tokens_that_were_never_sent_are_hidden() {
    let jwt = jwt(r#"{"sub":"x"}"#);
    for token in [
        jwt.as_str(),
        "0b5e7c1d9f3a4b6c8d2e",
        "sk-418e41a74ca2e7d941fa4456d73dbed7",
        "ya29_A0AfH6SMBx-y2z~1",
    ] {
        let shown = text(&format!("value '{token}' is not unique"), &Fields::new());
        assert!(
            !shown.contains(token) && shown.contains("value '[redacted]' is not unique"),
            "{shown}"
        );
    }
    for word in [
        "TOO_MANY_ATTEMPTS_TRY_LATER",
        "LOGIN_BAD_CREDENTIALS",
        "https://example.com/errors/invalid-grant",
        "1795262400",
    ] {
        assert!(
            text(&format!("see {word}"), &Fields::new()).contains(word),
            "{word}"
        );
    }
}

#[test]
fn an_error_code_can_echo_a_secret_too() {
    let sent = fields(&[("client_secret", "s3cr3t-value")]);
    let shown = text(r#"{"error":"bad:s3cr3t-value"}"#, &sent);
    assert!(!shown.contains("s3cr3t-value"), "{shown}");
}

#[test]
fn text_is_one_short_line_without_control_characters() {
    let body = format!(
        "a\r\nb\t\u{1b}[31mred\u{202e}evil\u{200b} {}",
        "long words ".repeat(100)
    );
    let reply = builtin("oauth2").read_reply(
        ExchangeKind::Login,
        &response(400, &[], body),
        &Fields::new(),
    );
    let text = &message(&reply).text;
    assert!(
        text.starts_with("a b \\u{1b}[31mred\\u{202e}evil\\u{200b} long words"),
        "{text}"
    );
    assert!(
        text.chars().count() == 200 && text.ends_with("..."),
        "{text}"
    );
}

#[test]
fn a_location_is_told_without_its_query() {
    let location = [("location", "/login?next=%2F&password=hunter2hunter2")];
    let sent = fields(&[("password", "hunter2hunter2")]);
    let reply =
        builtin("oauth2").read_reply(ExchangeKind::Login, &response(302, &location, ""), &sent);
    assert!(
        message(&reply)
            .text
            .starts_with("redirects to /login, which"),
        "{reply:?}"
    );
}

#[test]
fn what_stands_where_tokens_stand_is_hidden_whatever_the_status() {
    let body = r#"{"message":"duplicate key new-one-1","access_token":"new-one-1","x":{"Session_Token":"short","n":1}}"#;
    let reply = builtin("oauth2").read_reply(
        ExchangeKind::Refresh,
        &response(500, &[], body),
        &Fields::new(),
    );
    assert_eq!(message(&reply).text, "duplicate key [redacted]");
    let body = r#"{"x":{"access_token":"short","n":1},"password":"p"}"#;
    let reply = builtin("oauth2").read_reply(
        ExchangeKind::Refresh,
        &response(500, &[], body),
        &Fields::new(),
    );
    let shown = r#"{"password":"[redacted]","x":{"access_token":"[redacted]","n":1}}"#;
    assert_eq!(message(&reply).text, shown);
}

#[test]
fn a_2xx_reply_is_never_told_as_a_whole() {
    let reply = builtin("oauth2").read_reply(
        ExchangeKind::Login,
        &response(
            200,
            &[],
            r#"{"error":"invalid_grant","wrapped":{"tok":"short"}}"#,
        ),
        &Fields::new(),
    );
    assert_eq!(message(&reply).to_string(), "status 200 (invalid_grant)");
}

#[test]
fn a_reply_of_backslashes_is_read_in_time_that_grows_with_its_length() {
    // Each pair of them may be one or two characters of a secret, which must not be tried in every combination.
    let slashes = r"\\".repeat(4000);
    for end in ["", "x", "zzzzzzzz"] {
        let body = format!(r#"{{"access_token":"{slashes}{end}","message":"{slashes}"}}"#);
        assert!(text(&body, &Fields::new()).contains("[redacted]"));
    }
    let short = r"\\".repeat(7);
    let body = format!(r#"{{"access_token":"{short}z","message":"{slashes}"}}"#);
    let mut sent = Fields::new();
    sent.set_secret("password", format!(r"{}z", r"\".repeat(7)).into());
    assert!(!text(&body, &sent).is_empty());
}
