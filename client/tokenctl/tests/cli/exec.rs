//! `exec`: a command that finds its tokens, and nothing else of tokenctl.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use tokend_proto::{Fault, FaultCode, Request, Response, Token};

use crate::fake::{Act, FakeDaemon, secret, token};
use crate::run::{Ended, TOKEN, bare_command, tokenctl};

/// A daemon that has a token of its own for each account, but for `down`.
fn daemon() -> FakeDaemon {
    FakeDaemon::start(|_, request| match request {
        Request::Get { account, .. } if account.as_str() == "down" => {
            let fault = Fault::new(FaultCode::LoginRequired, "account down needs a login");
            Act::Reply(Response::Fault(fault))
        }
        Request::Get { account, .. } => Act::Reply(Response::Token(Token {
            access_token: secret(&format!("{TOKEN}.{account}")),
            ..token(TOKEN)
        })),
        other => panic!("{other:?}"),
    })
}

fn exec(words: &[&str]) -> Ended {
    tokenctl(&daemon(), &[&["exec"], words].concat())
}

#[test]
fn a_command_has_its_tokens_in_its_environment() {
    let ended = exec(&["ads", "--", "printenv", "ACCESS_TOKEN"]);
    assert_eq!((ended.code, ended.stdout), (0, format!("{TOKEN}.ads\n")));
    let script = "printenv ADS && printenv CRM";
    let ended = exec(&["ads=ADS", "crm=CRM", "--", "sh", "-c", script]);
    assert_eq!(
        (ended.code, ended.stdout),
        (0, format!("{TOKEN}.ads\n{TOKEN}.crm\n"))
    );
}

#[test]
fn a_command_has_its_tokens_in_files_without_a_name() {
    // Read by a program that the command starts, twice, and never written.
    let script = r#"cat "$ACCESS_TOKEN_FILE" "$ACCESS_TOKEN_FILE"; ls -l "$ACCESS_TOKEN_FILE" >&2
                    (echo evil > "$ACCESS_TOKEN_FILE") 2>/dev/null && echo written; printenv ACCESS_TOKEN"#;
    let ended = exec(&["--fd", "ads", "--", "sh", "-c", script]);
    assert_eq!(
        ended.stdout,
        format!("{TOKEN}.ads{TOKEN}.ads"),
        "{}",
        ended.stderr
    );
    let script = r#"cat "$A" && cat "$C""#;
    let ended = exec(&["--fd", "ads=A", "crm=C", "--", "sh", "-c", script]);
    assert_eq!(
        (ended.code, ended.stdout),
        (0, format!("{TOKEN}.ads{TOKEN}.crm"))
    );
}

#[test]
fn exit_status_and_signals_are_those_of_the_command() {
    assert_eq!(exec(&["ads", "--", "sh", "-c", "exit 42"]).code, 42);
    let daemon = daemon();
    // The shell ends itself by its own process number, which is the number that was started.
    let started = Command::new(env!("CARGO_BIN_EXE_tokenctl"))
        .args(["exec", "ads", "--", "sh", "-c", "kill -TERM $$"])
        .env("TOKEND_SOCKET", daemon.socket())
        .status()
        .unwrap();
    assert_eq!((started.code(), started.signal()), (None, Some(15)));
}

#[test]
fn nothing_is_started_when_a_token_fails() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let words = ["ads=A", "down=D", "--", "touch", trace.to_str().unwrap()];
    let ended = exec(&words);
    assert_eq!(ended.code, 79);
    assert!(ended.stderr.contains("needs a login"), "{}", ended.stderr);
    assert!(!trace.exists());
    let absent = bare_command(&[
        "exec",
        "--socket",
        "/nonexistent/socket",
        "ads",
        "--",
        "true",
    ]);
    let mut absent = absent;
    assert_eq!(absent.output().unwrap().status.code(), Some(69));
}

#[test]
fn a_command_that_cannot_be_run_ends_as_in_a_shell() {
    let ended = exec(&["ads", "--", "no-program-of-this-name"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (127, ""));
    assert!(
        ended.stderr.contains("no-program-of-this-name"),
        "{}",
        ended.stderr
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text");
    fs::write(&file, "no program").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(exec(&["ads", "--", file.to_str().unwrap()]).code, 126);
}

#[test]
fn the_token_is_in_no_argument_and_no_descriptor_that_was_not_asked_for() {
    // What stays open in the command beside the three of every program: nothing of tokenctl's own.
    let script = r"tr '\0' ' ' < /proc/$$/cmdline; echo; for fd in /proc/$$/fd/*; do readlink $fd; done; true";
    let ended = exec(&["ads", "--", "sh", "-c", script]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        !ended.stdout.contains(TOKEN) && !ended.stdout.contains("socket:"),
        "{}",
        ended.stdout
    );
}

#[test]
fn mistakes_of_the_command_line_start_nothing() {
    for (words, about) in [
        (
            &["ads", "crm", "--", "true"][..],
            "name a variable for each account",
        ),
        (
            &["ads=A", "crm=A", "--", "true"],
            "name a variable for each account",
        ),
        (&["ads=1A", "--", "true"], "letters, digits and _"),
        (&["a/b", "--", "true"], "ACCOUNT=VARIABLE"),
        (&["ads"], "<COMMAND>"),
        (&["--", "true"], "ACCOUNT"),
    ] {
        let daemon = daemon();
        let ended = tokenctl(&daemon, &[&["exec"], words].concat());
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (64, ""),
            "{words:?}: {}",
            ended.stderr
        );
        assert!(ended.stderr.contains(about), "{words:?}: {}", ended.stderr);
        assert!(daemon.seen().is_empty());
    }
}
