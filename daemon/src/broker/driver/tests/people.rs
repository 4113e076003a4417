//! What persons do to accounts: enter a credential, forget one, give up a record that does not open.

use tokend_store::QuarantineReason;

use super::*;
use crate::broker::job::StoreJob;
use tokend_process::systemd::Manager;

fn without_secret(provider: &Provider) -> Site {
    Site::new(&account("ads", &provider.base_url).replace("password = { file = \"pw\" }\n", ""))
}

/// A daemon whose account `ads` has no credential.
async fn started_without_secret() -> (Provider, Site, MemoryStore, Daemon) {
    let provider = Provider::start().await;
    let (site, store) = (without_secret(&provider), MemoryStore::new());
    let daemon = Daemon::start(&site, &store).await;
    (provider, site, store, daemon)
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

/// Who may forget what is no longer configured.
const ADMIN: &str = "admin = [{ user = 7 }]\n";

async fn forget(daemon: &Daemon) -> Response {
    daemon
        .ask(Request::Forget {
            account: name("ads"),
        })
        .await
}

/// Everything a client other than `tokenctl` may send, whatever it did not do to what was typed.
#[tokio::test]
async fn a_secret_that_any_client_sends_is_one_line_or_refused_and_nothing_is_asked() {
    let (provider, _site, _store, daemon) = started_without_secret().await;
    let kinds = [
        LoginSecret::Password,
        LoginSecret::RefreshToken as fn(SecretText) -> LoginSecret,
    ];
    for kind in kinds {
        for sent in [
            "",
            "\n",
            " \t",
            "\u{feff}\r\n",
            "hunter2\0",
            "h\0u\0",
            "hunter2\nhunter3",
            "hunter2\r\nhunter3\r\n",
            "hunter2\rhunter3",
            "\nhunter2\n",
            "hunter2\u{1b}[0m",
        ] {
            let secret = kind(SecretText::new(sent).unwrap());
            let account = name("ads");
            let fault = fault(daemon.ask(Request::Login { account, secret }).await);
            assert_eq!(fault.code, FaultCode::BadRequest, "{sent:?}");
            assert!(!fault.to_string().contains("hunter"), "{fault}");
        }
    }
    assert!(provider.seen().is_empty(), "nothing of it was sent");
    assert_eq!(
        daemon.get("ads").await.unwrap_err().code,
        FaultCode::LoginRequired,
        "nor stored"
    );
    let accepted = [
        ("hunter2", "hunter2"),
        ("hunter2\n", "hunter2"),
        ("hunter2\r\n", "hunter2"),
        ("hunter2\r", "hunter2"),
        ("\u{feff}hunter2\n\n", "hunter2"),
        // Blanks may be part of a password.
        (" hunter2 \n", "+hunter2+"),
    ];
    for (sent, expected) in accepted {
        let (provider, _site, _store, daemon) = started_without_secret().await;
        done(enter(&daemon, LoginSecret::Password, sent).await);
        let seen = provider.seen();
        let password = seen[0].split("password=").last().unwrap_or_default();
        let password = password.split(['&', '\r', '\n']).next();
        assert_eq!(password, Some(expected), "{sent:?}");
    }
}

#[tokio::test]
async fn a_password_that_was_entered_is_tried_stored_and_used_again() {
    let (provider, site, store, daemon) = started_without_secret().await;
    assert_eq!(
        daemon.get("ads").await.unwrap_err().code,
        FaultCode::LoginRequired
    );
    assert_eq!(
        done(enter(&daemon, LoginSecret::Password, "hunter2").await),
        "stored: the provider accepted it, and account ads has a token of it"
    );
    assert!(provider.seen()[0].contains("password=hunter2"));
    let daemon = restarted(daemon, &site, &store).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    assert_eq!(done(forget(&daemon).await), "account ads is forgotten");
    assert_eq!(
        daemon.get("ads").await.unwrap_err().code,
        FaultCode::LoginRequired
    );
    let record = stored(&store, &site);
    assert!(record.credential.secrets.is_empty() && record.grant.is_none());
    assert_eq!(provider.seen().len(), 1);
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_stored_and_a_better_one_helps() {
    let provider = Provider::start().await;
    provider.then(reply("400 Bad Request", r#"{"error":"invalid_grant"}"#));
    let daemon = Daemon::start(&without_secret(&provider), &MemoryStore::new()).await;
    let wrong = fault(enter(&daemon, LoginSecret::Password, "wrong").await);
    assert_eq!(wrong.code, FaultCode::LoginRequired);
    assert!(
        wrong.message.starts_with(
            "account ads: the provider refused the login with the password you entered ("
        ) && wrong.message.contains("it is not stored"),
        "{wrong:?}"
    );
    assert!(!wrong.message.contains("wrong"), "{wrong:?}");
    assert_eq!(
        wrong.advice.as_deref(),
        Some("enter the right one: `tokenctl login ads`")
    );
    assert_eq!(
        daemon.get("ads").await.unwrap_err().message,
        "account ads has no credential to log in with"
    );
    assert_eq!(provider.seen().len(), 1);
    done(enter(&daemon, LoginSecret::Password, "right").await);
    assert_eq!(daemon.get("ads").await.unwrap(), "token-2");
}

#[tokio::test]
async fn what_was_entered_while_the_store_refuses_is_not_tried() {
    let (provider, _site, store, daemon) = started_without_secret().await;
    store.fail_commit(1, tokend_store::ScriptedFault::DISK_FULL);
    let refusal = fault(enter(&daemon, LoginSecret::Password, "hunter2").await);
    assert_eq!(refusal.code, FaultCode::StoreUnavailable);
    assert!(
        refusal
            .message
            .starts_with("the password you entered is not stored and was not tried"),
        "{refusal:?}"
    );
    assert!(provider.seen().is_empty());
}

#[tokio::test]
async fn what_was_granted_while_the_store_refuses_is_not_lost() {
    let (_provider, site, store, daemon) = started_without_secret().await;
    store.fail_commit(2, tokend_store::ScriptedFault::DISK_FULL);
    let refusal = fault(enter(&daemon, LoginSecret::Password, "hunter2").await);
    assert_eq!(refusal.code, FaultCode::StoreUnavailable);
    assert!(
        refusal.message.starts_with(
            "the provider accepted the password you entered, which is used but only in memory"
        ),
        "{refusal:?}"
    );
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    soon(async {
        loop {
            let record = stored(&store, &site);
            if record.credential.secret("password").is_some() {
                assert!(record.candidate.is_none());
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn granted(access: &str, refresh: &str) -> String {
    format!(
        r#"{{"access_token":"{access}","token_type":"Bearer","expires_in":3600,"refresh_token":"{refresh}"}}"#
    )
}

#[tokio::test]
async fn a_mistyped_refresh_token_leaves_the_one_that_is_held_in_use() {
    let (provider, site, store, daemon) = started().await;
    provider.then(reply("200 OK", &granted("first", "held")));
    assert_eq!(daemon.get("ads").await.unwrap(), "first");
    provider.then(reply("400 Bad Request", r#"{"error":"invalid_grant"}"#));
    let refusal = fault(enter(&daemon, LoginSecret::RefreshToken, "typo").await);
    assert_eq!(refusal.code, FaultCode::LoginRequired);
    assert!(
        refusal
            .message
            .starts_with("account ads: the provider refused the refresh token you entered"),
        "{refusal:?}"
    );
    assert_eq!(daemon.get("ads").await.unwrap(), "first", "it is served on");
    let seen = provider.seen();
    assert_eq!(seen.len(), 2, "no login follows: {seen:?}");
    assert!(seen[1].contains("refresh_token=typo"), "{seen:?}");
    let record = stored(&store, &site);
    let held = record.credential.refresh_token.unwrap();
    assert_eq!(secrecy::ExposeSecret::expose_secret(&held), "held");
}

#[tokio::test]
async fn a_record_that_does_not_open_is_told_and_can_be_given_up() {
    let (_provider, site, store, daemon) = started().await;
    daemon.get("ads").await.unwrap();
    daemon.drain().await;
    store.restart();
    store.quarantine(
        &RecordKey::of(&site.account()).unwrap(),
        QuarantineReason::DoesNotOpen,
    );
    let daemon = Daemon::start(&site, &store).await;
    assert_eq!(state(&daemon, "ads").await, AccountState::Quarantined);
    let refusal = daemon.get("ads").await.unwrap_err();
    assert_eq!(refusal.code, FaultCode::StoreUnavailable);
    assert!(refusal.advice.unwrap().contains("tokenctl forget ads"));
    reload(&daemon).await;
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

/// What is stored under a name: `Some` with whether anything secret is there, for each record.
fn secrets_of(store: &MemoryStore, account: &tokend_config::Account) -> Option<bool> {
    let (_, record) = store.read(&RecordKey::of(account).unwrap()).unwrap()?;
    let held = &record.credential;
    Some(record.grant.is_some() || held.refresh_token.is_some() || !held.secrets.is_empty())
}

#[tokio::test]
async fn an_answer_on_its_way_to_a_former_identity_is_forgotten_with_the_account() {
    let (old, new) = (Provider::start().await, Provider::start().await);
    // The account has another identity, or is not configured at all.
    for text in [account("ads", &new.base_url), String::new()] {
        let (site, store) = (site(&old), MemoryStore::new());
        site.write(&format!("{ADMIN}{}", account("ads", &old.base_url)));
        let before = site.account();
        let go_on = hold(&old);
        let asked = old.seen().len();
        let daemon = Daemon::start(&site, &store).await;
        let waiting = daemon.requests.handle(&crate::testing::peer(7), get("ads"));
        old.asked(asked + 1).await;
        put_in_force(&daemon, &site, &format!("{ADMIN}{text}")).await;
        drop(waiting);
        let forgotten = forget(&daemon);
        let answered = async { go_on.send(raw("200 OK", &grant(1))) };
        let (said, sent) = tokio::join!(forgotten, answered);
        sent.unwrap();
        assert_eq!(done(said), "account ads is forgotten", "{text}");
        assert_eq!(secrets_of(&store, &before), Some(false), "{text}");
        put_in_force(
            &daemon,
            &site,
            &format!("{ADMIN}{}", account("ads", &old.base_url)),
        )
        .await;
        assert_ne!(daemon.get("ads").await.unwrap(), "token-1", "{text}");
        daemon.drain().await;
    }
}

/// Else a record that an attempt had claimed a moment ago would be left, and it would be told that not everything could be removed.
#[tokio::test]
async fn records_are_removed_when_the_store_has_given_all_rights_on_them_back() {
    let site = Site::new(ADMIN);
    let (daemon, mut jobs) = Daemon::hanging(&site, Manager::none()).await;
    let mut forgetting = std::pin::pin!(forget(&daemon));
    let job = soon(async {
        tokio::select! {
            early = &mut forgetting => panic!("{early:?}"),
            job = jobs.recv() => job.unwrap(),
        }
    });
    let StoreJob::Reached(done) = job.await else {
        panic!("something else than a question");
    };
    tokio::select! {
        biased;
        early = &mut forgetting => panic!("the store's thread has not answered: {early:?}"),
        () = tokio::task::yield_now() => {}
    }
    done.send(()).unwrap();
    let unknown = fault(forgetting.await);
    assert_eq!(unknown.code, FaultCode::UnknownAccount);
}

#[tokio::test]
async fn what_was_served_before_an_account_left_the_configuration_is_forgotten_too() {
    let (provider, site, store) = place().await;
    let text = format!("{ADMIN}{}", account("ads", &provider.base_url));
    site.write(&text);
    let before = site.account();
    let daemon = Daemon::start(&site, &store).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    // A refresh is under way that will fail: what is served stays in memory.
    let go_on = hold(&provider);
    let forced = daemon
        .requests
        .handle(&crate::testing::peer(7), force("ads"));
    provider.asked(2).await;
    put_in_force(&daemon, &site, ADMIN).await;
    drop(forced);
    let answered = async { go_on.send(raw("500 Internal Server Error", "")) };
    let (said, sent) = tokio::join!(forget(&daemon), answered);
    sent.unwrap();
    assert_eq!(done(said), "account ads is forgotten");
    assert_eq!(secrets_of(&store, &before), Some(false));
    put_in_force(&daemon, &site, &text).await;
    // Not even after a failure is there anything to serve at once: it is asked for anew.
    let refusal = daemon.get("ads").await;
    assert_ne!(refusal.unwrap_or_default(), "token-1");
    daemon.drain().await;
}

/// A reload has read the record of a former identity, and puts it in force after it was to be forgotten.
#[tokio::test]
async fn what_a_reload_brings_back_meanwhile_is_not_told_to_be_forgotten() {
    let (provider, site, store) = place().await;
    let text = format!("{ADMIN}{}", account("ads", &provider.base_url));
    site.write(&text);
    let before = site.account();
    let daemon = Daemon::start(&site, &store).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    put_in_force(&daemon, &site, ADMIN).await;
    let reloader = &daemon.requests.reloader;
    let in_flight = reloader.pause().await;
    let mut forgetting = std::pin::pin!(forget(&daemon));
    site.write(&text);
    let back = site.config();
    tokio::select! {
        biased;
        early = &mut forgetting => panic!("{early:?}"),
        applied = soon(Box::pin(reloader.apply(&back))) => drop(applied.unwrap()),
    }
    assert_eq!(secrets_of(&store, &before), Some(true), "not purged");
    drop(in_flight);
    let refusal = fault(forgetting.await);
    assert_eq!(refusal.code, FaultCode::TooBusy, "{refusal:?}");
    assert!(refusal.retry_after_ms.is_some(), "{refusal:?}");
    assert_eq!(done(forget(&daemon).await), "account ads is forgotten");
    assert_eq!(secrets_of(&store, &before), Some(false));
    assert_eq!(daemon.get("ads").await.unwrap(), "token-2");
}
