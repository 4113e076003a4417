//! Tokens as credentials of units: `LoadCredential=ACCOUNT:/run/tokend/credentials.sock`, with the unmodified systemd.

mod failures;

use std::time::Duration;

use tokend_harness::{Said, clock::Stopwatch};
use tokend_provider_simulator::fault::{Fault, FaultKind, Rule};

use tokend_tests::systemd::unit_files;

use super::audit::records;
use super::guide::SUDO;
use super::stage::{CLIENT, IT, SECRET, STRANGER, Stage};

const SOCKET: &str = "/run/tokend/credentials.sock";
/// What systemd's exit status for a unit without its credentials is called.
const NO_CREDENTIALS: &str = "243";
/// Connects as systemd does, with this address, and writes what comes to standard output.
const FORGE: &str = r#"
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind("\0" + sys.argv[1])
s.connect("/run/tokend/credentials.sock")
while True:
    part = s.recv(65536)
    if not part:
        break
    sys.stdout.buffer.write(part)
"#;

impl Stage {
    /// The socket of credentials is enabled, the daemon not started, and only `report.service` may have the token.
    fn listening() -> Option<Self> {
        let stage = Self::configured()?;
        stage.allow_units("[{ unit = \"report.service\" }]");
        stage.systemctl(&[
            "enable",
            "--now",
            "tokend.socket",
            "tokend-credentials.socket",
        ]);
        Some(stage)
    }

    /// Writes these rules into the configuration.
    fn allow_units(&self, rules: &str) {
        let path = "/etc/tokend/tokend.toml";
        let text = self.run(&["cat", path]).out;
        let line = |line: &str| match line.starts_with("allow = ") {
            true => format!("allow = {rules}\n"),
            false => format!("{line}\n"),
        };
        let text: String = text.lines().map(line).collect();
        self.machine.put(path, &text, "644").unwrap();
    }

    /// A job of this name that copies the credentials it finds, if it is started at all.
    fn unit(&self, name: &str, lines: &str) {
        let text = format!(
            "[Service]\nType=oneshot\nLoadCredential={IT}:{SOCKET}\n{lines}\nExecStart=sh -c 'cp \"$CREDENTIALS_DIRECTORY\"/* /srv/copies/'\n"
        );
        let path = format!("/etc/systemd/system/{name}");
        self.machine.put(&path, &text, "644").unwrap();
        let copies = "rm -rf /srv/copies; mkdir -m 777 /srv/copies";
        self.machine.shell(copies).unwrap();
        self.systemctl(&["daemon-reload"]);
    }

    /// A credential that a job copied.
    fn copy(&self, id: &str) -> Option<String> {
        let said = self.run(&["cat", &format!("/srv/copies/{id}")]);
        (said.code == Some(0)).then_some(said.out)
    }

    /// Starts a unit that must fail for want of its credential, and has run nothing.
    fn fails(&self, unit: &str) -> String {
        let said = self.run(&["systemctl", "start", unit]);
        assert_ne!(said.code, Some(0), "{said:?}");
        let status = self.machine.property(unit, "ExecMainStatus").unwrap();
        assert_eq!(status, NO_CREDENTIALS, "{said:?}\n{}", self.journal());
        let copied = self.run(&["ls", "-A", "/srv/copies"]);
        assert_eq!(copied.out, "", "the job was not started");
        self.journal()
    }

    /// Connects with this address in a unit or as a user, as `words` says.
    fn forge(&self, words: &[&str], address: &str) -> Said {
        let python = ["python3", "-c", FORGE, address];
        self.run(&[words, &python].concat())
    }
}

/// What a refused connection brings.
fn is_refusal(said: &Said) -> bool {
    said.out.len() > 1 << 20 && said.out.bytes().all(|byte| byte == b' ')
}

#[test]
fn a_unit_loads_its_token_and_starts_the_daemon_for_it() {
    let Some(stage) = Stage::listening() else {
        return;
    };
    assert_eq!(stage.property("ActiveState"), "inactive");
    let formats = [".json", ".header", ".curl"];
    let more = formats.map(|suffix| format!("LoadCredential={IT}{suffix}:{SOCKET}\n"));
    let more = more.concat();
    // The credentials are fetched before the unit's sandbox is made, once for the commands before and once for the unit.
    let sandbox = format!(
        "{more}DynamicUser=yes\nReadWritePaths=/srv/copies\nPrivateNetwork=yes\nInaccessiblePaths={SOCKET}\n\
         ExecStartPre=test -s %d/{IT}\nExecStartPre=test -s %d/{IT}.json"
    );
    for lines in [&more, &format!("{more}User={STRANGER}"), &sandbox] {
        stage.unit("report.service", lines);
        stage.systemctl(&["start", "report.service"]);
        let token = stage.sim.newest_access(IT).unwrap();
        assert_eq!(stage.copy(IT), Some(token.clone()), "no line end");
        let header = format!("Authorization: Bearer {token}\n");
        assert_eq!(stage.copy("it.header"), Some(header));
        let curl = format!("header = \"Authorization: Bearer {token}\"\n");
        assert_eq!(stage.copy("it.curl"), Some(curl));
        let json = stage.copy("it.json").unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["access_token"], token.as_str());
    }
    assert_eq!(stage.requests(), 1, "one token for all of them");
    let releases = || {
        let all = records(&stage).into_iter();
        all.filter(|it| it["TOKEND_EVENT"] == "release")
            .collect::<Vec<_>>()
    };
    // Four credentials, three times, and twice more for the commands of ExecStartPre=, each of which gets fresh ones.
    stage.wait("the records", || releases().len() >= 20);
    assert_eq!(releases().len(), 20);
    for release in releases() {
        assert_eq!(release["TOKEND_OUTLET"], "credentials");
        assert_eq!(release["TOKEND_UNIT"], "report.service");
        assert_eq!(
            release["TOKEND_UID"], "0",
            "systemd asks, whatever the unit's user"
        );
    }
    // A refused token: what the unit gets at its next start is the new one.
    let before = stage.copy(IT).unwrap();
    stage.machine.put("/root/refused", &before, "600").unwrap();
    stage.allow_units("[{ unit = \"report.service\" }, { user = \"root\" }]");
    stage
        .machine
        .shell("systemctl reload tokend.service\ntokenctl reject it < /root/refused")
        .unwrap();
    stage.machine.shell("rm /srv/copies/*").unwrap();
    stage.systemctl(&["restart", "report.service"]);
    assert_eq!(stage.copy(IT), stage.sim.newest_access(IT));
    assert_ne!(stage.copy(IT), Some(before));
    stage.behaved();
}

#[test]
fn a_job_of_a_timer_and_a_unit_of_a_users_own_systemd_load_theirs() {
    let Some(stage) = Stage::listening() else {
        return;
    };
    stage.unit("report.service", "");
    let timer = "[Timer]\nOnActiveSec=100ms\nAccuracySec=1ms\nUnit=report.service\n";
    let path = "/etc/systemd/system/nightly.timer";
    stage.machine.put(path, timer, "644").unwrap();
    stage.systemctl(&["daemon-reload"]);
    stage.systemctl(&["start", "nightly.timer"]);
    stage.wait("the job", || stage.copy(IT).is_some());
    assert_eq!(stage.copy(IT), stage.sim.newest_access(IT));

    // The same unit of a user's own systemd: the policy sees the user, and the unit of that user.
    stage.allow_units("[{ user = \"deploy\", user_unit = \"sync.service\" }]");
    stage.systemctl(&["reload", "tokend.service"]);
    for user in [CLIENT, STRANGER] {
        let linger = format!("loginctl enable-linger {user}");
        stage.machine.shell(&linger).unwrap();
    }
    let load = |user: &str, unit: &str| {
        stage
            .machine
            .shell("rm -rf /srv/copies; mkdir -m 777 /srv/copies")
            .unwrap();
        let uid = stage.run(&["id", "-u", user]).line().unwrap();
        stage.wait("the user's systemd", || {
            let unit = format!("user@{uid}.service");
            stage.machine.property(&unit, "ActiveState").unwrap() == "active"
        });
        let runtime = format!("XDG_RUNTIME_DIR=/run/user/{uid}");
        let credential = format!("--property=LoadCredential={IT}:{SOCKET}");
        let copy = "cp $CREDENTIALS_DIRECTORY/it /srv/copies/";
        let run = [
            "env",
            &runtime,
            "systemd-run",
            "--user",
            "--quiet",
            "--wait",
            "--collect",
        ];
        let words = [&run[..], &["--unit", unit, &credential, "sh", "-c", copy]].concat();
        let said = stage.machine.run_as(user, &words).unwrap();
        (said.code == Some(0), stage.copy(IT))
    };
    let token = stage.sim.newest_access(IT);
    assert_eq!(
        load(CLIENT, "sync.service"),
        (true, token),
        "{}",
        stage.journal()
    );
    assert_eq!(load(CLIENT, "other.service"), (false, None));
    assert_eq!(load(STRANGER, "sync.service"), (false, None));
    let advice = "{ user = ";
    assert!(stage.journal().contains(advice), "{}", stage.journal());
    stage.behaved();
}

#[test]
fn a_unit_without_a_right_does_not_start_and_the_log_says_what_to_do() {
    let Some(stage) = Stage::listening() else {
        return;
    };
    stage.unit("other@a\\x2db.service", "");
    let journal = stage.fails("other@a\\x2db.service");
    let rule = "{ unit = 'other@a\\x2db.service' }";
    let advice = format!("have {rule} added to `allow` of [account.{IT}], and reload");
    let line = "a credential was refused: it of other@a\\x2db.service, which does not start: ";
    assert!(
        journal.contains(line) && journal.contains(&advice),
        "{journal}"
    );
    let denials = || {
        let all = records(&stage).into_iter();
        all.filter(|it| it["TOKEND_EVENT"] == "denial")
            .collect::<Vec<_>>()
    };
    stage.wait("the record", || !denials().is_empty());
    let denial = denials().remove(0);
    assert_eq!(denial["TOKEND_OUTLET"], "credentials");
    assert_eq!(denial["TOKEND_UNIT"], "other@a\\x2db.service");
    assert_eq!(denial["TOKEND_ACCOUNT"], IT);
    // The advice, followed.
    stage.allow_units(&format!("[{rule}, {{ unit = \"report.service\" }}]"));
    stage.systemctl(&["reload", "tokend.service"]);
    stage.systemctl(&["start", "other@a\\x2db.service"]);
    assert_eq!(stage.copy(IT), stage.sim.newest_access(IT));
    // No such account, and a name that no account can have.
    stage.unit("report.service", &format!("LoadCredential=nobody:{SOCKET}"));
    let journal = stage.fails("report.service");
    assert!(
        journal.contains("a credential was refused: nobody of report.service, which does not start: there is no account nobody that this unit may use"),
        "{journal}"
    );
    stage.unit("report.service", &format!("LoadCredential=_x:{SOCKET}"));
    let journal = stage.fails("report.service");
    assert!(
        journal.contains("a credential was refused: _x of report.service, which does not start: no account can have such a name"),
        "{journal}"
    );
    // A fallback would hide that there is no token: systemd does not use one.
    stage.unit("report.service", "SetCredential=it:fallback");
    stage.allow_units("[{ unit = \"nobody.service\" }]");
    stage.systemctl(&["reload", "tokend.service"]);
    stage.fails("report.service");
    stage.behaved();
}

#[test]
fn a_unit_whose_account_needs_a_login_does_not_start() {
    let Some(stage) = Stage::listening() else {
        return;
    };
    stage.machine.put(SECRET, "wrong", "600").unwrap();
    let give = format!("chown tokend: {SECRET}");
    stage.machine.shell(&give).unwrap();
    stage.unit("report.service", "");
    let journal = stage.fails("report.service");
    let advice = format!("correct the password that [account.{IT}] refers to");
    assert!(journal.contains(&advice), "{journal}");
    // Corrected, it starts.
    stage.place_secret();
    stage.systemctl(&["reload", "tokend.service"]);
    stage.systemctl(&["start", "report.service"]);
    assert_eq!(stage.copy(IT), stage.sim.newest_access(IT));
}

/// First use, the next token, the next one after a refusal, and none, with the lines that `tokenctl integrate` prints.
#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story: each step stands on the one before"
)]
fn the_unit_of_integrate_loads_its_token_or_does_not_start() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    stage.allow_units("[{ unit = \"report.service\" }, { user = \"deploy\" }]");
    stage.systemctl(&["enable", "--now", "tokend.socket", "tokend.service"]);
    stage
        .machine
        .put("/usr/local/bin/sudo", SUDO, "755")
        .unwrap();
    let guide = std::fs::read_to_string(unit_files().join("README.md")).unwrap();
    stage.follow_in(&guide, "/", "enable tokend-credentials.socket");
    let lines = stage.run(&["tokenctl", "integrate", "systemd-creds", IT]);
    let unit = lines.line().unwrap() + "\nType=oneshot\nRemainAfterExit=yes\n";
    let path = "/etc/systemd/system/report.service";
    stage.machine.put(path, &unit, "644").unwrap();
    let report = "#!/bin/sh\n[ \"$1\" = --token-file ] && cat \"$2\" > /tmp/reported\n";
    let program = "/usr/local/bin/report";
    stage.machine.put(program, report, "755").unwrap();
    stage.systemctl(&["daemon-reload"]);
    let reported = || stage.run(&["cat", "/tmp/reported"]).out;
    stage.systemctl(&["start", "report.service"]);
    let first = reported();
    assert_eq!(stage.sim.newest_access(IT), Some(first.clone()));
    let refresh = ["tokenctl", "refresh", IT];
    stage
        .machine
        .run_as("tokend", &refresh)
        .unwrap()
        .line()
        .unwrap();
    stage.systemctl(&["restart", "report.service"]);
    let second = reported();
    assert_ne!(second, first);
    assert_eq!(stage.sim.newest_access(IT), Some(second.clone()));
    let reject = format!("tokenctl get {IT} | tokenctl reject {IT}");
    let reject = ["sh", "-c", &reject];
    let said = stage.machine.run_as(CLIENT, &reject).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    stage.systemctl(&["restart", "report.service"]);
    assert_ne!(reported(), second);
    assert_eq!(stage.sim.newest_access(IT), Some(reported()));
    // Only a person can help: the program is not started, and the log of tokend says what to do.
    stage.machine.shell("rm /tmp/reported").unwrap();
    stage.machine.put(SECRET, "wrong", "600").unwrap();
    stage
        .machine
        .shell(&format!("chown tokend: {SECRET}"))
        .unwrap();
    stage.sim.end_refresh(IT);
    let said = stage.machine.run_as(CLIENT, &reject).unwrap();
    assert_eq!(said.code, Some(79), "{said:?}");
    let said = stage.run(&["systemctl", "restart", "report.service"]);
    assert_ne!(said.code, Some(0), "{said:?}");
    let status = stage.machine.property("report.service", "ExecMainStatus");
    assert_eq!(status.unwrap(), NO_CREDENTIALS);
    assert_eq!(reported(), "");
    let journal = stage.journal();
    let advice = format!("correct the password that [account.{IT}] refers to");
    let line = journal
        .lines()
        .find(|line| line.contains("a credential was refused: it of report.service"));
    assert!(line.is_some_and(|line| line.contains(&advice)), "{journal}");
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story: each step stands on the one before"
)]
fn a_unit_waits_for_its_token_and_neither_its_wait_nor_a_stop_leaves_it_an_empty_one() {
    let Some(stage) = Stage::listening() else {
        return;
    };
    stage.unit("report.service", "");
    let starting = || {
        let start = ["systemctl", "start", "report.service"];
        let before = stage.requests();
        let starting = stage.machine.spawn(&start).unwrap();
        stage.wait_for_requests(before + 1);
        starting
    };
    stage
        .sim
        .fail(Rule::once(IT, Fault::after(FaultKind::Slow { ms: 3000 })));
    let waiting = starting();
    // Meanwhile systemd answers.
    let began = Stopwatch::start();
    stage.systemctl(&["show", "--property=ActiveState", "report.service"]);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    let state = stage
        .machine
        .property("report.service", "ActiveState")
        .unwrap();
    assert_eq!(state, "activating");
    let said = waiting.wait().unwrap();
    assert_eq!(said.code, Some(0), "{said:?}\n{}", stage.journal());
    assert_eq!(stage.copy(IT), stage.sim.newest_access(IT));
    stage.behaved();

    // The daemon dies while the unit waits: the next one answers it.
    let kept = || stage.property("NFileDescriptorStore");
    assert_eq!(kept(), "0");
    stage.unit("report.service", "");
    stage
        .machine
        .shell("runuser -u tokend -- tokenctl forget it --yes")
        .unwrap();
    stage
        .sim
        .fail(Rule::once(IT, Fault::after(FaultKind::Slow { ms: 3000 })));
    let waiting = starting();
    stage.wait_for("NFileDescriptorStore", "1");
    stage.signal("KILL");
    let said = waiting.wait().unwrap();
    assert_eq!(said.code, Some(0), "{said:?}\n{}", stage.journal());
    assert_eq!(stage.copy(IT), stage.sim.newest_access(IT));
    stage.wait_for("NFileDescriptorStore", "0");

    // It stops, and has no time to finish: the unit does not start.
    stage.unit("report.service", "");
    stage
        .machine
        .shell("runuser -u tokend -- tokenctl forget it --yes")
        .unwrap();
    stage
        .sim
        .fail(Rule::once(IT, Fault::after(FaultKind::Slow { ms: 60_000 })));
    let waiting = starting();
    stage.systemctl(&["stop", "--no-block", "tokend.service"]);
    stage.wait_for("SubState", "stop-sigterm");
    stage.signal("TERM");
    let said = waiting.wait().unwrap();
    assert_ne!(said.code, Some(0), "{said:?}");
    let status = stage
        .machine
        .property("report.service", "ExecMainStatus")
        .unwrap();
    assert_eq!(status, NO_CREDENTIALS, "{said:?}\n{}", stage.journal());
    assert_eq!(stage.copy(IT), None);
}

#[test]
fn a_process_that_takes_the_name_of_a_unit_gets_nothing_of_it() {
    let Some(stage) = Stage::listening() else {
        return;
    };
    stage.unit("report.service", "");
    stage.systemctl(&["start", "report.service"]);
    let token = stage.sim.newest_access(IT).unwrap();
    let address = "deadbeef/unit/report.service/it";
    let run = [
        "systemd-run",
        "--quiet",
        "--pipe",
        "--wait",
        "--collect",
        "--unit",
    ];
    let as_stranger = ["runuser", "--user", STRANGER, "--"];
    for words in [
        &as_stranger[..],
        &[&run[..], &["evil.service"]].concat(),
        &[&run[..], &["evil.service", "--uid", STRANGER]].concat(),
        // In the very unit, as another user than systemd.
        &[&run[..], &["report2.service", "--uid", STRANGER]].concat(),
    ] {
        let said = stage.forge(words, address);
        assert!(is_refusal(&said), "{words:?}: {} bytes", said.out.len());
    }
    for address in [
        "",
        "x",
        "1/unit/report.service",
        "1/unit/report.service/it/",
        "1/unit/evil.service/it",
    ] {
        let said = stage.forge(&as_stranger, address);
        assert!(is_refusal(&said), "{address}: {} bytes", said.out.len());
    }
    let journal = stage.journal();
    assert!(
        journal.contains("that process is in evil.service"),
        "{journal}"
    );
    assert!(journal.contains("that process is not systemd"), "{journal}");
    // As systemd 260 does at a reload: from the control group of the manager itself, which only root can enter.
    let itself = "echo 0 > /sys/fs/cgroup/init.scope/cgroup.procs && exec \"$@\"";
    let said = stage.forge(&["sh", "-euc", itself, "sh"], address);
    assert_eq!(said.out, token, "{said:?}\n{}", stage.journal());
    let said = stage.forge(&["sh", "-euc", itself, "sh"], "1/unit/evil.service/it");
    assert!(is_refusal(&said), "the unit that is named has no right");
    let said = stage.forge(
        &[&as_stranger[..], &["sh", "-c", itself, "sh"]].concat(),
        address,
    );
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
    assert_eq!(stage.requests(), 1);
}
