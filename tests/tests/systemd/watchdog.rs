//! The watchdog notices a hanging daemon, and leaves an idle one alone.

use super::stage::Stage;

#[test]
fn a_daemon_that_is_stopped_is_started_again() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    stage.drop_in("WatchdogSec=2");
    stage.systemctl(&["start", "tokend.socket", "tokend.service"]);
    let token = stage.get();
    stage.signal("STOP");
    stage.wait_for("NRestarts", "1");
    assert!(
        stage.journal().contains("Watchdog timeout"),
        "{}",
        stage.journal()
    );
    assert_eq!(stage.get(), token);
    assert_eq!(stage.requests(), 1);
    stage.behaved();
}

#[test]
fn a_driver_that_hangs_in_a_running_process_is_started_again() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    stage.drop_in("WatchdogSec=2");
    stage.systemctl(&["start", "tokend.socket", "tokend.service"]);
    let token = stage.get();
    // The thread that writes the driver's next sign of life is stopped there.
    let pid = stage.property("MainPID");
    let holder = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=write",
    ];
    let held = ["-e", "inject=write:delay_enter=600s", "-p", &pid];
    let holder = stage.machine.spawn(&[&holder[..], &held].concat()).unwrap();
    stage.wait("the watchdog", || {
        stage.journal().contains("Watchdog timeout")
    });
    // A thread that is held from outside outlives its process.
    stage.machine.shell("kill -KILL $(pidof strace)").unwrap();
    drop(holder);
    stage.wait_for("NRestarts", "1");
    assert_eq!(stage.get(), token);
    assert_eq!(stage.requests(), 1);
    stage.behaved();
}

#[test]
fn a_daemon_with_nothing_to_do_is_not_taken_for_stuck() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    stage.drop_in("WatchdogSec=1");
    stage.systemctl(&["start", "tokend.service"]);
    let mut seen = std::collections::BTreeSet::new();
    // Each time is a sign of life; three of them take longer than the watchdog waits.
    stage.wait("signs of life", || {
        seen.insert(stage.property("WatchdogTimestampMonotonic"));
        seen.len() > 5
    });
    assert_eq!(stage.property("NRestarts"), "0");
    assert_eq!(stage.property("ActiveState"), "active");
}

#[test]
fn a_daemon_whose_log_nobody_reads_is_not_taken_for_stuck() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    // A process holds the pipe open and reads nothing; it is full before the first line.
    stage.machine.shell("mkfifo /run/unread").unwrap();
    let reader = "exec 3<>/run/unread; dd if=/dev/zero of=/run/unread bs=4096 oflag=nonblock; touch /run/full; exec sleep infinity";
    let reader = stage.machine.spawn(&["sh", "-c", reader]).unwrap();
    stage.wait("a full pipe", || {
        stage.run(&["test", "-e", "/run/full"]).code == Some(0)
    });
    stage.drop_in("WatchdogSec=1\nStandardError=file:/run/unread");
    stage.systemctl(&["start", "tokend.socket", "tokend.service"]);
    let token = stage.get();
    let mut seen = std::collections::BTreeSet::new();
    stage.wait("signs of life", || {
        seen.insert(stage.property("WatchdogTimestampMonotonic"));
        seen.len() > 5
    });
    assert_eq!(stage.property("NRestarts"), "0");
    assert_eq!(stage.get(), token);
    stage.systemctl(&["stop", "tokend.service"]);
    assert_eq!(stage.property("Result"), "success");
    drop(reader);
}
