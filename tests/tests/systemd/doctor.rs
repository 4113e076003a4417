//! `tokenctl doctor` beside systemd: its findings about the unit and about time synchronisation.

use serde_json::Value;

use crate::stage::{CLIENT, Stage};

impl Stage {
    /// The doctor's last finding on a topic, as severity, message and advice; and its exit code. The daemon's findings come first.
    fn doctor(&self, topic: &str) -> (Option<i32>, [String; 3]) {
        let doctor = ["tokenctl", "doctor", "--json"];
        let said = self.machine.run_as(CLIENT, &doctor).unwrap();
        let found: Vec<Value> =
            serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        let about = found.iter().rfind(|it| it["topic"] == topic);
        let about = about.unwrap_or_else(|| panic!("nothing about {topic}: {said:?}"));
        let text = |key: &str| about[key].as_str().unwrap_or_default().to_owned();
        (said.code, ["severity", "message", "advice"].map(text))
    }

    /// Replaces one of the system's programs.
    fn fake(&self, name: &str, prints: &str) {
        let program = format!("#!/bin/sh\nprintf '%s\\n' '{prints}'\n");
        let path = format!("/usr/local/bin/{name}");
        self.machine.put(&path, &program, "755").unwrap();
    }
}

#[test]
fn the_doctor_tells_a_unit_that_runs_from_one_that_was_stopped_and_one_that_failed() {
    let Some(stage) = Stage::started() else {
        return;
    };
    let (code, [severity, message, _]) = stage.doctor("unit");
    assert_eq!((code, severity.as_str()), (Some(0), "ok"), "{message}");
    assert_eq!(message, "tokend.service is active (running)");

    stage.systemctl(&["stop", "tokend.socket", "tokend.service"]);
    let (code, [severity, message, advice]) = stage.doctor("unit");
    assert_eq!(code, Some(69), "{message}");
    assert_eq!(severity, "warning", "{message}");
    assert_eq!(message, "tokend.service is inactive (dead)");
    assert_eq!(advice, "start it: systemctl start tokend");

    stage.break_configuration();
    let start = ["systemctl", "start", "tokend.service"];
    assert_ne!(stage.run(&start).code, Some(0));
    stage.wait_for("ActiveState", "failed");
    stage.systemctl(&["stop", "tokend.socket"]);
    let (code, [severity, message, advice]) = stage.doctor("unit");
    assert_eq!(code, Some(69), "{message}");
    assert_eq!(severity, "problem", "{message}");
    assert!(
        message.starts_with("tokend.service has failed ("),
        "{message}"
    );
    let again = "sudo systemctl reset-failed tokend.service tokend.socket && sudo systemctl start tokend.socket tokend.service";
    assert!(advice.ends_with(again), "{advice}");
    // A user who may read the journal sees the mistake, and after the advised repair all is well.
    let said = stage.run(&["tokenctl", "doctor"]);
    assert!(
        said.out
            .contains("`provider` is missing (/etc/tokend/tokend.toml:1:10), and 2 more mistakes"),
        "{said:?}"
    );
    stage.mend_configuration();
    let again = again.replace("sudo ", "");
    let said = stage.machine.shell(&again);
    assert!(said.is_ok(), "{said:?}");
    stage.wait_for("ActiveState", "active");
}

#[test]
fn the_doctor_misses_a_socket_of_an_outlet_and_its_advice_brings_it_back() {
    let Some(stage) = Stage::started() else {
        return;
    };
    let nobody_misses = |stage: &Stage| {
        let (code, [severity, message, _]) = stage.doctor("unit");
        assert_eq!((code, severity.as_str()), (Some(0), "ok"), "{message}");
    };
    // Not enabled, none is missed.
    nobody_misses(&stage);
    for (outlet, file) in [
        ("http", "http.sock"),
        ("credentials", "credentials.sock"),
        ("oidc-agent", "oidc-agent.sock"),
    ] {
        let unit = format!("tokend-{outlet}.socket");
        let path = format!("/run/tokend/{file}");
        let brought_back = |why: &str| {
            let (code, [severity, message, advice]) = stage.doctor("unit");
            assert_eq!(
                (code, severity.as_str()),
                (Some(69), "problem"),
                "{message}"
            );
            assert!(message.starts_with(&format!("{unit} {why}")), "{message}");
            let (_, command) = advice.split_once("then: ").unwrap();
            let followed = stage.machine.shell(&command.replace("sudo ", ""));
            assert!(followed.is_ok(), "{followed:?}");
            let state = stage.machine.property(&unit, "ActiveState").unwrap();
            assert_eq!(state, "active", "{command}");
            stage.wait_for("ActiveState", "active");
            nobody_misses(&stage);
        };
        stage.systemctl(&["enable", &unit]);
        brought_back("is enabled and does not listen");
        stage.machine.shell(&format!("rm {path}")).unwrap();
        brought_back(&format!("listens at {path}, which is not there any more"));
        // Something else is in its place.
        stage.systemctl(&["stop", &unit, "tokend.socket", "tokend.service"]);
        stage
            .machine
            .shell(&format!("rm -f {path}; mkdir {path}"))
            .unwrap();
        assert_ne!(stage.run(&["systemctl", "start", &unit]).code, Some(0));
        stage.systemctl(&["start", "tokend.socket", "tokend.service"]);
        stage.machine.shell(&format!("rmdir {path}")).unwrap();
        brought_back("has failed (");
    }
}

#[test]
fn the_doctor_says_whether_a_time_server_keeps_the_clock_right() {
    let Some(stage) = Stage::started() else {
        return;
    };
    stage.fake("timedatectl", "no");
    let (code, [severity, message, advice]) = stage.doctor("clock");
    assert_eq!((code, severity.as_str()), (Some(0), "warning"), "{message}");
    assert_eq!(message, "no time server keeps it right");
    assert!(advice.contains("timedatectl set-ntp true"), "{advice}");
    stage.fake("timedatectl", "yes");
    let (_, [severity, message, _]) = stage.doctor("clock");
    assert_eq!(
        (severity.as_str(), message.as_str()),
        ("ok", "it is kept right by a time server")
    );
    // The doctor does not wait for one that says nothing.
    stage
        .machine
        .shell("printf '#!/bin/sh\\nexec sleep 1000\\n' >/usr/local/bin/timedatectl")
        .unwrap();
    let (code, [_, message, _]) = stage.doctor("clock");
    assert_eq!(code, Some(0));
    assert!(message.contains("since the daemon started"), "{message}");
}
