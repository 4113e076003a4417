//! A user's own broker, under a user who is not logged in.

use tokend_harness::Said;
use tokend_tests::systemd;

use super::{
    guide,
    stage::{CLIENT, IT, STRANGER, Stage},
};

/// A user's systemd, and the commands of that user in it.
struct Own {
    stage: Stage,
    uid: String,
}

impl Own {
    /// A user who is not logged in, with a configuration that was not started.
    fn configured() -> Option<Self> {
        let stage = Stage::configured()?;
        let password = "/home/deploy/password";
        let configuration = stage.configuration(&format!("password = {{ file = \"{password}\" }}"));
        let at = "/home/deploy/.config/tokend/tokend.toml";
        let machine = &stage.machine;
        machine.put(at, &configuration, "644").unwrap();
        machine.put(password, &stage.password(), "600").unwrap();
        machine
            .shell("chown -R deploy: /home/deploy\nloginctl enable-linger deploy")
            .unwrap();
        let uid = stage.run(&["id", "-u", CLIENT]).line().unwrap();
        stage.wait("the user's systemd", || {
            let unit = format!("user@{uid}.service");
            machine.property(&unit, "ActiveState").unwrap() == "active"
        });
        Some(Self { stage, uid })
    }

    fn run(&self, command: &[&str]) -> Said {
        let runtime = format!("XDG_RUNTIME_DIR=/run/user/{}", self.uid);
        let line = [&["env", runtime.as_str(), "HOME=/home/deploy"], command].concat();
        self.stage.machine.run_as(CLIENT, &line).unwrap()
    }

    fn start(&self) {
        let said = self.run(&[
            "systemctl",
            "--user",
            "enable",
            "--now",
            "tokend.socket",
            "tokend.service",
        ]);
        let log = self.run(&["journalctl", "--user", "--no-pager", "--lines=40"]);
        assert_eq!(said.code, Some(0), "{said:?}\n{}", log.out);
    }

    fn get(&self) -> String {
        self.run(&["tokenctl", "get", IT]).line().unwrap()
    }
}

#[test]
fn a_lingering_user_has_a_broker_of_their_own() {
    let Some(own) = Own::configured() else {
        return;
    };
    own.start();
    let token = own.get();
    assert_eq!(own.stage.sim.newest_access(IT), Some(token.clone()));
    for word in ["reload", "restart"] {
        let said = own.run(&["systemctl", "--user", word, "tokend.service"]);
        said.line().unwrap();
    }
    assert_eq!(own.get(), token);
    assert_eq!(own.stage.requests(), 1);
    // No other user can reach it.
    let socket = format!("/run/user/{}/tokend/tokend.sock", own.uid);
    let get = ["tokenctl", "--socket", &socket, "get", IT];
    let said = own.stage.machine.run_as(STRANGER, &get).unwrap();
    assert_eq!(said.code, Some(77));
}

#[test]
fn a_sink_of_ones_own_keeps_the_file_that_discovery_finds() {
    let Some(own) = Own::configured() else {
        return;
    };
    own.start();
    let text = format!("account = \"{IT}\"\nwlcg = true\n");
    let at = "/home/deploy/.config/tokend/sinks.d/wlcg.toml";
    own.stage.machine.put(at, &text, "644").unwrap();
    own.stage
        .machine
        .shell("chown -R deploy: /home/deploy/.config")
        .unwrap();
    let systemctl = |words: &[&str]| {
        let said = own.run(&[&["systemctl", "--user"], words].concat());
        let log = own.run(&["journalctl", "--user", "--no-pager", "--lines=40"]);
        assert_eq!(said.code, Some(0), "{words:?}: {said:?}\n{}", log.out);
    };
    let file = format!("/run/user/{0}/bt_u{0}", own.uid);
    systemctl(&["enable", "--now", "tokend-sink@wlcg.service"]);
    let token = own.get();
    assert_eq!(own.run(&["cat", &file]).out, token, "it is ready");
    systemctl(&["restart", "tokend-sink@wlcg.service"]);
    assert_eq!(own.run(&["cat", &file]).out, token);
    own.run(&["sh", "-c", "tokenctl get it | tokenctl reject it"])
        .line()
        .ok();
    own.stage.wait("the newer token", || {
        let newest = own.stage.sim.newest_access(IT);
        newest != Some(token.clone()) && newest == Some(own.run(&["cat", &file]).out)
    });
    systemctl(&["stop", "tokend-sink@wlcg.service"]);
    assert_ne!(own.run(&["test", "-e", &file]).code, Some(0));
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story: each step stands on the one before"
)]
fn the_drop_in_for_a_users_broker_fences_it_in_and_it_serves() {
    let Some(own) = Own::configured() else {
        return;
    };
    let name = "systemd/examples/user-hardened.conf";
    let from = systemd::unit_files().join("examples/user-hardened.conf");
    let to = format!("/home/deploy/tokend/{name}");
    own.stage.machine.copy(&from, &to, "644").unwrap();
    // As the guide has it.
    let guide = std::fs::read_to_string(systemd::unit_files().join("README.md")).unwrap();
    let commands = guide::commands(&guide, "user-hardened.conf");
    let script = format!("cd ~/tokend\n{commands}");
    own.run(&["sh", "-euc", &script]).line().unwrap();
    own.start();
    let token = own.get();
    assert_eq!(own.stage.sim.newest_access(IT), Some(token.clone()));
    own.run(&["systemctl", "--user", "restart", "tokend.service"])
        .line()
        .unwrap();
    assert_eq!(own.get(), token, "what is held is kept");

    let main = [
        "systemctl",
        "--user",
        "show",
        "-P",
        "MainPID",
        "tokend.service",
    ];
    let pid = own.run(&main).line().unwrap();
    let inside = |command: &str| {
        let enter = ["nsenter", "--mount", "--target", &pid, "--", "sh", "-c"];
        own.stage.run(&[&enter[..], &[command]].concat())
    };
    for place in [
        "/home/deploy",
        "/usr",
        "/etc",
        "/home/deploy/.config/tokend",
    ] {
        let said = inside(&format!("touch {place}/written"));
        assert!(said.err.contains("Read-only"), "{place}: {said:?}");
    }
    inside("touch /home/deploy/.local/state/tokend/written")
        .line()
        .unwrap();
    let status = own
        .stage
        .run(&["grep", "CapBnd", &format!("/proc/{pid}/status")]);
    assert!(status.out.ends_with("\t0000000000000000\n"), "{status:?}");
    let link = |pid: &str| {
        own.stage
            .run(&["readlink", &format!("/proc/{pid}/ns/user")])
            .out
    };
    assert_ne!(link(&pid), link("1"));
    // `whoami` shows the facts that this takes away.
    let whoami = own.run(&["tokenctl", "whoami", "--json"]).json().unwrap();
    assert!(whoami["executable"].is_null(), "{whoami}");

    let analyze = [
        "systemd-analyze",
        "security",
        "--user",
        "--offline=true",
        "--no-pager",
        "--threshold=17",
        "/usr/lib/systemd/user/tokend.service",
    ];
    let said = own.run(&analyze);
    assert_eq!(said.code, Some(0), "{said:?}");
}
