//! Each fault of the script as a peer sees it.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use tokend_harness::{
    clock::{PATIENCE, wait_until},
    probe,
};
use tokend_provider_simulator::{
    Simulator,
    fault::{Fault, FaultKind, RetryAfter, Rule},
    spec::{AccountSpec, Api, Endpoint},
};

use crate::requests::{login, once, refresh, simulator};

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
