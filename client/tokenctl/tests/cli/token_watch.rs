//! `watch`: what is printed, what commands get, and how it ends.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tokend_proto::{Fault, FaultCode, Response, Token};

use crate::fake::{Act, FakeDaemon, token};
use crate::run::{Ended, TOKEN, bare, ended, tokenctl};

fn numbered(number: usize) -> Token {
    token(&format!("{TOKEN}{number}"))
}

fn tokens(numbers: &[usize]) -> Vec<Response> {
    let each = numbers
        .iter()
        .map(|number| Response::Token(numbered(*number)));
    each.collect()
}

fn end() -> Response {
    let fault = Fault::new(
        FaultCode::NotAllowed,
        "you may not have the token of account ads",
    );
    Response::Fault(fault.advise("ask for a rule"))
}

fn unavailable() -> Response {
    let fault = Fault::new(FaultCode::LoginRequired, "account ads has no credential");
    Response::Unavailable(fault.advise("run `tokenctl login ads`"))
}

/// A daemon whose n-th watch tells the n-th of these, and is lost unless it is the last.
fn telling(parts: Vec<Vec<Response>>) -> FakeDaemon {
    let last = parts.len() - 1;
    FakeDaemon::start(move |count, _| match parts.get(count) {
        Some(part) if count < last => Act::RepliesAndClose(part.clone()),
        Some(part) => Act::Replies(part.clone()),
        None => Act::Silence,
    })
}

fn watching(daemon: &FakeDaemon, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tokenctl"))
        .args(["watch", "ads"])
        .args(arguments)
        .env("TOKEND_SOCKET", daemon.socket())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// With `--exec`, the command that writes what it got into a file.
fn into(file: &Path) -> String {
    format!(
        "echo $TOKEND_ACCOUNT $ACCESS_TOKEN $TOKEND_EXPIRES_AT >>{}",
        file.display()
    )
}

#[test]
fn each_token_is_a_line_and_everything_else_is_on_standard_error() {
    let responses = [
        tokens(&[1]),
        vec![Response::Retired { grant: 1 }, unavailable()],
        tokens(&[2]),
        vec![end()],
    ];
    let daemon = telling(vec![responses.concat()]);
    let Ended {
        code,
        stdout,
        stderr,
    } = tokenctl(&daemon, &["watch", "ads", "--min-validity", "5m"]);
    assert_eq!((code, stdout), (77, format!("{TOKEN}1\n{TOKEN}2\n")));
    assert_eq!(
        stderr,
        "tokenctl: ads: its token must not be used any more\n\
         tokenctl: ads: no token at present: account ads has no credential; run `tokenctl login ads`\n\
         tokenctl: you may not have the token of account ads\n  ask for a rule\n"
    );
}

#[test]
fn json_has_one_object_a_line() {
    let responses = [
        tokens(&[1]),
        vec![Response::Retired { grant: 1 }, unavailable()],
    ];
    let daemon = telling(vec![responses.concat(), vec![end()]]);
    let Ended { code, stdout, .. } = tokenctl(&daemon, &["watch", "ads", "--json"]);
    assert_eq!(code, 77);
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(
        lines,
        [
            &*format!(
                r#"{{"event":"token","account":"ads","access_token":"{TOKEN}1","token_type":"Bearer","expires_at":"2023-11-14T23:13:20Z"}}"#
            ),
            r#"{"event":"retired","account":"ads"}"#,
            r#"{"event":"unavailable","account":"ads","code":"login-required","message":"account ads has no credential","advice":"run `tokenctl login ads`"}"#,
            r#"{"event":"reconnecting","account":"ads","message":"the connection to tokend was lost: the daemon closed it"}"#,
        ]
    );
}

#[test]
fn a_restart_is_survived_and_a_token_is_told_once() {
    let daemon = telling(vec![
        tokens(&[1]),
        vec![],
        tokens(&[1]),
        [tokens(&[1, 2]), vec![end()]].concat(),
    ]);
    let Ended {
        code,
        stdout,
        stderr,
    } = tokenctl(&daemon, &["watch", "ads"]);
    assert_eq!((code, stdout), (77, format!("{TOKEN}1\n{TOKEN}2\n")));
    // Once for the first two losses, and again after the daemon had been back.
    assert_eq!(stderr.matches("trying again").count(), 2, "{stderr}");
}

#[test]
fn a_daemon_that_is_not_there_at_first_ends_it() {
    let ended = bare(&["watch", "ads", "--socket", "/nowhere/tokend.sock"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (69, ""), "{ended:?}");
}

#[test]
fn a_reader_that_has_gone_ends_it() {
    let daemon = telling(vec![tokens(&[1])]);
    let mut child = watching(&daemon, &[]);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, format!("{TOKEN}1\n"));
    drop(output);
    let ended = ended(&child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.stderr.as_str()), (74, ""));
}

#[test]
fn a_signal_ends_it_as_any_program() {
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        let daemon = telling(vec![tokens(&[1])]);
        let mut child = watching(&daemon, &[]);
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let killed = Command::new("kill")
            .args(["-s", name, &child.id().to_string()])
            .status();
        assert!(killed.unwrap().success());
        assert_eq!(child.wait().unwrap().signal(), Some(number));
    }
}

#[test]
fn a_command_gets_each_token_in_its_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("got");
    let daemon = telling(vec![[tokens(&[1]), vec![end()]].concat()]);
    let ended = tokenctl(
        &daemon,
        &["watch", "ads", "--exec", "sh", "-c", &into(&file)],
    );
    assert_eq!((ended.code, ended.stdout.as_str()), (77, ""));
    // The right may have ended before the command began.
    let got = fs::read_to_string(&file).unwrap_or_default();
    let line = format!("ads {TOKEN}1 2023-11-14T23:13:20Z\n");
    assert!(got == line || got.is_empty(), "{got}");

    let daemon = telling(vec![tokens(&[1])]);
    let mut child = watching(&daemon, &["--exec", "sh", "-c", &into(&file)]);
    let got = until(|| {
        fs::read_to_string(&file)
            .ok()
            .filter(|text| text.ends_with('\n'))
    });
    assert!(got.ends_with(&line), "{got}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_command_that_fails_is_told_and_the_watch_goes_on() {
    let daemon = telling(vec![tokens(&[1])]);
    let mut child = watching(&daemon, &["--exec", "sh", "-c", "exit 3"]);
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(
        line,
        "tokenctl: ads: sh ended with 3; it runs again with the next token\n"
    );
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_command_that_cannot_be_run_ends_it_as_a_shell_would() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("no-program");
    fs::write(&file, "").unwrap();
    let missing = folder.path().join("missing");
    for (program, code) in [(file, 126), (missing, 127)] {
        let daemon = telling(vec![tokens(&[1])]);
        let ended = tokenctl(
            &daemon,
            &["watch", "ads", "--exec", program.to_str().unwrap()],
        );
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{ended:?}");
        assert!(ended.stderr.contains("cannot run"), "{}", ended.stderr);
    }
}

#[test]
fn while_a_command_runs_only_the_newest_token_waits() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (got, go) = (at("got"), at("go"));
    // The first command waits for a file, and the daemon tells more tokens meanwhile.
    let command = format!(
        "{}; while [ ! -e {} ]; do sleep 0.01; done",
        into(&got),
        go.display()
    );
    let daemon = telling(vec![tokens(&[1]), tokens(&[2, 3, 4])]);
    let mut child = watching(&daemon, &["--exec", "sh", "-c", &command]);
    let text = |lines: usize| {
        let got = got.clone();
        move || {
            let text = fs::read_to_string(&got).ok()?;
            (text.lines().count() >= lines).then_some(text)
        }
    };
    until(text(1));
    // The second watch has been answered once the daemon was asked twice, and the answers are read in one go.
    until(|| (daemon.seen().len() >= 2).then_some(()));
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    fs::write(&go, "").unwrap();
    until(|| text(2)().filter(|text| text.contains(&format!("{TOKEN}4"))));
    child.kill().unwrap();
    child.wait().unwrap();
    let all = fs::read_to_string(&got).unwrap();
    assert!(all.starts_with(&format!("ads {TOKEN}1 ")), "{all}");
    assert!(all.lines().count() <= 4, "{all}");
}

#[test]
fn a_token_that_a_form_cannot_hold_ends_it_and_is_not_printed() {
    for (text, arguments) in [("a\nb", &[][..]), ("a\0b", &["--exec", "true"])] {
        let daemon = telling(vec![vec![Response::Token(token(text))]]);
        let ended = tokenctl(&daemon, &[&["watch", "ads"], arguments].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (70, ""), "{ended:?}");
    }
}

#[test]
fn exec_takes_the_rest_of_the_line_and_goes_with_no_json() {
    let daemon = telling(vec![vec![end()]]);
    let ended = tokenctl(
        &daemon,
        &["watch", "ads", "--exec", "true", "--json", "--", "-x"],
    );
    assert_eq!(ended.code, 77, "{ended:?}");
    let ended = tokenctl(&daemon, &["watch", "ads", "--json", "--exec", "true"]);
    assert_eq!(ended.code, 64, "{ended:?}");
    let ended = tokenctl(&daemon, &["watch", "ads", "--exec"]);
    assert_eq!(ended.code, 64, "{ended:?}");
    let ended = tokenctl(&daemon, &["watch"]);
    assert_eq!(ended.code, 64, "{ended:?}");
}

/// Waits for something, for a minute at most.
fn until<T>(found: impl Fn() -> Option<T>) -> T {
    for _ in 0..6_000 {
        if let Some(found) = found() {
            return found;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    }
    panic!("it did not come")
}
