//! Documents 000 and 001: sample bodies word for word, and every strictness rule.

use serde_json::json;
use tokend_harness::probe::Probe;
use tokend_provider_simulator::spec::Api;

use crate::samples::{compact, post, posts, resource, simulator, with_samples};

#[test]
fn document_000_login_refresh_and_refused_token() {
    let (sim, account) = simulator(Api::AdVerification);
    sim.change("it", |behaviour| {
        behaviour.access_lifetime = std::time::Duration::from_secs(900)
    });
    let (user, password) = (account.username.unwrap(), account.password.unwrap());
    for login in posts(&sim, Api::AdVerification, "/login") {
        let reply = login
            .form(&[("username", &user), ("password", &password)])
            .send()
            .unwrap();
        let sample = "{\n\"access_token\": \"eyJhbGciOiJIUzI1NiIs...\",\n\"refresh_token\": \"eyJhbGciOiJIUzI1NiIs...\",\n\"token_type\": \"bearer\"\n}";
        let shown = "eyJhbGciOiJIUzI1NiIs...";
        let samples = [("/access_token", shown), ("/refresh_token", shown)];
        assert_eq!(with_samples(&reply, &samples), compact(sample));
        assert!(
            reply
                .text("access_token")
                .unwrap()
                .starts_with("eyJhbGciOiJIUzI1NiIs")
        );
        assert_eq!(
            resource(
                &sim,
                Api::AdVerification,
                &reply.text("access_token").unwrap()
            )
            .status,
            200
        );

        let refresh = json!({"refresh_token": reply.text("refresh_token").unwrap()});
        let refreshed = post(&sim, Api::AdVerification, "/refresh_token")
            .json(&refresh)
            .send()
            .unwrap();
        assert_eq!(refreshed.status, 200);
        assert_ne!(
            refreshed.text("refresh_token").unwrap(),
            reply.text("refresh_token").unwrap()
        );
    }
    let refused = resource(&sim, Api::AdVerification, "junk");
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.body,
        r#"{"detail":"Invalid session! Please try again."}"#
    );
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "a table of requests that the document does not allow"
)]
fn document_000_is_strict() {
    let (sim, account) = simulator(Api::AdVerification);
    let (user, password) = (account.username.unwrap(), account.password.unwrap());
    let login = || post(&sim, Api::AdVerification, "/login");
    let refresh = || post(&sim, Api::AdVerification, "/refresh_token");
    let good = [("username", user.as_str()), ("password", password.as_str())];

    let status = |probe: Probe| probe.send().unwrap().status;
    assert_eq!(status(login().form(&good[..1])), 422, "missing password");
    assert_eq!(
        status(login().form(&[good[0], ("password", "")])),
        422,
        "empty password"
    );
    assert_eq!(
        status(login().form(&[good[0], good[1], ("x", "y")])),
        422,
        "unlisted field"
    );
    assert_eq!(
        status(login().form(&[good[0], good[1], good[1]])),
        422,
        "a field twice"
    );
    assert_eq!(
        status(login().form(&[good[0], good[1], ("grant_type", "password")])),
        422
    );
    assert_eq!(
        status(login().json(&json!({"username": user, "password": password}))),
        422
    );
    assert_eq!(status(login()), 422, "no body");
    assert_eq!(status(login().form(&[good[0], ("password", "nope")])), 400);
    assert_eq!(status(login().form(&good).method("GET")), 405);
    assert_eq!(status(login().form(&good).method("PUT")), 405);
    assert_eq!(
        status(post(&sim, Api::AdVerification, "/login/").form(&good)),
        404
    );
    // A form whose values were not encoded decodes to another user and password.
    let raw = format!("username={user}&password={password}");
    assert_ne!(
        status(login().body("application/x-www-form-urlencoded", &raw)),
        200
    );

    assert_eq!(status(refresh().json(&json!({}))), 422);
    assert_eq!(status(refresh().json(&json!({"refresh_token": null}))), 422);
    assert_eq!(
        status(refresh().json(&json!({"refreshToken": "a.b.c"}))),
        422
    );
    assert_eq!(
        status(refresh().json(&json!({"refresh_token": "a.b.c", "x": 1}))),
        422
    );
    assert_eq!(
        status(refresh().json(&json!({"refresh_token": "malformed"}))),
        422
    );
    assert_eq!(
        status(refresh().body("application/json", "{\"refresh_token\":")),
        422
    );
    assert_eq!(
        status(refresh().json(&json!({"refresh_token": "a.b.c"}))),
        400,
        "well-formed, unknown"
    );
    // The validation error repeats what it was sent, as FastAPI's does: a broker must not log it.
    let echoed = refresh()
        .form(&[("refresh_token", "s3cr3t")])
        .send()
        .unwrap();
    assert_eq!(echoed.status, 422);
    assert!(echoed.body.contains("s3cr3t"), "{}", echoed.body);

    sim.deploy(Api::AdVerification, |it| {
        it.grant_type_required = true;
        it.refresh_key = "token".to_owned();
    });
    assert_eq!(
        status(login().form(&good)),
        422,
        "this deployment wants grant_type"
    );
    let reply = login()
        .form(&[good[0], good[1], ("grant_type", "password")])
        .send()
        .unwrap();
    let token = reply.text("refresh_token").unwrap();
    assert_eq!(
        status(refresh().json(&json!({"refresh_token": token}))),
        422
    );
    assert_eq!(status(refresh().json(&json!({"token": token}))), 200);
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story: each token comes from the request before"
)]
fn document_001_login_and_both_refresh_paths() {
    let (sim, account) = simulator(Api::JwtApi);
    let (user, password) = (account.username.unwrap(), account.password.unwrap());
    let fields = [
        ("grant_type", "password"),
        ("username", &*user),
        ("password", &*password),
    ];
    let optional = [
        ("scope", ""),
        ("client_id", "acct-1"),
        ("client_secret", "unused"),
    ];
    let all = [fields.as_slice(), &optional].concat();
    let reply = post(&sim, Api::JwtApi, "/auth/jwt/login")
        .form(&fields)
        .send()
        .unwrap();
    assert_eq!(
        post(&sim, Api::JwtApi, "/auth/jwt/login")
            .form(&all)
            .send()
            .unwrap()
            .status,
        200
    );
    let sample = "{  \"access_token\": \"eyJ0\",\n  \"refresh_token\": \"eyJ0\",\n  \"token_type\": \"bearer\",\n  \"expires_in\": 3600}";
    let samples = [("/access_token", "eyJ0"), ("/refresh_token", "eyJ0")];
    assert_eq!(
        with_samples(&reply, &samples),
        compact(sample).replace("{  ", "{")
    );
    // The document's sample starts with {"typ":"JWT","alg":"HS256"}.
    assert!(
        reply
            .text("access_token")
            .unwrap()
            .starts_with("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.")
    );

    let refresh = |path, token: &str| {
        post(&sim, Api::JwtApi, path)
            .header("refresh-token", token)
            .send()
            .unwrap()
    };
    let first = reply.text("refresh_token").unwrap();
    let second = refresh("/auth/jwt/refresh", &first);
    assert_eq!(second.status, 200);
    let third = refresh(
        "/auth/jwt/postman-refresh",
        &second.text("refresh_token").unwrap(),
    );
    assert_eq!(third.status, 200);
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*third.text("refresh_token").unwrap()),
    ];
    let fourth = post(&sim, Api::JwtApi, "/auth/jwt/postman-refresh")
        .form(&form)
        .send()
        .unwrap();
    assert_eq!(fourth.status, 200);
    assert_eq!(
        resource(&sim, Api::JwtApi, &fourth.text("access_token").unwrap()).status,
        200
    );
    assert_eq!(resource(&sim, Api::JwtApi, "junk").status, 401);
    assert_eq!(
        refresh("/auth/jwt/refresh", &first).status,
        401,
        "only once"
    );
    let newest = fourth.text("refresh_token").unwrap();
    assert_eq!(
        refresh("/auth/jwt/refresh", &newest).status,
        401,
        "the reuse revoked the family"
    );
}

#[test]
fn document_001_is_strict() {
    let (sim, account) = simulator(Api::JwtApi);
    let (user, password) = (account.username.unwrap(), account.password.unwrap());
    let login = |fields: &[(&str, &str)]| {
        post(&sim, Api::JwtApi, "/auth/jwt/login")
            .form(fields)
            .send()
            .unwrap()
    };
    let (name, word) = (("username", user.as_str()), ("password", password.as_str()));
    assert_eq!(login(&[name, word]).status, 422, "grant_type must be there");
    assert_eq!(
        login(&[("grant_type", "client_credentials"), name, word]).status,
        422
    );
    assert_eq!(login(&[("grant_type", "password"), name]).status, 422);
    assert_eq!(
        login(&[("grant_type", "password"), name, word, ("audience", "x")]).status,
        422
    );
    let wrong = login(&[("grant_type", "password"), name, ("password", "nope")]);
    assert_eq!(
        (wrong.status, wrong.body.as_str()),
        (400, r#"{"detail":"LOGIN_BAD_CREDENTIALS"}"#)
    );

    let refresh = || post(&sim, Api::JwtApi, "/auth/jwt/refresh");
    let status = |probe: Probe| probe.send().unwrap().status;
    let body = json!({});
    assert_eq!(status(refresh()), 422, "no header");
    assert_eq!(
        status(refresh().header("refresh_token", "x")),
        422,
        "an underscore is another header"
    );
    assert_eq!(
        status(refresh().header("refresh-token", "a.b.c").json(&body)),
        422,
        "a body"
    );
    assert_eq!(status(refresh().header("refresh-token", "a.b.c")), 401);
    assert_eq!(
        status(refresh().header("refresh-token", "a.b.c").method("GET")),
        405
    );
}
