//! The shell as a whole, without its socket: a real driver, store thread and HTTP client, a store in memory, a provider on loopback.

mod entered;
mod halves;
mod people;
mod reloads;
mod watched;

use std::fmt::Write as _;

use tokend_proto::{AccountState, FaultCode, LoginSecret, Request, Response, SecretText};
use tokend_store::{MemoryStore, Store as _, StoreFailure};
use tokio::sync::oneshot;

use crate::testing::{
    Act, Daemon, Provider, Site, answer, get, grant, name, raw, reply, soon, token_of,
};
use tokend_record::RecordKey;

/// An account `ads` whose password is in a file.
fn account(name: &str, base_url: &str) -> String {
    let mut text = String::new();
    write!(
        text,
        "[account.{name}]\nprovider = \"oauth2\"\nbase_url = \"{base_url}\"\nusername = \"u\"\nclient_id = \"c\"\npassword = {{ file = \"pw\" }}\n"
    )
    .unwrap();
    text
}

fn site(provider: &Provider) -> Site {
    let site = Site::new(&account("ads", &provider.base_url));
    site.secret("pw", "right", 0o600);
    site
}

/// A provider, and a place and a store for a daemon whose account `ads` is there.
async fn place() -> (Provider, Site, MemoryStore) {
    let provider = Provider::start().await;
    let site = site(&provider);
    (provider, site, MemoryStore::new())
}

/// The same, with a daemon that serves.
async fn started() -> (Provider, Site, MemoryStore, Daemon) {
    let (provider, site, store) = place().await;
    let daemon = Daemon::start(&site, &store).await;
    (provider, site, store, daemon)
}

/// The next daemon at the same place, once this one has ended in peace.
async fn restarted(daemon: Daemon, site: &Site, store: &MemoryStore) -> Daemon {
    daemon.drain().await;
    store.restart();
    Daemon::start(site, store).await
}

/// Has the daemon read its configuration again.
async fn reload(daemon: &Daemon) {
    let response = daemon.ask(Request::Reload).await;
    assert!(matches!(response, Response::Done { .. }), "{response:?}");
}

/// Has the daemon apply this configuration.
async fn put_in_force(daemon: &Daemon, site: &Site, text: &str) {
    site.write(text);
    reload(daemon).await;
}

/// Keeps the provider's next reply back until it is sent through this.
fn hold(provider: &Provider) -> oneshot::Sender<String> {
    let (go_on, held) = oneshot::channel();
    provider.then(Act::Hold(held));
    go_on
}

/// What is stored of the account.
fn stored(store: &MemoryStore, site: &Site) -> tokend_store::Record {
    let id = RecordKey::of(&site.account()).unwrap();
    store.read(&id).unwrap().unwrap().1
}

/// What `tokenctl login` asks.
async fn enter(daemon: &Daemon, secret: fn(SecretText) -> LoginSecret, text: &str) -> Response {
    let secret = secret(SecretText::new(text).unwrap());
    daemon
        .ask(Request::Login {
            account: name("ads"),
            secret,
        })
        .await
}

async fn state(daemon: &Daemon, account: &str) -> AccountState {
    match daemon
        .ask(Request::Status {
            account: Some(name(account)),
            after: None,
        })
        .await
    {
        Response::Status(page) => page.accounts[0].state,
        other => panic!("{other:?}"),
    }
}

fn reject(account: &str, text: &str) -> Request {
    let token = SecretText::new(text).unwrap();
    Request::Reject {
        account: name(account),
        token,
        wait_ms: 0,
        timeout_ms: 20_000,
    }
}

fn force(account: &str) -> Request {
    Request::Refresh {
        account: name(account),
        wait_ms: 0,
        timeout_ms: 20_000,
    }
}

#[tokio::test]
async fn one_attempt_serves_everybody_and_the_next_start() {
    let (provider, site, store, daemon) = started().await;
    let all = futures_util::future::join_all((0..100).map(|_| daemon.get("ads"))).await;
    assert!(
        all.iter().all(|token| token.as_deref() == Ok("token-1")),
        "{all:?}"
    );
    let daemon = restarted(daemon, &site, &store).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    assert_eq!(state(&daemon, "ads").await, AccountState::Valid);
    assert_eq!(provider.seen().len(), 1);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let (provider, _site, _store, daemon) = started().await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    let all =
        futures_util::future::join_all((0..10).map(|_| daemon.ask(reject("ads", "token-1")))).await;
    let all: Vec<_> = all.into_iter().map(token_of).collect();
    let seen = provider.seen();
    assert!(
        all.iter().all(|token| token.as_deref() == Ok("token-2")),
        "{all:?} after {seen:?}"
    );
    assert_eq!(seen.len(), 2);
    assert!(seen[1].contains("refresh_token=refresh-1"), "{seen:?}");
}

#[tokio::test]
async fn a_full_disk_sends_nothing_and_loses_nothing() {
    let (provider, site, store) = place().await;
    store.set_outage(Some(StoreFailure::DiskFull));
    let daemon = Daemon::start(&site, &store).await;
    assert_eq!(
        daemon.get("ads").await.unwrap_err().code,
        FaultCode::StoreUnavailable
    );
    assert!(provider.seen().is_empty());
    store.set_outage(None);
    let wait = Request::Get {
        account: name("ads"),
        min_validity_ms: None,
        wait_ms: 20_000,
        timeout_ms: 20_000,
    };
    assert_eq!(token_of(daemon.ask(wait).await).unwrap(), "token-1");
    // The intent of the next attempt lands, and its outcome does not.
    store.fail_commit(2, tokend_store::ScriptedFault::DISK_FULL);
    assert_eq!(
        token_of(daemon.ask(force("ads")).await).unwrap(),
        "token-2",
        "served from memory"
    );
    let daemon = restarted(daemon, &site, &store).await;
    assert_eq!(
        daemon.get("ads").await.unwrap(),
        "token-2",
        "and stored before the end"
    );
    assert_eq!(provider.seen().len(), 2);
}

#[tokio::test]
async fn a_drain_finishes_what_was_sent() {
    let (provider, site, store) = place().await;
    let go_on = hold(&provider);
    let daemon = Daemon::start(&site, &store).await;
    let waiting = tokio::spawn(answer(
        daemon.requests.handle(&crate::testing::peer(7), get("ads")),
    ));
    provider.asked(1).await;
    let drained = daemon.begin_drain().await;
    // Nothing new begins.
    assert_eq!(
        token_of(daemon.ask(force("ads")).await).unwrap_err().code,
        FaultCode::Draining
    );
    go_on.send(raw("200 OK", &grant(1))).unwrap();
    soon(drained).await.unwrap();
    assert_eq!(token_of(soon(waiting).await.unwrap()).unwrap(), "token-1");
    assert!(stored(&store, &site).grant.is_some());
}

#[tokio::test]
async fn a_client_that_leaves_cancels_nothing() {
    let (provider, _site, _store, daemon) = started().await;
    let go_on = hold(&provider);
    drop(daemon.requests.handle(&crate::testing::peer(7), get("ads")));
    provider.asked(1).await;
    go_on.send(raw("200 OK", &grant(1))).unwrap();
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    assert_eq!(provider.seen().len(), 1);
}

#[tokio::test]
async fn a_provider_that_hangs_delays_nobody_else() {
    let (slow, quick) = (Provider::start().await, Provider::start().await);
    slow.then(Act::Hang);
    let site = Site::new(&(account("slow", &slow.base_url) + &account("quick", &quick.base_url)));
    site.secret("pw", "right", 0o600);
    let daemon = Daemon::start(&site, &MemoryStore::new()).await;
    let _waiting = daemon
        .requests
        .handle(&crate::testing::peer(7), get("slow"));
    slow.asked(1).await;
    assert_eq!(daemon.get("quick").await.unwrap(), "token-1");
    assert_eq!(state(&daemon, "slow").await, AccountState::Obtaining);
}

#[tokio::test]
async fn there_is_an_end_to_those_who_wait_and_room_left_for_other_users() {
    let provider = Provider::start().await;
    provider.then(Act::Hang);
    let allow =
        "allow = [{ user = 7 }, { user = 8 }, { user = 9 }, { user = 10 }, { user = 11 }]\n";
    let site = Site::new(&(account("ads", &provider.base_url) + allow));
    site.secret("pw", "right", 0o600);
    let daemon = Daemon::start(&site, &MemoryStore::new()).await;
    let mut crowd = Vec::new();
    for _ in 0..super::super::waiters::MOST_WAITERS / 2 {
        crowd.push(daemon.requests.handle(&crate::testing::peer(7), get("ads")));
        tokio::task::yield_now().await;
    }
    provider.asked(1).await;
    let fault = daemon.get("ads").await.unwrap_err();
    assert_eq!(fault.code, FaultCode::TooBusy);
    assert!(
        fault.message.contains("4096 of them of user 7"),
        "{fault:?}"
    );
    // Nobody can take the room of others: each further user has a share of what is left.
    let mut room = super::super::waiters::MOST_WAITERS / 2;
    for uid in 8..11 {
        for _ in 0..room.div_ceil(2) {
            crowd.push(
                daemon
                    .requests
                    .handle(&crate::testing::peer(uid), get("ads")),
            );
            tokio::task::yield_now().await;
        }
        let more = daemon
            .requests
            .handle(&crate::testing::peer(uid), get("ads"));
        let fault = token_of(soon(answer(more)).await).unwrap_err();
        assert_eq!(fault.code, FaultCode::TooBusy, "user {uid}");
        room -= room.div_ceil(2);
    }
    crowd.push(
        daemon
            .requests
            .handle(&crate::testing::peer(11), get("ads")),
    );
    soon(async {
        let all = super::super::waiters::MOST_WAITERS - room + 1;
        while waiters(&daemon, "ads").await != u32::try_from(all).unwrap() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Whoever leaves counts no longer, and what runs goes on.
    drop(crowd);
    soon(async {
        while waiters(&daemon, "ads").await != 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(state(&daemon, "ads").await, AccountState::Obtaining);
}

#[tokio::test]
async fn a_full_share_at_one_account_takes_no_room_from_another_user_at_another() {
    let provider = Provider::start().await;
    provider.then(Act::Hang);
    provider.then(Act::Hang);
    let allow = "allow = [{ user = 7 }, { user = 8 }]\n";
    let with = |name: &str| account(name, &provider.base_url) + allow;
    let site = Site::new(&(with("ads") + &with("mail")));
    site.secret("pw", "right", 0o600);
    let daemon = Daemon::start(&site, &MemoryStore::new()).await;
    let peer = crate::testing::peer;
    let (mut full, mut leaving) = (Vec::new(), Vec::new());
    for _ in 0..super::super::waiters::MOST_WAITERS / 2 {
        full.push(daemon.requests.handle(&peer(7), get("ads")));
        leaving.push(daemon.requests.handle(&peer(8), get("mail")));
        tokio::task::yield_now().await;
    }
    // Those of one user stay, who asks on; those of the other go, and what it asks is heard before that.
    let more = daemon.requests.handle(&peer(7), get("ads"));
    let fault = token_of(soon(answer(more)).await).unwrap_err();
    assert_eq!(fault.code, FaultCode::TooBusy);
    let waits = daemon.requests.handle(&peer(8), get("mail"));
    drop(leaving);
    soon(async {
        while waiters(&daemon, "mail").await != 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop((full, waits));
}

async fn waiters(daemon: &Daemon, account: &str) -> u32 {
    let request = Request::Status {
        account: Some(name(account)),
        after: None,
    };
    match daemon.ask(request).await {
        Response::Status(page) => page.accounts[0].waiters,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn reports_of_one_user_leave_others_the_token_that_is_held() {
    let (provider, site, _store, daemon) = started().await;
    let mut held = daemon.get("ads").await.unwrap();
    let burst = site.account().pacing.attempts.burst();
    let mut believed = 0;
    let fault = loop {
        let report = Request::Reject {
            account: name("ads"),
            token: SecretText::new(&held).unwrap(),
            wait_ms: 0,
            timeout_ms: 20_000,
        };
        match token_of(daemon.ask(report).await) {
            Ok(newer) => held = newer,
            Err(fault) => break fault,
        }
        believed += 1;
        assert!(believed < burst, "less than the rate limit allows");
    };
    assert_eq!(fault.code, FaultCode::Paced, "{fault:?}");
    assert!(fault.retry_after_ms.is_some(), "{fault:?}");
    let asked = provider.seen().len();
    assert_eq!(daemon.get("ads").await.unwrap(), held, "it is still served");
    assert_eq!(provider.seen().len(), asked);
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_is_told_and_costs_nothing() {
    let provider = Provider::start().await;
    let site = site(&provider);
    site.secret("pw", "right", 0o644);
    let daemon = Daemon::start(&site, &MemoryStore::new()).await;
    let fault = daemon.get("ads").await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Misconfigured);
    assert!(
        fault
            .message
            .starts_with("cannot read the password of account ads: "),
        "{fault:?}"
    );
    assert!(provider.seen().is_empty());
    site.secret("pw", "right", 0o600);
    assert_eq!(token_of(daemon.ask(force("ads")).await).unwrap(), "token-1");
}

#[tokio::test]
async fn a_rejected_password_is_not_tried_again_before_it_changes() {
    let (provider, site, store) = place().await;
    provider.then(reply(
        "400 Bad Request",
        r#"{"error":"invalid_grant","error_description":"no, right is wrong"}"#,
    ));
    let mut daemon = Daemon::start(&site, &store).await;
    for _ in 0..3 {
        let fault = daemon.get("ads").await.unwrap_err();
        assert_eq!(fault.code, FaultCode::LoginRequired);
        assert!(!fault.message.contains("right"), "{fault:?}");
        daemon.drain().await;
        store.restart();
        daemon = Daemon::start(&site, &store).await;
    }
    assert!(matches!(
        daemon.ask(Request::Reload).await,
        Response::Done { .. }
    ));
    assert_eq!(
        daemon.get("ads").await.unwrap_err().code,
        FaultCode::LoginRequired
    );
    assert_eq!(provider.seen().len(), 1);
    site.secret("pw", "better", 0o600);
    assert!(matches!(
        daemon.ask(Request::Reload).await,
        Response::Done { .. }
    ));
    assert_eq!(daemon.get("ads").await.unwrap(), "token-2");
}

#[tokio::test]
async fn a_client_refused_at_a_refresh_is_not_tried_again_at_a_restart() {
    let (provider, site, store) = place().await;
    provider
        .then(reply("200 OK", &grant(1)))
        .then(reply("401 Unauthorized", r#"{"error":"invalid_client"}"#));
    let daemon = Daemon::start(&site, &store).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    let refused = token_of(daemon.ask(reject("ads", "token-1")).await).unwrap_err();
    assert_eq!(refused.code, FaultCode::LoginRequired);
    let daemon = restarted(daemon, &site, &store).await;
    assert_eq!(
        daemon.get("ads").await.unwrap_err().code,
        FaultCode::LoginRequired
    );
    assert_eq!(provider.seen().len(), 2);
}
