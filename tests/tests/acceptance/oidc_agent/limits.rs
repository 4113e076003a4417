//! Clients that send what is no request, too much, too slowly or too often.

use tokend_harness::clock::{Stopwatch, wait_until};
use tokend_provider_simulator::fault::Fault;

use super::*;
use crate::stage::slow;

#[test]
fn what_is_no_request_is_refused_and_hurts_nobody() {
    let agent = Agent::of_it();
    let _daemon = agent.stage.site.start().unwrap();
    // More than a socket holds: the answer comes while most of it is still to be sent.
    let huge = format!("{{\"request\":\"{}", "x".repeat(8 << 20));
    for text in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "[1, 2]",
        "{\"request\":}",
        &"A".repeat(45),
        &format!("{}=", "A".repeat(43)),
        &huge,
    ] {
        let said = agent.say(text);
        let answer: Value = serde_json::from_str(&said).unwrap();
        refused(&answer);
    }
    // A message that ends in its middle has no answer.
    let mut stream = agent.connect();
    stream.write_all(b"{\"request\":").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(rest(stream), "");
    assert_eq!(agent.stage.requests(), 0);
    assert_eq!(agent.ask(&token_of("it"))["status"], "success");
}

#[test]
fn a_request_may_come_byte_by_byte_and_has_one_time_for_all_of_it() {
    let agent = Agent::of_it();
    agent.configure("[limits]\nframe_timeout = \"2s\"\n", |it| {
        it.everywhere(FAST)
    });
    let _daemon = agent.stage.site.start().unwrap();
    let mut stream = agent.connect();
    for byte in token_of("it").to_string().bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    let answer: Value = serde_json::from_str(&rest(stream)).unwrap();
    assert_eq!(answer["access_token"], agent.newest());
    for begun in ["", "{\"request\":\"check\"", "AAAA"] {
        let mut stream = agent.connect();
        stream.write_all(begun.as_bytes()).unwrap();
        let watch = Stopwatch::start();
        assert_eq!(rest(stream), "", "{begun}");
        let took = watch.elapsed();
        assert!(took >= Duration::from_secs(1), "{begun}: {took:?}");
    }
    // Others are served meanwhile.
    let _silent = agent.connect();
    assert_eq!(agent.ask(&token_of("it"))["status"], "success");
}

#[test]
fn whoever_hangs_up_waits_no_longer() {
    let agent = Agent::of_it();
    let _daemon = agent.stage.site.start().unwrap();
    agent.stage.once(Fault::after(slow(Duration::from_secs(5))));
    let mut stream = agent.connect();
    stream
        .write_all(token_of("it").to_string().as_bytes())
        .unwrap();
    let waiters = || agent.stage.site.status("it").unwrap()["waiters"].clone();
    wait_until("the request to wait", PATIENCE, || waiters() == 1).unwrap();
    drop(stream);
    wait_until("nobody to wait", SOON, || waiters() == 0).unwrap();
}

#[test]
fn one_user_has_so_many_places_on_all_sockets_together() {
    let agent = Agent::of_it();
    agent.configure("[limits]\nconnections_per_user = 2\n", |it| {
        it.everywhere(FAST)
    });
    let _daemon = agent.stage.site.start().unwrap();
    let mut held = Vec::new();
    let said = loop {
        let mut stream = agent.connect();
        let moment = Duration::from_millis(500);
        stream.set_read_timeout(Some(moment)).unwrap();
        let mut said = String::new();
        match stream.read_to_string(&mut said) {
            Ok(_) => break said,
            // It has a place, and waits for a request.
            Err(_) => held.push(stream),
        }
    };
    // Where the harness looked whether the daemon is there, a place may still have been taken.
    assert!((1..=2).contains(&held.len()), "{held:?}");
    while held.len() < 2 {
        held.push(agent.connect());
    }
    let (error, info) = refused(&serde_json::from_str(&said).unwrap());
    assert!(error.contains("2 connections open"), "{error}");
    assert!(info.contains("connections_per_user"), "{info}");
    for client in clients() {
        let output = agent.run(client, wish("it"));
        assert!(!output.status.success(), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    let said = agent.stage.site.tokenctl(&["get", "it"]).unwrap();
    assert_eq!(said.code, Some(75), "{said:?}");
    drop(held);
    wait_until("a place", SOON, || {
        let mut stream = agent.connect();
        drop(stream.write_all(token_of("it").to_string().as_bytes()));
        let mut said = String::new();
        drop(stream.read_to_string(&mut said));
        said.contains("success")
    })
    .unwrap();
}
