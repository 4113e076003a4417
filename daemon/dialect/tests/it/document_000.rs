//! Document 000, the Ad Verification API: each sentence a client can act on.

use tokend_dialect::{
    DeclaredReuse, EndpointSettings, ExchangeKind, LifetimeSource, ProviderReply, REFRESH_TOKEN,
};

use crate::support::*;

const LOGIN: &str = include_str!("../documents/000/login-200.json");
const REFRESH_BODY: &str = include_str!("../documents/000/refresh-request.json");
const REJECTION: &str = include_str!("../documents/000/rejection-400.txt");

#[test]
fn login_is_a_form_with_username_and_password() {
    let dialect = builtin("ad-verification");
    let fields = fields(&[("username", "you@example.com"), ("password", "<password>")]);
    let request = dialect.login_request(&endpoint(&dialect), &fields).unwrap();
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), "https://api.example.com/login");
    assert_eq!(
        header(&request, "content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(
        body(&request),
        "username=you%40example.com&password=%3Cpassword%3E"
    );
}

#[test]
fn both_fields_of_the_login_are_required() {
    let dialect = builtin("ad-verification");
    for (given, missing) in [("username", "password"), ("password", "username")] {
        let error = dialect
            .login_request(&endpoint(&dialect), &fields(&[(given, "x")]))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the login needs `{missing}`; set `{missing}` for the account")
        );
    }
}

#[test]
fn a_strict_deployment_gets_its_grant_type() {
    let dialect = builtin("ad-verification");
    let endpoint = with_options(&dialect, &[("grant_type", "password")]);
    let request = dialect
        .login_request(&endpoint, &fields(&[("username", "u"), ("password", "p")]))
        .unwrap();
    assert_eq!(body(&request), "username=u&password=p&grant_type=password");
}

#[test]
fn the_sample_reply_is_read() {
    let grant = grant(&builtin("ad-verification"), ExchangeKind::Login, LOGIN);
    assert_eq!(access(&grant), "eyJhbGciOiJIUzI1NiIs...");
    assert_eq!(refresh(&grant), Some("eyJhbGciOiJIUzI1NiIs..."));
    assert_eq!(grant.token_type, "Bearer");
    assert_eq!(
        (grant.lifetime, grant.lifetime_source),
        (None, LifetimeSource::Unknown)
    );
}

#[test]
fn refresh_is_json_with_the_refresh_token() {
    let dialect = builtin("ad-verification");
    let fields = fields(&[(REFRESH_TOKEN, "<your-refresh-token>")]);
    let request = dialect
        .refresh_request(&endpoint(&dialect), &fields)
        .unwrap();
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), "https://api.example.com/refresh_token");
    assert_eq!(header(&request, "content-type"), Some("application/json"));
    let sent: serde_json::Value = serde_json::from_str(body(&request)).unwrap();
    assert_eq!(
        sent,
        serde_json::from_str::<serde_json::Value>(REFRESH_BODY).unwrap()
    );
}

#[test]
fn the_key_of_the_refresh_token_differs_by_deployment() {
    let dialect = builtin("ad-verification");
    let endpoint = with_options(&dialect, &[("refresh_key", "refreshToken")]);
    let request = dialect
        .refresh_request(&endpoint, &fields(&[(REFRESH_TOKEN, "r")]))
        .unwrap();
    assert_eq!(body(&request), r#"{"refreshToken":"r"}"#);
}

#[test]
fn a_new_refresh_token_comes_only_possibly() {
    let dialect = builtin("ad-verification");
    assert_eq!(dialect.reuse(), DeclaredReuse::Unknown);
    assert_eq!(
        refresh(&grant(&dialect, ExchangeKind::Refresh, LOGIN)),
        Some("eyJhbGciOiJIUzI1NiIs...")
    );
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
        dialect.login_request(&endpoint, &all).unwrap().uri(),
        "https://gateway.example.com/ads/login"
    );
    assert_eq!(
        dialect.refresh_request(&endpoint, &all).unwrap().uri(),
        "https://gateway.example.com/ads/v2/renew"
    );
}
