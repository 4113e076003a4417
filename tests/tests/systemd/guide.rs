//! The commands of `systemd/README.md`, executed as they stand there.

use std::fs;

use tokend_harness::built;
use tokend_tests::systemd::unit_files;

use super::stage::{CLIENT, IT, Stage};

/// The directory from which the guide is followed: the content of the tarball.
const CHECKOUT: &str = "/root/tokend";
/// `sudo` for root itself.
pub(crate) const SUDO: &str = "#!/bin/sh
case $1 in -u) user=$2; shift 2; exec runuser -u \"$user\" -- \"$@\" ;; esac
exec \"$@\"
";
/// Answers in place of a person.
const ASK: &str = "#!/bin/sh\ncat /root/asked\n";

#[test]
fn the_guide_is_followed_to_the_letter() {
    let Some(stage) = Stage::bare() else { return };
    stage
        .machine
        .put("/usr/local/bin/sudo", SUDO, "755")
        .unwrap();
    stage
        .machine
        .put("/usr/local/bin/systemd-ask-password", ASK, "755")
        .unwrap();
    stage
        .machine
        .put("/root/asked", &stage.password(), "600")
        .unwrap();
    checkout(&stage);

    stage.follow("systemd-sysusers");
    stage.follow("--name=tokend.key");
    stage.mend_configuration();
    stage.place_secret();
    stage.follow("tokend check");
    let token = stage.get();
    let state = stage.run(&["ls", "-A", "/var/lib/tokend"]).line().unwrap();
    assert!(
        !state.contains("key"),
        "the key is with systemd only: {state}"
    );

    stage.machine.shell("rm /etc/tokend/secrets/it").unwrap();
    stage.configure("password = { credential = \"ads-password\" }");
    stage.follow("--name=ads-password");
    assert_eq!(stage.get(), token);
    let said = stage
        .machine
        .run_as("tokend", &["tokenctl", "refresh", IT])
        .unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");

    stage.break_configuration();
    assert_ne!(
        stage.run(&["systemctl", "restart", "tokend.service"]).code,
        Some(0)
    );
    stage.configure("password = { credential = \"ads-password\" }");
    stage.follow("reset-failed");
    let next = stage.get();
    assert_eq!(stage.sim.newest_access(IT), Some(next));
    assert_eq!(stage.requests(), 2);

    stage.follow("tokend-metrics.socket\n");
    let ask = r"exec 3<>/dev/tcp/127.0.0.1/9464; printf 'GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n' >&3; cat <&3";
    let metrics = stage.run(&["bash", "-c", ask]).out;
    assert!(metrics.contains("tokend_build_info{"), "{metrics}");

    tokens_over_http(&stage);
    stage.follow("direct-network.conf");
    let network = |pid: &str| stage.run(&["readlink", &format!("/proc/{pid}/ns/net")]).out;
    assert_eq!(network(&stage.property("MainPID")), network("1"));
    stage.behaved();
}

/// The commands that ask at the socket for HTTP, as the documents have them.
fn lines_of_curl() -> Vec<String> {
    let units = unit_files();
    let documents = [units.join("README.md"), units.join("../README.md")];
    let texts = documents.map(|path| fs::read_to_string(path).unwrap());
    let lines = texts.iter().flat_map(|text| text.lines());
    let found = lines.flat_map(|line| {
        let is_whole = line.starts_with("curl ");
        let parts = if is_whole {
            vec![line]
        } else {
            line.split('`').skip(1).step_by(2).collect()
        };
        parts
            .into_iter()
            .filter(|it| it.starts_with("curl ") && it.contains("http.sock"))
    });
    found.map(str::to_owned).collect()
}

/// Every such command, for the account that there is, brings what the text says.
fn curl_is_followed(stage: &Stage) {
    let lines = lines_of_curl();
    assert_eq!(lines.len(), 5, "{lines:#?}");
    for line in lines {
        let line = line.replace("/accounts/ads/", &format!("/accounts/{IT}/"));
        // A watch has no end.
        let script = match line.ends_with("/watch") {
            true => format!(
                "cd \"$HOME\"; {line} > watched & until grep -q access_token watched; do sleep 0.05; done; kill $!; cat watched"
            ),
            false => line.clone(),
        };
        let said = stage
            .machine
            .run_as(CLIENT, &["timeout", "60", "sh", "-c", &script])
            .unwrap();
        assert_eq!(said.code, Some(0), "{line}: {said:?}");
        let first = said.out.lines().next().unwrap_or_default();
        let answer: serde_json::Value =
            serde_json::from_str(first).unwrap_or_else(|error| panic!("{error}: {line}: {said:?}"));
        let newest = serde_json::Value::from(stage.sim.newest_access(IT));
        match line.rsplit('/').next().unwrap() {
            "status" => assert_eq!(answer["state"], "valid", "{answer}"),
            "whoami" => assert_eq!(answer["user"], CLIENT, "{answer}"),
            _ => assert_eq!(answer["access_token"], newest, "{line}"),
        }
    }
}

fn tokens_over_http(stage: &Stage) {
    stage.follow("tokend-http.socket\n");
    curl_is_followed(stage);

    stage.follow("tokend-oidc-agent.socket\n");
    let socket = "OIDC_SOCK=/run/tokend/oidc-agent.sock";
    let ask = ["env", socket, "oidc-token", IT];
    let answer = stage.machine.run_as(CLIENT, &ask).unwrap().out;
    let newest = stage.sim.newest_access(IT).unwrap();
    assert_eq!(answer.trim_end(), newest);
}

fn checkout(stage: &Stage) {
    let binaries = built().unwrap();
    // It is built beside tokenctl.
    let request = binaries.tokenctl.with_file_name("tokenctl-request");
    for program in [binaries.tokend, binaries.tokenctl, request] {
        let name = program.file_name().unwrap().to_str().unwrap();
        let to = format!("{CHECKOUT}/bin/{name}");
        stage.machine.copy(&program, &to, "755").unwrap();
    }
    for name in [
        "tokend.service",
        "tokend.socket",
        "tokend-egress.service",
        "tokend-egress.socket",
        "tokend-metrics.socket",
        "tokend-sink@.service",
        "tokend-endpoint@.service",
        "tokend-endpoint@.socket",
        "tokend-http.socket",
        "tokend-credentials.socket",
        "tokend-oidc-agent.socket",
        "examples/direct-network.conf",
        "tokend.sysusers",
        "tokend.tmpfiles",
    ] {
        let to = format!("{CHECKOUT}/systemd/{name}");
        stage
            .machine
            .copy(&unit_files().join(name), &to, "644")
            .unwrap();
    }
}

/// The block of commands that contains this text.
pub(crate) fn commands(guide: &str, mark: &str) -> String {
    let block = guide
        .split("```console\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .find(|block| block.contains(mark))
        .unwrap_or_else(|| panic!("no commands with {mark} in the guide"));
    let lines: Vec<_> = block
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("$ "))
        .collect();
    lines.join("\n")
}

impl Stage {
    /// Executes the block of commands that contains this text.
    fn follow(&self, mark: &str) {
        let guide = fs::read_to_string(unit_files().join("README.md")).unwrap();
        self.follow_in(&guide, CHECKOUT, mark);
    }

    /// The same of another copy of the guide, from another place.
    pub(crate) fn follow_in(&self, guide: &str, place: &str, mark: &str) {
        let script = format!("cd {place}\n{}", commands(guide, mark));
        if let Err(error) = self.machine.shell(&script) {
            panic!("{error:#}\n{}", self.journal());
        }
    }
}
