//! A success is read part by part: what is wrong with the access token does not cost the refresh token, nor the other way round.

use http::Response;
use tokend_dialect::{ExchangeKind, Fields, Processed, ProviderReply, Renewal};

use crate::support::*;

const PLAIN: &str = "[login]\npath = \"/l\"\nbody.form = { u = \"{username}\" }\n[refresh]\npath = \"/r\"\nbody.form = { t = \"{refresh_token}\" }\n";

/// The refresh token of a success that was no grant, whether a person has to change something, and what was told.
fn renewed(reply: ProviderReply) -> (Renewal, bool, String) {
    match reply {
        ProviderReply::Renewed {
            renewal,
            message,
            misconfigured,
        } => (renewal, misconfigured, message.text),
        other => panic!("expected a refresh token, got {other:?}"),
    }
}

fn reply_with(access: &str) -> String {
    format!(r#"{{"access_token":{access},"refresh_token":"rt-2","expires_in":60}}"#)
}

#[test]
fn whatever_is_wrong_with_the_access_token_the_refresh_token_is_kept() {
    let dialect = dialect(PLAIN);
    let long = format!("\"{}\"", "x".repeat(32 * 1024 + 1));
    for access in [
        "null",
        "17",
        "true",
        "[]",
        "{}",
        "\"\"",
        "\"  \"",
        "\"\\n\"",
        "\"null\"",
        "\"undefined\"",
        "\"None\"",
        "\"NULL\"",
        "\"nil\"",
        "\"(null)\"",
        "\"a b\"",
        "\"a\\u0000b\"",
        "\"ä\"",
        "\"\\ufffd\"",
        &long,
    ] {
        for kind in [ExchangeKind::Login, ExchangeKind::Refresh] {
            let (renewal, misconfigured, message) =
                renewed(read(&dialect, kind, 200, &reply_with(access)));
            assert_eq!(secret(&renewal.refresh_token), "rt-2", "{access:.40}");
            assert!(!misconfigured, "{access:.40}: {message}");
            assert!(message.contains("access token"), "{access:.40}: {message}");
        }
    }
    for kind in ["BearerToken", "DPoP", "mac", "Bearer v2", "\u{1f511}"] {
        let body =
            format!(r#"{{"access_token":"at","refresh_token":"rt-2","token_type":"{kind}"}}"#);
        let (renewal, misconfigured, _) =
            renewed(read(&dialect, ExchangeKind::Refresh, 200, &body));
        assert_eq!(secret(&renewal.refresh_token), "rt-2", "{kind}");
        assert!(misconfigured, "{kind}");
    }
}

#[test]
fn no_access_token_at_all_keeps_the_refresh_token_too() {
    let (renewal, ..) = renewed(read(
        &dialect(PLAIN),
        ExchangeKind::Refresh,
        201,
        r#"{"refresh_token":4711}"#,
    ));
    assert_eq!(secret(&renewal.refresh_token), "4711");
}

#[test]
fn how_long_a_refresh_token_lives_is_read_without_an_access_token() {
    let dialect = dialect(&format!(
        "{PLAIN}[reply]\nrefresh_lifetime = {{ from = \"/refresh_expires_in\" }}"
    ));
    let body = r#"{"access_token":null,"refresh_token":"rt-2","refresh_expires_in":90}"#;
    let (renewal, ..) = renewed(read(&dialect, ExchangeKind::Refresh, 200, body));
    assert_eq!(renewal.refresh_lifetime, seconds(90));
}

#[test]
fn what_the_dialect_calls_a_failure_keeps_nothing() {
    let dialect = dialect(&format!(
        "{PLAIN}[[rules]]\nat = \"/status\"\ncode = \"error\"\nclass = \"busy\"\n[[rules]]\nstatus = 202\nclass = \"misbehaved\""
    ));
    for (status, body) in [
        (200, r#"{"status":"error","refresh_token":"rt-2"}"#),
        (
            200,
            r#"{"status":"error","refresh_token":"rt-2","access_token":"null"}"#,
        ),
        (202, r#"{"refresh_token":"rt-2","access_token":"a"}"#),
        (400, r#"{"refresh_token":"rt-2","access_token":null}"#),
        (500, r#"{"refresh_token":"rt-2"}"#),
    ] {
        let reply = read(&dialect, ExchangeKind::Refresh, status, body);
        assert!(
            !matches!(
                reply,
                ProviderReply::Renewed { .. } | ProviderReply::Granted(_)
            ),
            "{status} {body}: {reply:?}"
        );
    }
}

#[test]
fn a_refresh_token_that_cannot_be_used_does_not_cost_the_access_token_and_is_not_taken_for_none() {
    let dialect = dialect(PLAIN);
    let long = format!("\"{}\"", "x".repeat(32 * 1024 + 1));
    for refresh in [&long, "{\"v\":1}", "[\"rt-2\"]", "true", "\"rt-\\ufffd\""] {
        let body = format!(r#"{{"access_token":"at-2","refresh_token":{refresh}}}"#);
        let grant = grant(&dialect, ExchangeKind::Refresh, &body);
        assert_eq!(access(&grant), "at-2", "{refresh:.40}");
        assert!(
            grant.refresh_token.is_none() && grant.refresh_token_lost,
            "{refresh:.40}"
        );
        assert!(
            grant.remarks[0].contains("may be spent"),
            "{:?}",
            grant.remarks
        );
        // With neither nobody knows what the provider did.
        let body = format!(r#"{{"access_token":null,"refresh_token":{refresh}}}"#);
        let reply = read(&dialect, ExchangeKind::Refresh, 200, &body);
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
fn words_for_nothing_are_no_token_and_the_next_place_is_looked_at() {
    let dialect = dialect(&format!(
        "{PLAIN}[reply]\naccess_token = [\"/a\", \"/b\"]\nrefresh_token = [\"/r\", \"/s\"]"
    ));
    for nothing in [
        "null",
        "Null",
        "undefined",
        "None",
        "nil",
        " ",
        "\\t",
        "(null)",
    ] {
        let body =
            format!(r#"{{"a":"{nothing}","b":"at","r":"{nothing}","token_type":"{nothing}"}}"#);
        let grant = grant(&dialect, ExchangeKind::Refresh, &body);
        assert_eq!((access(&grant), refresh(&grant)), ("at", None), "{nothing}");
        assert_eq!(
            (grant.token_type.as_str(), grant.refresh_token_lost),
            ("Bearer", false)
        );
        let body = format!(r#"{{"a":"at","r":"{nothing}","s":"rt"}}"#);
        assert_eq!(
            refresh(&self::grant(&dialect, ExchangeKind::Refresh, &body)),
            Some("rt")
        );
    }
}

#[test]
fn what_is_said_of_a_foreign_token_type_can_be_written_into_the_dialect_as_it_stands() {
    for name in [
        "BearerToken",
        "bearer token",
        "Bearer v2",
        "urn:x:bearer",
        &"b".repeat(32),
    ] {
        let body = format!(r#"{{"access_token":"at","token_type":"{name}"}}"#);
        let reply = read(&dialect(PLAIN), ExchangeKind::Login, 200, &body);
        let text = &message(&reply).text;
        let (_, advice) = text
            .split_once("write ")
            .unwrap_or_else(|| panic!("{text}"));
        let (line, rest) = advice
            .split_once(" below [reply]")
            .unwrap_or_else(|| panic!("{text}"));
        assert_eq!(rest, " of the dialect");
        let allowed = dialect(&format!("{PLAIN}[reply]\n{line}\n"));
        let expected = if name.to_lowercase().contains("bearer") {
            "Bearer"
        } else {
            name
        };
        assert_eq!(
            grant(&allowed, ExchangeKind::Login, &body).token_type,
            expected
        );
    }
    for name in ["a\\\"b", "ä", &"b".repeat(33), "DPoP"] {
        let body = format!(r#"{{"access_token":"at","token_type":"{name}"}}"#);
        let text = message(&read(&dialect(PLAIN), ExchangeKind::Login, 200, &body))
            .text
            .clone();
        assert!(
            !text.contains("write ") && text.contains("cannot be handed out"),
            "{text}"
        );
    }
}

/// A reply with these bytes; what it says of itself is wrong or missing.
fn bytes(body: &[u8], media: Option<&str>) -> Response<bytes::Bytes> {
    let headers: Vec<_> = media
        .map(|media| ("content-type", media))
        .into_iter()
        .collect();
    response(200, &headers, body.to_vec())
}

#[test]
fn what_an_ordinary_client_can_read_is_read() {
    let dialect = dialect(PLAIN);
    let json = r#"{"access_token":"at","refresh_token":"rt"}"#.as_bytes();
    let bodies: [Vec<u8>; 7] = [
        json.to_vec(),
        [b"\xef\xbb\xbf", json].concat(),
        b"{\"access_token\":\"at\",\"refresh_token\":\"rt\",\"name\":\"J\xfcrgen\"}".to_vec(),
        b"{\"J\xfc\":1,\"access_token\":\"at\",\"refresh_token\":\"rt\"}".to_vec(),
        br#"{"note":"cut \ud83d","access_token":"at","refresh_token":"rt"}"#.to_vec(),
        br#"{"note":"\\ud83d \ud83d\ude00 \udc00","access_token":"at","refresh_token":"rt"}"#
            .to_vec(),
        b"access_token=at&refresh_token=rt&scope=".to_vec(),
    ];
    for body in bodies {
        for media in [
            None,
            Some("text/html"),
            Some("text/plain"),
            Some("nonsense"),
            Some("application/json"),
        ] {
            let grant = granted(dialect.read_reply(
                ExchangeKind::Refresh,
                &bytes(&body, media),
                &Fields::new(),
            ));
            let shown = String::from_utf8_lossy(&body).into_owned();
            assert_eq!(
                (access(&grant), refresh(&grant)),
                ("at", Some("rt")),
                "{media:?} {shown}"
            );
        }
    }
}

/// JSON that RFC 8259 does not allow, as servers in Python, PHP and C write it and as clients in Go, Python and JavaScript read it.
#[test]
fn what_is_wrong_in_members_that_are_not_needed_costs_no_token() {
    let dialect = dialect(PLAIN);
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let deep_objects = format!("{}1{}", r#"{"a":["#.repeat(80), "]}".repeat(80));
    for other in [
        "NaN",
        "[Infinity, -Infinity]",
        "1e999",
        "-1E+400",
        &deep,
        &deep_objects,
        "\"two\nlines\"",
        "\"\t\u{1}\"",
        r#""cut \ud83d \"\\""#,
        r#""\"}{""#,
    ] {
        for (before, after) in [
            ("", ""),
            ("\r\n", "\0"),
            (" ", "\n<!-- hosted by us -->"),
            ("", "{}"),
        ] {
            let body = format!(
                r#"{before}{{"other":{other},"access_token":"at","refresh_token":"rt"}}{after}"#
            );
            let reply = dialect.read_reply(
                ExchangeKind::Refresh,
                &bytes(body.as_bytes(), Some("application/json")),
                &Fields::new(),
            );
            let grant = granted(reply);
            assert_eq!(
                (access(&grant), refresh(&grant)),
                ("at", Some("rt")),
                "{body:.200}"
            );
        }
    }
    // What is no JSON at all stays unread, and so does what has no end.
    for body in [
        r#"{"access_token":"at","refresh_token":"rt""#,
        r#"{"access_token":"at","refresh_token":"rt"#,
        r#"{"access_token":"at" "refresh_token":"rt"}"#,
        r#"{'access_token':'at','refresh_token':'rt'}"#,
        r#"<p>{"access_token":"at","refresh_token":"rt"}</p>"#,
        r#"{"access_token":"at","refresh_token":"rt"]"#,
        "{\"a\\",
        "[\"\\ud8",
    ] {
        let reply = read(&dialect, ExchangeKind::Refresh, 200, body);
        assert_eq!(reply.word(), "misbehaved", "{body}");
    }
}

#[test]
fn a_text_that_could_be_a_form_is_still_a_text_where_the_whole_body_is_the_token() {
    let dialect = dialect(&format!("{PLAIN}[reply]\naccess_token = \"\""));
    for body in ["a=b&c=d", "abc==", "plain"] {
        let grant = granted(dialect.read_reply(
            ExchangeKind::Login,
            &bytes(body.as_bytes(), None),
            &Fields::new(),
        ));
        assert_eq!(access(&grant), body);
    }
}

#[test]
fn a_token_with_an_invalid_byte_is_never_kept_as_if_it_were_whole() {
    let dialect = dialect(PLAIN);
    let body = b"{\"access_token\":\"at\",\"refresh_token\":\"rt-\xff\"}";
    let grant =
        granted(dialect.read_reply(ExchangeKind::Refresh, &bytes(body, None), &Fields::new()));
    assert!(grant.refresh_token.is_none() && grant.refresh_token_lost);
}

#[test]
fn an_encoding_that_cannot_be_read_is_named() {
    let packed = response(200, &[("content-encoding", "br")], &b"\x0b\x02\x80"[..]);
    let reply = dialect(PLAIN).read_reply(ExchangeKind::Refresh, &packed, &Fields::new());
    assert!(message(&reply).text.contains("encoded (br)"), "{reply:?}");
}
