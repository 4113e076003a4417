//! Requests: encodings, placeholders, conditions, and values that must not leave their place.

use tokend_dialect::{
    ACCESS_TOKEN, Endpoint, EndpointSettings,
    ExchangeKind::{self, Login},
    Fields, REFRESH_TOKEN, RequestError, UsedBy,
};

use crate::support::*;

const AWKWARD: &str = "p%40ss word+é:&=\"\\{}<>";

#[test]
fn a_form_keeps_awkward_values() {
    let dialect = dialect(
        "[login]\npath = \"/l\"\nbody.form = { username = \"{username}\", password = \"{password}\" }",
    );
    let fields = fields(&[("username", "plus+user@example.com"), ("password", AWKWARD)]);
    let request = dialect
        .request(Login, &endpoint(&dialect), &fields)
        .unwrap();
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    assert_eq!(
        form(&request),
        [("username", "plus+user@example.com"), ("password", AWKWARD)].map(pair)
    );
    assert!(
        body(&request).contains("p%2540ss+word%2B%C3%A9"),
        "{}",
        body(&request)
    );
}

#[test]
fn json_keeps_awkward_values_and_keys() {
    let dialect = dialect(
        "options.key.default = \"a\\\"b\"\n[login]\npath = \"/l\"\nbody.json = { \"{key}\" = \"<{password}>\", list = [\"{scope?}\", \"x\"] }",
    );
    let request = dialect
        .request(
            Login,
            &endpoint(&dialect),
            &fields(&[("password", AWKWARD)]),
        )
        .unwrap();
    let sent: serde_json::Value = serde_json::from_str(body(&request)).unwrap();
    assert_eq!(
        sent,
        serde_json::json!({ "a\"b": format!("<{AWKWARD}>"), "list": ["x"] })
    );
}

#[test]
fn json_text_can_say_null() {
    let dialect = dialect(
        "[login]\npath = \"/l\"\nbody.json = '{\"user\": \"{username}\", \"mfa\": null, \"s\": [\"{scope?}\"], \"brace\": \"{{}}\"}'",
    );
    let request = dialect
        .request(Login, &endpoint(&dialect), &fields(&[("username", "u")]))
        .unwrap();
    assert_eq!(
        body(&request),
        r#"{"brace":"{}","mfa":null,"s":[],"user":"u"}"#
    );
}

#[test]
fn basic_takes_colons_in_the_password_only() {
    let dialect = builtin("firebase-accounts");
    let sent = |user: &str, password: &str| {
        let request = dialect.request(
            Login,
            &endpoint(&dialect),
            &fields(&[("username", user), ("password", password)]),
        )?;
        Ok(header(&request, "authorization").map(str::to_owned))
    };
    // base64 of "johndoe:your_password:with:colons é" in UTF-8.
    let expected = "Basic am9obmRvZTp5b3VyX3Bhc3N3b3JkOndpdGg6Y29sb25zIMOp";
    assert_eq!(
        sent("johndoe", "your_password:with:colons é"),
        Ok(Some(expected.to_owned()))
    );
    let error: RequestError = sent("john:doe", "x").unwrap_err();
    assert!(
        matches!(error, RequestError::Forbidden { ref field, what: "a colon", .. } if field == "username")
    );
    assert!(sent("johndoe", "line\nbreak").is_err());
}

#[test]
fn control_characters_never_enter_a_header() {
    let dialect = builtin("jwt-api");
    for value in ["a\r\nX-Evil: 1", "a\nb", "a\0b", "a\u{7f}", "a\tb", "é"] {
        let error = dialect
            .request(
                ExchangeKind::Refresh,
                &endpoint(&dialect),
                &fields(&[(REFRESH_TOKEN, value)]),
            )
            .unwrap_err();
        assert!(
            matches!(error, RequestError::Forbidden { ref field, .. } if field == REFRESH_TOKEN),
            "{value:?}"
        );
        assert!(!format!("{error} {error:?}").contains(value), "{error}");
    }
}

#[test]
fn a_cookie_takes_only_cookie_characters() {
    let dialect = dialect("[refresh]\npath = \"/r\"\ncookies = { t = \"{refresh_token}\" }");
    for value in ["a;b", "a b", "a,b", "a\"b", "a\\b", "é"] {
        assert!(
            dialect
                .request(
                    ExchangeKind::Refresh,
                    &endpoint(&dialect),
                    &fields(&[(REFRESH_TOKEN, value)])
                )
                .is_err(),
            "{value}"
        );
    }
}

#[test]
fn a_value_in_a_path_stays_one_segment() {
    let dialect = dialect("[login]\npath = \"/tenants/{username}/token\"\nbody = \"none\"");
    let path = |user: &str| {
        let request =
            dialect.request(Login, &endpoint(&dialect), &fields(&[("username", user)]))?;
        Ok::<_, RequestError>(request.uri().to_string())
    };
    assert_eq!(
        path("a/../b?c#d é").unwrap(),
        format!("{BASE}/tenants/a%2F..%2Fb%3Fc%23d%20%C3%A9/token")
    );
    assert!(path("..").is_err());
}

#[test]
fn a_whole_url_names_its_own_host_and_can_be_overridden() {
    let dialect = dialect(
        "[refresh]\npath = \"https://securetoken.example.net/v1/token\"\nbody.form = { t = \"{refresh_token}\" }",
    );
    let fields = fields(&[(REFRESH_TOKEN, "r")]);
    let uri = |endpoint: &Endpoint| {
        dialect
            .request(ExchangeKind::Refresh, endpoint, &fields)
            .unwrap()
            .uri()
            .to_string()
    };
    assert_eq!(
        uri(&endpoint(&dialect)),
        "https://securetoken.example.net/v1/token"
    );
    let own = EndpointSettings {
        refresh_path: Some("/v1/token".to_owned()),
        ..settings()
    };
    assert_eq!(
        uri(&Endpoint::new(&dialect, &own).unwrap()),
        format!("{BASE}/v1/token")
    );
}

#[test]
fn an_empty_optional_value_is_absent_and_an_empty_required_one_is_missing() {
    let dialect = builtin("jwt-api");
    let request = dialect
        .request(
            Login,
            &endpoint(&dialect),
            &fields(&[("username", "u"), ("password", "p"), ("scope", "")]),
        )
        .unwrap();
    assert_eq!(body(&request), "grant_type=password&username=u&password=p");
    let error = dialect.request(
        Login,
        &endpoint(&dialect),
        &fields(&[("username", "u"), ("password", "")]),
    );
    assert_eq!(
        error.unwrap_err(),
        RequestError::Missing {
            field: "password".to_owned(),
            kind: Login
        }
    );
}

#[test]
fn a_value_that_is_too_long_is_refused() {
    let dialect = builtin("ad-verification");
    let long = "x".repeat(32 * 1024 + 1);
    let error = dialect
        .request(
            ExchangeKind::Refresh,
            &endpoint(&dialect),
            &fields(&[(REFRESH_TOKEN, &long)]),
        )
        .unwrap_err();
    assert_eq!(
        error,
        RequestError::TooLong {
            field: REFRESH_TOKEN.to_owned()
        }
    );
}

#[test]
fn cases_override_each_other_in_order() {
    let dialect = dialect(
        r#"
        [options.mode]
        choices = ["plain", "signed", "off"]
        default = "plain"
        [login]
        path = "/plain"
        headers = { x-mode = "plain" }
        body.form = { user = "{username}", mode = "plain" }
        [[login.cases]]
        when = { mode = ["signed", "off"] }
        method = "PUT"
        path = "/signed"
        headers = { x-mode = "signed" }
        query = { v = "2" }
        body.form = { mode = "signed" }
        auth = { scheme = "bearer", token = "{password}" }
        [[login.cases]]
        when = { mode = "off" }
        auth = "none"
        body = "none"
        "#,
    );
    let fields = fields(&[("username", "u"), ("password", "p")]);
    let plain = dialect
        .request(Login, &endpoint(&dialect), &fields)
        .unwrap();
    assert_eq!(
        (plain.uri().path(), body(&plain)),
        ("/plain", "user=u&mode=plain")
    );
    assert_eq!(header(&plain, "authorization"), None);
    let signed = dialect
        .request(
            Login,
            &with_options(&dialect, &[("mode", "signed")]),
            &fields,
        )
        .unwrap();
    assert_eq!(
        (signed.method().as_str(), signed.uri().to_string()),
        ("PUT", format!("{BASE}/signed?v=2"))
    );
    assert_eq!(
        (body(&signed), header(&signed, "x-mode")),
        ("user=u&mode=signed", Some("signed"))
    );
    assert_eq!(header(&signed, "authorization"), Some("Bearer p"));
    let off = dialect
        .request(Login, &with_options(&dialect, &[("mode", "off")]), &fields)
        .unwrap();
    assert_eq!(
        (
            header(&off, "authorization"),
            header(&off, "content-length")
        ),
        (None, Some("0"))
    );
}

#[test]
fn a_get_has_no_body_and_no_length() {
    let dialect = dialect(
        "[login]\nmethod = \"GET\"\npath = \"/l\"\nquery = { u = \"{username}\", s = \"{scope?}\" }",
    );
    let request = dialect
        .request(Login, &endpoint(&dialect), &fields(&[("username", "a b")]))
        .unwrap();
    assert_eq!(
        (request.method().as_str(), request.uri().query()),
        ("GET", Some("u=a+b"))
    );
    assert_eq!(header(&request, "content-length"), None);
}

#[test]
fn fields_are_told_with_what_they_are_for() {
    let dialect = dialect(
        r#"
        [fields.api_key]
        description = "key of the project"
        [fields.tenant]
        secret = false
        [login]
        path = "/{tenant}/l"
        query = { key = "{api_key}" }
        body.json = { u = "{username}", s = "{scope?}" }
        [refresh]
        path = "/r"
        query = { key = "{api_key}" }
        auth = { scheme = "bearer", token = "{access_token}" }
        body.form = { t = "{refresh_token}" }
        "#,
    );
    let fields: Vec<_> = dialect.fields().collect();
    let find = |name: &str| fields.iter().find(|field| field.name == name).unwrap();
    let key = find("api_key");
    assert!(key.secret && key.required && !key.internal && key.used_by == UsedBy::Both);
    assert_eq!(key.description, "key of the project");
    assert!(!find("tenant").secret && find("tenant").used_by == UsedBy::Login);
    assert!(!find("scope").required);
    for name in [REFRESH_TOKEN, ACCESS_TOKEN] {
        assert!(find(name).internal && find(name).secret && find(name).used_by == UsedBy::Refresh);
    }
    assert_eq!(fields.len(), 6);
}

#[test]
fn secrets_never_show_in_debug() {
    let mut fields = fields(&[("username", "u"), ("password", "hunter2")]);
    fields
        .set("client_secret", "by-mistake-plain")
        .set_secret("api_key", "k3y".to_owned().into());
    assert_eq!(
        format!("{fields:?}"),
        r#"{"api_key": "[redacted]", "client_secret": "[redacted]", "password": "[redacted]", "username": "u"}"#
    );
    assert!(fields.has("username") && !fields.has("scope"));
    let dialect = builtin("firebase-accounts");
    let request = dialect
        .request(Login, &endpoint(&dialect), &fields)
        .unwrap();
    assert!(format!("{:?}", request.headers()).contains("Sensitive"));
    let grant = grant(
        &dialect,
        Login,
        r#"{"access":"hunter3","refresh":"hunter4"}"#,
    );
    assert!(!format!("{grant:?}").contains("hunter"), "{grant:?}");
}

#[test]
fn a_missing_dialect_request_is_an_error_and_not_a_panic() {
    let dialect = dialect("[refresh]\npath = \"/r\"\nbody.form = { t = \"{refresh_token}\" }");
    assert!(!dialect.can_login() && dialect.can_refresh());
    assert!(
        dialect
            .request(Login, &endpoint(&dialect), &Fields::new())
            .is_err()
    );
}

#[test]
fn settings_that_do_not_fit_are_told_with_their_key() {
    let dialect = builtin("jwt-api");
    let error = |settings: EndpointSettings| {
        let error = Endpoint::new(&dialect, &settings).unwrap_err();
        (error.key().to_owned(), error.to_string())
    };
    for (base_url, says) in [
        (
            "ftp://x.example",
            "`base_url` must begin with https:// (or http:// for a loopback address)",
        ),
        (
            "https://u:p@x.example",
            "`base_url` must not hold a user name or password",
        ),
        (
            "https://x.example/?a=b",
            "`base_url` must not hold a query or fragment",
        ),
        (
            "x.example",
            "`base_url` is not a URL: relative URL without a base",
        ),
    ] {
        let settings = EndpointSettings {
            base_url: base_url.to_owned(),
            ..EndpointSettings::default()
        };
        assert_eq!(error(settings), ("base_url".to_owned(), says.to_owned()));
    }
    let named = EndpointSettings {
        endpoint: Some("postmann".to_owned()),
        ..settings()
    };
    assert_eq!(
        error(named.clone()),
        (
            "endpoint".to_owned(),
            "dialect `jwt-api` has no endpoint `postmann`".to_owned()
        )
    );
    assert_eq!(
        Endpoint::new(&dialect, &named).unwrap_err().help(),
        "did you mean `postman`? valid here: `postman`"
    );
    for path in ["login", "//evil.example", "/a/../b", "/a?b", "/a b", "/é"] {
        let settings = EndpointSettings {
            login_path: Some(path.to_owned()),
            ..settings()
        };
        assert_eq!(error(settings).0, "login_path", "{path}");
    }
}
