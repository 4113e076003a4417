//! Document 001, the JWT API: each sentence a client can act on.

use tokend_dialect::{
    DeclaredReuse, Endpoint, EndpointSettings, ExchangeKind, Fields, LifetimeSource, ProviderReply,
    REFRESH_TOKEN,
};

use crate::support::*;

/// The document prints the members of the object without its braces.
const LOGIN_MEMBERS: &str = include_str!("../documents/001/login-200.fragment");

fn sample() -> String {
    format!("{{\n{LOGIN_MEMBERS}\n}}")
}

#[test]
fn login_is_a_form_with_grant_type_password() {
    let dialect = builtin("jwt-api");
    let request = dialect
        .login_request(
            &endpoint(&dialect),
            &fields(&[("username", "u"), ("password", "p")]),
        )
        .unwrap();
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri().path(), "/auth/jwt/login");
    assert_eq!(
        header(&request, "content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(header(&request, "accept"), Some("application/json"));
    assert_eq!(body(&request), "grant_type=password&username=u&password=p");
}

#[test]
fn scope_client_id_and_client_secret_are_optional() {
    let dialect = builtin("jwt-api");
    let all = [
        ("username", "u"),
        ("password", "p"),
        ("scope", "a b"),
        ("client_id", "acct-1"),
        ("client_secret", "s"),
    ];
    let request = dialect
        .login_request(&endpoint(&dialect), &fields(&all))
        .unwrap();
    assert_eq!(
        body(&request),
        "grant_type=password&username=u&password=p&scope=a+b&client_id=acct-1&client_secret=s"
    );
    let uses = dialect.fields_at(&endpoint(&dialect));
    for (name, required) in [
        ("username", true),
        ("password", true),
        ("scope", false),
        ("client_secret", false),
    ] {
        assert_eq!(
            uses.iter()
                .find(|field| field.name == name)
                .unwrap()
                .required,
            required,
            "{name}"
        );
    }
}

#[test]
fn the_sample_reply_is_read_and_its_stale_exp_does_no_harm() {
    let dialect = builtin("jwt-api");
    for headers in [&[][..], &[("date", DATE)][..]] {
        let reply = dialect.read_reply(
            ExchangeKind::Login,
            &response(200, headers, sample()),
            &Fields::new(),
        );
        let grant = granted(reply);
        assert!(LOGIN_MEMBERS.contains(&format!("\"access_token\": \"{}\"", access(&grant))));
        assert_eq!(
            refresh(&grant),
            Some(access(&grant)),
            "the sample has the same string twice"
        );
        assert_eq!(grant.token_type, "Bearer");
        assert_eq!(
            (grant.lifetime, grant.lifetime_source),
            (seconds(3600), LifetimeSource::Told)
        );
    }
}

#[test]
fn the_exp_of_the_jwt_can_shorten_the_lifetime() {
    let dialect = builtin("jwt-api");
    let token = jwt(&format!(r#"{{"exp": {}}}"#, DATE_UNIX + 600));
    let body = format!(r#"{{"access_token": "{token}", "expires_in": 3600}}"#);
    let grant = granted(dialect.read_reply(
        ExchangeKind::Login,
        &response(200, &[("date", DATE)], body),
        &Fields::new(),
    ));
    assert_eq!(
        (grant.lifetime, grant.lifetime_source),
        (seconds(599), LifetimeSource::Jwt)
    );
}

#[test]
fn without_expires_in_the_documented_hour_is_assumed() {
    let grant = grant(
        &builtin("jwt-api"),
        ExchangeKind::Login,
        r#"{"access_token": "a"}"#,
    );
    assert_eq!(
        (grant.lifetime, grant.lifetime_source),
        (seconds(3600), LifetimeSource::Assumed)
    );
}

#[test]
fn refresh_sends_the_token_in_a_header_and_no_body() {
    let dialect = builtin("jwt-api");
    let request = dialect
        .refresh_request(&endpoint(&dialect), &fields(&[(REFRESH_TOKEN, "abc.def")]))
        .unwrap();
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri().path(), "/auth/jwt/refresh");
    assert_eq!(header(&request, "refresh-token"), Some("abc.def"));
    assert!(request.headers()["refresh-token"].is_sensitive());
    assert_eq!(header(&request, "accept"), Some("application/json"));
    assert_eq!(header(&request, "content-length"), Some("0"));
    assert_eq!(header(&request, "content-type"), None);
    assert!(request.body().is_empty());
}

#[test]
fn the_postman_endpoint_can_be_chosen() {
    let dialect = builtin("jwt-api");
    assert_eq!(dialect.endpoints().collect::<Vec<_>>(), ["postman"]);
    let settings = EndpointSettings {
        endpoint: Some("postman".to_owned()),
        ..settings()
    };
    let endpoint = Endpoint::new(&dialect, &settings).unwrap();
    let all = fields(&[("username", "u"), ("password", "p"), (REFRESH_TOKEN, "r")]);
    let request = dialect.refresh_request(&endpoint, &all).unwrap();
    assert_eq!(request.uri().path(), "/auth/jwt/postman-refresh");
    assert_eq!(header(&request, "refresh-token"), Some("r"));
    assert_eq!(
        dialect.login_request(&endpoint, &all).unwrap().uri().path(),
        "/auth/jwt/login"
    );
}

#[test]
fn the_refresh_token_works_once_and_what_reuse_costs_is_not_said() {
    assert_eq!(builtin("jwt-api").reuse(), DeclaredReuse::Unknown);
}

#[test]
fn a_refresh_brings_a_new_pair() {
    let grant = grant(
        &builtin("jwt-api"),
        ExchangeKind::Refresh,
        r#"{"access_token":"a2","refresh_token":"r2","token_type":"bearer","expires_in":3600}"#,
    );
    assert_eq!((access(&grant), refresh(&grant)), ("a2", Some("r2")));
}

#[test]
fn a_login_without_a_refresh_token_is_a_login() {
    let grant = grant(
        &builtin("jwt-api"),
        ExchangeKind::Login,
        r#"{"access_token":"a","token_type":"bearer"}"#,
    );
    assert_eq!(refresh(&grant), None);
}

#[test]
fn a_wrong_password_is_told_with_400() {
    let reply = read(
        &builtin("jwt-api"),
        ExchangeKind::Login,
        400,
        r#"{"detail":"LOGIN_BAD_CREDENTIALS"}"#,
    );
    assert!(matches!(reply, ProviderReply::CredentialRejected(_)));
    assert_eq!(told(&reply).text, "LOGIN_BAD_CREDENTIALS");
}

#[test]
fn a_spent_refresh_token_is_told_with_401() {
    let reply = read(
        &builtin("jwt-api"),
        ExchangeKind::Refresh,
        401,
        r#"{"detail":"Unauthorized"}"#,
    );
    assert!(matches!(reply, ProviderReply::RefreshRejected(_)));
}
