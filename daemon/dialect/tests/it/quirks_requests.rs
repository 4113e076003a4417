//! What real servers want in a request: quirks 10 to 15, 29 and 30 of the list of real servers.
//!
//! Not here, because the broker does not do it: 14 (private_key_jwt assertions); of 15 (DPoP) only that it is explained.

use tokend_dialect::{ExchangeKind, Fields, ProviderReply, REFRESH_TOKEN};

use crate::support::*;

#[test]
fn quirk_10_basic_raw_or_form_encoded() {
    let dialect = builtin("oauth2");
    let fields = fields(&[("client_id", "app"), ("client_secret", "secret&=%+")]);
    let basic = |auth: &str| {
        let endpoint = with_options(
            &dialect,
            &[("grant", "client_credentials"), ("client_auth", auth)],
        );
        let request = dialect
            .request(ExchangeKind::Login, &endpoint, &fields)
            .unwrap();
        (
            header(&request, "authorization").map(str::to_owned),
            body(&request).to_owned(),
        )
    };
    // base64 of "app:secret%26%3D%25%2B" and of "app:secret&=%+".
    let encoded = "Basic YXBwOnNlY3JldCUyNiUzRCUyNSUyQg==";
    assert_eq!(
        basic("basic-rfc6749"),
        (
            Some(encoded.to_owned()),
            "grant_type=client_credentials".to_owned()
        )
    );
    assert_eq!(
        basic("basic-raw").0.as_deref(),
        Some("Basic YXBwOnNlY3JldCY9JSs=")
    );
}

#[test]
fn quirk_11_secret_in_the_body_only_where_asked_for() {
    let dialect = builtin("oauth2");
    let endpoint = with_options(
        &dialect,
        &[("grant", "client_credentials"), ("client_auth", "body")],
    );
    let fields = fields(&[
        ("client_id", "app"),
        ("client_secret", "s"),
        ("scope", "g_profile"),
    ]);
    let request = dialect
        .request(ExchangeKind::Login, &endpoint, &fields)
        .unwrap();
    assert_eq!(header(&request, "authorization"), None);
    let mut sent = form(&request);
    sent.sort();
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let expected = [
        ("client_id", "app"),
        ("client_secret", "s"),
        ("grant_type", "client_credentials"),
        ("scope", "g_profile"),
    ];
    assert_eq!(sent, expected.map(pair));
}

#[test]
fn quirk_12_json_or_form_is_the_dialects_choice() {
    let json = dialect("[login]\npath = \"/l\"\nbody.json = { user = \"{username}\" }");
    let form = dialect("[login]\npath = \"/l\"\nbody.form = { user = \"{username}\" }");
    let fields = fields(&[("username", "é\"&")]);
    assert_eq!(
        body(
            &json
                .request(ExchangeKind::Login, &endpoint(&json), &fields)
                .unwrap()
        ),
        "{\"user\":\"é\\\"&\"}"
    );
    assert_eq!(
        body(
            &form
                .request(ExchangeKind::Login, &endpoint(&form), &fields)
                .unwrap()
        ),
        "user=%C3%A9%22%26"
    );
    // A refusal because of the encoding is no refusal of the token.
    for kind in [ExchangeKind::Login, ExchangeKind::Refresh] {
        assert!(matches!(
            read(&builtin("oauth2"), kind, 415, ""),
            ProviderReply::Unrecognised(_)
        ));
    }
}

#[test]
fn quirk_13_redirects_are_told_and_not_followed() {
    let dialect = builtin("oauth2");
    for status in [301, 302, 307, 308] {
        for kind in [ExchangeKind::Login, ExchangeKind::Refresh] {
            let location = [(
                "location",
                "https://user:pw@api.example.com/o/token/?code=abc#x",
            )];
            let reply =
                dialect.read_reply(kind, &response(status, &location, "moved"), &Fields::new());
            assert!(matches!(reply, ProviderReply::Unrecognised(_)), "{reply:?}");
            assert_eq!(
                message(&reply).text,
                "redirects to https://api.example.com/o/token/, which is never followed with a credential; \
                 correct base_url or the path"
            );
        }
    }
}

#[test]
fn quirk_15_a_demand_for_dpop_is_explained() {
    let reply = read(
        &builtin("oauth2"),
        ExchangeKind::Refresh,
        400,
        r#"{"error":"use_dpop_nonce"}"#,
    );
    assert!(matches!(reply, ProviderReply::Misconfigured(_)));
    assert!(
        message(&reply)
            .text
            .starts_with("the provider wants DPoP proofs"),
        "{reply:?}"
    );
}

#[test]
fn quirk_29_refresh_token_in_any_place() {
    let sent = |request: &str| {
        let dialect = dialect(&format!("[refresh]\npath = \"/r\"\n{request}\n"));
        dialect
            .request(
                ExchangeKind::Refresh,
                &endpoint(&dialect),
                &fields(&[(REFRESH_TOKEN, "a+b/c==")]),
            )
            .unwrap()
    };
    let bearer = sent("auth = { scheme = \"bearer\", token = \"{refresh_token}\" }");
    assert_eq!(header(&bearer, "authorization"), Some("Bearer a+b/c=="));
    assert_eq!(header(&bearer, "content-length"), Some("0"));
    let bare = sent("auth = { scheme = \"custom\", value = \"{refresh_token}\" }");
    assert_eq!(header(&bare, "authorization"), Some("a+b/c=="));
    let cookie = sent("cookies = { refresh = \"{refresh_token}\", mode = \"x\" }");
    assert_eq!(header(&cookie, "cookie"), Some("refresh=a+b/c==; mode=x"));
    assert!(cookie.headers()["cookie"].is_sensitive());
    assert_eq!(
        header(
            &sent("headers = { refresh-token = \"{refresh_token}\" }"),
            "refresh-token"
        ),
        Some("a+b/c==")
    );
    for key in ["refresh", "refresh_token", "refreshToken"] {
        let json = sent(&format!("body.json = {{ {key} = \"{{refresh_token}}\" }}"));
        assert_eq!(body(&json), format!("{{\"{key}\":\"a+b/c==\"}}"));
    }
    let nested = sent(
        "body.json = { AuthFlow = \"R\", AuthParameters = { REFRESH_TOKEN = \"{refresh_token}\" } }",
    );
    assert_eq!(
        body(&nested),
        r#"{"AuthFlow":"R","AuthParameters":{"REFRESH_TOKEN":"a+b/c=="}}"#
    );
    assert_eq!(
        body(&sent("body.form = { refresh = \"{refresh_token}\" }")),
        "refresh=a%2Bb%2Fc%3D%3D"
    );
    assert_eq!(
        sent("query = { t = \"{refresh_token}\" }").uri().query(),
        Some("t=a%2Bb%2Fc%3D%3D")
    );
}

#[test]
fn quirk_30_extra_fixed_fields_of_every_kind() {
    let dialect = dialect(
        r#"
        [fields.api_key]
        description = "key of the project"

        [login]
        path = "/v1/accounts:signInWithPassword"
        query = { key = "{api_key}" }
        headers = { X-Amz-Target = "Service.InitiateAuth", Content-Type = "application/x-amz-json-1.1" }

        [login.body.json]
        provider = "db"
        refresh = true
        mode = "json"
        nested = { list = ["{username}", 1, 2.5], password = "{password}", scope = "{scope?}" }
        "#,
    );
    let fields = fields(&[("username", "u"), ("password", "p\"w"), ("api_key", "k&1")]);
    let request = dialect
        .request(ExchangeKind::Login, &endpoint(&dialect), &fields)
        .unwrap();
    assert_eq!(
        request.uri(),
        "https://api.example.com/v1/accounts:signInWithPassword?key=k%261"
    );
    assert_eq!(
        header(&request, "x-amz-target"),
        Some("Service.InitiateAuth")
    );
    assert_eq!(
        header(&request, "content-type"),
        Some("application/x-amz-json-1.1")
    );
    let sent: serde_json::Value = serde_json::from_str(body(&request)).unwrap();
    let expected = serde_json::json!({
        "provider": "db", "refresh": true, "mode": "json",
        "nested": { "list": ["u", 1, 2.5], "password": "p\"w" },
    });
    assert_eq!(sent, expected);
}
