use serde_json::Value;

use super::*;

const CONTRACT: &str = include_str!("../../../../../proto/openapi.json");

#[test]
fn every_code_has_the_status_of_the_contract_and_a_title() {
    for code in FaultCode::ALL {
        let fault = Fault::new(code, "it failed").retry_after(1_001);
        let problem = Problem::of(fault);
        let body: Value = serde_json::from_slice(&problem.body()).unwrap();
        assert!(
            CONTRACT.contains(&format!("`{code}` ({})", problem.status())),
            "{code}"
        );
        assert_eq!(body["type"], format!("urn:tokend:problem:{code}"));
        assert_eq!(
            (&body["code"], &body["status"]),
            (&code.as_str().into(), &problem.status().into())
        );
        // Seconds are rounded up, so that nobody comes too early.
        assert_eq!(body["retry_after"], 2);
        let said = matches!(
            code,
            FaultCode::ReloadFailed | FaultCode::UnsupportedVersion
        );
        assert!(said || body["title"] != "The request failed", "{code}");
    }
    let newer = Problem::of(Fault::new(FaultCode::from_number(99), "it failed"));
    assert_eq!(newer.status(), 503);
}

#[test]
fn a_peer_that_gets_no_connection_is_told_in_one_message() {
    let fault = Fault::new(FaultCode::TooBusy, "user 7 has 2 connections open").retry_after(1_000);
    let message = String::from_utf8(Problem::of(fault).message()).unwrap();
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{head}"
    );
    for line in [
        "retry-after: 1",
        "connection: close",
        "cache-control: no-store",
    ] {
        assert!(head.contains(line), "{head}");
    }
    assert!(
        head.contains(&format!("content-length: {}", body.len())),
        "{head}"
    );
    assert!(body.contains("too-busy"), "{body}");
}
