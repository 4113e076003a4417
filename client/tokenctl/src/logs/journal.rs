//! The journal, read by `journalctl`.
//!
//! Owns its arguments, which nothing but the account and the time changes. Only records of tokend's own unit count, since every program can
//! write others that look like them; the journal itself says which unit wrote one.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::process::{Child, Command, Stdio};

use super::record::Record;
use super::shown::{LONGEST, MOST, Shown, tell_cut, tell_none_yet};
use crate::arguments::Logs;
use crate::failure::{Exit, Failure};
use crate::output;

/// What all audit records share; see daemon/AUDIT.md.
const RECORDS: &str = "MESSAGE_ID=5d1a0b7f3c9e4a42a6d08f1be37c52e9";

pub(super) fn show(is_own: bool, options: &Logs, shown: &mut Shown) -> Result<(), Failure> {
    let account = format!("TOKEND_ACCOUNT={}", options.account);
    if options.follow {
        // While it is followed, the journal says nothing of what is not there.
        look_first(is_own, options)?;
    }
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
    if options.follow {
        return followed(&said);
    }
    if shown.count == MOST {
        tell_cut();
    }
    if shown.count == 0 {
        return nothing(is_own, &said)?.map_or(Ok(()), Err);
    }
    tell_part(&said);
    Ok(())
}

/// Says what of the account is not seen before it is waited for more.
fn look_first(is_own: bool, options: &Logs) -> Result<(), Failure> {
    let (any, said) = newest(is_own, Some(format!("TOKEND_ACCOUNT={}", options.account)))?;
    if any {
        tell_part(&said);
        return Ok(());
    }
    if let Some(failure) = nothing(is_own, &said)? {
        output::note(&failure.in_one_line());
    }
    tell_none_yet(&options.account);
    Ok(())
}

/// It goes on until it is ended, so its end is a failure.
fn followed(said: &str) -> Result<(), Failure> {
    let why = said.lines().find(|line| line.starts_with("Failed"));
    Err(unreadable(why.unwrap_or("journalctl has ended")))
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

/// What journalctl says if the caller sees only a part of the journal, which may be none of it.
fn is_part(said: &str) -> bool {
    said.contains("insufficient permissions") || said.contains("not seeing messages")
}

fn tell_part(said: &str) {
    if is_part(said) {
        output::note(
            "you may read only a part of the journal, and records may be missing here; root and the group systemd-journal see all",
        );
    }
}

/// Why there is nothing: it may not be read, or nothing is written there at all; `None` if there is only nothing about this account.
fn nothing(is_own: bool, said: &str) -> Result<Option<Failure>, Failure> {
    if is_part(said) {
        return Err(Failure::new(
            Exit::NotAllowed,
            "the journal may not be read: you are neither root nor in the group systemd-journal",
            "run it as root, or become a member, then log in again: sudo usermod -aG systemd-journal \"$USER\"",
        ));
    }
    let (any, said) = newest(is_own, None)?;
    if any {
        return Ok(None);
    }
    // `--quiet` would hide why.
    let said = said.lines().find(|line| line.starts_with("Failed"));
    match said {
        Some(why) => Err(unreadable(why)),
        None => Ok(Some(Failure::new(
            Exit::Config,
            "the journal has no audit records of tokend.service",
            "if [audit] of tokend.toml names a file, name it with: --file PATH\n\
             if not, write `journal = true` there, restart tokend, and look again after the next `tokenctl get`",
        ))),
    }
}

/// Whether there is a record, and what was said on standard error.
fn newest(is_own: bool, account: Option<String>) -> Result<(bool, String), Failure> {
    let words: Vec<_> = account
        .into_iter()
        .chain(["--lines=1".to_owned()])
        .collect();
    let mut child = start(is_own, &words)?;
    let mut any = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        drop(stdout.take(LONGEST).read_to_end(&mut any));
    }
    Ok((!any.is_empty(), ended(child)?))
}

fn unreadable(why: &str) -> Failure {
    Failure::new(
        Exit::Io,
        format!("cannot read the journal: {why}"),
        "see what is wrong with: journalctl -u tokend.service",
    )
}
