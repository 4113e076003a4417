//! `status --watch` on a terminal: drawn, resized, stopped and given back.

use std::process::Command;

use tokend_client::{AccountState, AccountStatus};
use tokend_proto::{Fault, FaultCode, Response, StatusPage};

use crate::fake::{Act, FakeDaemon};
use crate::run::{Ended, tokenctl};
use crate::status::account;
use crate::terminal::{Terminal, is_as_before};

/// The escape codes of the alternate screen, and of the way back.
const OPEN: &str = "\u{1b}[?1049h";
const CLOSE: &str = "\u{1b}[?1049l";

fn page(accounts: Vec<AccountStatus>) -> Response {
    Response::Status(StatusPage {
        accounts,
        next: None,
    })
}

fn in_state(name: &str, state: AccountState) -> AccountStatus {
    AccountStatus {
        state,
        ..account(name)
    }
}

fn two() -> FakeDaemon {
    FakeDaemon::answering(page(vec![
        account("ads"),
        in_state("crm", AccountState::LoginRequired),
    ]))
}

fn watch(daemon: &FakeDaemon, before: &str, arguments: &str) -> Terminal {
    let program = env!("CARGO_BIN_EXE_tokenctl");
    let line = format!("export TERM=xterm; stty cols 100 rows 10; {before} {program} {arguments}");
    Terminal::shell(daemon, &line)
}

/// The start of the last frame.
fn last_frame(shown: &str) -> &str {
    &shown[shown.rfind("\u{1b}[H").unwrap_or(0)..]
}

#[test]
fn q_and_ctrl_c_end_it_with_0_and_give_the_terminal_back() {
    for key in ["q", "\u{3}"] {
        let daemon = two();
        let mut terminal = watch(
            &daemon,
            "trap : INT;",
            "status --watch; echo ended with $?; stty -a",
        );
        terminal.wait_for(OPEN);
        terminal.wait_for("login-required");
        terminal.wait_for("valid");
        terminal.press(key);
        terminal.wait_for(CLOSE);
        let (_, shown) = terminal.end();
        assert!(shown.contains("ended with 0"), "{shown:?}");
        assert!(is_as_before(&shown), "{shown:?}");
        assert!(
            shown.contains("\u{1b}[?25h"),
            "the cursor is back: {shown:?}"
        );
    }
}

#[test]
fn who_needs_somebody_stands_first_and_in_colour() {
    let daemon = two();
    let mut terminal = watch(&daemon, "exec", "status --watch");
    terminal.wait_for("2 accounts  1 needs attention");
    terminal.wait_for("\u{1b}[32mvalid");
    let shown = terminal.shown();
    let frame = last_frame(&shown);
    assert!(
        frame.contains("\u{1b}[31mlogin-required\u{1b}[0m"),
        "{shown:?}"
    );
    assert!(
        frame.find("crm").unwrap() < frame.find("ads").unwrap(),
        "{shown:?}"
    );
    terminal.press("q");
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn no_color_means_no_colour() {
    let daemon = two();
    let mut terminal = watch(&daemon, "NO_COLOR=1 exec", "status --watch");
    terminal.wait_for("valid");
    terminal.press("q");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0);
    assert!(
        !shown.contains("\u{1b}[3") && !shown.contains("\u{1b}[1m"),
        "{shown:?}"
    );
}

#[test]
fn a_termination_gives_the_terminal_back_and_is_seen_by_whoever_sent_it() {
    let daemon = two();
    let mut terminal = watch(&daemon, "echo pid $$ .; exec", "status --watch");
    terminal.wait_for("valid");
    let shown = terminal.shown();
    let pid = shown.split_whitespace().nth(1).unwrap().to_owned();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    terminal.wait_for(CLOSE);
    assert_eq!(terminal.end().0, 128 + 15);
}

#[test]
fn it_outlives_a_restart_of_the_daemon() {
    let daemon = FakeDaemon::start(|before, _| match before {
        0 => Act::Reply(page(vec![account("ads")])),
        1..=6 => Act::Close,
        _ => Act::Reply(page(vec![in_state("ads", AccountState::Obtaining)])),
    });
    let mut terminal = watch(&daemon, "exec", "status --watch --interval 100ms");
    terminal.wait_for("valid");
    terminal.wait_for("tokend is not reachable, trying again");
    terminal.wait_for("obtaining");
    terminal.press("q");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0);
    assert!(!last_frame(&shown).contains("not reachable"), "{shown:?}");
}

#[test]
fn a_daemon_that_is_not_there_yet_is_waited_for() {
    let daemon = two();
    let mut terminal = watch(
        &daemon,
        "exec",
        "--socket /nowhere/tokend.sock status --watch",
    );
    terminal.wait_for("tokend is not reachable, trying again");
    terminal.press("q");
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn whoever_may_not_see_the_account_is_told_on_the_first_screen() {
    let fault = Fault::new(FaultCode::NotAllowed, "account ads is not for you");
    let daemon = FakeDaemon::answering(Response::Fault(fault));
    let (code, shown) = watch(&daemon, "exec", "status --watch ads").end();
    assert_eq!(code, 77, "{shown:?}");
    let (_, after) = shown
        .split_once(CLOSE)
        .expect("the terminal is given back first");
    assert!(
        after.contains("tokenctl: account ads is not for you"),
        "{shown:?}"
    );
}

#[test]
fn it_fills_the_terminal_however_large_that_becomes() {
    let accounts = (0..30)
        .map(|n| account(&format!("account-{n:02}")))
        .collect();
    let daemon = FakeDaemon::answering(page(accounts));
    let mut terminal = watch(&daemon, "tty; exec", "status --watch");
    // Ten lines: title, headings, seven accounts, and this.
    terminal.wait_for("23 more are not shown");
    let shown = terminal.shown();
    let device = shown.split_whitespace().next().unwrap().to_owned();
    let resized = Command::new("stty")
        .args(["-F", &device, "rows", "40", "cols", "100"])
        .status();
    assert!(resized.unwrap().success());
    terminal.wait_for("account-29");
    terminal.press("q");
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn without_a_terminal_it_is_refused_with_what_to_do_instead() {
    let daemon = two();
    let Ended {
        code,
        stdout,
        stderr,
    } = tokenctl(&daemon, &["status", "--watch"]);
    assert_eq!((code, stdout.as_str()), (64, ""));
    assert!(
        stderr.contains("--watch needs a terminal") && stderr.contains("while sleep 5"),
        "{stderr}"
    );
    assert!(daemon.seen().is_empty());
}
