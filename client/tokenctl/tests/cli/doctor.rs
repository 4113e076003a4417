//! `doctor`: pages of the daemon's findings, its reading of refusals, and the exit code. Findings of a real daemon are tested elsewhere.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tokend_client::{AccountState, AccountStatus, Finding, Severity, Topic};
use tokend_proto::{DiagnosisPage, Fault, FaultCode, Request, Response, StatusPage};

use crate::fake::{Act, FakeDaemon, name};
use crate::run::{Ended, bare, bare_command, ended, tokenctl};
use crate::status::account;

fn finding(account: &str, severity: Severity) -> Finding {
    Finding {
        topic: Topic::Provider,
        account: Some(name(account)),
        severity,
        message: "https://example.com is looked at".into(),
        advice: (severity != Severity::Ok).then(|| "check the network".into()),
    }
}

/// A daemon with two accounts on two pages, the second of them with this finding and in this state.
fn daemon(severity: Severity, state: AccountState) -> FakeDaemon {
    FakeDaemon::start(move |_, request| {
        Act::Reply(match request {
            Request::Diagnose { after: None, .. } => Response::Diagnosis(DiagnosisPage {
                findings: vec![finding("ads", Severity::Ok)],
                next: Some(name("ads")),
            }),
            Request::Diagnose { after: Some(_), .. } => Response::Diagnosis(DiagnosisPage {
                findings: vec![finding("crm", severity)],
                next: None,
            }),
            Request::Status { .. } => Response::Status(StatusPage {
                accounts: vec![
                    account("ads"),
                    AccountStatus {
                        state,
                        ..account("crm")
                    },
                ],
                next: None,
            }),
            other => panic!("{other:?}"),
        })
    })
}

#[test]
fn a_problem_of_any_page_is_told_and_is_the_exit_code() {
    let daemon_of = |severity, state| tokenctl(&daemon(severity, state), &["doctor"]);
    let Ended {
        code,
        stdout,
        stderr,
    } = daemon_of(Severity::Problem, AccountState::Valid);
    assert_eq!((code, stderr.as_str()), (75, ""));
    assert!(
        stdout.contains("ok       provider ads: https://example.com is looked at\n"),
        "{stdout}"
    );
    let problem =
        "PROBLEM  provider crm: https://example.com is looked at\n         check the network\n";
    assert!(stdout.contains(problem), "{stdout}");
    assert!(
        stdout.contains("ok       accounts: 2 accounts are well\n"),
        "{stdout}"
    );

    let Ended { code, stdout, .. } = daemon_of(Severity::Warning, AccountState::Paced);
    assert_eq!(code, 0);
    assert!(
        stdout.contains("\nwarning  account crm: paced\n"),
        "{stdout}"
    );

    let Ended { code, stdout, .. } = daemon_of(Severity::Ok, AccountState::LoginRequired);
    assert_eq!(code, 79);
    assert!(
        stdout.contains("         see: tokenctl status crm\n"),
        "{stdout}"
    );
}

#[test]
fn a_daemon_of_another_release_is_told_as_such() {
    let fault = Fault::new(FaultCode::BadRequest, "unknown request");
    let daemon = FakeDaemon::answering(Response::Fault(fault));
    let Ended { code, stdout, .. } = tokenctl(&daemon, &["doctor"]);
    assert_eq!(code, 70);
    assert!(
        stdout.contains("of another release") && stdout.contains("same release"),
        "{stdout}"
    );
}

#[test]
fn an_account_that_is_not_for_the_caller_is_the_failure_it_always_is() {
    let fault = Fault::new(FaultCode::NotAllowed, "account ads is not for you");
    let daemon = FakeDaemon::answering(Response::Fault(fault));
    let Ended {
        code,
        stdout,
        stderr,
    } = tokenctl(&daemon, &["doctor", "ads"]);
    assert_eq!((code, stdout.as_str()), (77, ""));
    assert!(stderr.contains("account ads is not for you"), "{stderr}");
}

#[test]
fn without_a_socket_it_says_where_it_looked() {
    let Ended { code, stdout, .. } = bare(&["--socket", "/nowhere/tokend.sock", "doctor"]);
    assert_eq!(code, 69);
    let expected = "PROBLEM  socket: /nowhere/tokend.sock, named by --socket, does not exist\n";
    assert!(
        stdout.starts_with(expected) && stdout.contains("start the daemon: "),
        "{stdout}"
    );
}

/// The name of an unfinished file.
const HALF: &str = ".tokenctl-0123456789abcdef01234567";

#[test]
fn what_killed_processes_left_is_named_until_their_successors_remove_it() {
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let own = rustix::process::geteuid().as_raw();
    let directory = memory.path().join(format!("tokenctl-exec-{own}-0"));
    fs::create_dir(&directory).unwrap();
    fs::create_dir_all(at("tokend/sinks.d")).unwrap();
    fs::create_dir(at("kept")).unwrap();
    fs::set_permissions(at("kept"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(at("kept").join(HALF), "half a token").unwrap();
    let path = at("kept").join("token");
    let sink = format!(
        "account = \"ads\"\nformat = \"raw\"\npath = \"{}\"\n",
        path.display()
    );
    fs::write(at("tokend/sinks.d/ads.toml"), sink).unwrap();
    let looked = || {
        let mut command = bare_command(&["--socket", "/nowhere/tokend.sock", "doctor"]);
        command.env("XDG_RUNTIME_DIR", memory.path());
        command.env("XDG_CONFIG_HOME", home.path());
        ended(&command.output().unwrap()).stdout
    };
    let found = looked();
    for named in [&directory, &at("kept").join(HALF)] {
        let line = format!("warning  files: {} was left by ", named.display());
        assert!(found.contains(&line), "{found}");
    }
    // What a process uses is not left.
    let held = fs::File::open(&directory).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockShared).unwrap();
    assert!(!looked().contains(directory.to_str().unwrap()));
    drop(held);
    // The next `get` into that directory, before it asks for a token.
    let words = ["get", "ads", "--output", path.to_str().unwrap()];
    assert_eq!(bare(&words).code, 69);
    assert!(!at("kept").join(HALF).exists());
    let found = looked();
    assert!(
        !found.contains(HALF) && found.contains("tokenctl-exec-"),
        "{found}"
    );
}
