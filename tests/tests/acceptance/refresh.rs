//! Refreshing ahead of expiry and single-use rotation, over many cycles.

use std::{collections::BTreeSet, time::Duration};

use tokend_client::{AccountName, AccountStatus, BlockingClient, SocketPath};
use tokend_harness::clock::{PATIENCE, Stopwatch, wait_for, wait_until};
use tokend_provider_simulator::{
    fault::{Fault, FaultKind, Rule},
    spec::{Api, Endpoint, Reuse},
};

use crate::stage::{FAST, Stage, account};

#[test]
fn tokens_of_a_few_seconds_are_refreshed_ahead_and_never_served_expired() {
    let stage = Stage::new(vec![account("it", Api::JwtApi)], FAST);
    stage.sim.change("it", |behaviour| {
        behaviour.access_lifetime = Duration::from_secs(3)
    });
    let _daemon = stage.site.start().unwrap();
    let mut seen = BTreeSet::new();
    wait_for("five tokens", PATIENCE, || {
        let token = stage.site.get("it").unwrap();
        assert!(stage.accepted(Api::JwtApi, &token), "served and refused");
        seen.insert(token);
        (seen.len() >= 5).then_some(())
    })
    .unwrap();
    assert_eq!(stage.sim.log("it").logins(), 1);
    assert_eq!(stage.sim.violations(), []);
}

#[test]
fn an_account_nobody_asks_for_rests() {
    let accounts = vec![
        account("it", Api::JwtApi),
        account("other", Api::AdVerification),
    ];
    let stage = Stage::new(accounts, FAST);
    for name in ["it", "other"] {
        stage.sim.change(name, |behaviour| {
            behaviour.access_lifetime = Duration::from_secs(1)
        });
    }
    let _daemon = stage.site.start().unwrap();
    stage.site.get("it").unwrap();
    // A client asks for the other one all the time; twenty of its lifetimes are enough to see what the first does.
    wait_for("ten refreshes of the other account", PATIENCE, || {
        drop(stage.site.tokenctl(&["get", "other"]));
        (stage.sim.log("other").refreshes() >= 10).then_some(())
    })
    .unwrap();
    assert!(
        stage.requests() <= 3,
        "{} requests for one get",
        stage.requests()
    );
}

#[test]
fn an_account_to_be_refreshed_always_is_even_if_nobody_asks() {
    let stage = Stage::new(
        vec![account("it", Api::JwtApi)],
        &format!("{FAST}refresh = \"always\""),
    );
    stage.sim.change("it", |behaviour| {
        behaviour.access_lifetime = Duration::from_secs(1)
    });
    let _daemon = stage.site.start().unwrap();
    stage.site.get("it").unwrap();
    wait_until("five refreshes", PATIENCE, || {
        stage.sim.log("it").refreshes() >= 5
    })
    .unwrap();
}

/// The largest difference between the daemon's clock, which counts suspend, and this process's wall clock.
const SLACK: Duration = Duration::from_millis(100);

fn status(stage: &Stage) -> AccountStatus {
    let path = SocketPath::from(stage.site.socket());
    let name: AccountName = "it".parse().unwrap();
    let mut client = BlockingClient::connect(&path).unwrap();
    client.admin().status(Some(&name)).unwrap().remove(0)
}

/// When a token is no longer handed out, since the Unix epoch: five seconds before it expires, or a tenth of its lifetime if that is less.
fn usable_until(status: &AccountStatus) -> Duration {
    let expires = Duration::from_millis(status.expires_at_ms.unwrap());
    let lifetime = Duration::from_millis(status.lifetime_ms.unwrap());
    expires - (lifetime / 10).min(Duration::from_secs(5))
}

#[test]
fn a_token_is_served_up_to_its_margin_while_refreshes_fail_in_the_background() {
    let always = format!("{FAST}refresh = \"always\"");
    let stage = Stage::new(vec![account("it", Api::JwtApi)], &always);
    stage.sim.change("it", |behaviour| {
        behaviour.access_lifetime = Duration::from_secs(10)
    });
    let unavailable = Fault::before(FaultKind::status(503));
    stage.sim.fail(
        Rule::once("it", unavailable)
            .at(Endpoint::Refresh)
            .forever(),
    );
    let _daemon = stage.site.start().unwrap();
    let token = stage.site.get("it").unwrap();
    let until = usable_until(&status(&stage));
    let watch = Stopwatch::start();
    let refused = wait_for("the token to be served no more", PATIENCE, || {
        let began = watch.now().unix;
        let said = stage.site.tokenctl(&["get", "it"]).unwrap();
        let ended = watch.now().unix;
        if said.code == Some(0) {
            assert_eq!(said.line().unwrap(), token);
            assert!(
                began < until + SLACK,
                "served at {began:?}, margin {until:?}"
            );
            return None;
        }
        assert!(
            ended + SLACK > until,
            "{said:?} at {ended:?}, margin {until:?}"
        );
        Some(said)
    })
    .unwrap();
    assert_eq!(refused.code, Some(75), "{refused:?}");
    let log = stage.sim.log("it");
    assert!(log.refreshes() >= 1, "tried ahead of expiry");
    assert_eq!((log.grants(), log.logins()), (1, 1));

    stage.sim.heal();
    let token = stage.eventually("it");
    assert!(stage.accepted(Api::JwtApi, &token));
    assert_eq!(stage.sim.log("it").logins(), 1, "renewed by a refresh");
}

#[test]
fn thirty_rotations_spend_each_refresh_token_once() {
    let stage = Stage::on_demand(Api::JwtApi);
    stage
        .sim
        .change("it", |behaviour| behaviour.reuse = Reuse::RevokeFamily);
    let mut daemon = stage.site.start().unwrap();
    stage.site.get("it").unwrap();
    for cycle in 0..30 {
        let said = stage.site.tokenctl(&["refresh", "it"]).unwrap();
        assert_eq!(said.code, Some(0), "cycle {cycle}: {said:?}");
        if cycle % 10 == 9 {
            // A token published before the kill must be on disk.
            daemon.kill().unwrap();
            daemon = stage.site.start().unwrap();
        }
    }
    let log = stage.sim.log("it");
    assert_eq!((log.logins(), log.refreshes()), (1, 30));
    assert!(log.refreshes_by_serial().values().all(|count| *count == 1));
    assert_eq!(stage.sim.violations(), []);
    drop(daemon);
}
