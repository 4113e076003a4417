//! The exchanges of the four documents, in the dialects' `documents/exchanges.toml`: the simulator answers as they say.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokend_harness::probe::{self, Reply};
use tokend_provider_simulator::{
    Simulator,
    spec::{AccountSpec, Api},
};
use toml::{Table, Value};

use crate::samples::{resource, simulator};

const EXCHANGES: &str = include_str!("../../../../daemon/dialect/tests/documents/exchanges.toml");

const HEADERS: [&str; 3] = ["authorization", "refresh-token", "accept"];
const TOKENS: [&str; 2] = ["{access}", "{refresh}"];

struct Exchange<'t>(&'t Table);

impl<'t> Exchange<'t> {
    /// The value of a key; empty if it is missing.
    fn text(&self, key: &str) -> &'t str {
        let value = self.0.get(key);
        value.map_or("", |value| value.as_str().unwrap())
    }

    fn api(&self) -> Api {
        self.text("document").parse().unwrap()
    }

    fn deploy(&self, sim: &Simulator) {
        let deployed = self.0.get("deployed").and_then(Value::as_table);
        for (key, value) in deployed.into_iter().flatten() {
            sim.deploy(self.api(), |it| match key.as_str() {
                "grant_type_required" => it.grant_type_required = true,
                "flat_errors" => it.flat_errors = true,
                "data_as_string" => it.data_as_string = true,
                "refresh_key" => value.as_str().unwrap().clone_into(&mut it.refresh_key),
                other => panic!("no deployment is called {other}"),
            });
        }
    }

    /// The text with the account's values, and with the refresh token that it presents.
    fn filled(&self, text: &str, account: &AccountSpec, held: &str) -> String {
        let wrong = self.text("wrong");
        let values = [
            ("username", &account.username),
            ("password", &account.password),
            ("client_id", &account.client_id),
            ("client_secret", &account.client_secret),
            ("scope", &None),
        ]
        .map(|(name, value)| match name == wrong {
            true => (name, "wrong"),
            false => (name, value.as_deref().unwrap_or("anything")),
        });
        let [(_, user), (_, password), ..] = values;
        let basic = BASE64_STANDARD.encode(format!("{user}:{password}"));
        let text = text.replace("{basic}", &basic).replace("{held}", held);
        values.iter().fold(text, |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), value)
        })
    }

    /// Sends the request to the provider at `base`.
    fn send(&self, base: &str, account: &AccountSpec, held: &str) -> Reply {
        let fill = |value: &str| self.filled(value, account, held);
        let path = self.text("request").strip_prefix("POST ").unwrap();
        let mut probe = probe::post(format!("{base}{path}"));
        if let Some(form) = self.0.get("form").and_then(Value::as_array) {
            let pairs = form.iter().map(|pair| pair.as_str().unwrap());
            let pairs = pairs.map(|pair| pair.split_once('=').unwrap());
            let pairs: Vec<_> = pairs.map(|(name, value)| (name, fill(value))).collect();
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(name, value)| (*name, &**value))
                .collect();
            probe = probe.form(&pairs);
        }
        if self.0.contains_key("json") {
            probe = probe.body("application/json", &fill(self.text("json")));
        }
        let headers = self.0.get("headers").and_then(Value::as_table);
        for (name, value) in headers.into_iter().flatten() {
            let name = HEADERS.into_iter().find(|known| known == name);
            probe = probe.header(name.unwrap(), &fill(value.as_str().unwrap()));
        }
        probe.send().unwrap()
    }

    /// Access and refresh token of a reply; `None` if the rest differs from the document's.
    fn tokens(&self, reply: &Reply) -> Option<[Option<String>; 2]> {
        let mut found = [None, None];
        let (mut shown, mut body) = (self.text("reply"), reply.body.as_str());
        if shown.is_empty() {
            return Some(found);
        }
        while let Some((at, which)) = next(shown) {
            let (before, after) = shown.split_at(at);
            body = body.strip_prefix(before)?;
            shown = after.strip_prefix(TOKENS.get(which)?)?;
            let (token, rest) = body.split_at(body.find(['"', '\\'])?);
            *found.get_mut(which)? = Some(token.to_owned());
            body = rest;
        }
        (shown == body).then_some(found)
    }
}

/// The position and kind of the next token in a reply as the document shows it.
fn next(shown: &str) -> Option<(usize, usize)> {
    let places = TOKENS.iter().enumerate();
    places
        .filter_map(|(which, token)| Some((shown.find(token)?, which)))
        .min()
}

/// A provider answers the exchange at this one of its addresses.
fn answers(exchange: &Exchange<'_>, login: &Exchange<'_>, base: fn(&Simulator, Api) -> String) {
    let (name, api) = (exchange.text("name"), exchange.api());
    let (sim, account) = simulator(api);
    let base = base(&sim, api);
    let mut held = "a.b.c".to_owned();
    if exchange.text("kind") == "refresh" && exchange.text("presents") != "unknown" {
        let tokens = login.tokens(&login.send(&base, &account, "")).unwrap();
        let [_, Some(refresh)] = tokens else {
            panic!("{name}: the login brings no refresh token");
        };
        held = refresh;
    }
    exchange.deploy(&sim);
    if exchange.text("presents") == "spent" {
        assert_eq!(exchange.send(&base, &account, &held).status, 200, "{name}");
    }
    let reply = exchange.send(&base, &account, &held);
    let status = exchange.0.get("status").and_then(Value::as_integer);
    assert_eq!(Some(i64::from(reply.status)), status, "{name}: {reply:?}");
    let Some([access, refresh]) = exchange.tokens(&reply) else {
        panic!("{name}: {}", reply.body);
    };
    if let Some(access) = access {
        assert_eq!(resource(&sim, api, &access).status, 200, "{name}");
    }
    assert_ne!(refresh, Some(held), "{name}");
}

#[test]
fn each_exchange_is_answered_as_its_document_says_under_both_addresses() {
    let table: Table = EXCHANGES.parse().unwrap();
    let rows = table.get("exchange").and_then(Value::as_array).unwrap();
    let all: Vec<_> = rows
        .iter()
        .map(|row| Exchange(row.as_table().unwrap()))
        .collect();
    assert!(all.len() > 20);
    for exchange in &all {
        let mut logins = all.iter().filter(|login| login.text("kind") == "login");
        let login = logins.find(|login| login.api() == exchange.api()).unwrap();
        answers(exchange, login, Simulator::base_url);
        answers(exchange, login, Simulator::prefixed_url);
    }
}
