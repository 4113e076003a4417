//! `tokend-sink@.service`: files with tokens of a consumer's own user, and of a group.

use tokend_harness::clock::{PATIENCE, wait_until};

use super::stage::{CLIENT, IT, STRANGER, Stage};

const UNIT: &str = "tokend-sink@feed.service";
const FILE: &str = "/run/tokend-sink/feed/token";

impl Stage {
    fn sink(&self, drop_in: &str, lines: &str) {
        let configuration = format!("account = \"{IT}\"\npath = \"{FILE}\"\n{lines}");
        self.machine
            .shell(&format!(
                "mkdir -p /etc/tokend/sinks.d /etc/systemd/system/{UNIT}.d"
            ))
            .unwrap();
        self.machine
            .put("/etc/tokend/sinks.d/feed.toml", &configuration, "644")
            .unwrap();
        let path = format!("/etc/systemd/system/{UNIT}.d/user.conf");
        let drop_in = format!("[Service]\n{drop_in}\n");
        self.machine.put(&path, &drop_in, "644").unwrap();
        self.systemctl(&["daemon-reload"]);
        self.systemctl(&["restart", UNIT]);
    }

    fn read_as(&self, user: &str) -> Option<String> {
        let said = self.machine.run_as(user, &["cat", FILE]).unwrap();
        (said.code == Some(0)).then_some(said.out)
    }

    fn has_newest(&self) {
        let has = || self.read_as(CLIENT) == self.sim.newest_access(IT);
        wait_until("the newest token in the file", PATIENCE, has)
            .unwrap_or_else(|error| panic!("{error}: {}", self.machine.journal(UNIT).unwrap()));
    }

    /// A rule for the unit of the sink.
    fn allow_unit(&self) {
        let rule = format!("allow = [{{ user = \"{CLIENT}\" }}, {{ unit = \"{UNIT}\" }}]");
        let text = self.run(&["cat", "/etc/tokend/tokend.toml"]).out;
        let before = format!("allow = [{{ user = \"{CLIENT}\" }}]");
        assert!(text.contains(&before), "{text}");
        let text = text.replace(&before, &rule);
        self.machine
            .put("/etc/tokend/tokend.toml", &text, "644")
            .unwrap();
        self.systemctl(&["reload", "tokend.service"]);
    }

    fn reject(&self) {
        let reject = format!("tokenctl get {IT} | tokenctl reject {IT}");
        let said = self.machine.run_as(CLIENT, &["sh", "-c", &reject]).unwrap();
        assert_eq!(said.code, Some(0), "{said:?}");
    }
}

#[test]
fn a_sink_of_a_unit_is_ready_with_its_token_and_goes_with_a_stop_and_not_with_a_restart() {
    let Some(stage) = Stage::started() else {
        return;
    };
    stage.sink(&format!("User={CLIENT}"), "");
    assert_eq!(stage.read_as(CLIENT), Some(stage.get()), "once it is ready");
    assert_eq!(stage.read_as(STRANGER), None);
    stage.reject();
    stage.has_newest();
    stage.systemctl(&["restart", UNIT]);
    stage.has_newest();
    let status = ["tokenctl", "status", IT, "--json"];
    wait_until("the sink in the status", PATIENCE, || {
        let said = stage.machine.run_as(CLIENT, &status).unwrap();
        said.out.contains(FILE)
    })
    .unwrap();
    stage
        .machine
        .shell(&format!("systemctl kill --signal=KILL {UNIT}"))
        .unwrap();
    stage.reject();
    stage.has_newest();
    stage.systemctl(&["stop", UNIT]);
    assert_ne!(stage.run(&["test", "-e", FILE]).code, Some(0));
    // The user of the unit may not have the token: no file, and the journal says why.
    stage.sink(&format!("User={CLIENT}"), "");
    stage
        .machine
        .put(
            &format!("/etc/systemd/system/{UNIT}.d/user.conf"),
            &format!("[Service]\nUser={STRANGER}\n"),
            "644",
        )
        .unwrap();
    stage.systemctl(&["daemon-reload"]);
    let said = stage.run(&["systemctl", "restart", UNIT]);
    assert_ne!(said.code, Some(0), "{said:?}");
    assert_ne!(stage.run(&["test", "-e", FILE]).code, Some(0));
    let journal = stage.machine.journal(UNIT).unwrap();
    assert!(journal.contains("tokenctl: "), "{journal}");
}

/// A service that writes down what it is told. Root's sinks may tell it without a rule of polkit.
const CONSUMER: &str = r#"
[Service]
ExecStart=/bin/sh -c 'trap "echo signal >>/run/told" HUP; while :; do sleep 0.1; done'
ExecReload=/bin/sh -c 'cat /run/tokend-sink/feed/token >>/run/told; echo reload >>/run/told'
"#;

#[test]
fn a_service_is_reloaded_or_signalled_for_each_token() {
    let Some(stage) = Stage::started() else {
        return;
    };
    stage.allow_unit();
    let unit = "/etc/systemd/system/consumer.service";
    stage.machine.put(unit, CONSUMER, "644").unwrap();
    stage.systemctl(&["daemon-reload"]);
    stage.systemctl(&["start", "consumer.service"]);
    let has_received = |words: &str| {
        wait_until(words, PATIENCE, || {
            stage.run(&["cat", "/run/told"]).out.contains(words)
        })
        .unwrap_or_else(|error| panic!("{error}: {}", stage.machine.journal(UNIT).unwrap()));
        stage.run(&["rm", "/run/told"]);
    };
    stage.sink("User=root", "on_change = { reload = \"consumer.service\" }");
    has_received(&format!("{}reload", stage.get()));
    stage.reject();
    has_received(&format!("{}reload", stage.get()));
    stage.sink(
        "User=root",
        "on_change = { signal = \"HUP\", unit = \"consumer.service\" }",
    );
    has_received("signal");
    stage.reject();
    has_received("signal");
    // What fails is told and ends nothing.
    stage.systemctl(&["stop", "consumer.service"]);
    stage.reject();
    let failed = || {
        stage
            .machine
            .journal(UNIT)
            .unwrap()
            .contains("on_change: systemctl ended with")
    };
    wait_until("the failure in the journal", PATIENCE, failed).unwrap();
    assert_eq!(
        stage.run(&["systemctl", "is-active", UNIT]).line().unwrap(),
        "active"
    );
}

#[test]
fn a_sink_without_a_user_of_its_own_writes_for_a_group_by_a_rule_for_its_unit() {
    let Some(stage) = Stage::started() else {
        return;
    };
    stage.allow_unit();
    stage.sink(&format!("Group={CLIENT}"), "mode = \"640\"");
    assert_eq!(stage.read_as(CLIENT), Some(stage.get()));
    assert_eq!(stage.read_as(STRANGER), None);
    let owner = stage.run(&["stat", "-c", "%U:%G %a", FILE]).line().unwrap();
    assert_eq!(owner, format!("tokend-sink:{CLIENT} 640"));
}
