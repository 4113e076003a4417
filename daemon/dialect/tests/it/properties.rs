//! What holds for arbitrary values and arbitrary bytes.
#![expect(
    clippy::unwrap_used,
    reason = "a property that cannot be set up has failed"
)]

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use tokend_dialect::{Catalog, Dialect, ExchangeKind, Fields, REFRESH_TOKEN, parse};

use crate::support::{DATE, endpoint, fields, form, header, jwt, response, with_options};

const NAMES: &[&str] = &[
    "oauth2",
    "ad-verification",
    "jwt-api",
    "client-credentials",
    "firebase-accounts",
];

/// The built-in dialects, compiled once for all cases of a property.
static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::builtin);

fn builtin(name: &str) -> &'static Dialect {
    NAMES
        .iter()
        .find(|known| **known == name)
        .and_then(|known| CATALOG.find(known).ok())
        .unwrap()
}

/// Text of every awkward kind, never empty.
fn awkward() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{1,40}",
        "[ -~]{1,40}",
        "[%+&=:;,\"'\\\\ /{}<>\\x00-\\x20é𝄞]{1,20}"
    ]
}

/// Bytes that look a bit like replies, or not at all.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let members = prop::collection::vec((json_key(), json_value()), 0..6);
    let object = members.prop_map(|members| {
        let members: Vec<String> = members
            .into_iter()
            .map(|(key, value)| format!("\"{key}\":{value}"))
            .collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    });
    prop_oneof![prop::collection::vec(any::<u8>(), 0..300), object]
}

fn json_key() -> impl Strategy<Value = String> {
    let keys = [
        "access_token",
        "refresh_token",
        "expires_in",
        "expires_at",
        "token_type",
        "scope",
        "error",
        "data",
        "access",
        "code",
        "message",
        "detail",
    ];
    prop::sample::select(keys.to_vec()).prop_map(str::to_owned)
}

fn json_value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        any::<f64>().prop_map(|number| if number.is_finite() {
            number.to_string()
        } else {
            "1e400".to_owned()
        }),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::Value::String(text).to_string()),
        "\\{\"(exp|iat)\":-?[0-9]{1,20}(\\.[0-9]{1,4})?\\}"
            .prop_map(|payload| format!("\"{}\"", jwt(&payload))),
        Just("[{\"loc\":[1,\"a\"],\"msg\":\"m\"}]".to_owned()),
        Just("\"{\\\"access_token\\\":\\\"x\\\"}\"".to_owned()),
    ]
}

fn header_values() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,40}",
        "-?[0-9]{1,30}",
        Just(DATE.to_owned()),
        Just("Thu, 01 Jan 1970 00:00:00 GMT".to_owned())
    ]
}

proptest! {
    #[test]
    fn no_reply_panics(
        status in 200_u16..600,
        body in bodies(),
        date in header_values(),
        retry in header_values(),
        secret in awkward(),
    ) {
        let sent = fields(&[("password", &secret), (REFRESH_TOKEN, &secret)]);
        let reply = response(status, &[("date", &date), ("retry-after", &retry), ("location", &retry)], body);
        for name in NAMES {
            let dialect = builtin(name);
            for kind in [ExchangeKind::Login, ExchangeKind::Refresh] {
                let read = dialect.read_reply(kind, &reply, &sent);
                if let Some(message) = read.provider_message() {
                    prop_assert!(message.text.chars().count() <= 200 && !message.text.contains(char::is_control));
                    prop_assert!(message.code.as_ref().is_none_or(|code| code.chars().count() <= 64));
                }
                prop_assert!(!dialect.explain_reply(kind, &reply).is_empty());
            }
            let refused = dialect.rejection().matches(status, reply.body());
            // Each of these dialects takes 401 for a refusal, or 400 with certain words.
            let may_be = matches!(status, 400 | 401);
            prop_assert!(may_be || !refused);
            prop_assert!(refused || status != 401);
        }
    }

    #[test]
    fn forms_keep_every_value(user in awkward(), password in awkward()) {
        let dialect = builtin("ad-verification");
        let request = dialect.request(ExchangeKind::Login, &endpoint(dialect), &fields(&[("username", &user), ("password", &password)])).unwrap();
        prop_assert!(request.body().is_ascii());
        prop_assert_eq!(form(&request), [("username".to_owned(), user), ("password".to_owned(), password)]);
    }

    #[test]
    fn json_keeps_every_value(token in awkward()) {
        let dialect = builtin("ad-verification");
        let request = dialect.request(ExchangeKind::Refresh, &endpoint(dialect), &fields(&[(REFRESH_TOKEN, &token)])).unwrap();
        let sent: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
        prop_assert_eq!(&sent["refresh_token"], &serde_json::Value::String(token));
    }

    #[test]
    fn basic_keeps_every_value_it_takes(user in awkward(), password in awkward()) {
        let dialect = builtin("firebase-accounts");
        let fields = fields(&[("username", &user), ("password", &password)]);
        let impossible = user.contains(':') || format!("{user}{password}").contains(char::is_control);
        match dialect.request(ExchangeKind::Login, &endpoint(dialect), &fields) {
            Err(error) => {
                prop_assert!(impossible);
                prop_assert!(error.to_string().contains("name") || error.to_string().contains("password"));
            }
            Ok(request) => {
                prop_assert!(!impossible);
                let value = header(&request, "authorization").unwrap().strip_prefix("Basic ").unwrap();
                let decoded = String::from_utf8(STANDARD.decode(value).unwrap()).unwrap();
                prop_assert_eq!(decoded.split_once(':').unwrap(), (user.as_str(), password.as_str()));
            }
        }
    }

    #[test]
    fn rfc_6749_basic_keeps_every_value(id in awkward(), secret in awkward()) {
        let dialect = builtin("oauth2");
        let endpoint = with_options(dialect, &[("grant", "client_credentials")]);
        let request = dialect.request(ExchangeKind::Login, &endpoint, &fields(&[("client_id", &id), ("client_secret", &secret)])).unwrap();
        let value = header(&request, "authorization").unwrap().strip_prefix("Basic ").unwrap();
        let decoded = String::from_utf8(STANDARD.decode(value).unwrap()).unwrap();
        let (left, right) = decoded.split_once(':').unwrap();
        let decode = |text: &str| form_urlencoded::parse(format!("k={text}").as_bytes()).next().unwrap().1.into_owned();
        prop_assert_eq!((decode(left), decode(right)), (id, secret));
    }

    #[test]
    fn a_header_takes_a_value_whole_or_not_at_all(token in awkward()) {
        let dialect = builtin("jwt-api");
        match dialect.request(ExchangeKind::Refresh, &endpoint(dialect), &fields(&[(REFRESH_TOKEN, &token)])) {
            Ok(request) => prop_assert_eq!(request.headers()["refresh-token"].as_bytes(), token.as_bytes()),
            Err(error) => prop_assert!(token.chars().any(|c| c.is_control() || !c.is_ascii()), "{}", error),
        }
    }

    #[test]
    fn an_echoed_secret_is_never_told(
        secret in "[A-Za-z0-9%+/=&\"\\\\ é<>:_.~-]{6,60}",
        before in "[a-z ]{0,150}",
        status in prop::sample::select(vec![200_u16, 400, 401, 422, 429, 500, 503]),
        encoding in 0_usize..6,
    ) {
        let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let echo = match encoding {
            0 => secret.clone(),
            1 => form,
            2 => secret.bytes().map(|byte| format!("%{byte:02X}")).collect(),
            3 => serde_json::to_string(&secret).unwrap(),
            4 => STANDARD.encode(&secret),
            _ => STANDARD.encode(format!("u:{secret}")),
        };
        let sent = fields(&[("password", &secret)]);
        for body in [format!("{before}{echo}"), serde_json::json!({ "error": { "message": format!("{before} {echo} x") } }).to_string()] {
            for name in NAMES {
                let reply = builtin(name).read_reply(ExchangeKind::Login, &response(status, &[], body.clone()), &sent);
                let shown = format!("{reply:?}");
                let inner = secret.trim();
                prop_assume!(inner.chars().count() >= 6 && !before.contains(inner));
                prop_assert!(!shown.contains(&secret), "{}", shown);
                prop_assert!(!shown.contains(&echo), "{}", shown);
            }
        }
    }

    #[test]
    fn no_dialect_text_panics(text in "\\PC{0,200}", key in "[a-z_.]{1,12}", value in awkward()) {
        let catalog = &*CATALOG;
        let quoted = toml::Value::String(value).to_string();
        for text in [text, format!("{key} = {quoted}"), format!("[login]\n{key} = {quoted}"), format!("[reply]\n{key} = [{quoted}]")] {
            if let Err(error) = parse("x.toml", &text, catalog) {
                prop_assert!(!error.diagnostics().is_empty() && !crate::support::shown(&error).is_empty());
            }
        }
    }

    #[test]
    fn debug_of_fields_shows_no_secret(secret in "[A-Z0-9]{12}") {
        let mut fields = Fields::new();
        fields.set_secret("anything", secret.clone().into());
        let shown = format!("{fields:?}");
        prop_assert!(!shown.contains(&secret));
    }
}
