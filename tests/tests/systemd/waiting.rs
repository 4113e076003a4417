//! Clients at the socket while the daemon is stopped, and a daemon that cannot start.

use super::stage::{CLIENT, IT, Stage};

/// Holds the next start until a process writes to the gate.
const GATE: &str = "ExecStartPre=+/bin/sh -c 'read word </run/gate'";

#[test]
fn the_first_client_starts_the_daemon() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    stage.systemctl(&["start", "tokend.socket"]);
    assert_eq!(stage.property("ActiveState"), "inactive");
    stage.get();
    assert_eq!(stage.property("ActiveState"), "active");
}

#[test]
fn a_get_during_a_restart_waits_and_is_answered() {
    let Some(stage) = Stage::started() else {
        return;
    };
    let token = stage.get();
    stage.machine.shell("mkfifo /run/gate").unwrap();
    stage.drop_in(GATE);
    let restarting = stage
        .machine
        .spawn(&["systemctl", "restart", "tokend.service"])
        .unwrap();
    stage.wait_for("SubState", "start-pre");
    let before = connections(&stage);
    let mut getting = stage.getting();
    stage.wait("the client to be connected", || {
        connections(&stage) > before
    });
    assert!(!getting.has_ended().unwrap(), "nobody can have answered");
    stage.machine.shell("echo open >/run/gate").unwrap();
    assert_eq!(getting.wait().unwrap().line().unwrap(), token);
    restarting.wait().unwrap().line().unwrap();
    assert_eq!(stage.requests(), 1);
}

/// Ends of connections at the daemon's socket, accepted or not, and the socket itself.
fn connections(stage: &Stage) -> usize {
    let unix = stage.run(&["cat", "/proc/net/unix"]).out;
    unix.matches("/run/tokend/tokend.sock").count()
}

#[test]
fn a_configuration_with_mistakes_is_told_and_not_tried_for_ever() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    stage.break_configuration();
    let said = stage.run(&["systemctl", "start", "tokend.service"]);
    assert_ne!(said.code, Some(0), "{said:?}");
    assert_eq!(stage.property("ExecMainStatus"), "78");
    assert_eq!(stage.property("NRestarts"), "0");
    // A client at the socket makes systemd start the daemon again and again, up to the limit.
    let said = stage
        .machine
        .run_as(CLIENT, &["tokenctl", "get", IT])
        .unwrap();
    assert!(matches!(said.code, Some(69 | 75)), "{said:?}");
    stage.wait("the socket to give up", || {
        stage
            .machine
            .property("tokend.socket", "ActiveState")
            .unwrap()
            == "failed"
    });
    let starts = stage.journal().matches("unknown key").count();
    // One start by hand, and TriggerLimitBurst= more.
    assert!((2..=61).contains(&starts), "{starts} starts");
    // As the guide says then.
    stage.mend_configuration();
    stage.machine.shell(
        "sudo() { \"$@\"; }\nsudo systemctl reset-failed tokend.service tokend.socket\nsudo systemctl start tokend.socket tokend.service",
    ).unwrap();
    stage.get();
}
