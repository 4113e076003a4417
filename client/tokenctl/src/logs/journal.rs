//! The journal, read by `journalctl`.
//!
//! Owns its arguments, which nothing but the account and the time changes. Only records of tokend's own unit count, since every program can
//! write others that look like them; the journal itself says which unit wrote one.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::process::{Child, Command, Stdio};

use super::record::Record;
use super::shown::{LONGEST, MOST, Shown, tell_cut};
use crate::arguments::Logs;
use crate::failure::{Exit, Failure};

/// What all audit records share; see daemon/AUDIT.md.
const RECORDS: &str = "MESSAGE_ID=5d1a0b7f3c9e4a42a6d08f1be37c52e9";

pub(super) fn show(is_own: bool, options: &Logs, shown: &mut Shown) -> Result<(), Failure> {
    let account = format!("TOKEND_ACCOUNT={}", options.account);
    let mut words = vec![account, format!("--lines={MOST}")];
    words.extend(
        options
            .since
            .map(|time| format!("--since=@{}", time.as_second())),
    );
    if options.follow {
        words.push("--follow".to_owned());
    }
    let mut child = start(is_own, &words)?;
    let printed = print(&mut child, shown);
    if printed.is_err() {
        drop(child.kill());
    }
    let said = ended(child)?;
    printed?;
    if shown.count == MOST {
        tell_cut();
    }
    match shown.count {
        0 => nothing(is_own, &said),
        _ => Ok(()),
    }
}

fn start(is_own: bool, words: &[String]) -> Result<Child, Failure> {
    let (scope, unit) = match is_own {
        true => ("--user", "_SYSTEMD_USER_UNIT=tokend.service"),
        false => ("--system", "_SYSTEMD_UNIT=tokend.service"),
    };
    let mut command = Command::new("journalctl");
    command
        .args([scope, "--output=json", "--all", "--no-pager", RECORDS, unit])
        .args(words)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().map_err(|error| {
        let what = match error.kind() {
            ErrorKind::NotFound => "there is no journalctl, so no journal to read".to_owned(),
            _ => format!("cannot run journalctl: {error}"),
        };
        Failure::new(
            Exit::Config,
            what,
            "name the audit file, which [audit] of tokend.toml has, with: --file PATH",
        )
    })
}

fn print(child: &mut Child, shown: &mut Shown) -> Result<(), Failure> {
    let Some(stdout) = child.stdout.take() else {
        return Ok(());
    };
    let mut lines = BufReader::new(stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        match read.map_err(|error| unreadable(&error.to_string()))? {
            0 => return Ok(()),
            _ => {
                // The rest of a line that is too long is no record either.
                if let Some(record) = Record::of_journal(&line) {
                    shown.print(&record)?;
                }
            }
        }
    }
}

/// Waits for the end; what was said on standard error.
fn ended(mut child: Child) -> Result<String, Failure> {
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        drop(stderr.take(LONGEST).read_to_end(&mut said));
    }
    child
        .wait()
        .map_err(|error| unreadable(&error.to_string()))?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// Why there is nothing: it may not be read, or nothing is written there; else there is only nothing about this account.
fn nothing(is_own: bool, said: &str) -> Result<(), Failure> {
    if said.contains("insufficient permissions") || said.contains("not seeing messages") {
        return Err(Failure::new(
            Exit::NotAllowed,
            "the journal may not be read: you are neither root nor in the group systemd-journal",
            "run it as root, or become a member, then log in again: sudo usermod -aG systemd-journal \"$USER\"",
        ));
    }
    let mut child = start(is_own, &["--lines=1".to_owned()])?;
    let mut any = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        drop(stdout.take(LONGEST).read_to_end(&mut any));
    }
    let said = ended(child)?;
    if !any.is_empty() {
        return Ok(());
    }
    // `--quiet` would hide why.
    let said = said.lines().find(|line| line.starts_with("Failed"));
    match said {
        Some(why) => Err(unreadable(why)),
        None => Err(Failure::new(
            Exit::Config,
            "the journal has no audit records of tokend.service",
            "if [audit] of tokend.toml names a file, name it with: --file PATH\n\
             if not, write `journal = true` there, restart tokend, and look again after the next `tokenctl get`",
        )),
    }
}

fn unreadable(why: &str) -> Failure {
    Failure::new(
        Exit::Io,
        format!("cannot read the journal: {why}"),
        "see what is wrong with: journalctl -u tokend.service",
    )
}
