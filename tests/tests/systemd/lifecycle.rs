//! From the first start to the end of the service, as an operator sees it.

use tokend_harness::built;

use super::stage::{CLIENT, IT, SECRET, STRANGER, Stage};

#[test]
fn installed_started_asked_by_one_user_and_denied_to_another() {
    let Some(stage) = Stage::started() else {
        return;
    };
    assert_eq!(stage.property("ActiveState"), "active");
    let token = stage.get();
    assert_eq!(stage.sim.newest_access(IT), Some(token));
    let denied = stage.get_as(STRANGER);
    assert_eq!(denied.code, Some(77), "{denied:?}");
    assert_eq!(denied.out, "");
    // Root is no exception.
    let root = stage.run(&["tokenctl", "get", IT]);
    assert_eq!(root.code, Some(77), "{root:?}");
    assert_eq!(stage.requests(), 1);
    stage.behaved();
    let line = "serving 1 account: 1 has a token, none needs attention";
    stage.wait_for("StatusText", line);
}

#[test]
fn reload_is_told_and_a_broken_configuration_leaves_the_one_in_force() {
    let Some(stage) = Stage::started() else {
        return;
    };
    let token = stage.get();
    stage.systemctl(&["reload", "tokend.service"]);
    stage.wait("the status", || {
        stage
            .property("StatusText")
            .ends_with("; configuration 2 is in force")
    });
    stage.break_configuration();
    let said = stage.run(&["systemctl", "reload", "tokend.service"]);
    assert_ne!(said.code, Some(0), "{said:?}");
    stage.wait("the status", || {
        stage
            .property("StatusText")
            .ends_with("; the last reload was refused, see the log")
    });
    assert!(
        stage.journal().contains("was not reloaded"),
        "{}",
        stage.journal()
    );
    assert_eq!(stage.property("ActiveState"), "active");
    assert_eq!(stage.get(), token);
    // The same by a signal, of which systemd learns from the daemon.
    stage.mend_configuration();
    stage.signal("HUP");
    stage.wait("the status", || {
        stage
            .property("StatusText")
            .ends_with("; configuration 3 is in force")
    });
    stage.wait_for("SubState", "running");
    assert_eq!(stage.get(), token);
    assert_eq!(stage.property("NRestarts"), "0");
    assert_eq!(stage.requests(), 1);
}

#[test]
fn a_crash_is_followed_by_a_start_with_the_same_tokens() {
    let Some(stage) = Stage::started() else {
        return;
    };
    let token = stage.get();
    for crash in 1..=3 {
        stage.signal("KILL");
        // Before or after the new start: the socket exists all the time.
        assert_eq!(stage.get(), token);
        stage.wait_for("NRestarts", &crash.to_string());
    }
    assert_eq!(stage.requests(), 1);
    stage.behaved();
}

#[test]
fn a_stop_finishes_the_attempt_under_way() {
    let Some(stage) = Stage::started() else {
        return;
    };
    let getting = stage.getting_late();
    stage.systemctl(&["stop", "tokend.service"]);
    assert_eq!(stage.property("Result"), "success");
    let said = getting.wait().unwrap();
    assert!(matches!(said.code, Some(0 | 75)), "{said:?}");
    // The token was kept; the socket starts the daemon again.
    let token = stage.get();
    assert_eq!(stage.sim.newest_access(IT), Some(token));
    assert_eq!(stage.requests(), 1);
    stage.behaved();
}

#[test]
fn another_program_goes_on_with_the_tokens_and_asks_the_provider_nothing() {
    let Some(stage) = Stage::started() else {
        return;
    };
    let token = stage.get();
    let before = stage.run(&["sha256sum", "/usr/bin/tokend"]).line().unwrap();
    let mut program = std::fs::read(built().unwrap().tokend).unwrap();
    // A different file to every observer, and the same program.
    program.extend(b"\nanother build\n");
    let place = tempfile::tempdir().unwrap();
    let newer = place.path().join("tokend");
    std::fs::write(&newer, program).unwrap();
    stage
        .machine
        .copy(&newer, "/usr/bin/tokend", "755")
        .unwrap();
    assert_ne!(
        stage.run(&["sha256sum", "/usr/bin/tokend"]).line().unwrap(),
        before
    );
    stage.systemctl(&["restart", "tokend.service"]);
    let pid = stage.property("MainPID");
    let runs = stage.run(&["cmp", &format!("/proc/{pid}/exe"), "/usr/bin/tokend"]);
    assert_eq!(runs.code, Some(0), "{runs:?}");
    assert_eq!(stage.get(), token);
    assert_eq!(stage.requests(), 1);
    stage.behaved();
}

#[test]
fn programs_installed_by_hand_are_run_with_the_drop_in_for_them() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    let move_them = "mv /usr/bin/tokend /usr/bin/tokenctl /usr/local/bin/";
    stage.machine.shell(move_them).unwrap();
    stage.example("local-binaries.conf");
    stage.example_for("tokend-egress.service", "local-binaries-egress.conf");
    stage.systemctl(&["start", "tokend.service"]);
    stage.get();
    stage.systemctl(&["reload", "tokend.service"]);
}

#[test]
fn the_drop_in_for_rules_by_executable_gives_one_capability_and_no_more() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    let pid = |stage: &Stage| stage.property("MainPID");
    let capabilities = |stage: &Stage| {
        let status = format!("/proc/{}/status", pid(stage));
        stage
            .run(&["grep", "-E", "^Cap(Eff|Bnd|Amb)", &status])
            .line()
            .unwrap()
    };
    stage.systemctl(&["start", "tokend.service"]);
    let none = capabilities(&stage);
    assert!(
        none.lines()
            .all(|line| line.ends_with("\t0000000000000000")),
        "{none}"
    );
    stage.example("executable-rules.conf");
    stage.systemctl(&["restart", "tokend.service"]);
    let one = capabilities(&stage);
    // CAP_SYS_PTRACE is bit 19. The daemon has emptied the ambient set, which its child programs would inherit.
    let expected =
        "CapEff:\t0000000000080000\nCapBnd:\t0000000000080000\nCapAmb:\t0000000000000000";
    assert_eq!(one, expected);
    stage.get();
}

#[test]
fn a_command_that_fetches_a_secret_has_no_capability_of_the_daemon() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    stage.example("executable-rules.conf");
    let listing = "/var/lib/tokend/capabilities";
    let script =
        format!("grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status > {listing}; cat {SECRET}");
    stage.configure(&format!(
        "password = {{ command = [\"/bin/sh\", \"-c\", \"{script}\"] }}"
    ));
    stage.systemctl(&["start", "tokend.service"]);
    stage.get();
    let sets = stage.run(&["cat", listing]).out;
    let held: Vec<&str> = sets
        .lines()
        .filter(|line| !line.starts_with("CapInh") && !line.ends_with("\t0000000000000000"))
        .collect();
    assert_eq!(
        (sets.lines().count(), held.as_slice()),
        (4, &[][..]),
        "{sets}"
    );
    // The daemon itself still has the capability, and reads a program of another user.
    let whoami = ["tokenctl", "whoami"];
    let said = stage.machine.run_as(CLIENT, &whoami).unwrap();
    assert!(said.out.contains("/usr/bin/tokenctl"), "{said:?}");
}
