//! The daemon has no network: its requests go through its relay, and nothing else gets out or in.

use tokend_harness::Said;

use super::stage::{CLIENT, IT, Stage};

const RELAY: &str = "tokend-egress.service";

impl Stage {
    /// The output of a command inside the namespaces of the daemon.
    fn inside(&self, command: &[&str]) -> Said {
        let pid = self.property("MainPID");
        let wrapper = ["nsenter", "--mount", "--net", "--target", &pid, "--"];
        self.run(&[&wrapper[..], command].concat())
    }

    fn namespace(&self, pid: &str, kind: &str) -> String {
        let link = format!("/proc/{pid}/ns/{kind}");
        self.run(&["readlink", &link]).line().unwrap()
    }

    fn relay(&self, property: &str) -> String {
        self.machine.property(RELAY, property).unwrap()
    }

    /// The port of the provider, which is on the machine's loopback address.
    fn port(&self) -> String {
        let url = self.sim.base_url(self.sim.accounts()[0].api);
        let port = url.trim_end_matches('/').rsplit(':').next();
        port.unwrap().to_owned()
    }

    fn get_in_the_end(&self) -> String {
        let mut token = String::new();
        self.wait("a token", || {
            let said = self.get_as(CLIENT);
            token = said.out.trim_end().to_owned();
            said.code == Some(0)
        });
        token
    }
}

/// Connects to a port of the loopback address, from the namespace it runs in.
fn connects(port: &str) -> [String; 3] {
    ["bash", "-c", &format!("exec 3<>/dev/tcp/127.0.0.1/{port}")].map(str::to_owned)
}

fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

#[test]
fn the_daemon_has_no_network_and_gets_its_tokens_through_the_relay() {
    let Some(stage) = Stage::started() else {
        return;
    };
    assert_eq!(
        stage.relay("ActiveState"),
        "inactive",
        "nobody needed it yet"
    );
    let token = stage.get();
    assert_eq!(stage.sim.newest_access(IT), Some(token));
    assert_eq!(stage.relay("ActiveState"), "active");
    let (daemon, relay) = (stage.property("MainPID"), stage.relay("MainPID"));
    assert_ne!(stage.namespace(&daemon, "net"), stage.namespace("1", "net"));
    assert_eq!(stage.namespace(&relay, "net"), stage.namespace("1", "net"));
    let devices = stage.run(&["cat", &format!("/proc/{daemon}/net/dev")]).out;
    let names: Vec<&str> = devices
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0.trim()))
        .collect();
    assert_eq!(names, ["lo"], "{devices}");
    // The daemon does not reach the host's network, and only the daemon reaches its relay.
    let (provider, relay) = (connects(&stage.port()), connects("3128"));
    assert_eq!(stage.run(&words(&provider)).code, Some(0));
    assert_ne!(stage.inside(&words(&provider)).code, Some(0));
    assert_eq!(stage.inside(&words(&relay)).code, Some(0));
    assert_ne!(stage.run(&words(&relay)).code, Some(0));
    stage.behaved();
}

#[test]
fn sharing_a_network_with_a_socket_takes_no_other_protection_away() {
    let Some(stage) = Stage::started() else {
        return;
    };
    stage.get();
    stage.machine.put("/tmp/of-the-host", "x", "644").unwrap();
    for _ in 0..2 {
        let seen = stage.inside(&["ls", "-A", "/tmp"]);
        assert_eq!((seen.code, seen.out.as_str()), (Some(0), ""), "{seen:?}");
        let daemon = stage.property("MainPID");
        for kind in ["net", "ipc", "mnt"] {
            let (own, host) = (stage.namespace(&daemon, kind), stage.namespace("1", kind));
            assert_ne!(own, host, "{kind}");
        }
        stage.systemctl(&["restart", "tokend.service"]);
    }
    stage.systemctl(&["start", RELAY]);
    let relay = stage.relay("MainPID");
    for kind in ["ipc", "mnt", "user"] {
        let (own, host) = (stage.namespace(&relay, kind), stage.namespace("1", kind));
        assert_ne!(own, host, "{kind}");
    }
}

#[test]
fn an_attempt_under_way_at_a_stop_has_its_relay_which_ends_after_it() {
    let Some(stage) = Stage::started() else {
        return;
    };
    let getting = stage.getting_late();
    stage.systemctl(&["stop", "tokend.service"]);
    drop(getting);
    assert_eq!(stage.property("Result"), "success");
    assert_eq!(stage.relay("Result"), "success");
    stage.wait("the relay to be gone too", || {
        stage.relay("ActiveState") == "inactive"
    });
    let token = stage.get();
    assert_eq!(stage.sim.newest_access(IT), Some(token));
    assert_eq!(stage.requests(), 1, "what it brought was kept");
    stage.behaved();
}

#[test]
fn a_relay_that_is_stopped_alone_finishes_what_it_carries() {
    let Some(stage) = Stage::started() else {
        return;
    };
    let getting = stage.getting_late();
    stage.systemctl(&["stop", RELAY]);
    let token = getting.wait().unwrap().line().unwrap();
    assert_eq!(stage.sim.newest_access(IT), Some(token));
    assert_eq!(stage.requests(), 1);
    stage.behaved();
}

#[test]
fn a_relay_that_is_killed_in_the_middle_costs_one_attempt_and_no_account() {
    let Some(stage) = Stage::started() else {
        return;
    };
    let getting = stage.getting_late();
    stage.systemctl(&["kill", "--signal=KILL", RELAY]);
    let said = getting.wait().unwrap();
    assert!(matches!(said.code, Some(0 | 75)), "{said:?}");
    let token = stage.get_in_the_end();
    assert_eq!(stage.sim.newest_access(IT), Some(token));
    assert_eq!(stage.requests(), 2);
    assert_eq!(stage.property("NRestarts"), "0", "the daemon went on");
    stage.behaved();
}

#[test]
fn a_relay_that_does_not_start_is_named_and_found_again_once_it_is_mended() {
    let Some(stage) = Stage::started() else {
        return;
    };
    let path = format!("/etc/systemd/system/{RELAY}.d/broken.conf");
    let broken = "[Service]\nExecStart=\nExecStart=/bin/false\n";
    stage.machine.put(&path, broken, "644").unwrap();
    stage.systemctl(&["daemon-reload"]);
    let mut said = stage.get_as(CLIENT);
    stage.wait("the relay to be given up", || {
        said = stage.get_as(CLIENT);
        let socket = stage
            .machine
            .property("tokend-egress.socket", "ActiveState");
        socket.unwrap() == "failed" && said.err.contains("the egress relay at 127.0.0.1:3128")
    });
    assert_eq!(said.code, Some(75), "{said:?}");
    assert!(
        said.err.contains("systemctl status tokend-egress"),
        "{said:?}"
    );
    let doctor = stage
        .machine
        .run_as("tokend", &["tokenctl", "doctor"])
        .unwrap();
    assert!(
        doctor.out.contains("journalctl -u tokend-egress"),
        "{doctor:?}"
    );
    let daemon = stage.property("MainPID");
    let way_out = stage.way_out("relay");
    let mend = format!("rm {path}\nsystemctl daemon-reload\n{way_out}");
    stage.machine.shell(&mend).unwrap();
    let token = stage.get_in_the_end();
    assert_eq!(stage.sim.newest_access(IT), Some(token));
    assert_eq!(stage.property("MainPID"), daemon, "it was never restarted");
    stage.behaved();
}

#[test]
fn a_name_that_cannot_be_resolved_is_told_in_the_words_of_the_resolver() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    let url = stage.sim.base_url(stage.sim.accounts()[0].api);
    let text = stage.configuration("password = { file = \"/etc/tokend/secrets/it\" }");
    let elsewhere = text.replace(&url, "https://no-such-host.invalid");
    stage
        .machine
        .put("/etc/tokend/tokend.toml", &elsewhere, "644")
        .unwrap();
    stage.systemctl(&["start", "tokend.service"]);
    let said = stage.get_as(CLIENT);
    assert_eq!(said.code, Some(75), "{said:?}");
    assert!(said.err.contains("dns error: failed to lookup"), "{said:?}");
    let log = stage.machine.journal(RELAY).unwrap();
    let line = "not reached: no-such-host.invalid:443: its name cannot be resolved";
    assert!(log.contains(line), "{log}");
    let doctor = stage
        .machine
        .run_as("tokend", &["tokenctl", "doctor"])
        .unwrap();
    assert!(
        doctor.out.contains("the resolver of this machine"),
        "{doctor:?}"
    );
}

#[test]
fn a_command_reaches_its_secret_through_the_relay() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    stage
        .machine
        .put("/root/served/secret", &stage.password(), "644")
        .unwrap();
    let serve = [
        "python3",
        "-m",
        "http.server",
        "--bind",
        "127.0.0.1",
        "--directory",
        "/root/served",
        "8099",
    ];
    let _server = stage.machine.spawn(&serve).unwrap();
    let there = connects("8099");
    stage.wait("what serves the secret", || {
        stage.run(&words(&there)).code == Some(0)
    });
    let fetch = "import urllib.request as it; print(it.urlopen('http://127.0.0.1:8099/secret').read().decode(), end='')";
    stage.configure(&format!(
        "password = {{ command = [\"python3\", \"-c\", \"{fetch}\"] }}"
    ));
    stage.systemctl(&["start", "tokend.service"]);
    let token = stage.get();
    assert_eq!(stage.sim.newest_access(IT), Some(token));
}

#[test]
fn the_drop_in_for_a_network_of_its_own_needs_no_relay() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    stage.example("direct-network.conf");
    stage.systemctl(&["start", "tokend.service"]);
    let token = stage.get();
    assert_eq!(stage.sim.newest_access(IT), Some(token));
    let daemon = stage.property("MainPID");
    assert_eq!(stage.namespace(&daemon, "net"), stage.namespace("1", "net"));
    assert_eq!(stage.relay("ActiveState"), "inactive");
    let seen = stage.inside(&["ls", "-A", "/tmp"]);
    assert_eq!((seen.code, seen.out.as_str()), (Some(0), ""), "{seen:?}");
    stage.behaved();
}
