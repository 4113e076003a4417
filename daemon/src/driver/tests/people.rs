//! What persons do to accounts: enter a credential, forget one, give up a record that does not open.

use tokend_proto::{LoginSecret, SecretText};
use tokend_store::QuarantineReason;

use super::*;

fn without_secret(provider: &Provider) -> Site {
    Site::new(&account("ads", &provider.base_url).replace("password = { file = \"pw\" }\n", ""))
}

async fn enter(daemon: &Daemon, password: &str) -> Response {
    let secret = LoginSecret::Password(SecretText::new(password).unwrap());
    daemon
        .ask(Request::Login {
            account: name("ads"),
            secret,
        })
        .await
}

fn done(response: Response) -> String {
    match response {
        Response::Done { message } => message,
        other => panic!("{other:?}"),
    }
}

fn fault(response: Response) -> tokend_proto::Fault {
    match response {
        Response::Fault(fault) => fault,
        other => panic!("{other:?}"),
    }
}

async fn forget(daemon: &Daemon) -> Response {
    daemon
        .ask(Request::Forget {
            account: name("ads"),
        })
        .await
}

#[tokio::test]
async fn a_password_that_was_entered_is_tried_stored_and_used_again() {
    let provider = Provider::start().await;
    let (site, store) = (without_secret(&provider), MemoryStore::new());
    let daemon = Daemon::start(&site, &store).await;
    assert_eq!(
        daemon.get("ads").await.unwrap_err().code,
        FaultCode::LoginRequired
    );
    assert_eq!(
        done(enter(&daemon, "hunter2").await),
        "stored, and it works: account ads has a token"
    );
    assert!(provider.seen()[0].contains("password=hunter2"));
    daemon.drain().await;
    store.restart();
    let daemon = Daemon::start(&site, &store).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    assert_eq!(done(forget(&daemon).await), "account ads is forgotten");
    assert_eq!(
        daemon.get("ads").await.unwrap_err().code,
        FaultCode::LoginRequired
    );
    let record = store
        .read(&record_id(&site.account()).unwrap())
        .unwrap()
        .unwrap()
        .1;
    assert!(record.credential.password.is_none() && record.grant.is_none());
    assert_eq!(provider.seen().len(), 1);
}

#[tokio::test]
async fn a_wrong_password_is_told_and_a_better_one_helps() {
    let provider = Provider::start().await;
    provider.then(reply("400 Bad Request", r#"{"error":"invalid_grant"}"#));
    let daemon = Daemon::start(&without_secret(&provider), &MemoryStore::new()).await;
    let wrong = fault(enter(&daemon, "wrong").await);
    assert_eq!(wrong.code, FaultCode::LoginRequired);
    assert!(
        wrong.message.starts_with(
            "what you entered is stored, but no token came of it: the provider refuses"
        ),
        "{wrong:?}"
    );
    assert!(!wrong.message.contains("wrong"), "{wrong:?}");
    assert_eq!(
        daemon.get("ads").await.unwrap_err().code,
        FaultCode::LoginRequired
    );
    assert_eq!(provider.seen().len(), 1);
    done(enter(&daemon, "right").await);
    assert_eq!(daemon.get("ads").await.unwrap(), "token-2");
}

#[tokio::test]
async fn what_was_entered_while_the_store_refuses_is_not_lost() {
    let provider = Provider::start().await;
    let (site, store) = (without_secret(&provider), MemoryStore::new());
    let daemon = Daemon::start(&site, &store).await;
    store.fail_commit(1, tokend_store::Fault::DISK_FULL);
    let told = fault(enter(&daemon, "hunter2").await);
    assert_eq!(told.code, FaultCode::StoreUnavailable);
    assert!(
        told.message
            .starts_with("what you entered is used, but only in memory"),
        "{told:?}"
    );
    let wait = Request::Get {
        account: name("ads"),
        min_validity_ms: None,
        wait_ms: 20_000,
        timeout_ms: 20_000,
    };
    assert_eq!(token_of(daemon.ask(wait).await).unwrap(), "token-1");
    assert!(
        provider.seen()[0].contains("password=hunter2"),
        "{:?}",
        provider.seen()
    );
    let record = store
        .read(&record_id(&site.account()).unwrap())
        .unwrap()
        .unwrap()
        .1;
    assert!(record.credential.password.is_some());
}

#[tokio::test]
async fn a_record_that_does_not_open_is_told_and_can_be_given_up() {
    let provider = Provider::start().await;
    let (site, store) = (site(&provider), MemoryStore::new());
    let daemon = Daemon::start(&site, &store).await;
    daemon.get("ads").await.unwrap();
    daemon.drain().await;
    store.restart();
    store.quarantine(
        &record_id(&site.account()).unwrap(),
        QuarantineReason::DoesNotOpen,
    );
    let daemon = Daemon::start(&site, &store).await;
    assert_eq!(state(&daemon, "ads").await, AccountState::Quarantined);
    let told = daemon.get("ads").await.unwrap_err();
    assert_eq!(told.code, FaultCode::StoreUnavailable);
    assert!(told.advice.unwrap().contains("tokenctl forget ads"));
    done(daemon.ask(Request::Reload).await);
    assert_eq!(state(&daemon, "ads").await, AccountState::Quarantined);
    let (one, two) = tokio::join!(forget(&daemon), forget(&daemon));
    assert_eq!(
        (done(one), done(two)),
        (
            "account ads is forgotten".into(),
            "account ads is forgotten".into()
        )
    );
    assert_eq!(daemon.get("ads").await.unwrap(), "token-2");
}
