//! Refreshing ahead of expiry and single-use rotation, over many cycles.

use std::{collections::BTreeSet, time::Duration};

use tokend_tests::{
    clock::{PATIENCE, wait_for, wait_until},
    simulator::spec::{Api, Reuse},
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
    // The other one is asked for all the time; twenty of its lifetimes are time enough to see what the first does.
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
            // What was published before the kill must be on disk.
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
