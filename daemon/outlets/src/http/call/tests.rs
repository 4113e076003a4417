use http::Request as Message;

use super::*;

fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> Parts {
    let mut message = Message::builder().method(method).uri(path);
    for (name, value) in headers {
        message = message.header(*name, *value);
    }
    message.body(()).unwrap().into_parts().0
}

fn get(path: &str) -> Result<Call, Problem> {
    call(&head("GET", path, &[("x-tokend", "1")]))
}

fn refused(read: Result<Call, Problem>) -> (u16, String) {
    let problem = read.unwrap_err();
    let body: serde_json::Value = serde_json::from_slice(&problem.body()).unwrap();
    (problem.status(), body["code"].as_str().unwrap().to_owned())
}

#[test]
fn each_path_is_a_request_of_the_native_protocol() {
    let ads: AccountName = "ads+1@x".parse().unwrap();
    let asked = |path| match get(path) {
        Ok(Call::Ask(request, shape)) => (request, shape),
        other => panic!("{path}: {other:?}"),
    };
    let token = |min_validity_ms, wait_ms, timeout_ms| Request::Get {
        account: ads.clone(),
        min_validity_ms,
        wait_ms,
        timeout_ms,
    };
    assert_eq!(
        asked("/v1/accounts/ads+1@x/token"),
        (token(None, 0, 30_000), Shape::Token)
    );
    assert_eq!(
        asked("/v1/accounts/ads%2B1%40x/token?min_validity=60&wait=5").0,
        token(Some(60_000), 5_000, 35_000)
    );
    assert_eq!(
        asked("/v1/accounts/ads+1@x/token?timeout=0&wait=86400").0,
        token(None, 86_400_000, 0)
    );
    let after = Some("a".parse().unwrap());
    assert_eq!(
        asked("/v1/status?after=a"),
        (
            Request::Status {
                account: None,
                after: after.clone()
            },
            Shape::StatusPage
        )
    );
    assert_eq!(
        asked("/v1/accounts?after=a").0,
        Request::Apis {
            account: None,
            after
        }
    );
    assert_eq!(asked("/v1/whoami"), (Request::Whoami, Shape::Whoami));
    assert!(matches!(get("/v1/health"), Ok(Call::Health)));
}

#[test]
fn a_stream_is_in_the_form_that_is_accepted() {
    for (accept, form) in [
        ("*/*", Stream::Lines),
        ("text/event-stream", Stream::ServerSent),
        (
            "application/json, Text/Event-Stream;q=0.9",
            Stream::ServerSent,
        ),
    ] {
        let headers = [("x-tokend", "1"), ("accept", accept)];
        match call(&head("GET", "/v1/accounts/ads/watch", &headers)) {
            Ok(Call::Ask(Request::Watch { .. }, shape)) => assert_eq!(shape, Shape::Watch(form)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn nothing_is_read_before_the_header_that_is_required() {
    for headers in [
        &[][..],
        &[("x-tokend", "")],
        &[("x-tokend", "01")],
        &[("x-tokend", "1"), ("x-tokend", "1")],
    ] {
        let read = call(&head("GET", "/nothing", headers));
        assert_eq!(refused(read), (403, "header-required".to_owned()));
    }
    let headers = [("x-tokend", "1"), ("origin", "http://localhost")];
    let read = call(&head("OPTIONS", "/v1/health", &headers));
    assert_eq!(refused(read), (403, "origin-refused".to_owned()));
}

#[test]
fn what_would_be_another_token_is_refused_by_name() {
    for path in ["token", "watch", "reject"] {
        let method = if path == "reject" { "POST" } else { "GET" };
        for (name, code) in [
            ("scope", "invalid-scope"),
            ("audience", "invalid-target"),
            ("resource", "invalid-target"),
        ] {
            let path = format!("/v1/accounts/ads/{path}?{name}=");
            let read = call(&head(method, &path, &[("x-tokend", "1")]));
            assert_eq!(refused(read), (400, code.to_owned()), "{path}");
        }
    }
    assert_eq!(refused(get("/v1/status?scope=a")).1, "bad-request");
}

#[test]
fn what_is_not_understood_is_refused() {
    for (path, status) in [
        ("/v1/accounts/ads/token?min_validity=", 400),
        ("/v1/accounts/ads/token?min_validity=-1", 400),
        ("/v1/accounts/ads/token?min_validity=+1", 400),
        ("/v1/accounts/ads/token?min_validity=1.5", 400),
        ("/v1/accounts/ads/token?min_validity=31536001", 400),
        ("/v1/accounts/ads/token?timeout=86401", 400),
        (
            "/v1/accounts/ads/token?timeout=99999999999999999999999",
            400,
        ),
        ("/v1/accounts/ads/token?wait=1&wait=1", 400),
        ("/v1/accounts/ads/token?other", 400),
        ("/v1/accounts/ads/status?wait=1", 400),
        ("/v1/status?after=", 400),
        ("/v1/health?x=1", 400),
        ("/v1/accounts/%ff/token", 400),
        ("/v1/accounts//token", 400),
        ("/v1/accounts/a%2fb/token", 400),
        ("/v1/accounts/ads/token/", 404),
        ("/v1/accounts/ads", 404),
        ("/v1/", 404),
        ("/v2/health", 404),
        ("/", 404),
    ] {
        assert_eq!(refused(get(path)).0, status, "{path}");
    }
}

#[test]
fn another_method_is_told_the_right_one() {
    for (method, path, allowed) in [
        ("POST", "/v1/health", "GET"),
        ("HEAD", "/v1/accounts/ads/token", "GET"),
        ("OPTIONS", "/v1/accounts/ads/watch", "GET"),
        ("GET", "/v1/accounts/ads/reject", "POST"),
        ("SECRET", "/v1/accounts/ads/refusal", "POST"),
    ] {
        let problem = call(&head(method, path, &[("x-tokend", "1")])).unwrap_err();
        assert_eq!((problem.status(), problem.allowed()), (405, Some(allowed)));
        assert!(
            !String::from_utf8(problem.body())
                .unwrap()
                .contains("SECRET")
        );
    }
}

fn form(path: &str) -> Form {
    let headers = [
        ("x-tokend", "1"),
        ("content-type", "application/json; charset=utf-8"),
    ];
    match call(&head("POST", path, &headers)) {
        Ok(Call::Form(form)) => form,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_body_is_one_object_of_the_right_form() {
    let reject = || form("/v1/accounts/ads/reject?timeout=1");
    let (request, _) = reject().with(br#"{"token": "\u0054"}"#).unwrap();
    let expected = Request::Reject {
        account: "ads".parse().unwrap(),
        token: SecretText::new("T").unwrap(),
        wait_ms: 0,
        timeout_ms: 1_000,
    };
    assert_eq!(request, expected);
    let long = format!("{{\"token\": \"{}\"}}", "x".repeat(SecretText::MAX_LEN + 1));
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "{\"token\": 1}",
        "{\"token\": \"\"}",
        "{\"token\": \"s3cret\"} x",
        "{\"token\": \"s3cret\", \"token\": \"s3cret\"}",
        "{\"token\": \"s3cret\", \"s3cret\": 1}",
        "{\"token\": \"s3cret",
        &long,
    ] {
        let problem = reject().with(body.as_bytes()).unwrap_err();
        assert_eq!(problem.status(), 400);
        assert!(
            !String::from_utf8(problem.body())
                .unwrap()
                .contains("s3cret"),
            "{body}"
        );
    }
    let refusal = || form("/v1/accounts/ads/refusal");
    let (request, shape) = refusal().with(b"{\"status\": 401}").unwrap();
    assert!(matches!(request, Request::Refusal { status: 401, ref body, .. } if body.is_empty()));
    assert_eq!(shape, Shape::Verdict);
    assert!(refusal().with(b"{\"status\": 600}").is_err());
    assert!(refusal().with(b"{\"status\": 4e2}").is_ok());
    assert!(refusal().with(b"{\"status\": 400.5}").is_err());
    let headers = [("x-tokend", "1"), ("content-type", "text/plain")];
    let read = call(&head("POST", "/v1/accounts/ads/reject", &headers));
    assert_eq!(refused(read).0, 415);
}
