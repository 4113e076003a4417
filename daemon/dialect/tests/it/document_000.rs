//! Document 000, the Ad Verification API: what a client can act on besides the exchanges of `exchanges.rs`.

use tokend_dialect::{DeclaredReuse, EndpointSettings, ExchangeKind, ProviderReply, REFRESH_TOKEN};

use crate::support::*;

const REJECTION: &str = include_str!("../documents/000/rejection-400.txt");

#[test]
fn both_fields_of_the_login_are_required() {
    let dialect = builtin("ad-verification");
    for (present, missing) in [("username", "password"), ("password", "username")] {
        let error = dialect
            .request(
                ExchangeKind::Login,
                &endpoint(&dialect),
                &fields(&[(present, "x")]),
            )
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the login needs `{missing}`; set `{missing}` for the account")
        );
    }
}

#[test]
fn a_new_refresh_token_comes_only_possibly() {
    let dialect = builtin("ad-verification");
    assert_eq!(dialect.reuse(), DeclaredReuse::Unknown);
    let only_access = r#"{"access_token": "a", "token_type": "bearer"}"#;
    assert_eq!(
        refresh(&grant(&dialect, ExchangeKind::Refresh, only_access)),
        None
    );
}

#[test]
fn a_422_says_what_is_wrong_with_the_request() {
    let dialect = builtin("ad-verification");
    assert!(matches!(
        read(&dialect, ExchangeKind::Login, 422, "{}"),
        ProviderReply::Misconfigured(_)
    ));
    assert!(matches!(
        read(&dialect, ExchangeKind::Refresh, 422, "{}"),
        ProviderReply::RefreshRejected(_)
    ));
}

#[test]
fn the_api_refuses_a_token_with_400_and_a_message() {
    let dialect = builtin("ad-verification");
    let rejection = dialect.rejection();
    assert!(rejection.matches(400, REJECTION.as_bytes()));
    assert!(rejection.matches(400, format!(r#"{{"detail":"{REJECTION}"}}"#).as_bytes()));
    assert!(rejection.matches(401, b""));
    assert!(!rejection.matches(400, br#"{"detail":"project name is missing"}"#));
    assert!(!rejection.matches(200, REJECTION.as_bytes()));
    assert!(!rejection.matches(500, REJECTION.as_bytes()));
}

#[test]
fn the_base_url_may_have_a_path_and_paths_may_change() {
    let dialect = builtin("ad-verification");
    let settings = EndpointSettings {
        base_url: "https://gateway.example.com/ads/".to_owned(),
        refresh_path: Some("/v2/renew".to_owned()),
        ..EndpointSettings::default()
    };
    let endpoint = tokend_dialect::Endpoint::new(&dialect, &settings).unwrap();
    let all = fields(&[("username", "u"), ("password", "p"), (REFRESH_TOKEN, "r")]);
    assert_eq!(
        dialect
            .request(ExchangeKind::Login, &endpoint, &all)
            .unwrap()
            .uri(),
        "https://gateway.example.com/ads/login"
    );
    assert_eq!(
        dialect
            .request(ExchangeKind::Refresh, &endpoint, &all)
            .unwrap()
            .uri(),
        "https://gateway.example.com/ads/v2/renew"
    );
}
