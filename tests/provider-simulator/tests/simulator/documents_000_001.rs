//! Documents 000 and 001: every strict rule, and whatever the exchanges of `exchanges.rs` do not show.

use serde_json::json;
use tokend_harness::probe::Probe;
use tokend_provider_simulator::spec::Api;

use crate::requests;
use crate::samples::{post, resource, simulator};

#[test]
fn document_000_tokens_and_a_refused_one() {
    let sim = requests::simulator();
    let reply = requests::login(&sim).send().unwrap();
    let token = reply.text("access_token").unwrap();
    assert!(token.starts_with("eyJhbGciOiJIUzI1NiIs"), "{token}");
    let refused = resource(&sim, Api::AdVerification, "junk");
    let detail = r#"{"detail":"Invalid session! Please try again."}"#;
    assert_eq!((refused.status, refused.body.as_str()), (400, detail));
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
    assert_eq!(
        status(refresh().json(&json!({"refresh_token": "a.b.c"}))),
        422
    );
}

#[test]
fn document_001_takes_a_form_at_one_path_and_a_token_only_once() {
    let (sim, account) = simulator(Api::JwtApi);
    let (user, password) = (account.username.unwrap(), account.password.unwrap());
    let login = [
        ("grant_type", "password"),
        ("username", &*user),
        ("password", &*password),
    ];
    let login = post(&sim, Api::JwtApi, "/auth/jwt/login").form(&login);
    let reply = login.send().unwrap();
    // The document's sample starts with {"typ":"JWT","alg":"HS256"}.
    let token = reply.text("access_token").unwrap();
    assert!(token.starts_with("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9."));

    let first = reply.text("refresh_token").unwrap();
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", first.as_str()),
    ];
    let form = post(&sim, Api::JwtApi, "/auth/jwt/postman-refresh").form(&form);
    let second = form.send().unwrap();
    assert_eq!(second.status, 200);
    let access = second.text("access_token").unwrap();
    assert_eq!(resource(&sim, Api::JwtApi, &access).status, 200);
    assert_eq!(resource(&sim, Api::JwtApi, "junk").status, 401);
    let refresh = |token: &str| {
        let probe = post(&sim, Api::JwtApi, "/auth/jwt/refresh").header("refresh-token", token);
        probe.send().unwrap().status
    };
    assert_eq!(refresh(&first), 401, "only once");
    let newest = second.text("refresh_token").unwrap();
    assert_eq!(refresh(&newest), 401, "the reuse revoked the family");
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
    let refused = refresh().header("refresh-token", "a.b.c").send().unwrap();
    let said = (refused.status, refused.body.as_str());
    assert_eq!(said, (401, r#"{"detail":"Unauthorized"}"#));
    assert_eq!(
        status(refresh().header("refresh-token", "a.b.c").method("GET")),
        405
    );
}
