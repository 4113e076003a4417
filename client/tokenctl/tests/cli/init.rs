//! `tokenctl init` beside a program `tokend` that is missing, old, slow or wrong, and what stands in the wrong place of its command line.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::run::{Ended, bare, ended};

const TURN: Duration = Duration::from_millis(5);
/// Half a minute.
const TURNS: usize = 6000;

/// What a `tokend` of this release says, but for `check`.
const GOOD: &str = r#"case "$1 $2" in
    "dialect list") echo 'odd  An odd API' ;;
    "dialect needs") echo '{"base_url":true,"login":true,"options":[],"fields":[{"name":"password","description":"","secret":true,"required":true}]}' ;;
    *) check "$@" ;;
esac
"#;

/// A directory with tokenctl, and beside it a `tokend` of this script.
struct Place(tempfile::TempDir);

impl Place {
    fn with(check: &str, script: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let own = place.path("tokenctl");
        let from = env!("CARGO_BIN_EXE_tokenctl");
        fs::hard_link(from, &own)
            .or_else(|_| fs::copy(from, &own).map(drop))
            .unwrap();
        let text = format!("#!/bin/sh\ncheck() {{\n{check}\n}}\n{script}");
        fs::write(place.path("tokend"), text).unwrap();
        fs::set_permissions(place.path("tokend"), Permissions::from_mode(0o755)).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.path("tokenctl"));
        command
            .args([
                "init",
                "--account",
                "ads",
                "--dialect",
                "odd",
                "--base-url",
                "https://a.example",
            ])
            .args(["--secret", "login", "--yes", "--config"])
            .arg(self.path("etc/tokend.toml"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null());
        command
    }

    fn run(&self) -> Ended {
        ended(&self.command().output().unwrap())
    }

    fn is_untouched(&self) -> bool {
        !self.path("etc").exists()
    }
}

fn appears(path: &Path) {
    for _ in 0..TURNS {
        if path.exists() {
            return;
        }
        std::thread::park_timeout(TURN);
    }
    panic!("{} does not come", path.display());
}

#[test]
fn a_tokend_that_cannot_judge_is_named_and_nothing_is_written() {
    let cases = [
        ("exit 0", "exit 64", "70", "from the same release"),
        (
            "exit 0",
            "echo 'tokend: there is no dialect odd' >&2; exit 64",
            "64",
            "see: tokend dialect list",
        ),
        ("exit 0", "echo nonsense", "70", "from the same release"),
        (
            "echo 'error: it is bad' >&2; exit 78",
            GOOD,
            "78",
            "error: it is bad",
        ),
        (
            "echo 'error: no descriptor' >&2; exit 75",
            GOOD,
            "75",
            "error: no descriptor",
        ),
        ("kill -9 $$", GOOD, "78", "nothing was written"),
        (
            "echo 'unexpected argument --with' >&2; exit 64",
            GOOD,
            "78",
            "unexpected argument",
        ),
    ];
    for (check, script, code, expected) in cases {
        let place = Place::with(check, script);
        let said = place.run();
        assert_eq!(said.code.to_string(), code, "{said:?}");
        assert!(said.stderr.contains(expected), "{said:?}");
        assert!(place.is_untouched(), "{said:?}");
    }
    let place = Place::with("", GOOD);
    fs::remove_file(place.path("tokend")).unwrap();
    let mut command = place.command();
    let said = ended(&command.env("PATH", "/nowhere").output().unwrap());
    assert_eq!(said.code, 69, "{said:?}");
    assert!(said.stderr.contains("install tokend"), "{said:?}");
}

#[test]
fn a_signal_during_the_check_ends_it_and_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let place = Place::with(
            r#"here=$(dirname "$0"); touch "$here/checks"; while ! [ -e "$here/go" ]; do sleep 0.01; done; echo fine"#,
            GOOD,
        );
        let mut command = place.command();
        command.stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        appears(&place.path("checks"));
        assert!(place.path("etc/tokend.toml").exists());
        assert_eq!(
            fs::read_dir(place.path("etc/accounts.d")).unwrap().count(),
            1
        );
        let pid = Pid::from_child(&child);
        kill_process(pid, signal).unwrap();
        fs::write(place.path("go"), "").unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(signal.as_raw()), "{status:?}");
        assert!(place.is_untouched());
    }
}

#[test]
fn one_that_was_killed_leaves_what_the_next_goes_on_from() {
    let slow = r#"here=$(dirname "$0"); if [ -e "$here/etc/accounts.d/.ads.toml.init" ]; then touch "$here/checks"; while ! [ -e "$here/go" ]; do sleep 0.01; done; fi; echo "t is fine: 1 account, socket $here/s"; case "$*" in *--with*) ;; *--show*) exit 78 ;; esac"#;
    let place = Place::with(slow, GOOD);
    let mut child = place.command().spawn().unwrap();
    appears(&place.path("checks"));
    child.kill().unwrap();
    child.wait().unwrap();
    fs::write(place.path("go"), "").unwrap();
    let said = place.run();
    assert_eq!(said.code, 0, "{said:?}");
    let names = fs::read_dir(place.path("etc/accounts.d")).unwrap();
    let names: Vec<_> = names.map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["ads.toml"]);
}

#[test]
fn a_secret_among_the_options_is_not_repeated() {
    let cases: &[&[&str]] = &[
        &["hunter2"],
        &["--secret", "hunter2"],
        &["--secret", "password=hunter2"],
        &["--secret", "command:echo 'hunter2'"],
        &["--option", "hunter2"],
        &["--field", "hunter2"],
        &["--allow", "hunter2:x"],
        &["--account", "../hunter2"],
        &["--password", "hunter2"],
        &["--yes=hunter2"],
    ];
    for words in cases {
        let said = bare(&[&["init"], *words].concat());
        assert_eq!(said.code, 64, "{words:?}: {said:?}");
        assert!(!said.stderr.contains("hunter2"), "{words:?}: {said:?}");
        assert!(said.stderr.lines().count() > 1, "{said:?}");
    }
}
