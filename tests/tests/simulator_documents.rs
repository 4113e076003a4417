//! The simulator against the four documents: sample bodies word for word, and every strictness rule.

#![expect(clippy::unwrap_used, reason = "helpers of a test may fail it")]

use serde_json::json;
use tokend_tests::{
    probe::{self, Probe, Reply},
    simulator::{
        Simulator,
        spec::{AccountSpec, Api, ClientAuth},
    },
};

fn simulator(api: Api) -> (Simulator, AccountSpec) {
    let account = AccountSpec::new("it", api);
    (Simulator::start(vec![account.clone()]).unwrap(), account)
}

/// The simulator serves `api` under two base URLs; both must behave the same.
fn posts(simulator: &Simulator, api: Api, path: &str) -> [Probe; 2] {
    [simulator.base_url(api), simulator.prefixed_url(api)]
        .map(|base| probe::post(format!("{base}{path}")))
}

fn post(simulator: &Simulator, api: Api, path: &str) -> Probe {
    probe::post(format!("{}{path}", simulator.base_url(api)))
}

fn resource(simulator: &Simulator, api: Api, token: &str) -> Reply {
    let url = format!("{}{}", simulator.base_url(api), api.resource());
    probe::get(url).bearer(token).send().unwrap()
}

/// Puts the document's sample values where the tokens are, to compare the rest byte by byte.
fn with_samples(reply: &Reply, samples: &[(&str, &str)]) -> String {
    let mut body = reply.body.clone();
    for (pointer, sample) in samples {
        let value: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        let token = value
            .pointer(pointer)
            .and_then(|token| token.as_str())
            .unwrap()
            .to_owned();
        body = body.replacen(&token, sample, 1);
    }
    body
}

/// Without the line breaks the documents are set with.
fn compact(sample: &str) -> String {
    sample
        .replace('\n', "")
        .replace("\": ", "\":")
        .replace(", \"", ",\"")
        .replace(",  \"", ",\"")
}

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

#[test]
fn document_002_wrapped_reply_on_both_paths() {
    let (sim, account) = simulator(Api::ClientCredentials);
    let (id, secret) = (account.client_id.unwrap(), account.client_secret.unwrap());
    let fields = [
        ("client_id", id.as_str()),
        ("client_secret", secret.as_str()),
    ];
    let sample = "{\n\"data\": {\n\"access_token\": \"sk-418e41a74ca2e7d941fa4456d73dbed7\",\n\"token_type\": \"Bearer\",\n\"expires_in\": 3600\n}\n}";
    for path in ["/v1/auth/token", "/auth/token"] {
        for login in posts(&sim, Api::ClientCredentials, path) {
            let reply = login.form(&fields).send().unwrap();
            let samples = [("/data/access_token", "sk-418e41a74ca2e7d941fa4456d73dbed7")];
            assert_eq!(with_samples(&reply, &samples), compact(sample));
            let value: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
            let token = value
                .pointer("/data/access_token")
                .and_then(|it| it.as_str())
                .unwrap();
            assert_eq!(token.len(), "sk-418e41a74ca2e7d941fa4456d73dbed7".len());
            assert_eq!(resource(&sim, Api::ClientCredentials, token).status, 200);
        }
    }
    sim.deploy(Api::ClientCredentials, |it| it.data_as_string = true);
    let reply = post(&sim, Api::ClientCredentials, "/auth/token")
        .form(&fields)
        .send()
        .unwrap();
    let inner: serde_json::Value = serde_json::from_str(&reply.text("data").unwrap()).unwrap();
    assert_eq!(inner.get("expires_in"), Some(&json!(3600)));
}

#[test]
fn document_002_errors_in_both_shapes() {
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
    let invalid = compact(
        "{\n\"error\": {\n\"code\": \"400013\",\n\"code_reason\": \"invalid_request\",\n\"message\": \"Missing or invalid parameters\"\n}\n}",
    );
    for fields in [
        &[id][..],
        &[],
        &[id, secret, ("grant_type", "client_credentials")],
        &[id, id, secret],
    ] {
        let reply = login(fields);
        assert_eq!(
            (reply.status, reply.body),
            (400, invalid.clone()),
            "{fields:?}"
        );
    }
    let json = json!({"client_id": id.1, "client_secret": secret.1});
    let reply = post(&sim, Api::ClientCredentials, "/v1/auth/token")
        .json(&json)
        .send()
        .unwrap();
    assert_eq!((reply.status, reply.body), (400, invalid));

    let problem = "{\n\"code\": \"401021\",\n\"code_reason\": \"invalid_client\",\n\"message\": \"Invalid client_id, client_secret, or session_key\"\n}";
    let wrong = login(&[id, ("client_secret", "nope")]);
    assert_eq!(
        (wrong.status, wrong.body),
        (401, format!("{{\"error\":{}}}", compact(problem)))
    );
    sim.deploy(Api::ClientCredentials, |it| it.flat_errors = true);
    let wrong = login(&[id, ("client_secret", "nope")]);
    assert_eq!((wrong.status, wrong.body), (401, compact(problem)));

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
    assert_eq!(
        login(&[id, secret, ("grant_type", "client_credentials")]).status,
        200
    );
}

fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let text = format!("{user}:{password}");
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(text))
}

#[test]
fn document_003_basic_login_and_refresh_without_a_new_refresh_token() {
    let (sim, account) = simulator(Api::FirebaseAccounts);
    let header = basic(&account.username.unwrap(), &account.password.unwrap());
    let login = post(&sim, Api::FirebaseAccounts, "/auth/api/v1/accounts/login");
    let reply = login.header("authorization", &header).send().unwrap();
    let samples = [("/access", "A"), ("/refresh", "R")];
    assert_eq!(
        with_samples(&reply, &samples),
        r#"{"access":"A","refresh":"R"}"#
    );
    let refresh = reply.text("refresh").unwrap();
    for _ in 0..2 {
        let reply = post(&sim, Api::FirebaseAccounts, "/auth/api/v1/accounts/token")
            .json(&json!({"refresh": refresh}))
            .send()
            .unwrap();
        assert_eq!(
            with_samples(&reply, &[("/access", "A")]),
            r#"{"access":"A"}"#
        );
        let access = reply.text("access").unwrap();
        assert_eq!(resource(&sim, Api::FirebaseAccounts, &access).status, 200);
    }
    assert_eq!(
        resource(&sim, Api::FirebaseAccounts, &refresh).status,
        401,
        "not an access token"
    );
}

#[test]
fn document_003_is_strict_and_suspends() {
    let (sim, account) = simulator(Api::FirebaseAccounts);
    sim.change("it", |behaviour| {
        behaviour.suspension = behaviour
            .suspension
            .map(|it| tokend_tests::simulator::spec::Suspension { requests: 3, ..it });
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
    assert_eq!(status(refresh().json(&json!({"refresh": "junk"}))), 401);

    // What was refused above never reached the account; these do.
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
