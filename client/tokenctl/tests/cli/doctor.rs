//! `doctor`: pages of the daemon's findings, its reading of refusals, and the exit code. Findings of a real daemon are tested elsewhere.

use tokend_client::{AccountState, AccountStatus, Finding, Severity, Topic};
use tokend_proto::{DiagnosisPage, Fault, FaultCode, Request, Response, StatusPage};

use crate::fake::{Act, FakeDaemon, name};
use crate::run::{Ended, bare, tokenctl};
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
