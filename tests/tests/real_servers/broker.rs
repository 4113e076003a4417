//! The broker against each of them: login, refresh ahead, rotation, rejection, a wrong password, an outage and its end.

use std::{collections::BTreeSet, fs, time::Duration};

use serde_json::json;
use tokend_harness::{
    Said, Site,
    clock::{PATIENCE, wait_for, wait_until},
    probe,
};
use tokend_provider_simulator::{Configuration, write_secret};
use tokend_tests::{
    realserver::{Kind, Options, RealServer},
    tap::Tap,
};

/// One test for each server, so that a failure names it.
macro_rules! against {
    ($check:ident: $($name:ident = $kind:ident),+) => {
        mod $check {
            $(#[test]
            fn $name() {
                super::$check(super::Kind::$kind);
            })+
        }
    };
}

against!(login_get_and_rejection: fastapi_form = FastApiForm, fastapi_users = FastApiUsers, node_oauth = NodeOauth, drf_simplejwt = DrfSimpleJwt, glewlwyd = Glewlwyd);
against!(refresh_ahead_with_lifetimes_of_a_few_seconds: fastapi_form = FastApiForm, fastapi_users = FastApiUsers, node_oauth = NodeOauth, drf_simplejwt = DrfSimpleJwt, glewlwyd = Glewlwyd);
against!(twenty_single_use_rotations: fastapi_users = FastApiUsers, glewlwyd = Glewlwyd, drf_simplejwt = DrfSimpleJwt, fastapi_form = FastApiForm);
against!(a_wrong_password_is_tried_once_and_not_again_until_it_changed: fastapi_form = FastApiForm, fastapi_users = FastApiUsers, node_oauth = NodeOauth, drf_simplejwt = DrfSimpleJwt, glewlwyd = Glewlwyd);
against!(a_server_that_goes_down_and_comes_back: fastapi_form = FastApiForm, fastapi_users = FastApiUsers, node_oauth = NodeOauth, drf_simplejwt = DrfSimpleJwt, glewlwyd = Glewlwyd);
against!(an_expired_refresh_token_costs_one_login: fastapi_users = FastApiUsers, glewlwyd = Glewlwyd, drf_simplejwt = DrfSimpleJwt);

const FAST: &str = r#"
pacing = { attempts = { burst = 5000, every = "10ms" }, logins = { burst = 5000, every = "10ms" }, host = { burst = 5000, every = "10ms" }, host_in_flight = 1000 }
"#;

/// RFC 6749 leaves this open: glewlwyd reports a wrong password or refresh token with a status and an empty body. Such a reply could come
/// from any server in front of it.
const GLEWLWYD: &str = r#"
summary = "glewlwyd, which refuses without a word"
extends = "oauth2"

[[login.rules]]
status = 403
class = "credential-rejected"

[[refresh.rules]]
status = 400
class = "refresh-token-rejected"
"#;

fn let_it_speak_its_own_words(site: &Site) {
    let dialects = site.path().join("dialects");
    fs::create_dir(&dialects).unwrap();
    fs::write(dialects.join("glewlwyd.toml"), GLEWLWYD).unwrap();
    let text = fs::read_to_string(site.configuration()).unwrap();
    let text = text.replace("provider = \"oauth2\"", "provider = \"glewlwyd\"");
    let text = format!("dialect_dir = {dialects:?}\n{text}");
    fs::write(site.configuration(), text).unwrap();
}

/// A server, a relay that counts, and a place for a daemon that goes through it.
struct Stage {
    kind: Kind,
    server: RealServer,
    tap: Tap,
    site: Site,
}

impl Stage {
    fn new(kind: Kind, options: Options) -> Self {
        let server = RealServer::start(kind, options).unwrap();
        let tap = Tap::on(server.address()).unwrap();
        let site = Site::with(&configuration(kind, &tap.base_url())).unwrap();
        if kind == Kind::Glewlwyd {
            let_it_speak_its_own_words(&site);
        }
        Self {
            kind,
            server,
            tap,
            site,
        }
    }

    fn accepted(&self, token: &str) -> bool {
        let url = format!("{}{}", self.server.base_url(), self.kind.resource());
        probe::get(url).bearer(token).send().unwrap().status == 200
    }

    fn logins(&self) -> usize {
        self.tap.count(login_path(self.kind)) - self.same_path_refreshes()
    }

    /// glewlwyd logs in and refreshes at one path; every request after the first is a refresh.
    fn same_path_refreshes(&self) -> usize {
        match self.kind {
            Kind::Glewlwyd => self.tap.count(login_path(self.kind)).saturating_sub(1),
            _ => 0,
        }
    }

    fn refreshes(&self) -> usize {
        match refresh_path(self.kind) {
            Some(path) => self.tap.count(path),
            None => self.same_path_refreshes(),
        }
    }

    fn eventually(&self) -> String {
        let got = wait_for("a token", PATIENCE, || self.site.get("it").ok());
        got.unwrap_or_else(|error| panic!("{error}\n{}", self.site.log().unwrap_or_default()))
    }

    fn reject(&self, token: &str) -> Said {
        self.site
            .tokenctl_with(&["reject", "it", "--print"], token)
            .unwrap()
    }
}

fn configuration(kind: Kind, base_url: &str) -> Configuration {
    let options = match kind {
        // It requires a scope with every grant, and accepts a client's secret only unencoded.
        Kind::Glewlwyd => {
            "scope = \"openid scope1\"\noptions = { client_auth = \"basic-raw\", token_path = \"/api/oidc/token\" }"
        }
        _ => "",
    };
    Configuration::default().account(kind.account("it"), base_url, &format!("{FAST}{options}"))
}

fn login_path(kind: Kind) -> &'static str {
    match kind {
        Kind::FastApiForm => "POST /login",
        Kind::FastApiUsers => "POST /auth/jwt/login",
        Kind::NodeOauth => "POST /v1/auth/token",
        Kind::DrfSimpleJwt => "POST /auth/api/v1/accounts/login",
        Kind::Glewlwyd => "POST /api/oidc/token",
    }
}

fn refresh_path(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::FastApiForm => Some("POST /refresh_token"),
        Kind::FastApiUsers => Some("POST /auth/jwt/refresh"),
        Kind::DrfSimpleJwt => Some("POST /auth/api/v1/accounts/token"),
        Kind::NodeOauth | Kind::Glewlwyd => None,
    }
}

fn long() -> Options {
    Options {
        rotate: true,
        ..Options::default()
    }
}

fn login_get_and_rejection(kind: Kind) {
    let stage = Stage::new(kind, long());
    let _daemon = stage.site.start().unwrap();
    let token = stage.site.get("it").unwrap();
    assert!(stage.accepted(&token), "{kind:?}");
    assert_eq!(stage.site.get("it").unwrap(), token);
    assert_eq!(
        stage.tap.seen().len(),
        1,
        "{kind:?}: {:?}",
        stage.tap.seen()
    );

    let fresh = stage.reject(&token).line().unwrap();
    assert!(stage.accepted(&fresh), "{kind:?}");
    assert_eq!(
        stage.tap.seen().len(),
        2,
        "{kind:?}: one attempt for one rejection"
    );
}

fn refresh_ahead_with_lifetimes_of_a_few_seconds(kind: Kind) {
    let access_ttl = match kind {
        // Its tokens expire at a whole second, and the reply's `Date` is up to a second old.
        Kind::FastApiUsers => 8,
        // A login takes seconds of hashing on a busy machine, and a token's lifetime counts from the request.
        Kind::DrfSimpleJwt => 8,
        Kind::FastApiForm | Kind::NodeOauth | Kind::Glewlwyd => 4,
    };
    let options = Options {
        access_ttl,
        ..long()
    };
    let stage = Stage::new(kind, options);
    let _daemon = stage.site.start().unwrap();
    let mut seen = BTreeSet::new();
    wait_for("three tokens", PATIENCE, || {
        let token = stage.site.get("it").unwrap();
        assert!(stage.accepted(&token), "{kind:?}: served and refused");
        seen.insert(token);
        (seen.len() >= 3).then_some(())
    })
    .unwrap();
    let logins = stage.logins();
    assert_eq!(
        logins,
        if kind == Kind::NodeOauth {
            stage.tap.seen().len()
        } else {
            1
        },
        "{kind:?}"
    );
}

fn twenty_single_use_rotations(kind: Kind) {
    let stage = Stage::new(kind, long());
    let mut daemon = stage.site.start().unwrap();
    stage.site.get("it").unwrap();
    for cycle in 0..21 {
        let said = stage.site.tokenctl(&["refresh", "it"]).unwrap();
        assert_eq!(said.code, Some(0), "{kind:?}, cycle {cycle}: {said:?}");
        if cycle % 7 == 6 {
            daemon.kill().unwrap();
            daemon = stage.site.start().unwrap();
        }
    }
    let token = stage.site.get("it").unwrap();
    assert!(stage.accepted(&token), "{kind:?}");
    assert_eq!((stage.logins(), stage.refreshes()), (1, 21), "{kind:?}");
    let refused = stage
        .tap
        .seen()
        .into_iter()
        .filter(|seen| seen.status != Some(200));
    assert_eq!(refused.count(), 0, "{kind:?}: {:?}", stage.tap.seen());
    drop(daemon);
}

fn a_wrong_password_is_tried_once_and_not_again_until_it_changed(kind: Kind) {
    let stage = Stage::new(kind, long());
    let field = if kind == Kind::NodeOauth {
        "client_secret"
    } else {
        "password"
    };
    let file = stage
        .site
        .path()
        .join("secrets")
        .join(format!("it-{field}"));
    write_secret(&file, "wrong").unwrap();
    let daemon = stage.site.start().unwrap();
    for _ in 0..2 {
        let said = stage.site.tokenctl(&["get", "it"]).unwrap();
        assert_eq!(said.code, Some(79), "{kind:?}: {said:?}");
    }
    assert_eq!(
        stage.site.status("it").unwrap().get("state"),
        Some(&json!("login-required"))
    );
    daemon.kill().unwrap();
    let _daemon = stage.site.start().unwrap();
    assert_eq!(stage.site.tokenctl(&["get", "it"]).unwrap().code, Some(79));
    assert_eq!(
        stage.tap.seen().len(),
        1,
        "{kind:?}: {:?}",
        stage.tap.seen()
    );

    let account = kind.account("it");
    let right = account
        .password
        .filter(|_| field == "password")
        .or(account.client_secret);
    write_secret(&file, &right.unwrap()).unwrap();
    assert_eq!(stage.site.tokenctl(&["reload"]).unwrap().code, Some(0));
    let token = stage.eventually();
    assert!(stage.accepted(&token), "{kind:?}");
    assert_eq!(stage.tap.seen().len(), 2, "{kind:?}");
}

fn a_server_that_goes_down_and_comes_back(kind: Kind) {
    let mut server = RealServer::start(kind, long()).unwrap();
    // Straight to the server: through a relay a closed port would look like a lost answer.
    let site = Site::with(&configuration(kind, &server.base_url())).unwrap();
    let _daemon = site.start().unwrap();
    let token = site.get("it").unwrap();
    server.down();
    assert_eq!(site.get("it").unwrap(), token, "{kind:?}: needs no server");
    let said = site.tokenctl(&["refresh", "it"]).unwrap();
    assert_eq!(said.code, Some(75), "{kind:?}: {said:?}");
    server.up().unwrap();
    wait_until("a refresh to succeed", PATIENCE, || {
        site.tokenctl(&["refresh", "it", "--timeout", "5s"])
            .unwrap()
            .code
            == Some(0)
    })
    .unwrap();
    let url = format!("{}{}", server.base_url(), kind.resource());
    let token = site.get("it").unwrap();
    assert_eq!(
        probe::get(url).bearer(&token).send().unwrap().status,
        200,
        "{kind:?}"
    );
}

fn an_expired_refresh_token_costs_one_login(kind: Kind) {
    let options = Options {
        access_ttl: 900,
        refresh_ttl: 1,
        rotate: true,
    };
    let stage = Stage::new(kind, options);
    let _daemon = stage.site.start().unwrap();
    let first = stage.site.get("it").unwrap();
    let age = tokend_harness::clock::Stopwatch::start();
    wait_until("the refresh token to expire", PATIENCE, || {
        age.elapsed() > Duration::from_secs(3)
    })
    .unwrap();
    let said = stage.reject(&first);
    assert!(matches!(said.code, Some(0 | 75)), "{kind:?}: {said:?}");
    let token = stage.eventually();
    assert!(stage.accepted(&token), "{kind:?}");
    let seen = stage.tap.seen();
    let refused = seen.iter().filter(|seen| seen.status != Some(200)).count();
    // A broker that knows the refresh token's lifetime need not even try it.
    assert!(refused <= 1 && seen.len() <= 3, "{kind:?}: {seen:?}");
}
