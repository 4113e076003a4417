//! A provider whose refreshes end the access token before: a token that may have ended is never handed out.

use std::{fs, time::Duration};

use tokend_harness::{
    Daemon, Said,
    clock::{PATIENCE, wait_for, wait_until},
};
use tokend_provider_simulator::{
    fault::{Fault, FaultKind, Rule},
    spec::{Api, Endpoint},
};

use crate::stage::{FAST, Stage, account};

/// Ends the token before, and accepts a refresh token twice.
const ENDS: &str = r#"
extends = "oauth2"
summary = "a server whose refreshes end the token before"

[refresh]
reuse = "rotates"
ends_access_token = true
"#;

/// Such a provider, with an account that is refreshed as its policy says, and a daemon that holds one of its tokens.
fn stage(lines: &str) -> (Stage, Daemon, String) {
    let lines = format!("{FAST}{lines}");
    let stage = Stage::new(vec![account("it", Api::Oauth2)], &lines);
    stage
        .sim
        .change("it", |behaviour| behaviour.refresh_ends_access = true);
    let dialects = stage.site.path().join("dialects");
    fs::create_dir(&dialects).unwrap();
    fs::write(dialects.join("ends.toml"), ENDS).unwrap();
    let text = fs::read_to_string(stage.site.configuration()).unwrap();
    let text = text.replace("provider = \"oauth2\"", "provider = \"ends\"");
    let http = "[http]\ntimeout = \"2s\"\n";
    let text = format!("dialect_dir = {dialects:?}\n{http}{text}");
    fs::write(stage.site.configuration(), text).unwrap();
    let daemon = stage.site.start().unwrap();
    let token = stage.site.get("it").unwrap();
    (stage, daemon, token)
}

fn fail_a_refresh(stage: &Stage, fault: Fault) {
    let rule = Rule::once("it", fault).at(Endpoint::Refresh);
    stage.sim.fail(rule);
}

fn refreshed(stage: &Stage, count: usize) {
    wait_until("the provider to have refreshed", PATIENCE, || {
        let log = stage.sim.log("it");
        log.count(|entry| entry.endpoint == Endpoint::Refresh && entry.processed) == count
    })
    .unwrap();
}

/// No client gets the token that has ended.
fn never_again(stage: &Stage, ended: &str, said: &Said) {
    assert!(!said.out.contains(ended), "{said:?}");
    assert!(matches!(said.code, Some(0 | 75)), "{said:?}");
    assert!(!stage.accepted(Api::Oauth2, ended), "it was ended");
}

#[test]
fn a_token_that_a_refresh_may_have_ended_is_handed_out_to_nobody() {
    let page = Fault::after(FaultKind::page(502));
    let nothing = Fault::after(FaultKind::json(200, r#"{"token_type": "bearer"}"#));
    let foreign = r#"{"access_token": "x", "refresh_token": "another", "token_type": "DPoP"}"#;
    for (how, fault) in [
        ("hung up", Fault::after(FaultKind::Reset)),
        ("no answer in time", Fault::after(FaultKind::Hang)),
        ("a gateway's 502", page),
        ("cut in the body", Fault::after(FaultKind::Truncated)),
        ("no token in it", nothing),
        (
            "a token of another kind",
            Fault::after(FaultKind::json(200, foreign)),
        ),
    ] {
        let (stage, _daemon, ended) = stage("");
        fail_a_refresh(&stage, fault);
        drop(stage.site.tokenctl(&["refresh", "it"]).unwrap());
        refreshed(&stage, 1);
        // A client that asks at any moment gets another token or none.
        wait_for("another token", PATIENCE, || {
            let said = stage.site.tokenctl(&["get", "it"]).unwrap();
            if how == "a token of another kind" {
                assert_ne!(said.code, Some(0), "{said:?}");
                return Some(());
            }
            never_again(&stage, &ended, &said);
            (said.code == Some(0)).then_some(())
        })
        .unwrap_or_else(|error| panic!("{how}: {error}"));
    }
}

#[test]
fn what_may_have_been_ended_is_told_and_settled_before_anybody_asks() {
    let (stage, _daemon, ended) = stage("");
    stage.sim.fail(
        Rule::once("it", Fault::after(FaultKind::Reset))
            .at(Endpoint::Refresh)
            .times(3),
    );
    let said = stage.site.tokenctl(&["refresh", "it"]).unwrap();
    never_again(&stage, &ended, &said);
    let status = stage.site.status("it").unwrap();
    assert_eq!(status["state"], "in-doubt", "{status}");
    assert_eq!(status["has_token"], false, "{status}");
    let problem = status["problem"].to_string();
    assert!(
        problem
            .contains("the token held before is not handed out, since a refresh may have ended it"),
        "{problem}"
    );
    wait_for("the question to be settled", PATIENCE, || {
        let status = stage.site.status("it").unwrap();
        (status["state"] == "valid").then_some(())
    })
    .unwrap();
    let token = stage.site.get("it").unwrap();
    assert!(stage.accepted(Api::Oauth2, &token));
}

#[test]
fn a_kill_with_the_refresh_under_way_brings_no_ended_token_back() {
    for lines in ["", "refresh = \"on-demand\""] {
        let (stage, daemon, ended) = stage(lines);
        fail_a_refresh(&stage, Fault::after(FaultKind::Hang));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| stage.site.tokenctl(&["refresh", "it"]).unwrap());
            refreshed(&stage, 1);
            // The reply has not arrived yet, and the daemon does not know whether the request was processed.
            let said = stage
                .site
                .tokenctl(&["get", "it", "--timeout", "100ms"])
                .unwrap();
            assert!(!said.out.contains(&ended), "{said:?}");
            daemon.kill().unwrap();
            assert_ne!(waiting.join().unwrap().code, Some(0));
        });
        let _daemon = stage.site.start().unwrap();
        let token = wait_for("a token", PATIENCE, || {
            let said = stage.site.tokenctl(&["get", "it"]).unwrap();
            never_again(&stage, &ended, &said);
            (said.code == Some(0)).then_some(said.out)
        });
        assert!(
            stage.accepted(Api::Oauth2, token.unwrap().trim()),
            "{lines}"
        );
    }
}

#[test]
fn a_token_that_was_not_ended_after_all_is_handed_out_again() {
    let (stage, _daemon, token) = stage("");
    for fault in [
        Fault::before(FaultKind::status(503)),
        Fault::before(FaultKind::status(500)),
        Fault::before(FaultKind::page(403)),
    ] {
        fail_a_refresh(&stage, fault);
        drop(stage.site.tokenctl(&["refresh", "it"]).unwrap());
        assert_eq!(stage.site.get("it").unwrap(), token);
    }
    // The client waits for the slow refresh, and gets the token it brings.
    stage.site.tokenctl(&["refresh", "it"]).unwrap();
    let token = stage.site.get("it").unwrap();
    fail_a_refresh(
        &stage,
        Fault::after(crate::stage::slow(Duration::from_millis(700))),
    );
    std::thread::scope(|scope| {
        let refresh = scope.spawn(|| stage.site.tokenctl(&["refresh", "it"]).unwrap());
        refreshed(&stage, 2);
        let next = stage.site.get("it").unwrap();
        assert_ne!(next, token);
        assert!(stage.accepted(Api::Oauth2, &next));
        assert_eq!(refresh.join().unwrap().code, Some(0));
    });
}
