//! Configurations put in force while the daemon runs.

use super::*;

#[tokio::test]
async fn accounts_come_and_go_and_come_back() {
    let provider = Provider::start().await;
    let site = site(&provider);
    let ads = account("ads", &provider.base_url);
    let both = ads.clone() + &account("bids", &provider.base_url);
    let daemon = Daemon::start(&site, &MemoryStore::new()).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    assert_eq!(
        daemon.get("bids").await.unwrap_err().code,
        FaultCode::UnknownAccount
    );
    put_in_force(&daemon, &site, &both).await;
    assert_eq!(daemon.get("bids").await.unwrap(), "token-2");
    put_in_force(&daemon, &site, &account("bids", &provider.base_url)).await;
    assert_eq!(
        daemon.get("ads").await.unwrap_err().code,
        FaultCode::UnknownAccount
    );
    put_in_force(&daemon, &site, &both).await;
    assert_eq!(
        daemon.get("ads").await.unwrap(),
        "token-1",
        "its record was kept"
    );
    assert_eq!(provider.seen().len(), 2);
}

#[tokio::test]
async fn a_bad_configuration_changes_nothing() {
    let (_provider, site, _store, daemon) = started().await;
    site.write("[account.ads]\nprovider = \"nonsense\"\n");
    assert!(
        matches!(daemon.ask(Request::Reload).await, Response::Fault(fault) if fault.code == FaultCode::ReloadFailed)
    );
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
}

#[tokio::test]
async fn another_identity_is_not_served_what_an_attempt_of_the_old_one_brings() {
    let (old, new) = (Provider::start().await, Provider::start().await);
    let (site, store) = (site(&old), MemoryStore::new());
    let before = site.account();
    let go_on = hold(&old);
    new.then(reply("200 OK", &grant(77)));
    let daemon = Daemon::start(&site, &store).await;
    let waiting = tokio::spawn(answer(
        daemon.requests.handle(&crate::testing::peer(7), get("ads")),
    ));
    old.asked(1).await;
    put_in_force(&daemon, &site, &account("ads", &new.base_url)).await;
    assert_eq!(
        token_of(soon(waiting).await.unwrap()).unwrap_err().code,
        FaultCode::UnknownAccount
    );
    go_on.send(raw("200 OK", &grant(1))).unwrap();
    assert_eq!(daemon.get("ads").await.unwrap(), "token-77");
    // It is committed all the same: going back finds it.
    let id = RecordKey::of(&before).unwrap();
    soon(async {
        while store
            .read(&id)
            .unwrap()
            .is_none_or(|(_, record)| record.grant.is_none())
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    put_in_force(&daemon, &site, &account("ads", &old.base_url)).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    assert_eq!((old.seen().len(), new.seen().len()), (1, 1));
}

#[tokio::test]
async fn an_account_that_comes_back_while_its_attempt_runs_has_its_token_back() {
    let (provider, site, store, daemon) = started().await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    let go_on = hold(&provider);
    let forced = daemon
        .requests
        .handle(&crate::testing::peer(7), force("ads"));
    provider.asked(2).await;
    put_in_force(&daemon, &site, "").await;
    assert_eq!(
        daemon.get("ads").await.unwrap_err().code,
        FaultCode::UnknownAccount
    );
    put_in_force(&daemon, &site, &account("ads", &provider.base_url)).await;
    assert_eq!(
        daemon.get("ads").await.unwrap(),
        "token-1",
        "still good, and no new attempt"
    );
    go_on.send(raw("200 OK", &grant(2))).unwrap();
    drop(forced);
    daemon.drain().await;
    let daemon = Daemon::start(&site, &store).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-2");
}

#[tokio::test]
async fn a_reload_goes_on_without_whoever_asked_for_it() {
    let (provider, site, _store, daemon) = started().await;
    site.write(&(account("ads", &provider.base_url) + &account("bids", &provider.base_url)));
    let mut asked = Box::pin(answer(
        daemon
            .requests
            .handle(&crate::testing::peer(7), Request::Reload),
    ));
    assert!(
        futures_util::FutureExt::now_or_never(&mut asked).is_none(),
        "begun"
    );
    drop(asked);
    soon(async {
        while daemon.get("bids").await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_account_that_is_renamed_keeps_the_pace_of_its_login() {
    let provider = Provider::start().await;
    let pace = "pacing = { logins = { burst = 2, every = \"1h\" } }\n";
    let named = |name: &str| account(name, &provider.base_url) + pace;
    let (site, store) = (site(&provider), MemoryStore::new());
    site.write(&named("ads"));
    let daemon = Daemon::start(&site, &store).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    // Another name is the same login to its provider; it has one left, then none.
    put_in_force(&daemon, &site, &named("ads2")).await;
    assert_eq!(daemon.get("ads2").await.unwrap(), "token-2");
    put_in_force(&daemon, &site, &named("ads3")).await;
    assert_eq!(daemon.get("ads3").await.unwrap_err().code, FaultCode::Paced);
    // Neither does a restart under yet another name give it back.
    daemon.drain().await;
    site.write(&named("ads4"));
    let daemon = Daemon::start(&site, &store).await;
    assert_eq!(daemon.get("ads4").await.unwrap_err().code, FaultCode::Paced);
    assert_eq!(provider.seen().len(), 2);
    // Another login is another pace.
    let other = named("ads5").replace("username = \"u\"", "username = \"v\"");
    put_in_force(&daemon, &site, &other).await;
    assert_eq!(daemon.get("ads5").await.unwrap(), "token-3");
}

#[tokio::test]
async fn an_account_that_is_renamed_keeps_what_its_provider_asked_for() {
    let (provider, site, store) = place().await;
    let named = |name: &str| account(name, &provider.base_url);
    let busy = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 3600\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    provider.then(Act::Say(busy.to_owned()));
    let daemon = Daemon::start(&site, &store).await;
    let least = |fault: &tokend_proto::Fault| fault.retry_after_ms.is_some_and(|it| it > 3_500_000);
    let fault = daemon.get("ads").await.unwrap_err();
    assert!(least(&fault), "{fault:?}");
    put_in_force(&daemon, &site, &named("ads2")).await;
    let fault = daemon.get("ads2").await.unwrap_err();
    assert!(least(&fault), "{fault:?}");
    daemon.drain().await;
    store.restart();
    site.write(&named("ads3"));
    let daemon = Daemon::start(&site, &store).await;
    let fault = token_of(daemon.ask(force("ads3")).await).unwrap_err();
    assert!(least(&fault), "{fault:?}");
    assert_eq!(provider.seen().len(), 1);
}

#[tokio::test]
async fn an_account_that_is_renamed_there_and_back_has_no_second_pace() {
    let provider = Provider::start().await;
    let pace = "pacing = { logins = { burst = 2, every = \"1h\" }, attempts = { burst = 2, every = \"1h\" } }\n";
    let named = |name: &str| account(name, &provider.base_url) + pace;
    let (site, store) = (site(&provider), MemoryStore::new());
    site.write(&named("ads"));
    let daemon = Daemon::start(&site, &store).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    put_in_force(&daemon, &site, &named("ads2")).await;
    assert_eq!(daemon.get("ads2").await.unwrap(), "token-2");
    // Its record knows of one login, that of the other name of two. The token it has is still good; another would be a third login.
    put_in_force(&daemon, &site, &named("ads")).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    let paced = token_of(daemon.ask(force("ads")).await).unwrap_err();
    assert_eq!(paced.code, FaultCode::Paced);
    // Nor does a restart bring one, among accounts enough that records are read one by one, or at once.
    daemon.drain().await;
    let daemon = Daemon::start(&site, &store).await;
    let paced = token_of(daemon.ask(force("ads")).await).unwrap_err();
    assert_eq!(paced.code, FaultCode::Paced);
    let others: String = (0..8)
        .map(|it| {
            let other = named(&format!("other{it}"));
            other.replace("username = \"u\"", &format!("username = \"v{it}\""))
        })
        .collect();
    put_in_force(&daemon, &site, &others).await;
    put_in_force(&daemon, &site, &(others + &named("ads2"))).await;
    let paced = token_of(daemon.ask(force("ads2")).await).unwrap_err();
    assert_eq!(paced.code, FaultCode::Paced);
    assert_eq!(provider.seen().len(), 2);
}

#[tokio::test]
async fn a_name_that_is_known_by_now_is_put_in_force_where_nothing_else_changed() {
    use tokend_config::{Config, Environment, Files, Overrides};
    use tokend_policy::Directory;

    use crate::reload::retry;

    let provider = Provider::start().await;
    let site = site(&provider);
    let text = account("ads", &provider.base_url);
    let rule = "allow = [{ user = \"root\" }]\n";
    let daemon = Daemon::start(&site, &MemoryStore::new()).await;
    let dir = tempfile::tempdir().unwrap();
    let records = dir.path().join("audit.jsonl");
    let audit = format!("[audit]\nfile = \"{}\"\n", records.display());
    put_in_force(&daemon, &site, &format!("{audit}{text}{rule}")).await;
    let reloader = &daemon.requests.reloader;
    // As if nobody had been called root when it was read.
    let nobody = Directory::fixed(Vec::new(), Vec::new());
    let read = Config::load_from(
        &Files::system(),
        nobody,
        &site.file(),
        &Overrides::default(),
        &Environment::default(),
    );
    let unresolved = read.expect("no mistake").unresolved;
    assert_eq!(unresolved.len(), 1);
    daemon.in_force.forget_names(unresolved.clone());
    retry::try_again(reloader).await;
    assert_eq!(*reloader.pause().await, 3, "it was loaded");
    assert!(daemon.in_force.unresolved().is_empty());
    // What somebody is still writing is not loaded because a name is known, wherever it stands.
    site.dialect("mine", "extends = \"oauth2\"\n");
    put_in_force(
        &daemon,
        &site,
        &format!("dialect_dir = \"dialects\"\n{audit}{text}{rule}"),
    )
    .await;
    for (name, edit) in [
        ("new", "extends = \"oauth2\"\n"),
        ("mine", "extends = \"oau"),
    ] {
        daemon.in_force.forget_names(unresolved.clone());
        site.dialect(name, edit);
        retry::try_again(reloader).await;
        assert_eq!(*reloader.pause().await, 4, "{name}");
    }
    site.write("[account.ads]\nprovider = \"nonsense\"\n");
    retry::try_again(reloader).await;
    assert_eq!(*reloader.pause().await, 4);
    daemon.requests.audit.finish();
    let records = std::fs::read_to_string(records).unwrap();
    let of_names = |line: &&str| line.contains("\"request\":\"names\"");
    let of_names: Vec<_> = records.lines().filter(of_names).collect();
    assert_eq!(of_names.len(), 1, "{records}");
    assert!(of_names[0].contains("\"reload\""), "{records}");
}

#[tokio::test]
async fn secrets_of_blocked_accounts_that_are_never_answered_hold_no_reload_and_no_start() {
    let provider = Provider::start().await;
    let names: Vec<_> = (0..6).map(|number| format!("ads{number}")).collect();
    let text = |password: &str| {
        let accounts = names.iter().map(|name| account(name, &provider.base_url));
        let accounts = accounts.collect::<String>();
        let accounts = accounts.replace("{ file = \"pw\" }", password);
        format!("[limits]\ncommand_timeout = \"10m\"\n{accounts}")
    };
    let file = "{ file = \"pw\" }";
    let (site, store) = (Site::new(&text(file)), MemoryStore::new());
    site.secret("pw", "wrong", 0o600);
    let daemon = Daemon::start(&site, &store).await;
    for name in &names {
        provider.then(reply(
            "400 Bad Request",
            r#"{"error":"invalid_grant","error_description":"wrong password"}"#,
        ));
        let fault = daemon.get(name).await.unwrap_err();
        assert_eq!(fault.code, FaultCode::LoginRequired);
    }
    // The limit of commands is the new one for good only after a reload.
    put_in_force(&daemon, &site, &text(file)).await;
    let hanging = text("{ command = [\"sleep\", \"600\"] }");
    for _ in 0..2 {
        put_in_force(&daemon, &site, &hanging).await;
        assert_eq!(state(&daemon, "ads5").await, AccountState::LoginRequired);
    }
    // One that is answered counts, however many beside it are not.
    let last = hanging.rfind("{ command").unwrap();
    site.secret("pw", "right", 0o600);
    put_in_force(&daemon, &site, &format!("{}{file}\n", &hanging[..last])).await;
    assert!(daemon.get("ads5").await.is_ok());
    daemon.drain().await;
    store.restart();
    site.write(&hanging);
    let daemon = Daemon::start(&site, &store).await;
    assert_eq!(state(&daemon, "ads0").await, AccountState::LoginRequired);
}

/// An account whose token is asked for with this scope, and what it says of a reload that asks otherwise.
async fn asks_otherwise(daemon: &Daemon, site: &Site, text: &str) -> String {
    site.write(text);
    match daemon.ask(Request::Reload).await {
        Response::Done { message } => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_asked_for_with_other_options_is_not_served_after_a_reload_or_a_restart() {
    let provider = Provider::start().await;
    let with = |scope: &str| account("ads", &provider.base_url) + &format!("scope = \"{scope}\"\n");
    let (site, store) = (Site::new(&with("admin")), MemoryStore::new());
    site.secret("pw", "right", 0o600);
    let daemon = Daemon::start(&site, &store).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    let said = asks_otherwise(&daemon, &site, &with("admin")).await;
    assert_eq!(
        said, "configuration 2 is in force: 1 account (0 new, 0 removed)",
        "one is one"
    );
    let said = asks_otherwise(&daemon, &site, &with("read")).await;
    assert!(
        said.ends_with(
            "the token of 1 account was asked for with other options and is not served any more"
        ),
        "{said}"
    );
    assert_ne!(state(&daemon, "ads").await, AccountState::Valid);
    assert_eq!(daemon.get("ads").await.unwrap(), "token-2");
    assert_eq!(token_of(daemon.ask(force("ads")).await).unwrap(), "token-3");
    daemon.drain().await;
    store.restart();
    site.write(&with("write"));
    let daemon = Daemon::start(&site, &store).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-4");
    let seen = provider.seen();
    for (request, asked) in seen.iter().zip([
        "scope=admin",
        "scope=read",
        "grant_type=refresh_token",
        "scope=write",
    ]) {
        assert!(request.contains(asked), "{asked}: {request}");
    }
    let daemon = restarted(daemon, &site, &store).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-4", "and it stays");
}

#[tokio::test]
async fn an_answer_to_what_was_asked_before_a_reload_is_not_served() {
    let provider = Provider::start().await;
    let with = |scope: &str| account("ads", &provider.base_url) + &format!("scope = \"{scope}\"\n");
    let site = Site::new(&with("admin"));
    site.secret("pw", "right", 0o600);
    let daemon = Daemon::start(&site, &MemoryStore::new()).await;
    let go_on = hold(&provider);
    let waiting = daemon.get("ads");
    tokio::pin!(waiting);
    soon(async {
        while provider.seen().is_empty() {
            tokio::select! {
                _ = &mut waiting => panic!("answered before the provider"),
                () = tokio::task::yield_now() => {}
            }
        }
    })
    .await;
    asks_otherwise(&daemon, &site, &with("read")).await;
    go_on.send(raw("200 OK", &grant(88))).unwrap();
    let token = waiting.await.unwrap();
    let seen = provider.seen();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen[1].contains("scope=read"), "{seen:?}");
    assert_eq!(daemon.get("ads").await.unwrap(), token);
}
