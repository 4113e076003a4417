//! The four documents and RFC 6749, end to end, with the rate limits and settings of their dialects.

use serde_json::json;
use tokend_provider_simulator::{
    Configuration,
    spec::{AccountSpec, Api, ClientAuth},
};

use crate::stage::{FAST, Stage, account};

#[test]
fn each_of_the_four_providers_yields_a_token_its_api_accepts() {
    let stage = Stage::new(AccountSpec::four(), "");
    let _daemon = stage.site.start().unwrap();
    for account in AccountSpec::four() {
        let token = stage.site.get(&account.name).unwrap();
        assert!(stage.accepted(account.api, &token), "{}", account.name);
        assert_eq!(
            stage.site.get(&account.name).unwrap(),
            token,
            "kept, not asked for again"
        );
        assert_eq!(
            stage.sim.log(&account.name).token_requests(),
            1,
            "{}",
            account.name
        );
    }
    assert_eq!(stage.sim.violations(), []);
}

#[test]
fn each_of_the_four_providers_renews_a_refused_token() {
    let stage = Stage::new(AccountSpec::four(), "");
    let _daemon = stage.site.start().unwrap();
    for account in AccountSpec::four() {
        let name = &account.name;
        let refused = stage.site.get(name).unwrap();
        stage.sim.end_access(name);
        assert!(!stage.accepted(account.api, &refused));
        let token = stage.reject(name, &refused).line().unwrap();
        assert_ne!(token, refused);
        assert!(stage.accepted(account.api, &token), "{name}");
        let log = stage.sim.log(name);
        let (logins, refreshes) = match account.api {
            Api::ClientCredentials => (2, 0),
            _ => (1, 1),
        };
        assert_eq!(
            (log.logins(), log.refreshes()),
            (logins, refreshes),
            "{name}"
        );
    }
    assert_eq!(stage.sim.violations(), []);
}

#[test]
fn oauth2_with_passwords_client_credentials_and_every_client_authentication() {
    let methods = [
        (ClientAuth::BasicEncoded, "basic-rfc6749"),
        (ClientAuth::BasicRaw, "basic-raw"),
        (ClientAuth::Body, "body"),
    ];
    let it = account("it", Api::Oauth2);
    let alone = AccountSpec {
        username: None,
        password: None,
        ..account("alone", Api::Oauth2)
    };
    let alone = alone.known_as("service");
    for (accepted, option) in methods {
        let stage = Stage::new(vec![it.clone(), alone.clone()], "");
        stage
            .sim
            .deploy(Api::Oauth2, |deployment| deployment.client_auth = accepted);
        let lines = |grant: &str| {
            format!("{FAST}options = {{ grant = \"{grant}\", client_auth = \"{option}\" }}")
        };
        let base_url = stage.sim.base_url(Api::Oauth2);
        Configuration::default()
            .account(it.clone(), &base_url, &lines("password"))
            .account(alone.clone(), &base_url, &lines("client_credentials"))
            .write(stage.site.path())
            .unwrap();
        let _daemon = stage.site.start().unwrap();
        for name in ["it", "alone"] {
            let token = stage.site.get(name).unwrap();
            assert!(stage.accepted(Api::Oauth2, &token), "{name} by {option}");
            let said = stage.site.tokenctl(&["refresh", name]).unwrap();
            assert_eq!(said.code, Some(0), "{name} by {option}: {said:?}");
        }
        assert_eq!(stage.sim.log("it").refreshes(), 1);
        assert_eq!(
            stage.sim.log("alone").logins(),
            2,
            "no refresh token: log in again"
        );
    }
}

#[test]
fn deployments_that_differ_from_the_document_are_a_matter_of_configuration() {
    let stage = Stage::of(Api::AdVerification);
    stage.sim.deploy(Api::AdVerification, |it| {
        it.refresh_key = "refreshToken".to_owned()
    });
    let base_url = stage.sim.base_url(Api::AdVerification);
    let lines = format!("{FAST}options = {{ refresh_key = \"refreshToken\" }}");
    Configuration::default()
        .account(account("it", Api::AdVerification), &base_url, &lines)
        .write(stage.site.path())
        .unwrap();
    let _daemon = stage.site.start().unwrap();
    stage.site.get("it").unwrap();
    assert_eq!(
        stage.site.tokenctl(&["refresh", "it"]).unwrap().code,
        Some(0)
    );
    let log = stage.sim.log("it");
    assert_eq!((log.logins(), log.refreshes()), (1, 1));
}

#[test]
fn document_002_is_understood_in_both_shapes() {
    let stage = Stage::of(Api::ClientCredentials);
    let _daemon = stage.site.start().unwrap();
    stage
        .sim
        .deploy(Api::ClientCredentials, |it| it.data_as_string = true);
    let token = stage.site.get("it").unwrap();
    assert!(stage.accepted(Api::ClientCredentials, &token));
    stage.sim.change_secret("it", "another");
    stage
        .sim
        .deploy(Api::ClientCredentials, |it| it.flat_errors = true);
    let said = stage.site.tokenctl(&["refresh", "it"]).unwrap();
    assert_eq!(said.code, Some(79), "{said:?}");
}

#[test]
fn the_lifetime_told_is_the_providers() {
    let stage = Stage::new(AccountSpec::four(), "");
    let _daemon = stage.site.start().unwrap();
    for (name, lifetime) in [
        ("ads", 900),
        ("jwt", 3600),
        ("partner", 3600),
        ("firebase", 2700),
    ] {
        let said = stage
            .site
            .tokenctl(&["get", name, "--format", "json"])
            .unwrap()
            .json()
            .unwrap();
        let expires_in = said
            .get("expires_in")
            .and_then(serde_json::Value::as_u64)
            .unwrap();
        assert!(
            (lifetime - 120..=lifetime).contains(&expires_in),
            "{name}: {said}"
        );
        let newest = stage.sim.newest_access(name).unwrap();
        assert_eq!(said.get("access_token"), Some(&json!(newest)));
    }
}
