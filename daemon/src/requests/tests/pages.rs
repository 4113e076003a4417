//! Lists and statuses come in pages that fit their frames.

use std::fmt::Write as _;

use tokend_proto::{
    AccountState, AccountStatus, AttemptKind, LastAttempt, PaceStatus, RequestId, ServerFrame,
    encode,
};

use super::*;

fn many(count: usize) -> String {
    let mut text = String::from("[defaults]\nallow = [{ user = 20 }]\n");
    for n in 0..count {
        let long = format!("{n:064}");
        write!(
            text,
            "[account.\"{long}\"]\nprovider = \"oauth2\"\nbase_url = \"http://127.0.0.1:1/{}\"\nusername = \"u\"\nclient_id = \"c\"\n",
            "p".repeat(1500)
        )
        .unwrap();
    }
    text
}

fn size(response: Response) -> usize {
    let mut bytes = Vec::new();
    encode(
        &ServerFrame {
            id: RequestId(1),
            response,
        },
        &mut bytes,
    )
    .expect("it fits a frame");
    bytes.len()
}

#[tokio::test]
async fn a_list_comes_in_pages_that_fit() {
    let bench = bench(&many(701));
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let Response::Accounts(page) = bench.now(20, Request::List { after }) else {
            panic!()
        };
        seen.extend(page.accounts.iter().map(|line| line.account.clone()));
        after = page.next.clone();
        size(Response::Accounts(page));
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 701);
    assert!(seen.is_sorted());
    let Response::Accounts(none) = bench.now(21, Request::List { after: None }) else {
        panic!()
    };
    assert!(none.accounts.is_empty() && none.next.is_none());
}

/// A status with every text at its longest.
fn longest(account: &tokend_proto::AccountName) -> AccountStatus {
    let pace = PaceStatus {
        left: u32::MAX,
        burst: u32::MAX,
        period_ms: u64::MAX,
        next_at_ms: u64::MAX,
    };
    let long = Some(u64::MAX);
    AccountStatus {
        account: account.clone(),
        dialect: "d".repeat(64),
        base_url: "u".repeat(2_000),
        state: AccountState::BackingOff,
        has_token: true,
        expires_at_ms: long,
        remaining_ms: long,
        lifetime_ms: long,
        has_refresh_token: true,
        unpersisted: true,
        attempts: pace,
        logins: pace,
        next_attempt_at_ms: long,
        last_attempt: Some(LastAttempt {
            kind: AttemptKind::Login,
            at_ms: 1,
            duration_ms: 1,
            outcome: "o".repeat(1_000),
        }),
        problem: Some(
            Fault::new(FaultCode::Paced, "m".repeat(1_500))
                .advise("a".repeat(3_000))
                .retry_after(u64::MAX),
        ),
        waiters: u32::MAX,
    }
}

#[tokio::test]
async fn a_status_comes_in_pages_that_fit_and_leaves_nobody_out() {
    let mut bench = bench(&many(101));
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let asked = bench.requests.handle(
            &peer(20),
            Request::Status {
                account: None,
                after,
            },
        );
        let serve = async {
            let Some(Message::Status { accounts, reply }) = bench.driver.recv().await else {
                panic!()
            };
            reply
                .send(accounts.iter().map(|(_, name)| longest(name)).collect())
                .unwrap();
        };
        let (response, ()) = soon(async { tokio::join!(answer(asked), serve) }).await;
        let Response::Status(page) = response else {
            panic!()
        };
        assert!(!page.accounts.is_empty());
        seen.extend(page.accounts.iter().map(|status| status.account.clone()));
        after = page.next.clone();
        assert!(
            size(Response::Status(page)) > 30_000 || after.is_none(),
            "pages are filled"
        );
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 101);
    assert!(seen.is_sorted());
}
