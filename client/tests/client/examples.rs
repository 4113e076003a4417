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
        assert!(
            build.status().expect("cargo starts").success(),
            "example {example} does not build"
        );
    }
    path
}
