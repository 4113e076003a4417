//! The effect of systemd's limits: a daemon or a relay that cannot come up, and everything else unharmed.

use tokend_harness::Said;

use super::stage::{CLIENT, IT, Stage};

const RELAY: &str = "tokend-egress.service";
const UNITS: [&str; 4] = [
    "tokend.service",
    "tokend.socket",
    "tokend-egress.socket",
    RELAY,
];

impl Stage {
    fn of(&self, unit: &str, name: &str) -> String {
        self.machine.property(unit, name).unwrap()
    }

    /// A `get` that may take two seconds, and is killed after ten, which gives code 124.
    fn get_soon(&self) -> Said {
        let get = ["timeout", "10", "tokenctl", "get", "--timeout", "2s", IT];
        self.machine.run_as(CLIENT, &get).unwrap()
    }

    /// Makes the account ask for another token and waits for it.
    fn renewed(&self) -> String {
        let mut token = String::new();
        let again = format!("tokenctl get {IT} | tokenctl reject --print {IT}");
        self.wait("another token", || {
            let said = self.machine.run_as(CLIENT, &["sh", "-c", &again]);
            let said = said.unwrap();
            token = said.out.trim_end().to_owned();
            said.code == Some(0)
        });
        token
    }

    /// The doctor's advice, literally.
    pub(crate) fn way_out(&self, topic: &str) -> String {
        let said = self.run(&["tokenctl", "doctor", "--json"]);
        let found: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let unit = found.as_array().unwrap().iter();
        let unit = unit.filter(|it| it["topic"] == topic && it["severity"] == "problem");
        let advice = unit.filter_map(|it| it["advice"].as_str()).next();
        let advice = advice.unwrap_or_else(|| panic!("no way out: {said:?}"));
        let (_, commands) = advice.split_once("then: ").unwrap();
        commands.replace("sudo ", "")
    }
}

#[test]
fn no_number_of_restarts_stops_the_daemon_its_sockets_or_its_relay() {
    let Some(stage) = Stage::started() else {
        return;
    };
    let token = stage.get();
    // A client asks all the time.
    let _asking = stage
        .machine
        .spawn_as(
            CLIENT,
            &[
                "sh",
                "-c",
                &format!("while :; do tokenctl get {IT} >/dev/null; done"),
            ],
        )
        .unwrap();
    for _ in 0..20 {
        stage.systemctl(&["restart", "tokend.service"]);
    }
    for _ in 0..12 {
        stage.systemctl(&["restart", "tokend.socket", "tokend-egress.socket"]);
    }
    for _ in 0..12 {
        // Ends early if a waiting client makes the socket start the daemon again.
        stage.run(&["systemctl", "stop", "tokend.service"]);
        stage.systemctl(&["start", "tokend.service"]);
    }
    assert_eq!(stage.get(), token);
    assert_eq!(stage.requests(), 1);
    stage.renewed();
    for unit in UNITS {
        let state = (stage.of(unit, "ActiveState"), stage.of(unit, "Result"));
        assert_eq!(state, ("active".into(), "success".into()), "{unit}");
    }
    stage.behaved();
}

#[test]
fn a_relay_that_is_killed_again_and_again_is_started_again_by_itself() {
    let Some(stage) = Stage::started() else {
        return;
    };
    stage.get();
    for _ in 0..20 {
        let before = stage.of(RELAY, "MainPID");
        stage.systemctl(&["kill", "--signal=KILL", RELAY]);
        stage.wait("another relay", || {
            let now = stage.of(RELAY, "MainPID");
            now != "0" && now != before && stage.of(RELAY, "ActiveState") == "active"
        });
    }
    assert_eq!(stage.of("tokend-egress.socket", "ActiveState"), "active");
    let token = stage.renewed();
    assert_eq!(stage.sim.newest_access(IT), Some(token));
    assert_eq!(stage.property("NRestarts"), "0", "the daemon went on");
    stage.behaved();
}

#[test]
fn a_credential_that_cannot_be_handed_over_is_told_with_the_way_out_and_not_tried_for_ever() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    stage.drop_in("LoadCredential=it-password:/root/it-password");
    stage.configure("password = { credential = \"it-password\" }");
    stage.systemctl(&["enable", "--now", "tokend.socket"]);
    let said = stage.get_soon();
    assert!(matches!(said.code, Some(69 | 75)), "{said:?}");
    stage.wait("the socket to give up", || {
        stage.of("tokend.socket", "ActiveState") == "failed"
    });
    assert_eq!(stage.property("ActiveState"), "failed");
    assert_eq!(stage.property("ExecMainStatus"), "243");
    assert_eq!(stage.property("NRestarts"), "0");
    // From then on it happens at once.
    let said = stage.get_soon();
    assert_eq!(said.code, Some(69), "{said:?}");
    assert!(said.err.contains("tokenctl doctor"), "{said:?}");
    let doctor = stage.run(&["tokenctl", "doctor"]);
    assert_eq!(doctor.code, Some(69), "{doctor:?}");
    assert!(doctor.out.contains("LoadCredential"), "{doctor:?}");

    let way_out = stage.way_out("unit");
    stage
        .machine
        .put("/root/it-password", &stage.password(), "600")
        .unwrap();
    stage.machine.shell(&way_out).unwrap();
    let token = stage.get();
    assert_eq!(stage.sim.newest_access(IT), Some(token));
    stage.behaved();
}

#[test]
fn a_wrong_environment_is_told_with_the_way_out_and_not_tried_for_ever() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    // The port is missing.
    stage.drop_in("Environment=TOKEND_EGRESS=127.0.0.1");
    stage.systemctl(&["enable", "--now", "tokend.socket"]);
    let said = stage.get_soon();
    assert!(matches!(said.code, Some(69 | 75)), "{said:?}");
    stage.wait("the socket to give up", || {
        stage.of("tokend.socket", "ActiveState") == "failed"
    });
    assert_eq!(stage.property("ExecMainStatus"), "64");
    assert_eq!(stage.property("NRestarts"), "0");
    // From then on it happens at once.
    let said = stage.get_soon();
    assert_eq!(said.code, Some(69), "{said:?}");
    let doctor = stage.run(&["tokenctl", "doctor"]);
    assert_eq!(doctor.code, Some(69), "{doctor:?}");
    assert!(doctor.out.contains("Environment="), "{doctor:?}");
    let check = stage.run(&["tokend", "check"]);
    assert_eq!(check.code, Some(78), "{check:?}");
    assert!(check.err.contains("TOKEND_EGRESS"), "{check:?}");

    let way_out = stage.way_out("unit");
    stage.drop_in("Environment=TOKEND_EGRESS=127.0.0.1:3128");
    stage.machine.shell(&way_out).unwrap();
    let token = stage.get();
    assert_eq!(stage.sim.newest_access(IT), Some(token));
    stage.behaved();
}

#[test]
fn a_client_keeps_its_limit_while_the_daemon_does_not_come_up_or_says_nothing() {
    let Some(stage) = Stage::started() else {
        return;
    };
    stage.get();
    let tells_silence = |stage: &Stage| {
        let said = stage.get_soon();
        assert_eq!(said.code, Some(75), "{said:?}");
        assert!(said.err.contains("says nothing"), "{said:?}");
        assert!(said.err.contains("systemctl status tokend"), "{said:?}");
    };
    stage.signal("STOP");
    tells_silence(&stage);
    stage.signal("CONT");
    stage.get();
    // Its start hangs.
    stage.drop_in("ExecStartPre=+/bin/sh -c 'exec sleep 1000'\nTimeoutStartSec=1000");
    stage.systemctl(&["stop", "tokend.service"]);
    tells_silence(&stage);
    stage.wait_for("SubState", "start-pre");
    // It ends right after each start, again and again.
    stage.drop_in("ExecStartPre=/bin/false");
    stage.systemctl(&["kill", "--signal=KILL", "tokend.service"]);
    stage.wait_for("SubState", "auto-restart");
    tells_silence(&stage);
    // After one failure it may still come up the next time.
    stage.wait("it to end again", || {
        let restarts = stage.property("NRestarts").parse::<u64>();
        restarts.is_ok_and(|times| times >= 2)
    });
    let doctor = stage.run(&["tokenctl", "doctor"]);
    assert_eq!(doctor.code, Some(69), "{doctor:?}");
    assert!(doctor.out.contains("does not come up"), "{doctor:?}");
    stage
        .machine
        .shell("rm /etc/systemd/system/tokend.service.d/test.conf\nsystemctl daemon-reload")
        .unwrap();
    stage.get();
    stage.behaved();
}
