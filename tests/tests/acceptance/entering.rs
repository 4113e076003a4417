//! A credential that a person enters is tried alone, and replaces nothing before it has worked.

use std::{
    io::Write as _,
    process::{Child, Command, Stdio},
};

use tokend_harness::{
    Site,
    clock::{PATIENCE, wait_until},
};
use tokend_provider_simulator::{
    Configuration,
    fault::{Fault, FaultKind},
    spec::Api,
};

use crate::stage::{FAST, Stage};

/// The same account, in a place without any secret.
fn without_secrets(stage: &Stage) -> Site {
    let configuration = Configuration::of(&stage.sim)
        .everywhere(FAST)
        .without_secrets();
    Site::with(&configuration).unwrap()
}

/// Enters a refresh token and does not wait for the result.
fn enter(site: &Site, token: &str) -> Child {
    let mut child = Command::new(&site.binaries().tokenctl)
        .arg("--socket")
        .arg(site.socket())
        .args(["login", "it", "--refresh-token"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(token.as_bytes()).unwrap();
    child
}

#[test]
fn what_is_entered_replaces_nothing_before_it_is_granted() {
    for api in [Api::JwtApi, Api::FirebaseAccounts] {
        let stage = Stage::of(api);
        let site = without_secrets(&stage);
        let enter = |what: &str, text: &str| {
            let text = format!("{text}\n");
            site.tokenctl_with(&["login", "it", what], &text).unwrap()
        };
        let daemon = site.start().unwrap();
        let wrong = enter("--password", "mistyped");
        assert_eq!(wrong.code, Some(79), "{wrong:?}");
        assert!(wrong.err.contains("it is not stored"), "{wrong:?}");
        assert_eq!(site.tokenctl(&["get", "it"]).unwrap().code, Some(79));
        let password = stage.sim.accounts().remove(0).password.unwrap();
        assert_eq!(enter("--password", &password).code, Some(0));
        let token = site.get("it").unwrap();
        let asked = || {
            (
                stage.sim.log("it").logins(),
                stage.sim.log("it").refreshes(),
            )
        };
        let before = asked();
        for (what, text, asks) in [
            ("--password", "mistyped", (before.0 + 1, before.1)),
            // A token that the provider never issued is in no account's log; what counts is that no login follows.
            ("--refresh-token", "mistyped", (before.0 + 1, before.1)),
        ] {
            let said = enter(what, text);
            assert_eq!(said.code, Some(79), "{said:?}");
            assert!(said.err.contains("the provider refused"), "{said:?}");
            assert_eq!(asked(), asks, "once and by itself");
            assert_eq!(site.get("it").unwrap(), token, "it is served on");
        }
        assert!(daemon.terminate().unwrap().success());
        let _daemon = site.start().unwrap();
        assert_eq!(site.get("it").unwrap(), token, "also after a restart");
        let said = site.tokenctl(&["refresh", "it"]).unwrap();
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(asked(), (before.0 + 1, before.1 + 1), "with what was held");
    }
}

#[test]
fn a_kill_while_something_entered_is_tried_loses_neither_it_nor_what_is_held() {
    let stage = Stage::of(Api::JwtApi);
    let mut daemon = stage.site.start().unwrap();
    let token = stage.site.get("it").unwrap();
    let held = stage.sim.secrets().pop().unwrap();
    let site = without_secrets(&stage);
    for (site, held_token) in [(&stage.site, Some(&token)), (&site, None)] {
        if held_token.is_none() {
            daemon.kill().unwrap();
            daemon = site.start().unwrap();
        }
        let before = stage.requests();
        stage.once(Fault::before(FaultKind::Hang));
        // The living token, of which only the provider knows whether it was used.
        let mut waiting = enter(site, &held);
        wait_until("it to be sent", PATIENCE, || stage.requests() > before).unwrap();
        daemon.kill().unwrap();
        waiting.wait().unwrap();
        daemon = site.start().unwrap();
        match held_token {
            Some(token) => {
                assert_eq!(&site.get("it").unwrap(), token, "it is served on");
                let said = site.tokenctl(&["status", "it"]).unwrap();
                assert!(said.out.contains("valid"), "{said:?}");
            }
            None => {
                let token = wait_until_some(site);
                assert!(stage.accepted(Api::JwtApi, &token));
            }
        }
    }
    daemon.kill().unwrap();
    assert_eq!(stage.sim.log("it").logins(), 1, "no login was needed");
}

/// A token, after the account has waited out the failed first use.
fn wait_until_some(site: &Site) -> String {
    let arguments = ["get", "it", "--wait", "60s", "--timeout", "60s"];
    let said = site.tokenctl(&arguments).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    said.out.trim().to_owned()
}

#[test]
fn an_account_without_a_use_for_it_refuses_what_is_entered() {
    let stage = Stage::of(Api::ClientCredentials);
    let _daemon = stage.site.start().unwrap();
    for what in ["--password", "--refresh-token", "--client-secret"] {
        let said = stage
            .site
            .tokenctl_with(&["login", "it", what], "anything\n")
            .unwrap();
        assert_eq!(said.code, Some(78), "{what}: {said:?}");
    }
    assert_eq!(stage.requests(), 0);
}
