//! Documents 002 and 003 and RFC 6749: every strict rule, and whatever the exchanges of `exchanges.rs` do not show.

use serde_json::json;
use tokend_harness::probe::{self, Probe};
use tokend_provider_simulator::spec::{Api, ClientAuth};

use crate::samples::{post, resource, simulator, with_samples};

#[test]
fn document_002_is_strict() {
    let (sim, account) = simulator(Api::ClientCredentials);
    let (id, secret) = (account.client_id.unwrap(), account.client_secret.unwrap());
    let login = |fields: &[(&str, &str)]| {
        post(&sim, Api::ClientCredentials, "/v1/auth/token")
            .form(fields)
            .send()
            .unwrap()
    };
    let (id, secret) = (
        ("client_id", id.as_str()),
        ("client_secret", secret.as_str()),
    );
    let invalid = r#"{"error":{"code":"400013","code_reason":"invalid_request","message":"Missing or invalid parameters"}}"#;
    for fields in [&[id][..], &[], &[id, id, secret]] {
        let reply = login(fields);
        let answer = (reply.status, reply.body.as_str());
        assert_eq!(answer, (400, invalid), "{fields:?}");
    }
    let json = json!({"client_id": id.1, "client_secret": secret.1});
    let reply = post(&sim, Api::ClientCredentials, "/v1/auth/token")
        .json(&json)
        .send()
        .unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (400, invalid));

    let elsewhere = post(&sim, Api::ClientCredentials, "/v2/auth/token")
        .form(&[id, secret])
        .send();
    assert_eq!(elsewhere.unwrap().status, 404);
    let get = post(&sim, Api::ClientCredentials, "/v1/auth/token")
        .method("GET")
        .send()
        .unwrap();
    assert_eq!(
        (get.status, get.body.as_str()),
        (404, r#"{"error":"Resource or endpoint not found."}"#)
    );
    sim.deploy(Api::ClientCredentials, |it| it.grant_type_required = true);
    assert_eq!(login(&[id, secret]).status, 400);
}

fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let text = format!("{user}:{password}");
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(text))
}

#[test]
fn document_003_keeps_a_refresh_token_which_is_no_access_token() {
    let (sim, account) = simulator(Api::FirebaseAccounts);
    let header = basic(&account.username.unwrap(), &account.password.unwrap());
    let login = post(&sim, Api::FirebaseAccounts, "/auth/api/v1/accounts/login");
    let reply = login.header("authorization", &header).send().unwrap();
    let refresh = reply.text("refresh").unwrap();
    for _ in 0..2 {
        let reply = post(&sim, Api::FirebaseAccounts, "/auth/api/v1/accounts/token")
            .json(&json!({"refresh": refresh}))
            .send();
        assert_eq!(reply.unwrap().status, 200);
    }
    let refused = resource(&sim, Api::FirebaseAccounts, &refresh);
    assert_eq!(refused.status, 401);
}

#[test]
fn document_003_is_strict_and_suspends() {
    let (sim, account) = simulator(Api::FirebaseAccounts);
    sim.change("it", |behaviour| {
        behaviour.suspension = behaviour
            .suspension
            .map(|it| tokend_provider_simulator::spec::Suspension { requests: 3, ..it });
    });
    let (user, password) = (account.username.unwrap(), account.password.unwrap());
    let login = || post(&sim, Api::FirebaseAccounts, "/auth/api/v1/accounts/login");
    let refresh = || post(&sim, Api::FirebaseAccounts, "/auth/api/v1/accounts/token");
    let status = |probe: Probe| probe.send().unwrap().status;
    let good = basic(&user, &password);
    assert_eq!(status(login()), 401, "no header");
    assert_eq!(status(login().header("authorization", "Basic !!!")), 401);
    assert_eq!(
        status(login().header("authorization", &good).json(&json!({}))),
        400,
        "a body"
    );
    assert_eq!(
        status(login().header("authorization", &good).method("GET")),
        405
    );
    assert_eq!(status(refresh().json(&json!({}))), 400);
    assert_eq!(status(refresh().json(&json!({"refresh_token": "x"}))), 400);
    assert_eq!(status(refresh().form(&[("refresh", "x")])), 415);

    // The requests refused above never reached the account; these do.
    assert_eq!(
        status(login().header("authorization", &basic(&user, "nope"))),
        401
    );
    let first = login().header("authorization", &good).send().unwrap();
    assert_eq!(status(login().header("authorization", &good)), 200);
    assert_eq!(
        status(login().header("authorization", &good)),
        403,
        "the fourth suspends"
    );
    assert_eq!(
        status(login().header("authorization", &good)),
        403,
        "for good"
    );
    assert_eq!(
        status(refresh().json(&json!({"refresh": first.text("refresh").unwrap()}))),
        403
    );
    assert_eq!(
        resource(&sim, Api::FirebaseAccounts, &first.text("access").unwrap()).status,
        401
    );
    assert_eq!(sim.violations().len(), 1);
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one request for each grant and each way to say who asks"
)]
fn oauth2_grants_and_client_authentication() {
    let (sim, account) = simulator(Api::Oauth2);
    let (user, password) = (account.username.unwrap(), account.password.unwrap());
    let (id, secret) = (account.client_id.unwrap(), account.client_secret.unwrap());
    let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let token = |auth: Option<&str>, fields: &[(&str, &str)]| {
        let probe = post(&sim, Api::Oauth2, "/token").form(fields);
        let probe = auth
            .into_iter()
            .fold(probe, |probe, auth| probe.header("authorization", auth));
        probe.send().unwrap()
    };
    let good = basic(&id, &encoded);
    let grant = [
        ("grant_type", "password"),
        ("username", &*user),
        ("password", &*password),
        ("scope", "a b"),
    ];
    let reply = token(Some(&good), &grant);
    let samples = [
        ("/access_token", "2YotnFZFEjr1zCsicMWpAA"),
        ("/refresh_token", "tGzv3JOkF0XG5Qx2TlKWIA"),
    ];
    assert_eq!(
        with_samples(&reply, &samples),
        r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","expires_in":3600,"refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA","scope":"a b"}"#
    );
    let refresh = reply.text("refresh_token").unwrap();
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh.as_str()),
    ];
    assert_eq!(token(Some(&good), &fields).status, 200);
    assert_eq!(
        token(Some(&good), &fields).body,
        r#"{"error":"invalid_grant"}"#
    );
    let client = [("grant_type", "client_credentials")];
    let alone = token(Some(&good), &client);
    assert_eq!(alone.status, 200);
    assert!(alone.text("refresh_token").is_err(), "{}", alone.body);
    assert_eq!(
        token(Some(&good), &[("grant_type", "magic")]).body,
        r#"{"error":"unsupported_grant_type"}"#
    );
    assert_eq!(
        token(Some(&good), &[("a", "b")]).body,
        r#"{"error":"invalid_request"}"#
    );
    assert_eq!(token(None, &client).status, 401);
    assert_eq!(
        token(Some(&basic(&id, &secret)), &client).status,
        401,
        "raw where encoded is due"
    );

    sim.deploy(Api::Oauth2, |it| it.client_auth = ClientAuth::BasicRaw);
    assert_eq!(token(Some(&basic(&id, &secret)), &client).status, 200);
    assert_eq!(
        token(Some(&good), &client).status,
        401,
        "encoded where raw is due"
    );
    sim.deploy(Api::Oauth2, |it| it.client_auth = ClientAuth::Body);
    let in_body = [client[0], ("client_id", &*id), ("client_secret", &*secret)];
    assert_eq!(token(None, &in_body).status, 200);
    assert_eq!(
        token(Some(&good), &in_body).status,
        401,
        "two ways at once (RFC 6749, 2.3)"
    );
    let refused = resource(&sim, Api::Oauth2, "junk");
    assert_eq!(refused.status, 401);
    assert!(refused.headers.contains_key("www-authenticate"));
}

#[test]
fn an_unknown_provider_is_told() {
    let (sim, _) = simulator(Api::Oauth2);
    let base = sim.prefixed_url(Api::Oauth2).replace("/p/oauth2", "");
    let reply = probe::get(format!("{base}/p/007/login"))
        .send()
        .expect("an answer");
    assert_eq!(reply.status, 404);
    assert!(reply.body.contains("/p/000"), "{}", reply.body);
}
