//! `tokenctl logs`: the history of an account, from a real audit file and from what a journal says.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Stdio,
};

use serde_json::Value;
use tokend_harness::{
    Said,
    clock::{PATIENCE, wait_until},
    demand::{carried_out, root},
};
use tokend_provider_simulator::{Configuration, spec::Api};

use crate::stage::{FAST, Stage, account};

fn audited(lines: &str) -> Stage {
    let stage = Stage::of(Api::JwtApi);
    let mut configuration = Configuration::of(&stage.sim).everywhere(FAST).account(
        account("theirs", Api::JwtApi),
        &stage.sim.base_url(Api::JwtApi),
        "allow = [{ user = 4242 }]",
    );
    configuration.preamble = format!("[audit]\nfile = \"audit.jsonl\"\n{lines}");
    configuration.write(stage.site.path()).unwrap();
    stage
}

fn file(stage: &Stage) -> String {
    stage.site.path().join("audit.jsonl").display().to_string()
}

fn logs(stage: &Stage, more: &[&str]) -> Said {
    let file = file(stage);
    let words = [&["logs", "it", "--file", &file][..], more].concat();
    stage.site.tokenctl(&words).unwrap()
}

#[test]
fn the_history_of_an_account_is_read_from_the_audit_file() {
    let stage = audited("");
    let daemon = stage.site.start().unwrap();
    let token = stage.site.get("it").unwrap();
    assert_ne!(
        stage.site.tokenctl(&["get", "theirs"]).unwrap().code,
        Some(0)
    );
    stage.reject("it", &token).line().unwrap();
    // Everything is written when it has ended.
    assert!(daemon.terminate().unwrap().success());
    let said = logs(&stage, &[]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    let lines: Vec<&str> = said.out.lines().collect();
    let at = |what: &str| lines.iter().position(|line| line.contains(what)).unwrap();
    assert!(
        at("login attempt 1 (get)") < at("release (get)"),
        "{said:?}"
    );
    assert!(at("release (get)") < at("release (reject)"), "{said:?}");
    assert!(lines[at("release (get)")].contains("ok") && !said.out.contains(&token));
    let json = logs(&stage, &["--json"]);
    let records: Vec<Value> = json
        .out
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert_eq!(records.len(), lines.len());
    assert!(records.iter().all(|record| record["account"] == "it"));
    let own = rustix::process::geteuid().as_raw();
    assert!(
        records
            .iter()
            .any(|it| it["uid"] == own && it["event"] == "release")
    );
    // The denial is in the file beside it.
    let denied = stage
        .site
        .tokenctl(&["logs", "theirs", "--file", &file(&stage)])
        .unwrap();
    assert!(
        denied.out.contains("(get)") && !denied.out.contains("release"),
        "{denied:?}"
    );
    let later = logs(&stage, &["--since", "2199-01-01"]);
    assert_eq!((later.code, later.out.as_str()), (Some(0), ""), "{later:?}");
    assert!(later.err.contains("no record of account it"), "{later:?}");
    assert_eq!(logs(&stage, &["--since", "soon"]).code, Some(64));
}

#[test]
fn rotated_files_come_first_and_a_followed_file_may_be_rotated() {
    let stage = audited("");
    let record = |second: u32, event: &str| {
        format!(
            "{{\"time\":\"2026-11-30T13:00:0{second}.000Z\",\"event\":\"{event}\",\"account\":\"it\"}}\n"
        )
    };
    let path = PathBuf::from(file(&stage));
    let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
    fs::write(beside(".2"), record(1, "one")).unwrap();
    fs::write(beside(".1"), record(2, "two") + "{\"time\":\n\u{1b}[2J\n").unwrap();
    fs::write(beside(".denied"), record(3, "three")).unwrap();
    let hostile = record(4, "four").replace(
        "\"account\"",
        "\"detail\":\"\\u001b[2J\\u009b1A\\nx\",\"account\"",
    );
    fs::write(&path, hostile).unwrap();
    let events = |text: &str| -> Vec<String> {
        let lines = text.lines();
        lines
            .map(|line| line.split_whitespace().nth(2).unwrap().to_owned())
            .collect()
    };
    let said = logs(&stage, &[]);
    assert_eq!(events(&said.out), ["one", "two", "three", "four"]);
    let is_plain = |said: &Said| said.out.chars().all(|c| c == '\n' || !c.is_control());
    assert!(
        is_plain(&said) && is_plain(&logs(&stage, &["--json"])),
        "{said:?}"
    );

    let shown = stage.site.path().join("shown");
    let mut command = std::process::Command::new(&stage.site.binaries().tokenctl);
    let command = command
        .args(["logs", "it", "--follow", "--file"])
        .arg(&path);
    let command = command
        .stdout(fs::File::create(&shown).unwrap())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let has = |count: usize| {
        wait_until("the next event", PATIENCE, || {
            events(&fs::read_to_string(&shown).unwrap()).len() == count
        })
        .unwrap();
    };
    has(4);
    let mut open = fs::OpenOptions::new().append(true).open(&path).unwrap();
    let five = record(5, "five");
    let (first, rest) = five.split_at(20);
    open.write_all(first.as_bytes()).unwrap();
    open.write_all(rest.as_bytes()).unwrap();
    has(5);
    fs::rename(&path, beside(".1")).unwrap();
    open.write_all(record(6, "six").as_bytes()).unwrap();
    fs::write(&path, record(7, "seven")).unwrap();
    has(7);
    child.kill().unwrap();
    child.wait().unwrap();
    let all = events(&fs::read_to_string(&shown).unwrap());
    assert_eq!(all[4..], ["five", "six", "seven"]);
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_what_to_do() {
    let stage = audited("");
    let said = logs(&stage, &[]);
    assert_eq!(said.code, Some(78), "{said:?}");
    assert!(
        said.err.contains("audit.jsonl") && said.err.contains("[audit]"),
        "{said:?}"
    );
    if !carried_out("a file of another user", root()) {
        return;
    }
    fs::write(file(&stage), "").unwrap();
    fs::set_permissions(file(&stage), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(stage.site.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = assert_cmd::Command::new("setpriv");
    let command = command.args(["--reuid", "4242", "--regid", "4242", "--clear-groups", "--"]);
    let command = command.arg(&stage.site.binaries().tokenctl);
    let output = command
        .args(["logs", "it", "--file", &file(&stage)])
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{err}");
    assert!(
        err.contains("as root") && err.contains("file_mode"),
        "{err}"
    );
}

/// A journal of these lines, and what its reader says on standard error.
fn journal(stage: &Stage, said: &str, warned: &str) -> Said {
    asked_journal(stage, &["logs", "it"], said, warned)
}

fn asked_journal(stage: &Stage, words: &[&str], said: &str, warned: &str) -> Said {
    let folder = stage.site.path().join("programs");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("said"), said).unwrap();
    fs::write(folder.join("warned"), warned).unwrap();
    let program = folder.join("journalctl");
    let text = "#!/bin/sh\nhere=${0%/*}\nprintf '%s\\n' \"$*\" >> \"$here/arguments\"\ncat \"$here/warned\" >&2\ncat \"$here/said\"\n";
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = assert_cmd::Command::new(&stage.site.binaries().tokenctl);
    let path = format!("{}:/usr/bin:/bin", folder.display());
    command
        .args(words)
        .args(["--socket", "/run/tokend/tokend.sock"])
        .env("PATH", path);
    let output = command.timeout(PATIENCE).output().unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn the_journal_is_asked_for_records_of_the_unit_only() {
    let stage = audited("");
    let line = "{\"TOKEND_TIME\":\"2026-11-30T13:00:00.000Z\",\"TOKEND_EVENT\":\"release\",\"TOKEND_OUTCOME\":\"ok\",\"TOKEND_DETAIL\":[27,91,50,74],\"TOKEND_ACCOUNT\":\"it\"}\n";
    let said = journal(&stage, &format!("{line}{{\n{line}"), "");
    assert_eq!(
        (said.code, said.out.lines().count()),
        (Some(0), 2),
        "{said:?}"
    );
    assert!(!said.out.contains('\u{1b}'), "{said:?}");
    let arguments = fs::read_to_string(stage.site.path().join("programs/arguments")).unwrap();
    assert_eq!(
        arguments,
        "--system --output=json --all --no-pager MESSAGE_ID=5d1a0b7f3c9e4a42a6d08f1be37c52e9 \
         _SYSTEMD_UNIT=tokend.service TOKEND_ACCOUNT=it --lines=10000\n"
    );
    let hint = "Hint: You are currently not seeing messages from other users and the system.\n";
    for warned in [
        hint,
        "No journal files were opened due to insufficient permissions.\n",
    ] {
        let said = journal(&stage, "", warned);
        assert_eq!(said.code, Some(77), "{said:?}");
        assert!(said.err.contains("usermod -aG systemd-journal"), "{said:?}");
    }
    let empty = journal(&stage, "", "");
    assert_eq!(empty.code, Some(78), "{empty:?}");
    assert!(empty.err.contains("--file PATH"), "{empty:?}");
}

#[test]
fn a_followed_journal_says_what_of_it_is_not_seen() {
    const HINT: &str =
        "Hint: You are currently not seeing messages from other users and the system.\n";
    let stage = audited("");
    let line = "{\"TOKEND_TIME\":\"2026-11-30T13:00:00.000Z\",\"TOKEND_EVENT\":\"release\",\"TOKEND_OUTCOME\":\"ok\",\"TOKEND_ACCOUNT\":\"it\"}\n";
    // This journal ends, so that the test does.
    let follow = |said: &str, warned: &str| {
        let arguments = stage.site.path().join("programs/arguments");
        drop(fs::remove_file(&arguments));
        let ended = asked_journal(&stage, &["logs", "it", "--follow"], said, warned);
        (ended, fs::read_to_string(arguments).unwrap())
    };
    let (none, asked) = follow("", "");
    assert_eq!(none.code, Some(74), "{none:?}");
    for sentence in [
        "no audit records of tokend.service",
        "--file PATH",
        "no record of account it yet",
    ] {
        assert!(none.err.contains(sentence), "{sentence}: {none:?}");
    }
    assert!(
        asked.lines().last().unwrap().ends_with("--follow"),
        "{asked}"
    );
    let (hidden, asked) = follow("", HINT);
    assert_eq!(hidden.code, Some(77), "{hidden:?}");
    assert!(!asked.contains("--follow"), "{asked}");
    let (part, _) = follow(line, HINT);
    assert_eq!(part.out.lines().count(), 1, "{part:?}");
    assert!(part.err.contains("only a part of the journal"), "{part:?}");
    let (whole, _) = follow(line, "");
    assert_eq!(whole.out.lines().count(), 1, "{whole:?}");
    assert!(
        !whole.err.contains("part of") && !whole.err.contains("yet"),
        "{whole:?}"
    );
    // What is there and not followed is told the same.
    let part = journal(&stage, line, HINT);
    assert_eq!(
        (part.code, part.out.lines().count()),
        (Some(0), 1),
        "{part:?}"
    );
    assert!(part.err.contains("only a part of the journal"), "{part:?}");
    // So does a file.
    fs::write(file(&stage), "").unwrap();
    let mut command = std::process::Command::new(&stage.site.binaries().tokenctl);
    command.args(["logs", "it", "--follow", "--file", &file(&stage)]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    said.read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.contains("no record of account it yet"), "{line}");
}
