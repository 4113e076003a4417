//! The exchanges of the four documents, in `documents/exchanges.toml`: each request is made and each reply understood.
#![expect(
    clippy::unwrap_used,
    reason = "a table that cannot be read ends its test"
)]

use std::path::Path;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::Request;
use tokend_dialect::{
    Endpoint, EndpointSettings, ExchangeKind, LifetimeSource, ProviderReply, REFRESH_TOKEN,
};
use toml::{Table, Value};

use crate::support::*;

const EXCHANGES: &str = include_str!("../documents/exchanges.toml");

/// What the account has, what it presents, and what comes back.
const VALUES: [(&str, &str); 8] = [
    ("username", "you@example.com"),
    ("password", "p%40ss w\u{f6}rd:&+="),
    ("client_id", "YOUR_CLIENT_ID"),
    ("client_secret", "YOUR_CLIENT_SECRET/+="),
    ("scope", "a b"),
    ("held", "held.refresh.token"),
    ("access", "new.access.token"),
    ("refresh", "new.refresh.token"),
];
/// Headers that carry what the account has.
const SECRET: [&str; 2] = ["authorization", "refresh-token"];

struct Exchange(Table);

impl Exchange {
    fn all() -> Vec<Self> {
        let table: Table = EXCHANGES.parse().unwrap();
        let rows = table.get("exchange").and_then(Value::as_array).unwrap();
        rows.iter()
            .map(|row| Self(row.as_table().unwrap().clone()))
            .collect()
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.as_str().unwrap())
    }

    fn name(&self) -> &str {
        self.text("name").unwrap()
    }

    fn dialect(&self) -> &'static str {
        match self.text("document").unwrap() {
            "000" => "ad-verification",
            "001" => "jwt-api",
            "002" => "client-credentials",
            _ => "firebase-accounts",
        }
    }

    fn kind(&self) -> ExchangeKind {
        match self.text("kind").unwrap() {
            "login" => ExchangeKind::Login,
            _ => ExchangeKind::Refresh,
        }
    }

    /// The texts of a list.
    fn list(&self, key: &str) -> Vec<&str> {
        let items = self.0.get(key).and_then(Value::as_array);
        let items = items.into_iter().flatten();
        items.map(|item| item.as_str().unwrap()).collect()
    }

    /// The texts of a table by their keys, filled.
    fn table(&self, key: &str) -> Vec<(String, String)> {
        let table = self.0.get(key).and_then(Value::as_table);
        let pairs = table.into_iter().flatten();
        pairs
            .map(|(name, value)| (name.clone(), filled(value.as_str().unwrap())))
            .collect()
    }

    /// What the form holds, in order.
    fn form(&self) -> Vec<(String, String)> {
        let pairs = self.list("form").into_iter();
        pairs
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), filled(value)))
            .collect()
    }

    /// The sample of the document, as a complete body.
    fn sample(&self, key: &str) -> Option<String> {
        let file = self.text(key)?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents");
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        Some(match file.ends_with(".fragment") {
            true => format!("{{{text}}}"),
            false => text,
        })
    }

    fn made(&self) -> Request<Bytes> {
        let dialect = builtin(self.dialect());
        let settings = EndpointSettings {
            endpoint: self.text("endpoint").map(str::to_owned),
            options: self.table("options").into_iter().collect(),
            ..settings()
        };
        let endpoint = Endpoint::new(&dialect, &settings).unwrap();
        let present = self.list("fields");
        let mut values = VALUES.to_vec();
        values.retain(|(name, _)| present.contains(name));
        values.push((REFRESH_TOKEN, value_of("held")));
        let values = fields(&values);
        let made = match self.kind() {
            ExchangeKind::Login => dialect.request(ExchangeKind::Login, &endpoint, &values),
            ExchangeKind::Refresh => dialect.request(ExchangeKind::Refresh, &endpoint, &values),
        };
        made.unwrap()
    }

    /// The lifetime that is read, and whose word it is.
    fn lifetime(&self) -> (Option<std::time::Duration>, LifetimeSource) {
        let of = |key| self.0.get(key).and_then(Value::as_integer);
        let seconds = |number: i64| seconds(number.try_into().unwrap());
        match (of("stated"), of("assumed")) {
            (Some(stated), _) => (seconds(stated), LifetimeSource::Stated),
            (None, Some(assumed)) => (seconds(assumed), LifetimeSource::Assumed),
            (None, None) => (None, LifetimeSource::Unknown),
        }
    }

    /// A reply with this body means what it shall.
    fn assert_means(&self, body: &str) -> ProviderReply {
        let name = self.name();
        let status = self.0.get("status").and_then(Value::as_integer);
        let status = status.unwrap().try_into().unwrap();
        let reply = read(&builtin(self.dialect()), self.kind(), status, body);
        assert_eq!(Some(reply.word()), self.text("means"), "{name}: {reply:?}");
        if let ProviderReply::Granted(grant) = &reply {
            let lifetime = (grant.lifetime, grant.lifetime_source);
            assert_eq!(lifetime, self.lifetime(), "{name}");
            assert_eq!(grant.token_type, "Bearer", "{name}");
        } else if let Some(says) = self.text("says") {
            assert_eq!(message(&reply).to_string(), says, "{name}");
        }
        reply
    }
}

fn value_of(name: &str) -> &'static str {
    let found = VALUES.iter().find(|(own, _)| *own == name);
    found.map(|(_, value)| *value).unwrap()
}

fn filled(text: &str) -> String {
    let basic = format!("{}:{}", value_of("username"), value_of("password"));
    let text = text.replace("{basic}", &BASE64_STANDARD.encode(basic));
    VALUES.iter().fold(text, |text, (name, value)| {
        text.replace(&format!("{{{name}}}"), value)
    })
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn each_request_is_made_as_the_document_says() {
    let exchanges = Exchange::all();
    assert!(exchanges.len() > 20);
    for exchange in exchanges {
        let (name, request) = (exchange.name(), exchange.made());
        let (method, path) = exchange.text("request").unwrap().split_once(' ').unwrap();
        assert_eq!(request.method(), method, "{name}");
        assert_eq!(request.uri(), format!("{BASE}{path}").as_str(), "{name}");
        let content_type = header(&request, "content-type");
        if exchange.0.contains_key("form") {
            let expected = Some("application/x-www-form-urlencoded");
            assert_eq!(content_type, expected, "{name}");
            assert_eq!(form(&request), exchange.form(), "{name}");
        } else if let Some(json) = exchange.text("json") {
            assert_eq!(content_type, Some("application/json"), "{name}");
            assert_eq!(body(&request), filled(json), "{name}");
        } else {
            assert_eq!((content_type, body(&request)), (None, ""), "{name}");
            assert_eq!(header(&request, "content-length"), Some("0"), "{name}");
        }
        let headers = exchange.table("headers");
        for (header_name, value) in &headers {
            assert_eq!(header(&request, header_name), Some(&**value), "{name}");
        }
        for secret in SECRET {
            let sent = request.headers().get(secret);
            let listed = headers.iter().any(|(name, _)| name == secret);
            assert_eq!(sent.is_some(), listed, "{name}: {secret}");
            assert!(sent.is_none_or(http::HeaderValue::is_sensitive), "{name}");
        }
        if let Some(sample) = exchange.sample("sent_sample") {
            let sent = body(&request).replace(value_of("held"), "<your-refresh-token>");
            assert_eq!(json(&sent), json(&sample), "{name}");
        }
    }
}

#[test]
fn each_reply_is_understood_as_the_document_means_it() {
    for exchange in Exchange::all() {
        let name = exchange.name();
        let shown = exchange.text("reply").unwrap_or("{}");
        if let ProviderReply::Granted(grant) = exchange.assert_means(&filled(shown)) {
            assert_eq!(access(&grant), value_of("access"), "{name}");
            let brings = shown.contains("{refresh}").then(|| value_of("refresh"));
            assert_eq!(refresh(&grant), brings, "{name}");
        }
    }
}

#[test]
fn each_sample_of_a_document_is_understood_as_its_exchange_is() {
    let mut samples = 0;
    for exchange in Exchange::all() {
        let Some(sample) = exchange.sample("sample") else {
            continue;
        };
        samples += 1;
        let (name, mut shown) = (exchange.name(), exchange.text("reply").unwrap().to_owned());
        if let ProviderReply::Granted(grant) = exchange.assert_means(&sample) {
            shown = shown.replace("{access}", access(&grant));
            shown = shown.replace("{refresh}", refresh(&grant).unwrap_or_default());
        }
        assert_eq!(json(&sample), json(&shown), "{name}");
    }
    assert_eq!(samples, 5);
}
