//! The built-in `oauth2` dialect: RFC 6749 sections 2.3.1, 4.3, 4.4, 5 and 6.

use tokend_dialect::{
    Endpoint, EndpointSettings, ExchangeKind, LifetimeSource, ProviderReply, REFRESH_TOKEN,
    RequestError,
};

use crate::support::*;

#[test]
fn password_grant() {
    let dialect = builtin("oauth2");
    let fields = fields(&[
        ("username", "johndoe"),
        ("password", "A3ddj3w"),
        ("client_id", "s6BhdRkqt3"),
        ("client_secret", "gX1fBat3bV"),
    ]);
    let request = dialect
        .request(ExchangeKind::Login, &endpoint(&dialect), &fields)
        .unwrap();
    // The example of RFC 6749 section 4.3.2.
    assert_eq!(request.uri().path(), "/token");
    assert_eq!(
        header(&request, "authorization"),
        Some("Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW")
    );
    assert_eq!(
        body(&request),
        "grant_type=password&username=johndoe&password=A3ddj3w"
    );
}

#[test]
fn client_credentials_grant_with_scope_audience_and_resource() {
    let dialect = builtin("oauth2");
    let endpoint = with_options(
        &dialect,
        &[
            ("grant", "client_credentials"),
            ("audience", "https://a"),
            ("resource", "urn:r"),
            ("token_path", "/oauth/token"),
        ],
    );
    let fields = fields(&[("client_id", "c"), ("client_secret", "s"), ("scope", "a b")]);
    let request = dialect
        .request(ExchangeKind::Login, &endpoint, &fields)
        .unwrap();
    assert_eq!(request.uri().path(), "/oauth/token");
    assert_eq!(
        body(&request),
        "scope=a+b&audience=https%3A%2F%2Fa&resource=urn%3Ar&grant_type=client_credentials"
    );
}

#[test]
fn an_account_that_only_refreshes_has_no_login() {
    let dialect = builtin("oauth2");
    let endpoint = with_options(
        &dialect,
        &[("grant", "refresh_token"), ("client_auth", "none")],
    );
    assert!(!dialect.can_login_at(&endpoint) && dialect.can_refresh_at(&endpoint));
    let error = dialect
        .request(ExchangeKind::Login, &endpoint, &fields(&[]))
        .unwrap_err();
    assert_eq!(
        error,
        RequestError::Unavailable {
            dialect: "oauth2".to_owned(),
            kind: ExchangeKind::Login
        }
    );
    let request = dialect
        .request(
            ExchangeKind::Refresh,
            &endpoint,
            &fields(&[(REFRESH_TOKEN, "r")]),
        )
        .unwrap();
    assert_eq!(body(&request), "grant_type=refresh_token&refresh_token=r");
    assert_eq!(header(&request, "authorization"), None);
    let needed: Vec<String> = dialect
        .fields_at(&endpoint)
        .into_iter()
        .filter(|f| f.required)
        .map(|f| f.name)
        .collect();
    assert_eq!(needed, [REFRESH_TOKEN]);
}

#[test]
fn each_client_authentication_is_used_for_the_refresh_too() {
    let dialect = builtin("oauth2");
    let fields = fields(&[
        ("client_id", "c:d"),
        ("client_secret", "é"),
        (REFRESH_TOKEN, "r"),
    ]);
    let sent = |auth: &str| {
        let endpoint = with_options(&dialect, &[("client_auth", auth)]);
        let request = dialect.request(ExchangeKind::Refresh, &endpoint, &fields)?;
        Ok((
            header(&request, "authorization").map(str::to_owned),
            body(&request).to_owned(),
        ))
    };
    let refresh = "grant_type=refresh_token&refresh_token=r";
    // base64 of "c%3Ad:%C3%A9".
    assert_eq!(
        sent("basic-rfc6749"),
        Ok((
            Some("Basic YyUzQWQ6JUMzJUE5".to_owned()),
            refresh.to_owned()
        ))
    );
    assert_eq!(
        sent("body"),
        Ok((
            None,
            format!("{refresh}&client_id=c%3Ad&client_secret=%C3%A9")
        ))
    );
    assert_eq!(
        sent("none"),
        Ok((None, format!("{refresh}&client_id=c%3Ad")))
    );
    let error: RequestError = sent("basic-raw").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`client_id` has a colon, which cannot stand in the user name of a Basic header; correct `client_id` of the account"
    );
}

#[test]
fn the_error_codes_of_section_5_2() {
    let dialect = builtin("oauth2");
    for (code, login, refresh) in [
        ("invalid_request", "misconfigured", "refresh-token-rejected"),
        (
            "invalid_client",
            "credential-rejected",
            "credential-rejected",
        ),
        (
            "invalid_grant",
            "credential-rejected",
            "refresh-token-rejected",
        ),
        ("unauthorized_client", "misconfigured", "misconfigured"),
        ("unsupported_grant_type", "misconfigured", "misconfigured"),
        ("invalid_scope", "misconfigured", "misconfigured"),
        ("slow_down", "busy", "busy"),
    ] {
        for status in [400, 401] {
            let body = format!(r#"{{"error":"{code}"}}"#);
            assert_eq!(
                read(&dialect, ExchangeKind::Login, status, &body).word(),
                login,
                "{code} {status}"
            );
            assert_eq!(
                read(&dialect, ExchangeKind::Refresh, status, &body).word(),
                refresh,
                "{code} {status}"
            );
        }
    }
}

#[test]
fn a_200_with_an_error_is_decided_by_its_code() {
    let dialect = builtin("oauth2");
    assert!(matches!(
        read(
            &dialect,
            ExchangeKind::Refresh,
            200,
            r#"{"error":"invalid_grant"}"#
        ),
        ProviderReply::RefreshRejected(_)
    ));
    assert!(matches!(
        read(&dialect, ExchangeKind::Refresh, 200, r#"{"error":"odd"}"#),
        ProviderReply::Misbehaved { .. }
    ));
}

#[test]
fn the_example_of_section_5_1() {
    let body = r#"{
       "access_token":"2YotnFZFEjr1zCsicMWpAA",
       "token_type":"example",
       "expires_in":3600,
       "refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA",
       "example_parameter":"example_value"
     }"#;
    let dialect = builtin("oauth2");
    let reply = read(&dialect, ExchangeKind::Login, 200, body);
    assert!(
        message(&reply)
            .text
            .starts_with("the provider issues tokens of type `example`"),
        "{reply:?}"
    );
    let grant = grant(
        &dialect,
        ExchangeKind::Login,
        &body.replace("\"example\"", "\"Bearer\""),
    );
    assert_eq!(
        (access(&grant), refresh(&grant)),
        ("2YotnFZFEjr1zCsicMWpAA", Some("tGzv3JOkF0XG5Qx2TlKWIA"))
    );
    assert_eq!(
        (grant.lifetime, grant.lifetime_source),
        (seconds(3600), LifetimeSource::Stated)
    );
}

#[test]
fn a_jwt_that_ends_before_expires_in_is_believed() {
    let dialect = builtin("oauth2");
    let lifetime = |exp: u64| {
        let token = jwt(&format!(
            r#"{{"iat": {DATE_UNIX}, "exp": {}}}"#,
            DATE_UNIX + exp
        ));
        let body = format!(r#"{{"access_token": "{token}", "expires_in": 600}}"#);
        let grant = grant(&dialect, ExchangeKind::Login, &body);
        (grant.lifetime, grant.lifetime_source)
    };
    assert_eq!(lifetime(300), (seconds(299), LifetimeSource::Jwt));
    assert_eq!(lifetime(900), (seconds(600), LifetimeSource::Stated));
}

#[test]
fn a_refresh_lifetime_is_read_and_zero_means_unknown() {
    let dialect = builtin("oauth2");
    let life = |value: &str| {
        let body =
            format!(r#"{{"access_token":"a","refresh_token":"r","refresh_expires_in":{value}}}"#);
        grant(&dialect, ExchangeKind::Login, &body).refresh_lifetime
    };
    assert_eq!(life("1800"), seconds(1800));
    assert_eq!(life("0"), None);
}

#[test]
fn an_option_that_does_not_exist_or_fit_is_told_with_the_nearest_word() {
    let dialect = builtin("oauth2");
    let error = |name: &str, value: &str| {
        let options = [(name.to_owned(), value.to_owned())].into();
        Endpoint::new(
            &dialect,
            &EndpointSettings {
                options,
                ..settings()
            },
        )
        .unwrap_err()
    };
    let unknown = error("client_aut", "body");
    assert_eq!(
        (unknown.key(), unknown.to_string().as_str()),
        (
            "options.client_aut",
            "dialect `oauth2` has no option `client_aut`"
        )
    );
    assert!(
        unknown.help().starts_with("did you mean `client_auth`?"),
        "{}",
        unknown.help()
    );
    let value = error("client_auth", "basic");
    assert_eq!(value.to_string(), "option `client_auth` cannot be `basic`");
    assert!(
        value.help().starts_with("did you mean `basic-raw`?"),
        "{}",
        value.help()
    );
    assert_eq!(
        error("token_path", "oauth/token").to_string(),
        "`oauth/token` does not begin with one `/`"
    );
}
