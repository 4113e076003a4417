//! What is part of a token: everything that was asked, and nothing of who asked.

use std::collections::BTreeMap;

use tokend_dialect::{Asks, Catalog, Endpoint, EndpointSettings, parse};

fn asks(options: &[(&str, &str)], plain: &[(&'static str, &'static str)]) -> Asks {
    let catalog = Catalog::builtin();
    let dialect = catalog
        .find("oauth2")
        .unwrap_or_else(|error| panic!("{error}"));
    let settings = EndpointSettings {
        base_url: "https://login.example.com".into(),
        options: options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..EndpointSettings::default()
    };
    let endpoint = Endpoint::new(dialect, &settings).unwrap_or_else(|error| panic!("{error}"));
    let plain: BTreeMap<_, _> = plain.iter().copied().collect();
    dialect.asks(&endpoint, |name| plain.get(name).copied())
}

#[test]
fn scope_audience_and_resource_are_asked_by_a_login_and_not_by_a_refresh() {
    let before = asks(&[], &[("scope", "admin")]);
    for after in [
        asks(&[], &[("scope", "read")]),
        asks(&[], &[]),
        asks(&[("audience", "one")], &[("scope", "admin")]),
        asks(&[("resource", "one")], &[("scope", "admin")]),
        asks(&[("grant", "client_credentials")], &[("scope", "admin")]),
    ] {
        assert_ne!(after.login, before.login);
        assert_eq!(after.refresh, before.refresh);
    }
}

#[test]
fn who_asks_and_how_the_client_says_so_is_not_asked() {
    let before = asks(&[], &[("scope", "admin")]);
    let plain = [("scope", "admin"), ("username", "u"), ("client_id", "c")];
    assert_eq!(asks(&[], &plain), before);
    for auth in ["basic-raw", "body", "none"] {
        assert_eq!(asks(&[("client_auth", auth)], &plain), before, "{auth}");
    }
}

#[test]
fn what_a_refresh_says_too_can_be_asked_by_a_refresh() {
    let before = asks(&[], &[]);
    let after = asks(&[("token_path", "/elsewhere")], &[]);
    assert_ne!(after.refresh, before.refresh);
    assert_eq!(after.login, before.login);
}

#[test]
fn a_dialect_that_asks_otherwise_asks_for_another_token() {
    let of = |scope: &str| {
        let text = format!(
            "summary = \"own\"\n[login]\npath = \"/token\"\nbody.json = {{ user = \"{{username}}\", rights = {{ scope = \"{scope}\" }} }}\n"
        );
        let dialect = parse("own", &text, &Catalog::builtin()).unwrap();
        let settings = EndpointSettings {
            base_url: "https://login.example.com".into(),
            ..EndpointSettings::default()
        };
        let endpoint = Endpoint::new(&dialect, &settings).unwrap();
        dialect.asks(&endpoint, |_| None)
    };
    assert_eq!(of("read"), of("read"));
    assert_ne!(of("read").login, of("write").login);
    assert_eq!(Asks::parse(&of("read").to_string()), Some(of("read")));
    assert_eq!(Asks::parse("nonsense"), None);
}
