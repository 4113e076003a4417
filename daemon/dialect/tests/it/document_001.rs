//! Document 001, the JWT API: what a client can act on besides the exchanges of `exchanges.rs`.

use tokend_dialect::{DeclaredReuse, ExchangeKind, Fields, LifetimeSource};

use crate::support::*;

/// The document prints the members of the object without its braces.
const LOGIN_MEMBERS: &str = include_str!("../documents/001/login-200.fragment");

fn sample() -> String {
    format!("{{\n{LOGIN_MEMBERS}\n}}")
}

#[test]
fn only_user_name_and_password_are_required() {
    let dialect = builtin("jwt-api");
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
fn postman_is_the_only_named_endpoint() {
    assert_eq!(
        builtin("jwt-api").endpoints().collect::<Vec<_>>(),
        ["postman"]
    );
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
            (seconds(3600), LifetimeSource::Stated)
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
fn the_refresh_token_works_once_and_what_reuse_costs_is_not_said() {
    assert_eq!(builtin("jwt-api").reuse(), DeclaredReuse::Unknown);
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
