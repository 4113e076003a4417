//! The simulator's fault script and its books: each fault as a peer sees it, and what the log says afterwards.

#![expect(clippy::unwrap_used, reason = "helpers of a test may fail it")]

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use serde_json::json;
use tokend_tests::{
    clock::{PATIENCE, wait_for, wait_until},
    probe::{self, Probe, Reply},
    simulator::{
        Simulator,
        fault::{Fault, FaultKind, RetryAfter, Rule},
        log::{Standing, Violation},
        spec::{AccountSpec, Api, Endpoint, Reuse, Rotation, Suspension, Throttling},
    },
};

fn simulator() -> Simulator {
    Simulator::start(vec![AccountSpec::new("it", Api::AdVerification)]).unwrap()
}

fn login(sim: &Simulator) -> Probe {
    let account = sim.accounts().remove(0);
    let (user, password) = (account.username.unwrap(), account.password.unwrap());
    let url = format!("{}/login", sim.base_url(Api::AdVerification));
    probe::post(url).form(&[("username", &user), ("password", &password)])
}

fn refresh(sim: &Simulator, token: &str) -> Reply {
    let url = format!("{}/refresh_token", sim.base_url(Api::AdVerification));
    probe::post(url)
        .json(&json!({"refresh_token": token}))
        .send()
        .unwrap()
}

fn resource(sim: &Simulator, token: &str) -> u16 {
    let url = format!("{}/v1/project/list", sim.base_url(Api::AdVerification));
    probe::get(url).bearer(token).send().unwrap().status
}

fn once(sim: &Simulator, fault: Fault) {
    sim.fail(Rule::once("it", fault));
}

#[test]
fn canned_replies_before_and_after_the_work() {
    let sim = simulator();
    once(&sim, Fault::before(FaultKind::status(503)));
    assert_eq!(login(&sim).send().unwrap().status, 503);
    assert_eq!(sim.log("it").grants(), 0);
    once(&sim, Fault::after(FaultKind::status(500)));
    assert_eq!(login(&sim).send().unwrap().status, 500);
    assert_eq!(sim.log("it").grants(), 1, "processed, and the answer lost");
    once(
        &sim,
        Fault::before(FaultKind::redirect("http://127.0.0.1:1/elsewhere")),
    );
    let redirect = login(&sim).send().unwrap();
    assert_eq!(redirect.status, 307);
    assert_eq!(
        redirect.headers.get("location").unwrap(),
        "http://127.0.0.1:1/elsewhere"
    );
    once(&sim, Fault::after(FaultKind::json(200, "")));
    assert_eq!(login(&sim).send().unwrap().body, "", "an empty 200");
    assert_eq!(
        login(&sim).send().unwrap().status,
        200,
        "each rule was for one request"
    );
}

#[test]
fn document_002_failure_has_its_documented_body() {
    let sim = Simulator::start(vec![AccountSpec::new("it", Api::ClientCredentials)]).unwrap();
    let account = sim.accounts().remove(0);
    once(&sim, Fault::before(FaultKind::status(500)));
    let url = format!("{}/v1/auth/token", sim.base_url(Api::ClientCredentials));
    let (id, secret) = (account.client_id.unwrap(), account.client_secret.unwrap());
    let reply = probe::post(url)
        .form(&[("client_id", &id), ("client_secret", &secret)])
        .send();
    let body = r#"{"error":{"code":"500999","code_reason":"API_ERROR","message":"Api Error, please contact customer service"}}"#;
    assert_eq!(reply.unwrap().body, body);
}

#[test]
fn retry_after_as_seconds_date_nonsense_and_absent() {
    let sim = simulator();
    let header = |retry_after| {
        once(&sim, Fault::before(FaultKind::Throttled { retry_after }));
        let reply = login(&sim).send().unwrap();
        assert_eq!(reply.status, 429);
        reply
            .headers
            .get("retry-after")
            .map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(header(Some(RetryAfter::Seconds(30))).as_deref(), Some("30"));
    assert_eq!(
        header(Some(RetryAfter::Text("soon".to_owned()))).as_deref(),
        Some("soon")
    );
    assert_eq!(header(None), None);
    let date = header(Some(RetryAfter::Date(3600))).unwrap();
    assert!(httpdate::parse_http_date(&date).is_ok(), "{date}");
}

#[test]
fn spoilt_bodies() {
    let sim = simulator();
    once(&sim, Fault::after(FaultKind::Garbage));
    let garbage = login(&sim).send().unwrap();
    assert_eq!(garbage.status, 200);
    assert!(serde_json::from_str::<serde_json::Value>(&garbage.body).is_err());
    once(&sim, Fault::after(FaultKind::Huge { bytes: 3_000_000 }));
    assert!(login(&sim).send().unwrap().body.len() >= 3_000_000);
    once(&sim, Fault::after(FaultKind::WrongContentType));
    let html = login(&sim).send().unwrap();
    assert_eq!(html.headers.get("content-type").unwrap(), "text/html");
    assert!(
        html.text("access_token").is_ok(),
        "the right body under the wrong name"
    );
    once(&sim, Fault::before(FaultKind::WrongContentType));
    assert!(login(&sim).send().unwrap().body.contains("<title>"));
    once(&sim, Fault::after(FaultKind::Truncated));
    assert!(
        login(&sim).send().is_err(),
        "breaks off against its Content-Length"
    );
    let granted = sim.log("it").grants();
    assert_eq!(granted, 4);
}

#[test]
fn a_reset_is_a_reset_and_may_lose_an_answer() {
    let sim = simulator();
    let raw = || -> std::io::Error {
        let address = sim.base_url(Api::AdVerification).replace("http://", "");
        let mut stream = TcpStream::connect(address).unwrap();
        let body = "username=you%40example.com&password=p%2540ss+w%C3%B6rd%26%2B%3D%C3%A9";
        let head =
            "POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded";
        write!(
            stream,
            "{head}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .map(|_| answer)
            .unwrap_err()
    };
    once(&sim, Fault::before(FaultKind::Reset));
    assert_eq!(raw().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(sim.log("it").grants(), 0);
    once(&sim, Fault::after(FaultKind::Reset));
    assert_eq!(raw().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(sim.log("it").grants(), 1);
    assert_eq!(sim.log("it").count(|entry| entry.status.is_some()), 0);
}

#[test]
fn hanging_and_trickling_last_until_the_peer_leaves() {
    let sim = simulator();
    let brief = Duration::from_millis(300);
    for fault in [
        Fault::before(FaultKind::Hang),
        Fault::after(FaultKind::Trickle),
    ] {
        once(&sim, fault.clone());
        assert!(login(&sim).limit(brief).send().is_err(), "{fault:?}");
    }
    assert_eq!(sim.log("it").grants(), 1);
    wait_until(
        "the hanging request to be noted as abandoned",
        PATIENCE,
        || sim.log("it").count(|entry| entry.abandoned) == 1,
    )
    .unwrap();
}

#[test]
fn a_slow_answer_is_the_right_answer() {
    let sim = simulator();
    once(&sim, Fault::before(FaultKind::Slow { ms: 50 }));
    assert!(login(&sim).send().unwrap().text("access_token").is_ok());
    once(&sim, Fault::after(FaultKind::Slow { ms: 50 }));
    assert!(login(&sim).send().unwrap().text("access_token").is_ok());
    let entries = sim.log("it").0;
    assert!(
        entries.iter().all(|entry| entry.took_ms >= Some(50)),
        "{entries:?}"
    );
}

#[test]
fn rules_are_taken_in_order_counted_and_cleared() {
    let sim = simulator();
    sim.fail(Rule::once("it", Fault::before(FaultKind::status(503))).at(Endpoint::Refresh));
    sim.fail(Rule::once("it", Fault::before(FaultKind::status(500))).times(2));
    sim.fail(Rule::once("it", Fault::before(FaultKind::status(502))).forever());
    let status = || login(&sim).send().unwrap().status;
    assert_eq!(
        [status(), status(), status(), status()],
        [500, 500, 502, 502]
    );
    sim.heal();
    let reply = login(&sim).send().unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(
        refresh(&sim, &reply.text("refresh_token").unwrap()).status,
        200
    );
}

#[test]
fn a_provider_goes_down_and_comes_back_on_its_port() {
    let sim = simulator();
    assert_eq!(login(&sim).send().unwrap().status, 200);
    sim.down(Api::AdVerification);
    assert!(login(&sim).send().is_err());
    sim.up(Api::AdVerification).unwrap();
    assert_eq!(login(&sim).send().unwrap().status, 200);
}

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
