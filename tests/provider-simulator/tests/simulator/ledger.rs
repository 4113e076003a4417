//! The simulator's ledger: what its log says, and which behaviour of a provider can be set.

use std::time::Duration;

use serde_json::json;
use tokend_harness::{
    clock::{PATIENCE, wait_for, wait_until},
    probe::{self, Probe},
};
use tokend_provider_simulator::{
    fault::{Fault, FaultKind},
    log::{Standing, Violation},
    spec::{Reuse, Rotation, Suspension, Throttling},
};

use crate::requests::{login, once, refresh, resource, simulator};

#[test]
fn the_log_tells_which_refresh_token_came_and_how_it_stood() {
    let sim = simulator();
    sim.change("it", |behaviour| behaviour.reuse = Reuse::RevokeFamily);
    let first = login(&sim).send().unwrap().text("refresh_token").unwrap();
    let second = refresh(&sim, &first).text("refresh_token").unwrap();
    assert_eq!(refresh(&sim, &first).status, 400);
    assert_eq!(refresh(&sim, &second).status, 400, "the family is gone");
    let log = sim.log("it");
    let standings: Vec<_> = log.0.iter().map(|entry| entry.presented).collect();
    let standings: Vec<_> = standings
        .into_iter()
        .map(|it| it.map(|it| (it.serial, it.standing)))
        .collect();
    let expected = [
        None,
        Some((Some(1), Standing::Current)),
        Some((Some(1), Standing::Spent)),
        Some((Some(2), Standing::Revoked)),
    ];
    assert_eq!(standings, expected);
    assert_eq!((log.refreshes_with(1), log.refreshes_with(2)), (2, 1));
    assert_eq!(
        log.refreshes_by_serial().into_iter().collect::<Vec<_>>(),
        [(1, 2), (2, 1)]
    );
    assert_eq!(
        (
            log.logins(),
            log.refreshes(),
            log.grants(),
            log.token_requests()
        ),
        (1, 3, 2, 4)
    );
    assert_eq!(
        (
            log.max_in_window(PATIENCE),
            log.max_in_window(Duration::ZERO)
        ),
        (4, 0)
    );
    let violation = Violation::SpentTokenReplayed {
        account: "it".to_owned(),
        serial: 1,
        sequence: 3,
    };
    assert_eq!(sim.violations(), [violation]);
    let text = serde_json::to_string(&log.0).unwrap();
    assert!(
        sim.secrets().iter().all(|secret| !text.contains(secret)),
        "the log holds no token"
    );
    refresh(&sim, "a.b.c");
    let unknown = sim.full_log().0.pop().unwrap().presented.unwrap();
    assert_eq!(
        (unknown.serial, unknown.standing),
        (None, Standing::Unknown)
    );
}

#[test]
fn two_requests_at_once_for_one_account_are_a_violation() {
    let sim = simulator();
    once(&sim, Fault::before(FaultKind::Hang));
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| login(&sim).limit(Duration::from_secs(2)).send().is_err());
        wait_until("the first request", PATIENCE, || sim.log("it").0.len() == 1).unwrap();
        assert_eq!(login(&sim).send().unwrap().status, 200);
        assert!(hanging.join().unwrap());
    });
    let violation = Violation::ConcurrentRequests {
        account: "it".to_owned(),
        sequence: 2,
    };
    assert_eq!(sim.violations(), [violation]);
    wait_until("the hanging request to end", PATIENCE, || {
        sim.log("it").count(|entry| entry.abandoned) == 1
    })
    .unwrap();
    assert_eq!(login(&sim).send().unwrap().status, 200);
    assert_eq!(sim.violations().len(), 1, "one after the other is fine");
}

#[test]
fn tokens_end_when_they_should() {
    let sim = simulator();
    sim.change("it", |behaviour| {
        behaviour.access_lifetime = Duration::from_millis(300)
    });
    let reply = login(&sim).send().unwrap();
    let access = reply.text("access_token").unwrap();
    wait_until("the access token to expire", PATIENCE, || {
        resource(&sim, &access) == 400
    })
    .unwrap();
    sim.change("it", |behaviour| behaviour.access_lifetime = PATIENCE);
    let fresh = refresh(&sim, &reply.text("refresh_token").unwrap());
    let access = fresh.text("access_token").unwrap();
    assert_eq!(resource(&sim, &access), 200);
    sim.end_access("it");
    assert_eq!(resource(&sim, &access), 400);
    sim.end_refresh("it");
    assert_eq!(
        refresh(&sim, &fresh.text("refresh_token").unwrap()).status,
        400
    );
    sim.change("it", |behaviour| {
        behaviour.refresh_lifetime = Duration::ZERO
    });
    let dead = login(&sim).send().unwrap().text("refresh_token").unwrap();
    assert_eq!(refresh(&sim, &dead).status, 400);
    sim.change_secret("it", "another");
    assert_eq!(
        login(&sim).send().unwrap().status,
        200,
        "the helper reads the new password"
    );
    assert_eq!(
        sim.accounts().remove(0).password.as_deref(),
        Some("another")
    );
}

#[test]
fn rotation_can_be_off_repeat_grace_end_or_need_the_access_token() {
    let sim = simulator();
    let pair = || {
        let reply = login(&sim).send().unwrap();
        (
            reply.text("access_token").unwrap(),
            reply.text("refresh_token").unwrap(),
        )
    };
    sim.change("it", |behaviour| behaviour.rotation = Rotation::Keep);
    let (_, token) = pair();
    assert!(refresh(&sim, &token).text("refresh_token").is_err());
    sim.change("it", |behaviour| behaviour.rotation = Rotation::Repeat);
    assert_eq!(refresh(&sim, &token).text("refresh_token").unwrap(), token);

    sim.change("it", |behaviour| {
        behaviour.rotation = Rotation::New;
        behaviour.grace = PATIENCE;
    });
    let (_, token) = pair();
    assert_eq!(
        refresh(&sim, &token).body,
        refresh(&sim, &token).body,
        "the same pair within grace"
    );

    sim.change("it", |behaviour| behaviour.refresh_ends_access = true);
    let (access, token) = pair();
    assert_eq!(resource(&sim, &access), 200);
    assert_eq!(refresh(&sim, &token).status, 200);
    assert_eq!(resource(&sim, &access), 400);

    sim.change("it", |behaviour| {
        behaviour.refresh_ends_access = false;
        behaviour.identical_tokens = true;
    });
    let (access, token) = pair();
    assert_eq!(refresh(&sim, &token).text("access_token").unwrap(), access);

    sim.change("it", |behaviour| behaviour.refresh_needs_access = true);
    let (_, token) = pair();
    sim.end_access("it");
    assert_eq!(refresh(&sim, &token).status, 400);
    assert_eq!(sim.violations(), []);
}

#[test]
fn asking_too_often_is_throttled_or_suspends_for_a_while() {
    let sim = simulator();
    let window = PATIENCE;
    sim.change("it", |behaviour| {
        behaviour.throttling = Some(Throttling {
            requests: 1,
            window,
        });
    });
    assert_eq!(login(&sim).send().unwrap().status, 200);
    let throttled = login(&sim).send().unwrap();
    assert_eq!(throttled.status, 429);
    let wait: u64 = throttled
        .headers
        .get("retry-after")
        .unwrap()
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=window.as_secs()).contains(&wait), "{wait}");

    sim.reset();
    let duration = Some(Duration::from_millis(200));
    sim.change("it", |behaviour| {
        behaviour.throttling = None;
        let window = Duration::from_millis(100);
        behaviour.suspension = Some(Suspension {
            requests: 0,
            window,
            duration,
            status: 400,
        });
    });
    assert_eq!(login(&sim).send().unwrap().status, 400);
    sim.change("it", |behaviour| {
        behaviour.suspension = behaviour
            .suspension
            .map(|it| Suspension { requests: 9, ..it });
    });
    wait_for("the suspension to end", PATIENCE, || {
        (login(&sim).send().unwrap().status == 200).then_some(())
    })
    .unwrap();
}

#[test]
fn the_control_api_changes_and_shows_what_the_library_does() {
    let mut sim = simulator();
    let base = format!("http://{}", sim.open_admin(0).unwrap());
    let send = |probe: Probe| probe.send().unwrap();
    let at = |path: &str| format!("{base}{path}");
    assert!(send(probe::get(at("/"))).body.contains("POST /reset"));
    let rule =
        json!({"fault": {"kind": "reset", "processed": true}, "times": 1, "endpoint": "login"});
    assert_eq!(
        send(probe::post(at("/accounts/it/faults")).json(&rule)).status,
        204
    );
    assert!(login(&sim).send().is_err());
    let log = send(probe::get(at("/log?account=it"))).body;
    let log: serde_json::Value = serde_json::from_str(&log).unwrap();
    assert_eq!(log.pointer("/0/processed"), Some(&json!(true)));
    assert_eq!(log.pointer("/0/status"), Some(&json!(null)));

    let forever = json!({"fault": {"kind": {"reply": {"status": 503}}}});
    assert_eq!(
        send(probe::post(at("/accounts/it/faults")).json(&forever)).status,
        204
    );
    assert_eq!(login(&sim).send().unwrap().status, 503);
    assert_eq!(
        send(probe::get(at("/accounts/it/faults")).method("DELETE")).status,
        204
    );
    let change = json!({"access_ms": 1234, "suspended": true, "rotation": "keep", "secret": "new"});
    assert_eq!(
        send(probe::post(at("/accounts/it")).json(&change)).status,
        204
    );
    assert_eq!(login(&sim).send().unwrap().status, 403);
    let accounts = send(probe::get(at("/accounts"))).body;
    assert!(
        accounts.contains("\"access_ms\":1234") && accounts.contains("\"keep\""),
        "{accounts}"
    );
    let unknown = json!({"acces_ms": 1});
    assert_eq!(
        send(probe::post(at("/accounts/it")).json(&unknown)).status,
        422
    );
    assert_eq!(
        send(probe::post(at("/accounts/nobody")).json(&json!({}))).status,
        404
    );
    assert_eq!(send(probe::post(at("/reset"))).status, 204);
    let token = login(&sim).send().unwrap().text("access_token").unwrap();
    assert_eq!(send(probe::post(at("/accounts/it/end-access"))).status, 204);
    assert_eq!(resource(&sim, &token), 400);
    assert_eq!(
        send(probe::post(at("/accounts/it/end-refresh"))).status,
        204
    );
    assert_eq!(send(probe::get(at("/violations"))).body, "[]");
}
