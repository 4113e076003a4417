//! A subscription of the Rust client at a real daemon: renewals, refusals, reloads and restarts, without a request or a system call for
//! the use of a token.

use std::{fs, path::PathBuf, process::Command, sync::Arc, time::Duration};

use tokend_client::{Client, ClientError, Deadlines, FaultCode, GetOptions, Subscription, Token};
use tokend_harness::{
    Site,
    clock::{PATIENCE, wait_until},
    demand::carried_out,
};
use tokend_provider_simulator::spec::Api;
use tokio::runtime::{Builder, Runtime};

use crate::stage::{FAST, Stage, account};

fn subscribed(site: &Site) -> Subscription {
    let client = Client::lazy_with(Some(site.socket().into()), Deadlines::default());
    client.subscribe(GetOptions::new("it".parse().unwrap()))
}

/// Waits until the subscription shows what is expected.
fn shows(subscription: &Subscription, expected: impl Fn(&Result<Arc<Token>, ClientError>) -> bool) {
    let shown = || expected(&subscription.token());
    wait_until("what is shown", PATIENCE, shown)
        .unwrap_or_else(|error| panic!("{error}: it shows {:?}", subscription.token()));
}

/// The watch runs on a thread of its own, while the test waits.
fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// How many requests of a kind the daemon has answered, and how many watches it has.
fn counted(site: &Site) -> (Vec<String>, bool) {
    let metrics = site.tokenctl(&["metrics"]).unwrap().out;
    let gets = metrics.lines().filter(|line| {
        line.starts_with("tokend_requests_total{") && line.contains("request=\"get\"")
    });
    (
        gets.map(str::to_owned).collect(),
        metrics.contains("\ntokend_watches 1\n"),
    )
}

#[test]
fn a_subscribed_program_follows_renewals_without_a_single_get() {
    let stage = Stage::new(vec![account("it", Api::JwtApi)], FAST);
    stage.sim.change("it", |behaviour| {
        behaviour.access_lifetime = Duration::from_secs(3)
    });
    let _daemon = stage.site.start().unwrap();
    let runtime = runtime();
    let _entered = runtime.enter();
    let subscription = subscribed(&stage.site);
    let mut last = runtime.block_on(subscription.ready()).unwrap();
    let before = counted(&stage.site);
    assert!(before.1, "one watch");
    for _ in 0..3 {
        for _ in 0..10_000 {
            subscription.token().unwrap();
        }
        let secret = last.access_token.expose();
        assert!(stage.accepted(Api::JwtApi, secret), "shown and refused");
        let old = last.grant;
        let is_newer = |shown: &Result<Arc<Token>, ClientError>| {
            shown.as_ref().is_ok_and(|token| token.grant != old)
        };
        shows(&subscription, is_newer);
        last = subscription.token().unwrap();
    }
    assert_eq!(counted(&stage.site), before, "30,000 uses of a token");
    drop(subscription);
    let ended = || !counted(&stage.site).1;
    wait_until("the watch to end", PATIENCE, ended).unwrap();
}

#[test]
fn a_subscription_comes_back_after_refusal_restart_and_a_right_that_was_taken() {
    let stage = Stage::on_demand(Api::JwtApi);
    let mut daemon = stage.site.start().unwrap();
    let runtime = runtime();
    let _entered = runtime.enter();
    let subscription = subscribed(&stage.site);
    let first = runtime.block_on(subscription.ready()).unwrap();

    stage.sim.end_access("it");
    let second = runtime.block_on(subscription.reject(&first)).unwrap();
    let shown = runtime.block_on(subscription.ready()).unwrap();
    assert_eq!(shown.access_token, second.access_token);
    assert!(stage.accepted(Api::JwtApi, second.access_token.expose()));

    for is_killed in [false, true] {
        match is_killed {
            true => daemon.kill().unwrap(),
            false => assert!(daemon.terminate().unwrap().success()),
        }
        let is_away = |shown: &Result<Arc<Token>, ClientError>| {
            matches!(
                shown,
                Err(ClientError::Lost { .. } | ClientError::NotReachable { .. })
            )
        };
        shows(&subscription, is_away);
        daemon = stage.site.start().unwrap();
        let again = runtime.block_on(subscription.ready()).unwrap();
        assert!(stage.accepted(Api::JwtApi, again.access_token.expose()));
    }

    let path = stage.site.configuration();
    let text = fs::read_to_string(&path).unwrap();
    let it = "[account.\"it\"]";
    let taken = text.replace(it, &format!("{it}\nallow = [{{ user = 4000 }}]"));
    for (configuration, is_allowed) in [(taken, false), (text, true)] {
        fs::write(&path, configuration).unwrap();
        let said = stage.site.tokenctl(&["reload"]).unwrap();
        assert_eq!(said.code, Some(0), "{said:?}");
        let expected = |shown: &Result<Arc<Token>, ClientError>| match shown {
            Ok(_) => is_allowed,
            Err(ClientError::Fault(fault)) => !is_allowed && fault.code == FaultCode::NotAllowed,
            Err(_) => false,
        };
        shows(&subscription, expected);
    }
    drop(daemon);
}

#[test]
fn a_subscription_learns_how_its_token_is_presented_from_a_reload_on() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let runtime = runtime();
    let _entered = runtime.enter();
    let subscription = subscribed(&stage.site);
    let first = runtime.block_on(subscription.ready()).unwrap();
    let path = stage.site.configuration();
    let text = fs::read_to_string(&path).unwrap();
    let api = "\n[account.\"it\".api]\npresent = { header = \"X-Key\" }\n";
    fs::write(&path, text + api).unwrap();
    let said = stage.site.tokenctl(&["reload"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    shows(&subscription, |shown| {
        let token = shown.as_ref().ok();
        token.is_some_and(|it| it.token_type == "header:X-Key" && it.grant == first.grant)
    });
}

/// The example of the client that uses a token a hundred thousand times.
fn example() -> PathBuf {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "tokend-client"])
        .args(["--example", "subscribe"])
        .status()
        .unwrap();
    assert!(status.success(), "the example does not build");
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().join("examples/subscribe")
}

#[test]
fn the_use_of_a_subscribed_token_costs_no_system_call() {
    let possible = tokend_harness::demand::tracing();
    if !carried_out("system calls of a subscription", possible) {
        return;
    }
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let calls = stage.site.path().join("calls");
    let traced = Command::new("strace")
        .args(["-f", "-o"])
        .arg(&calls)
        .arg(example())
        .arg("it")
        .env("TOKEND_SOCKET", stage.site.socket())
        .output()
        .unwrap();
    assert!(traced.status.success(), "{traced:?}");
    let calls = fs::read_to_string(&calls).unwrap();
    let lines: Vec<_> = calls.lines().collect();
    let at = |text: &str| lines.iter().position(|line| line.contains(text)).unwrap();
    let (begun, done) = (at("\"subscribed to"), at("\"used 100000 times"));
    assert_eq!(done, begun + 1, "{:?}", lines.get(begun..=done));
}
