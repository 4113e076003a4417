//! A daemon that hangs is noticed, one that rests is not taken for it.

use super::stage::{IT, Stage};

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
    // Its log goes into a pipe that somebody holds and nobody reads: whoever logs when it is full hangs.
    stage.machine.shell("mkfifo -m 666 /run/pipe").unwrap();
    let _holder = stage
        .machine
        .spawn(&["sh", "-c", "exec 3<>/run/pipe; exec tail -f /dev/null"])
        .unwrap();
    stage.drop_in(
        "WatchdogSec=2\nExecStart=\nExecStart=/bin/sh -c 'exec /usr/bin/tokend run --config /etc/tokend/tokend.toml 2>/run/pipe'",
    );
    stage.systemctl(&["start", "tokend.socket", "tokend.service"]);
    let token = stage.get();
    // Fills it to the last byte, and then an attempt has something to say.
    let fill = "for size in 4096 1; do dd if=/dev/zero of=/run/pipe bs=$size oflag=nonblock 2>/dev/null || true; done";
    stage.machine.shell(fill).unwrap();
    let refresh = ["tokenctl", "refresh", IT];
    let mut stuck = stage.machine.spawn_as("tokend", &refresh).unwrap();
    stage.wait("the watchdog", || {
        stage.journal().contains("Watchdog timeout")
    });
    stage.wait("the one who waited to be let go", || {
        stuck.has_ended().unwrap()
    });
    let _reader = stage.machine.spawn(&["cat", "/run/pipe"]).unwrap();
    let next = stage.get();
    assert_ne!(next, "");
    assert!(stage.requests() <= 2, "{} after {token}", stage.requests());
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
    // Each time is a sign of life; three of them are further apart than the watchdog waits.
    stage.wait("signs of life", || {
        seen.insert(stage.property("WatchdogTimestampMonotonic"));
        seen.len() > 5
    });
    assert_eq!(stage.property("NRestarts"), "0");
    assert_eq!(stage.property("ActiveState"), "active");
}
