//! Explanations for people: requests and replies without secrets, and dialects as text.

use tokend_dialect::{Catalog, Endpoint, ExchangeKind, RequestError, parse};

use crate::support::*;

#[test]
fn requests_show_fields_instead_of_values() {
    let shown = |name: &str, kind| {
        let dialect = builtin(name);
        dialect.explain_request(kind, &endpoint(&dialect)).unwrap()
    };
    assert_eq!(
        shown("ad-verification", ExchangeKind::Login),
        "POST https://api.example.com/login\naccept: application/json\ncontent-type: application/x-www-form-urlencoded\n\n\
         username=<username>&password=<password>\n"
    );
    assert_eq!(
        shown("ad-verification", ExchangeKind::Refresh),
        "POST https://api.example.com/refresh_token\naccept: application/json\ncontent-type: application/json\n\n\
         {\"refresh_token\":\"<refresh_token>\"}\n"
    );
    assert_eq!(
        shown("jwt-api", ExchangeKind::Refresh),
        "POST https://api.example.com/auth/jwt/refresh\naccept: application/json\ncontent-length: 0\n\
         refresh-token: <refresh_token>\n"
    );
    assert_eq!(
        shown("firebase-accounts", ExchangeKind::Login),
        "POST https://api.example.com/auth/api/v1/accounts/login\naccept: application/json\ncontent-length: 0\n\
         authorization: Basic base64(<username>:<password>)\n"
    );
}

#[test]
fn what_cannot_be_requested_is_said() {
    let dialect = builtin("client-credentials");
    let error = dialect
        .explain_request(ExchangeKind::Refresh, &endpoint(&dialect))
        .unwrap_err();
    assert!(matches!(
        error,
        RequestError::Unavailable {
            kind: ExchangeKind::Refresh,
            ..
        }
    ));
}

#[test]
fn replies_show_lengths_instead_of_tokens() {
    let dialect = builtin("firebase-accounts");
    let reply = response(
        200,
        &[],
        r#"{"access":"secret-access","refresh":"secret-refresh"}"#,
    );
    assert_eq!(
        dialect.explain_reply(ExchangeKind::Login, &reply),
        "login answered with status 200: granted\n\
         \x20 access token     13 characters\n\
         \x20 token type       Bearer\n\
         \x20 lifetime         2700s, assumed by the dialect\n\
         \x20 refresh token    14 characters\n\
         \x20 scope            not given\n\
         \x20 then             the token is stored and handed out\n"
    );
    let kept = dialect.explain_reply(
        ExchangeKind::Refresh,
        &response(200, &[], r#"{"access":"secret-access"}"#),
    );
    assert!(
        kept.contains("refresh token    none: the one held is kept"),
        "{kept}"
    );
    assert!(!kept.contains("secret"), "{kept}");
}

#[test]
fn failures_show_what_they_mean() {
    let dialect = builtin("oauth2");
    let show = |kind, status, headers: &[(&str, &str)], body: &str| {
        dialect.explain_reply(kind, &response(status, headers, body.to_owned()))
    };
    assert_eq!(
        show(
            ExchangeKind::Refresh,
            400,
            &[],
            r#"{"error":"invalid_grant","error_description":"expired"}"#
        ),
        "refresh answered with status 400: refresh-token-rejected\n\
         \x20 code             invalid_grant\n\
         \x20 text             expired\n\
         \x20 then             log in anew, if there is a credential and the rate limit allows it\n"
    );
    let busy = show(ExchangeKind::Login, 429, &[("retry-after", "60")], "");
    assert!(
        busy.contains("  retry after      60s\n") && busy.contains("  text             none\n"),
        "{busy}"
    );
    let busy = show(ExchangeKind::Login, 429, &[("retry-after", DATE)], "");
    assert!(
        busy.contains("Unix time 1795262400 by the provider's clock"),
        "{busy}"
    );
    assert!(show(ExchangeKind::Login, 503, &[], "").contains("  retry after      not given\n"));
    assert!(show(ExchangeKind::Refresh, 502, &[], "").contains("  processed        maybe: "));
    assert!(show(ExchangeKind::Refresh, 500, &[], "").contains("  processed        no: "));
    assert!(
        show(ExchangeKind::Login, 401, &[], "").contains("  then             stop: the credential")
    );
    assert!(
        show(ExchangeKind::Login, 401, &[], "").contains("  then             stop: the credential")
    );
    assert!(
        show(ExchangeKind::Login, 404, &[], "")
            .contains("  then             no verdict: keep everything")
    );
}

#[test]
fn a_dialect_is_shown_as_it_was_written_or_with_what_it_inherits() {
    let own = builtin("jwt-api");
    assert_eq!(own.show(), include_str!("../../builtin/jwt-api.toml"));
    let child = parse(
        "child.toml",
        "extends = \"oauth2\"\nsummary = \"mine\"",
        &Catalog::builtin(),
    )
    .unwrap();
    let shown = child.show();
    assert!(
        shown.contains("summary = \"mine\"") && shown.contains("grant_type"),
        "{shown}"
    );
    // What is shown is a dialect again, and the same one.
    let again = parse("again.toml", &shown, &Catalog::default()).unwrap();
    assert_eq!(again.digest(), child.digest());
    assert_eq!(again.effective_toml(), child.effective_toml());
}

#[test]
fn options_and_endpoints_are_listed() {
    let dialect = builtin("oauth2");
    let option = dialect
        .options()
        .find(|option| option.name == "client_auth")
        .unwrap();
    assert_eq!(option.default.as_deref(), Some("basic-rfc6749"));
    assert_eq!(
        option.choices,
        ["basic-rfc6749", "basic-raw", "body", "none"]
    );
    let names: Vec<String> = builtin("client-credentials")
        .endpoints()
        .map(str::to_owned)
        .collect();
    assert_eq!(names, ["unversioned", "versioned"]);
    assert_eq!(
        Endpoint::new(&dialect, &settings()).unwrap().base_url(),
        BASE
    );
}

#[test]
fn how_an_api_wants_its_token_is_told_and_checked() {
    let login = "[login]\npath = \"/l\"\nbody.form = { u = \"{username}\" }\n[api]\npresent = ";
    for (present, notation, shown) in [
        (
            r#"{ scheme = "Token" }"#,
            "Token",
            "Authorization: Token <access_token>",
        ),
        (
            r#"{ header = "X-Api-Key" }"#,
            "header:X-Api-Key",
            "X-Api-Key: <access_token>",
        ),
        (
            r#"{ header = "X-Auth", prefix = "Key key=" }"#,
            "header:X-Auth:Key key=",
            "X-Auth: Key key=<access_token>",
        ),
        (
            r#"{ cookie = "sid" }"#,
            "cookie:sid",
            "cookie sid=<access_token>",
        ),
        (
            r#"{ query = "access_token" }"#,
            "query:access_token",
            "query parameter access_token=<access_token>",
        ),
    ] {
        let dialect = dialect(&format!("{login}{present}\n"));
        assert_eq!(dialect.api().present(), Some(notation));
        let reply = response(200, &[], r#"{"access_token":"a"}"#);
        let message = dialect.explain_reply(ExchangeKind::Login, &reply);
        assert!(message.contains(shown), "{message}");
    }
    for (present, says) in [
        ("{}", "exactly one of"),
        (r#"{ cookie = "a", header = "b" }"#, "exactly one of"),
        (r#"{ header = "X Y" }"#, "`X Y` is not a header name"),
        (r#"{ header = "Cookie" }"#, "write `cookie`"),
        (r#"{ header = "Host" }"#, "set by HTTP itself"),
        (r#"{ scheme = "To ken" }"#, "`To ken` is not a scheme"),
        (
            r#"{ cookie = "a", prefix = "b" }"#,
            "only a header has a `prefix`",
        ),
        (r#"{ query = "a&b" }"#, "is not a name for a parameter"),
        (r#"{ header = "X", prefix = "a\nb" }"#, "printable ASCII"),
        (r#""header""#, "table"),
    ] {
        let error = try_dialect(&format!("{login}{present}\n")).unwrap_err();
        assert!(shown(&error).contains(says), "{present}: {}", shown(&error));
    }
}
