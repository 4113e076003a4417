//! The real servers without a broker: they run here and do what the broker's tests rely on.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;
use tokend_harness::probe::{self, Reply};
use tokend_tests::realserver::{Kind, Options, RealServer};

fn start(kind: Kind) -> RealServer {
    RealServer::start(
        kind,
        Options {
            rotate: true,
            ..Options::default()
        },
    )
    .unwrap()
}

fn resource(server: &RealServer, kind: Kind, token: &str) -> u16 {
    let url = format!("{}{}", server.base_url(), kind.resource());
    probe::get(url).bearer(token).send().unwrap().status
}

fn basic(name: &str, secret: &str) -> String {
    format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{name}:{secret}"))
    )
}

fn user(kind: Kind) -> (String, String) {
    let account = kind.account("it");
    (account.username.unwrap(), account.password.unwrap())
}

#[test]
fn a_fastapi_form() {
    let kind = Kind::FastApiForm;
    let (server, (name, password)) = (start(kind), user(kind));
    let login = |password: &str| {
        let form = [("username", name.as_str()), ("password", password)];
        probe::post(format!("{}/login", server.base_url()))
            .form(&form)
            .send()
            .unwrap()
    };
    let reply = login(&password);
    assert_eq!(login("wrong").status, 400);
    let body = json!({"refresh_token": reply.text("refresh_token").unwrap()});
    let url = format!("{}/refresh_token", server.base_url());
    let refreshed = probe::post(url).json(&body).send().unwrap();
    assert!(refreshed.text("refresh_token").is_ok());
    assert_eq!(
        resource(&server, kind, &refreshed.text("access_token").unwrap()),
        200
    );
    assert_eq!(resource(&server, kind, "junk"), 400);
}

#[test]
fn b_fastapi_users() {
    let kind = Kind::FastApiUsers;
    let (mut server, (name, password)) = (start(kind), user(kind));
    let login = |server: &RealServer, password: &str| {
        let form = [
            ("grant_type", "password"),
            ("username", &name),
            ("password", password),
        ];
        probe::post(format!("{}/auth/jwt/login", server.base_url()))
            .form(&form)
            .send()
            .unwrap()
    };
    let refresh = |server: &RealServer, token: &str| {
        let url = format!("{}/auth/jwt/refresh", server.base_url());
        probe::post(url)
            .header("refresh-token", token)
            .send()
            .unwrap()
    };
    assert_eq!(login(&server, "wrong").status, 400);
    let first = login(&server, &password).text("refresh_token").unwrap();
    let reply = refresh(&server, &first);
    assert_eq!(
        resource(&server, kind, &reply.text("access_token").unwrap()),
        200
    );
    assert_eq!(refresh(&server, &first).status, 401, "single use");
    server.down();
    assert!(probe::post(server.base_url()).send().is_err());
    server.up().unwrap();
    let kept = refresh(&server, &reply.text("refresh_token").unwrap());
    assert_eq!(kept.status, 200, "refresh tokens outlive a restart");
    assert_eq!(resource(&server, kind, "junk"), 401);
}

#[test]
fn c_node_oauth() {
    let kind = Kind::NodeOauth;
    let (server, account) = (start(kind), kind.account("it"));
    let (id, secret) = (account.client_id.unwrap(), account.client_secret.unwrap());
    let login = |secret: &str| {
        let form = [("client_id", id.as_str()), ("client_secret", secret)];
        probe::post(format!("{}/v1/auth/token", server.base_url()))
            .form(&form)
            .send()
            .unwrap()
    };
    let reply: serde_json::Value = serde_json::from_str(&login(&secret).body).unwrap();
    let token = reply
        .pointer("/data/access_token")
        .and_then(|token| token.as_str())
        .unwrap();
    assert_eq!(resource(&server, kind, token), 200);
    let wrong: serde_json::Value = serde_json::from_str(&login("wrong").body).unwrap();
    assert_eq!(wrong.pointer("/error/code"), Some(&json!("401021")));
    assert_eq!(resource(&server, kind, "junk"), 401);
}

#[test]
fn d_drf_simplejwt() {
    let kind = Kind::DrfSimpleJwt;
    let (server, (name, password)) = (start(kind), user(kind));
    let at = |path: &str| format!("{}/auth/api/v1/accounts/{path}", server.base_url());
    let login = |password: &str| {
        probe::post(at("login"))
            .header("authorization", &basic(&name, password))
            .send()
            .unwrap()
    };
    assert_eq!(login("wrong").status, 401);
    let body = json!({"refresh": login(&password).text("refresh").unwrap()});
    let refreshed = probe::post(at("token")).json(&body).send().unwrap();
    assert_eq!(
        resource(&server, kind, &refreshed.text("access").unwrap()),
        200
    );
    assert_eq!(
        probe::post(at("token")).json(&body).send().unwrap().status,
        401,
        "rotation"
    );
    assert_eq!(resource(&server, kind, "junk"), 401);
}

#[test]
fn glewlwyd() {
    let kind = Kind::Glewlwyd;
    let (server, (name, password)) = (start(kind), user(kind));
    let account = kind.account("it");
    let client = basic(&account.client_id.unwrap(), &account.client_secret.unwrap());
    let token = |form: &[(&str, &str)]| -> Reply {
        let url = format!("{}/api/oidc/token", server.base_url());
        probe::post(url)
            .header("authorization", &client)
            .form(form)
            .send()
            .unwrap()
    };
    let login = |password: &str| {
        let scope = ("scope", "openid scope1");
        token(&[
            ("grant_type", "password"),
            ("username", &name),
            ("password", password),
            scope,
        ])
    };
    assert_eq!(login("wrong").status, 403);
    let first = login(&password).text("refresh_token").unwrap();
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", first.as_str()),
    ];
    let reply = token(&refresh);
    assert_eq!(
        resource(&server, kind, &reply.text("access_token").unwrap()),
        200
    );
    assert_eq!(token(&refresh).status, 400, "one-time");
    assert_eq!(resource(&server, kind, "junk"), 401);
}
