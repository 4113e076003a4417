//! Document 002, client credentials: each sentence a client can act on.

use tokend_dialect::{
    DeclaredReuse, Endpoint, EndpointSettings, ExchangeKind, LifetimeSource, Processed,
    ProviderReply, RequestError,
};

use crate::support::*;

const TOKEN: &str = include_str!("../documents/002/token-200.json");
const ERROR_400: &str = include_str!("../documents/002/error-400.json");
const ERROR_401: &str = include_str!("../documents/002/error-401.json");
const ERROR_500: &str = include_str!("../documents/002/error-500.json");

/// The schemas of 401 and 500 show the members of `error` without the wrapper.
fn flat(sample: &str) -> String {
    let nested: serde_json::Value = serde_json::from_str(sample).unwrap_or_default();
    nested
        .get("error")
        .map(ToString::to_string)
        .unwrap_or_default()
}

#[test]
fn login_is_a_form_with_id_and_secret_and_no_grant_type() {
    let dialect = builtin("client-credentials");
    let fields = fields(&[
        ("client_id", "YOUR_CLIENT_ID"),
        ("client_secret", "YOUR_CLIENT_SECRET"),
    ]);
    let request = dialect.login_request(&endpoint(&dialect), &fields).unwrap();
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri().path(), "/v1/auth/token");
    assert_eq!(
        header(&request, "content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(
        body(&request),
        "client_id=YOUR_CLIENT_ID&client_secret=YOUR_CLIENT_SECRET"
    );
}

#[test]
fn both_fields_are_required() {
    let dialect = builtin("client-credentials");
    let error = dialect
        .login_request(&endpoint(&dialect), &fields(&[("client_id", "c")]))
        .unwrap_err();
    assert_eq!(
        error,
        RequestError::Missing {
            field: "client_secret".to_owned(),
            kind: ExchangeKind::Login
        }
    );
}

#[test]
fn a_deployment_that_wants_a_grant_type_gets_it() {
    let dialect = builtin("client-credentials");
    let endpoint = with_options(&dialect, &[("grant_type", "client_credentials")]);
    let request = dialect
        .login_request(
            &endpoint,
            &fields(&[("client_id", "c"), ("client_secret", "s")]),
        )
        .unwrap();
    assert_eq!(
        body(&request),
        "client_id=c&client_secret=s&grant_type=client_credentials"
    );
}

#[test]
fn the_path_appears_with_and_without_v1() {
    let dialect = builtin("client-credentials");
    let fields = fields(&[("client_id", "c"), ("client_secret", "s")]);
    for (name, path) in [
        ("versioned", "/v1/auth/token"),
        ("unversioned", "/auth/token"),
    ] {
        let settings = EndpointSettings {
            endpoint: Some(name.to_owned()),
            ..settings()
        };
        let endpoint = Endpoint::new(&dialect, &settings).unwrap();
        assert_eq!(
            dialect
                .login_request(&endpoint, &fields)
                .unwrap()
                .uri()
                .path(),
            path
        );
    }
}

#[test]
fn there_is_no_refresh() {
    let dialect = builtin("client-credentials");
    assert!(dialect.can_login() && !dialect.can_refresh());
    assert_eq!(dialect.reuse(), DeclaredReuse::None);
    let error = dialect
        .refresh_request(&endpoint(&dialect), &fields(&[("refresh_token", "r")]))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "dialect `client-credentials` has no refresh with the options of this account"
    );
}

#[test]
fn the_sample_reply_is_read() {
    let grant = grant(&builtin("client-credentials"), ExchangeKind::Login, TOKEN);
    assert_eq!(access(&grant), "sk-418e41a74ca2e7d941fa4456d73dbed7");
    assert_eq!(grant.token_type, "Bearer");
    assert_eq!(
        (grant.lifetime, grant.lifetime_source),
        (seconds(3600), LifetimeSource::Told)
    );
    assert_eq!(refresh(&grant), None);
}

#[test]
fn the_wrapper_may_be_a_string_that_holds_json() {
    let sample: serde_json::Value = serde_json::from_str(TOKEN).unwrap();
    let wrapped = serde_json::json!({ "data": sample["data"].to_string() }).to_string();
    let grant = grant(
        &builtin("client-credentials"),
        ExchangeKind::Login,
        &wrapped,
    );
    assert_eq!(access(&grant), "sk-418e41a74ca2e7d941fa4456d73dbed7");
    assert_eq!(grant.lifetime, seconds(3600));
}

#[test]
fn each_listed_error_is_understood_in_both_shapes() {
    let dialect = builtin("client-credentials");
    for body in [ERROR_400.to_owned(), flat(ERROR_400)] {
        let reply = read(&dialect, ExchangeKind::Login, 400, &body);
        assert!(
            matches!(reply, ProviderReply::Misconfigured(_)),
            "{reply:?}"
        );
        assert_eq!(
            told(&reply).to_string(),
            "status 400 (invalid_request): Missing or invalid parameters"
        );
    }
    for body in [ERROR_401.to_owned(), flat(ERROR_401)] {
        let reply = read(&dialect, ExchangeKind::Login, 401, &body);
        assert!(
            matches!(reply, ProviderReply::CredentialRejected(_)),
            "{reply:?}"
        );
        assert_eq!(
            told(&reply).to_string(),
            "status 401 (invalid_client): Invalid client_id, client_secret, or session_key"
        );
    }
    for body in [ERROR_500.to_owned(), flat(ERROR_500)] {
        let reply = read(&dialect, ExchangeKind::Login, 500, &body);
        assert!(
            matches!(
                reply,
                ProviderReply::Misbehaved {
                    processed: Processed::No,
                    ..
                }
            ),
            "{reply:?}"
        );
        assert_eq!(
            told(&reply).to_string(),
            "status 500 (API_ERROR): Api Error, please contact customer service"
        );
    }
}

#[test]
fn a_code_may_be_a_number_and_decides_whatever_the_status() {
    let dialect = builtin("client-credentials");
    for body in [
        r#"{"error":{"code":401021}}"#,
        r#"{"code":"401021"}"#,
        r#"{"error":"{\"code\":\"401021\"}"}"#,
    ] {
        let reply = read(&dialect, ExchangeKind::Login, 400, body);
        assert!(
            matches!(reply, ProviderReply::CredentialRejected(_)),
            "{body}"
        );
    }
}

#[test]
fn forbidden_and_not_found_have_an_error_string() {
    let dialect = builtin("client-credentials");
    let forbidden = read(
        &dialect,
        ExchangeKind::Login,
        403,
        r#"{"error":"Access forbidden for this resource."}"#,
    );
    assert!(matches!(forbidden, ProviderReply::CredentialRejected(_)));
    assert_eq!(told(&forbidden).text, "Access forbidden for this resource.");
    let not_found = read(
        &dialect,
        ExchangeKind::Login,
        404,
        r#"{"error":"Resource or endpoint not found."}"#,
    );
    assert!(matches!(not_found, ProviderReply::Misconfigured(_)));
    assert_eq!(
        told(&not_found).text,
        "endpoint not found; try endpoint = \"unversioned\" or correct base_url (it said: Resource or endpoint not found.)"
    );
}

#[test]
fn a_200_with_an_error_and_no_token_is_a_failure() {
    let dialect = builtin("client-credentials");
    let reply = read(&dialect, ExchangeKind::Login, 200, ERROR_401);
    assert!(
        matches!(reply, ProviderReply::CredentialRejected(_)),
        "{reply:?}"
    );
    let reply = read(&dialect, ExchangeKind::Login, 200, r#"{"data":{}}"#);
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
