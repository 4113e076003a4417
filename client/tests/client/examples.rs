//! The examples run against a daemon, as their users would run them.

use std::path::PathBuf;
use std::process::{Command, Output};

use tokend_proto::{Fault, FaultCode, Response};

use crate::fake::{FakeDaemon, token};

#[test]
fn the_blocking_example_runs() {
    let daemon = FakeDaemon::answering(Response::Token(token("hunter2")));
    let output = run("get", &["ads"], &daemon);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "ads: Bearer token of 7 bytes, good for 3600 s\n"
    );
    assert!(output.status.success());
}

#[test]
fn the_blocking_example_tells_a_fault() {
    let daemon = FakeDaemon::answering(Response::Fault(Fault::new(
        FaultCode::NotAllowed,
        "not yours",
    )));
    let output = run("get", &["ads"], &daemon);
    assert!(String::from_utf8_lossy(&output.stderr).contains("not yours"));
    assert!(!output.status.success());
}

#[test]
#[cfg(feature = "async")]
fn the_async_example_runs() {
    let daemon = FakeDaemon::answering(Response::Token(token("hunter2")));
    let output = run("get_async", &["ads", "crm"], &daemon);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "ads: token of 7 bytes\ncrm: token of 7 bytes\n"
    );
    assert!(output.status.success());
    assert_eq!(daemon.connections(), 1);
}

#[test]
#[cfg(feature = "async")]
fn the_example_of_a_subscription_runs() {
    let daemon = FakeDaemon::answering(Response::Token(token("hunter2")));
    let output = run("subscribe", &["ads"], &daemon);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "subscribed to ads\nused 100000 times: a token of 7 bytes\n"
    );
    assert!(output.status.success());
    assert_eq!(daemon.seen().len(), 1, "one request");
}

#[test]
#[cfg(feature = "tower")]
fn the_example_of_a_tower_layer_runs() {
    repeats_a_refused_request("tower");
}

#[test]
#[cfg(feature = "reqwest-middleware")]
fn the_example_of_a_middleware_of_reqwest_runs() {
    repeats_a_refused_request("reqwest");
}

#[test]
#[cfg(feature = "tonic")]
fn the_example_of_a_layer_of_tonic_runs() {
    let server = crate::requests::GrpcServer::start();
    let daemon = crate::requests::daemon(&server.url);
    let output = run("tonic", &["ads", &server.url], &daemon);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "an answer of 0 bytes\n");
    let presented = ["Bearer one", "Bearer two"].map(|it| Some(it.to_owned()));
    assert_eq!(*server.presented.lock().unwrap(), presented);
}

/// An example that is given an account and a URL, and shows the status of the answer.
#[cfg(feature = "_requests")]
fn repeats_a_refused_request(example: &str) {
    let api = crate::requests::Api::start(&[401, 200]);
    let daemon = crate::requests::daemon(&api.url);
    let output = run(example, &["ads", &api.url], &daemon);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "200 OK\n");
    let presented = ["Bearer one", "Bearer two"].map(|it| Some(it.to_owned()));
    assert_eq!(api.presented(), presented);
}

/// What the README shows of an example is a part of it.
#[test]
fn the_readme_shows_parts_of_the_examples() {
    let readme = include_str!("../../README.md");
    let mut parts = readme.split("```rust,ignore\n").skip(1);
    for example in SHOWN {
        let trimmed = |text: &str| -> Vec<String> {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            lines.map(str::to_owned).collect()
        };
        let part = parts.next().unwrap().split("```").next().unwrap();
        let whole = trimmed(example);
        let missing: Vec<_> = trimmed(part)
            .into_iter()
            .filter(|line| !whole.contains(line))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
    assert_eq!(parts.next(), None);
}

/// In the order of the README.
const SHOWN: &[&str] = &[
    include_str!("../../examples/reqwest.rs"),
    include_str!("../../examples/tower.rs"),
    include_str!("../../examples/tonic.rs"),
];

fn run(example: &str, arguments: &[&str], daemon: &FakeDaemon) -> Output {
    let mut command = Command::new(built(example));
    command
        .args(arguments)
        .env("TOKEND_SOCKET", daemon.socket())
        .output()
        .expect("it starts")
}

/// Cargo builds the examples beside the tests, unless only one test target was asked for.
fn built(example: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own path");
    let folder = own
        .ancestors()
        .nth(2)
        .expect("tests are built in target/PROFILE/deps");
    let path = folder.join("examples").join(example);
    if !path.exists() {
        let mut build = Command::new(env!("CARGO"));
        build.args([
            "build",
            "--quiet",
            "--package",
            "tokend-client",
            "--example",
            example,
        ]);
        if cfg!(feature = "_requests") {
            build.arg("--all-features");
        }
        assert!(
            build.status().expect("cargo starts").success(),
            "example {example} does not build"
        );
    }
    path
}
