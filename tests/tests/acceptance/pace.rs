//! The rate limit: whatever forces an attempt, the provider never sees more requests than allowed.

use std::time::Duration;

use serde_json::json;
use tokend_harness::clock::{PATIENCE, wait_until};
use tokend_provider_simulator::{
    Configuration,
    fault::{Fault, FaultKind, Rule},
    spec::{AccountSpec, Api},
};

use crate::stage::{ON_DEMAND, Stage, account};

/// Three attempts at once, then one a minute; no test lives that long.
const THREE: &str = "\npacing = { attempts = { burst = 3, every = \"1m\" }, logins = { burst = 3, every = \"1m\" } }\n";

#[test]
fn rejections_refreshes_and_restarts_together_stay_within_the_pace() {
    let stage = Stage::new(
        vec![account("it", Api::JwtApi)],
        &format!("{THREE}{ON_DEMAND}"),
    );
    let daemon = stage.site.start().unwrap();
    let first = stage.site.get("it").unwrap();
    let second = stage.reject("it", &first).line().unwrap();
    assert_eq!(
        stage.site.tokenctl(&["refresh", "it"]).unwrap().code,
        Some(0)
    );
    let status = stage.site.status("it").unwrap();
    assert_eq!(
        status.pointer("/attempts/left"),
        Some(&json!(0)),
        "{status}"
    );
    assert_eq!(
        status.pointer("/attempts/burst"),
        Some(&json!(3)),
        "{status}"
    );
    for _ in 0..2 {
        let said = stage.site.tokenctl(&["refresh", "it"]).unwrap();
        assert_eq!(said.code, Some(75), "{said:?}");
        assert!(
            said.err.contains("rate limit") && said.err.contains("try again"),
            "{said:?}"
        );
    }
    let third = stage.site.get("it").unwrap();
    assert_ne!(third, second);
    assert_eq!(
        stage.reject("it", &third).code,
        Some(75),
        "even a refused token must wait"
    );
    daemon.kill().unwrap();
    let _daemon = stage.site.start().unwrap();
    assert_eq!(
        stage.site.tokenctl(&["refresh", "it"]).unwrap().code,
        Some(75)
    );
    assert_eq!(stage.site.tokenctl(&["reload"]).unwrap().code, Some(0));
    assert_eq!(
        stage.site.tokenctl(&["refresh", "it"]).unwrap().code,
        Some(75)
    );
    assert_eq!(stage.requests(), 3);
}

#[test]
fn connections_that_were_refused_use_up_no_pace() {
    let stage = Stage::new(
        vec![account("it", Api::JwtApi)],
        &format!("{THREE}{ON_DEMAND}"),
    );
    stage.sim.down(Api::JwtApi);
    let daemon = stage.site.start().unwrap();
    for _ in 0..5 {
        let said = stage.site.tokenctl(&["refresh", "it"]).unwrap();
        assert_eq!(said.code, Some(75), "{said:?}");
        assert!(said.err.contains("was not reached"), "{said:?}");
    }
    daemon.kill().unwrap();
    let _daemon = stage.site.start().unwrap();
    let status = stage.site.status("it").unwrap();
    assert_eq!(status.pointer("/logins/left"), Some(&json!(3)), "{status}");
    assert_eq!(
        status.pointer("/attempts/left"),
        Some(&json!(3)),
        "{status}"
    );
    stage.sim.up(Api::JwtApi).unwrap();
    assert_eq!(
        stage.site.tokenctl(&["refresh", "it"]).unwrap().code,
        Some(0)
    );
    assert_eq!(stage.requests(), 1);
}

#[test]
fn a_host_whose_pace_is_used_up_is_told_at_once_with_when() {
    let host = "\npacing = { host = { burst = 1, every = \"10m\" } }\n";
    let stage = Stage::new(
        vec![account("it", Api::JwtApi), account("other", Api::JwtApi)],
        &format!("{host}{ON_DEMAND}"),
    );
    let _daemon = stage.site.start().unwrap();
    stage.site.get("it").unwrap();
    let said = stage.site.tokenctl(&["get", "other"]).unwrap();
    assert_eq!(said.code, Some(75), "{said:?}");
    assert!(
        said.err.contains("which all accounts there share") && said.err.contains("try again in"),
        "{said:?}"
    );
    let status = stage.site.status("other").unwrap();
    assert_eq!(status.get("state"), Some(&json!("paced")), "{status}");
    assert!(
        status
            .to_string()
            .contains("which all accounts there share"),
        "{status}"
    );
    assert_eq!(stage.requests(), 1);
}

#[test]
fn a_crash_loop_cannot_exceed_the_pace() {
    let stage = Stage::new(
        vec![account("it", Api::JwtApi)],
        &format!("{THREE}{ON_DEMAND}"),
    );
    stage
        .sim
        .fail(Rule::once("it", Fault::before(FaultKind::Hang)).forever());
    let mut seen = 0;
    for _ in 0..6 {
        let daemon = stage.site.start().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| stage.site.tokenctl(&["get", "it"]).unwrap());
            // Killed as soon as the request reaches the provider, or the rate limit refuses it.
            wait_until("an attempt or a refusal", PATIENCE, || {
                stage.requests() > seen || waiting.is_finished()
            })
            .unwrap();
            seen = stage.requests();
            daemon.kill().unwrap();
            waiting.join().unwrap();
        });
    }
    assert!(
        (1..=3).contains(&stage.requests()),
        "{} requests",
        stage.requests()
    );
}

#[test]
fn document_003_is_not_suspended_with_the_dialects_own_pace() {
    // Suspends at the sixth token request of a minute.
    let stage = Stage::new(vec![AccountSpec::new("it", Api::FirebaseAccounts)], "");
    let _daemon = stage.site.start().unwrap();
    let mut token = stage.site.get("it").unwrap();
    for _ in 0..20 {
        stage.sim.end_access("it");
        let said = stage.reject("it", &token);
        if said.code == Some(0) {
            token = said.line().unwrap();
        } else {
            assert_eq!(said.code, Some(75), "{said:?}");
        }
        stage.site.tokenctl(&["refresh", "it"]).unwrap();
        stage.site.tokenctl(&["get", "it"]).unwrap();
    }
    assert_eq!(stage.sim.violations(), []);
    assert!(stage.sim.log("it").max_in_window(Duration::from_secs(60)) <= 3);
}

#[test]
fn get_with_wait_waits_for_the_pace() {
    let pace = "pacing = { attempts = { burst = 1, every = \"2s\" }, logins = { burst = 9, every = \"1s\" } }\n";
    let stage = Stage::new(
        vec![account("it", Api::ClientCredentials)],
        &format!("{pace}{ON_DEMAND}"),
    );
    let _daemon = stage.site.start().unwrap();
    let first = stage.site.get("it").unwrap();
    let said = stage.site.tokenctl(&["refresh", "it"]).unwrap();
    assert_eq!(said.code, Some(75), "{said:?}");
    let said = stage
        .site
        .tokenctl(&["refresh", "it", "--print", "--wait", "20s"])
        .unwrap();
    assert_ne!(said.line().unwrap(), first);
    let times: Vec<_> = stage
        .sim
        .log("it")
        .0
        .iter()
        .map(|entry| entry.at_ms)
        .collect();
    let [before, after] = times[..] else {
        panic!("two requests, not {times:?}")
    };
    // Measured at the provider, the distance may be shorter by the time the first request took to arrive.
    assert!(after - before >= 1500, "{times:?}");
}

#[test]
fn many_accounts_on_one_host_do_not_start_at_once() {
    let names: Vec<String> = (0..12).map(|number| format!("it-{number}")).collect();
    let accounts = names
        .iter()
        .map(|name| account(name, Api::JwtApi).known_as(name));
    let pace = "pacing = { host = { burst = 4, every = \"500ms\" }, host_in_flight = 2 }\nrefresh = \"always\"";
    let stage = Stage::new(accounts.collect(), pace);
    let _daemon = stage.site.start().unwrap();
    std::thread::scope(|scope| {
        for name in &names {
            let stage = &stage;
            scope.spawn(move || stage.eventually(name));
        }
    });
    let log = stage.sim.full_log();
    assert_eq!(log.grants(), 12);
    let window = Duration::from_secs(1);
    // Burst 4, and two more each second; one more because of the time to the provider.
    assert!(
        log.max_in_window(window) <= 7,
        "{}",
        log.max_in_window(window)
    );
}

#[test]
fn the_pace_of_a_host_outlives_the_account_that_used_it_up() {
    let hourly = "pacing = { host = { burst = 1, every = \"1h\" } }\nrefresh = \"on-demand\"";
    for forgotten in [false, true] {
        let accounts = ["one", "two"].map(|name| account(name, Api::JwtApi).known_as(name));
        let stage = Stage::new(accounts.into(), hourly);
        let configure = |without: &[&str], lines: &str| {
            let all = Configuration::of(&stage.sim).everywhere(lines);
            let some = without.iter().fold(all, |it, name| it.without(name));
            some.write(stage.site.path()).unwrap();
        };
        let asked = |name| stage.sim.log(name).token_requests();
        let is_held = || {
            let said = stage.site.tokenctl(&["get", "two", "--timeout", "2s"]);
            assert_eq!(said.unwrap().code, Some(75));
            assert_eq!((asked("one"), asked("two")), (1, 0), "{forgotten}");
        };
        let daemon = stage.site.start().unwrap();
        stage.site.get("one").unwrap();
        is_held();
        if forgotten {
            let said = stage.site.tokenctl(&["forget", "one", "--yes"]).unwrap();
            assert_eq!(said.code, Some(0), "{said:?}");
        }
        daemon.kill().unwrap();
        // Only a record without an account knows that the host was asked.
        configure(&["one"], hourly);
        let daemon = stage.site.start().unwrap();
        is_held();
        daemon.kill().unwrap();
        // It does not matter either that no account of that host exists at the start.
        configure(&["one", "two"], hourly);
        let _daemon = stage.site.start().unwrap();
        configure(&["one"], hourly);
        let reload = || stage.site.tokenctl(&["reload"]).unwrap().code;
        assert_eq!(reload(), Some(0));
        is_held();
        // Debt from a slower limit does not carry over to a faster one.
        configure(&["one"], ON_DEMAND);
        assert_eq!(reload(), Some(0));
        stage.eventually("two");
        assert_eq!((asked("one"), asked("two")), (1, 1));
    }
}
