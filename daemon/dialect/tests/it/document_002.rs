//! Document 002, client credentials: what a client can act on besides the exchanges of `exchanges.rs`.

use tokend_dialect::{DeclaredReuse, ExchangeKind, Processed, ProviderReply, RequestError};

use crate::support::*;

const ERROR_401: &str = include_str!("../documents/002/error-401.json");
const ERROR_500: &str = include_str!("../documents/002/error-500.json");

/// The schema of 500 shows the members of `error` without the wrapper.
fn flat(sample: &str) -> String {
    let nested: serde_json::Value = serde_json::from_str(sample).unwrap_or_default();
    nested
        .get("error")
        .map(ToString::to_string)
        .unwrap_or_default()
}

#[test]
fn both_fields_are_required() {
    let dialect = builtin("client-credentials");
    let error = dialect
        .request(
            ExchangeKind::Login,
            &endpoint(&dialect),
            &fields(&[("client_id", "c")]),
        )
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
fn there_is_no_refresh() {
    let dialect = builtin("client-credentials");
    assert!(dialect.can_login() && !dialect.can_refresh());
    assert_eq!(dialect.reuse(), DeclaredReuse::None);
    let error = dialect
        .request(
            ExchangeKind::Refresh,
            &endpoint(&dialect),
            &fields(&[("refresh_token", "r")]),
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "dialect `client-credentials` has no refresh with the options of this account"
    );
}

#[test]
fn a_failure_of_the_provider_is_understood_in_both_shapes() {
    let dialect = builtin("client-credentials");
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
            message(&reply).to_string(),
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
    assert_eq!(
        message(&forbidden).text,
        "Access forbidden for this resource."
    );
    let not_found = read(
        &dialect,
        ExchangeKind::Login,
        404,
        r#"{"error":"Resource or endpoint not found."}"#,
    );
    assert!(matches!(not_found, ProviderReply::Misconfigured(_)));
    assert_eq!(
        message(&not_found).text,
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
