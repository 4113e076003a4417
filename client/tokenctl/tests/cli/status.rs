//! `status` for scripts and programs; the output for people is tested beside the code and on a terminal.

use tokend_client::{AccountState, AccountStatus, PaceStatus};
use tokend_proto::{Request, Response, SinksPage, StatusPage};

use crate::fake::{Act, FakeDaemon, name};
use crate::run::{Ended, tokenctl};

pub(crate) fn account(text: &str) -> AccountStatus {
    let pace = PaceStatus {
        left: 3,
        burst: 5,
        period_ms: 60_000,
        next_at_ms: 0,
    };
    AccountStatus {
        account: name(text),
        dialect: "oauth2".into(),
        base_url: "https://example.com".into(),
        state: AccountState::Valid,
        has_token: true,
        expires_at_ms: Some(1_700_003_600_000),
        remaining_ms: Some(3_600_000),
        lifetime_ms: Some(3_600_000),
        has_refresh_token: true,
        unpersisted: false,
        attempts: pace,
        logins: pace,
        next_attempt_at_ms: None,
        last_attempt: None,
        problem: None,
        waiters: 0,
    }
}

/// Two accounts on two pages.
fn daemon() -> FakeDaemon {
    FakeDaemon::start(|_, request| {
        let page = match request {
            Request::Status {
                account: Some(one), ..
            } => StatusPage {
                accounts: vec![account(one.as_str())],
                next: None,
            },
            Request::Status { after: None, .. } => StatusPage {
                accounts: vec![account("ads")],
                next: Some(name("ads")),
            },
            Request::Status { .. } => StatusPage {
                accounts: vec![account("crm")],
                next: None,
            },
            Request::Sinks { .. } => {
                let sinks = Vec::new();
                return Act::Reply(Response::Sinks(SinksPage { sinks, next: None }));
            }
            other => panic!("{other:?}"),
        };
        Act::Reply(Response::Status(page))
    })
}

#[test]
fn scripts_get_one_line_for_each_account() {
    let line = |name: &str| format!("{name}\tvalid\t3600\t2023-11-14T23:13:20Z\t3\t3\t-\t-\n");
    let printed = |stdout| Ended {
        code: 0,
        stdout,
        stderr: String::new(),
    };
    assert_eq!(
        tokenctl(&daemon(), &["status"]),
        printed(line("ads") + &line("crm"))
    );
    assert_eq!(
        tokenctl(&daemon(), &["status", "crm"]),
        printed(line("crm"))
    );
}

#[test]
fn programs_get_an_array() {
    for (arguments, names) in [
        (&["status", "--json"][..], &["ads", "crm"][..]),
        (&["status", "crm", "--json"], &["crm"]),
    ] {
        let ended = tokenctl(&daemon(), arguments);
        let shown: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        let found: Vec<_> = shown
            .as_array()
            .unwrap()
            .iter()
            .map(|each| each["account"].as_str().unwrap())
            .collect();
        assert_eq!(found, names);
        assert_eq!(shown[0]["expires_at"], "2023-11-14T23:13:20Z");
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    }
}

#[test]
fn no_accounts_are_no_lines() {
    let daemon = FakeDaemon::answering(Response::Status(StatusPage {
        accounts: vec![],
        next: None,
    }));
    assert_eq!(
        tokenctl(&daemon, &["status"]),
        Ended {
            code: 0,
            stdout: String::new(),
            stderr: String::new()
        }
    );
    assert_eq!(tokenctl(&daemon, &["status", "--json"]).stdout, "[]\n");
}
