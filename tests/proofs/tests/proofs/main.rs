//! A sample of the proofs that `cargo proofs` runs completely.
//!
//! Where the machine does not allow them (no root, no `strace`, no loop device) the tests say so and pass, except with `CI=true`, where
//! they must be possible.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use tokend_harness::demand::{carried_out, tracing};
use tokend_proofs::{
    Attempt,
    crash_loop::{self, Counted},
    disk::Disk,
    points::{self, Death, Report},
};
use tokend_provider_simulator::spec::Api;

/// Dies at a sample of points and demands that each promise was kept, and that the daemons really died.
fn die(api: Api, attempt: Attempt, death: Death, sample: usize) {
    judge(&points::run(api, attempt, death, Some(sample), 3).unwrap());
}

fn judge(report: &Report) {
    let failures = report.failures.join("\n");
    assert!(report.failures.is_empty(), "{report}\n{failures}");
    // Scheduling moves a call now and then; a sample that mostly missed proves nothing.
    let missed = report.not_reached.len();
    assert!(
        report.points > 2 * missed,
        "{report}: {:?}",
        report.not_reached
    );
}

#[test]
fn killed_in_the_middle_of_a_rotation_nothing_is_lost_or_replayed() {
    if carried_out("kill -9 at a system call", tracing()) {
        die(Api::JwtApi, Attempt::Rotation, Death::Process, 15);
    }
}

#[test]
fn killed_in_the_middle_of_a_login_nothing_is_lost_or_asked_too_often() {
    if carried_out("kill -9 at a system call", tracing()) {
        die(Api::Oauth2, Attempt::FirstLogin, Death::Process, 9);
        die(Api::AdVerification, Attempt::LoginAgain, Death::Process, 9);
    }
}

#[test]
fn killed_again_while_it_recovers_nothing_is_lost_or_replayed() {
    if carried_out("kill -9 at a system call", tracing()) {
        judge(&points::recovery(Api::JwtApi, Death::Process, Some(8), 3).unwrap());
    }
}

#[test]
fn killed_at_its_first_start_a_daemon_starts_again() {
    if carried_out("kill -9 at a system call", tracing()) {
        judge(&points::first_start(Death::Process, Some(8), 3).unwrap());
    }
}

#[test]
fn an_error_at_any_system_call_of_a_change_of_the_key_loses_no_login() {
    if carried_out("an error at a system call", tracing()) {
        judge(&points::key(Some(18), 3).unwrap());
    }
}

#[test]
fn without_power_in_the_middle_of_a_rotation_nothing_is_lost_or_replayed() {
    let place = tempfile::tempdir().unwrap();
    let disk = tracing().and_then(|()| {
        let mut disk = Disk::mount(&place.path().join("disk"))?;
        disk.lose_power()
    });
    if carried_out("loss of power", disk) {
        die(Api::Oauth2, Attempt::Rotation, Death::Power, 6);
    }
}

#[test]
fn a_disk_forgets_what_was_not_synced_and_keeps_the_rest() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path().join("disk");
    let mut disk = match Disk::mount(&at) {
        Ok(disk) => disk,
        Err(error) => {
            carried_out("loss of power", Err(error));
            return;
        }
    };
    let synced = std::fs::File::create(at.join("synced")).unwrap();
    synced.sync_all().unwrap();
    drop(synced);
    std::fs::File::open(&at).unwrap().sync_all().unwrap();
    std::fs::write(at.join("forgotten"), "text").unwrap();
    disk.lose_power().unwrap();
    assert!(at.join("synced").exists());
    assert!(!at.join("forgotten").exists());
}

#[test]
fn a_crash_loop_keeps_the_pace_of_every_account() {
    for (counted, seconds) in [(Counted::FromServing, 8), (Counted::FromStart, 5)] {
        let report = crash_loop::run(counted, Duration::from_secs(seconds)).unwrap();
        let failures = report.failures.join("\n");
        assert!(report.failures.is_empty(), "{report}\n{failures}");
    }
}
