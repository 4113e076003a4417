//! What is left of a trial: the block from before it, the words that were said, and what a login is possible with.

use super::*;

const REFUSED: &str = r#"{"error":"invalid_grant"}"#;

/// A daemon whose account was refused its password.
async fn refused(site: &Site, store: &MemoryStore, provider: &Provider) -> Daemon {
    provider.then(reply("400 Bad Request", REFUSED));
    let daemon = Daemon::start(site, store).await;
    login_required(&daemon).await;
    daemon
}

async fn login_required(daemon: &Daemon) -> tokend_proto::Fault {
    let fault = daemon.get("ads").await.unwrap_err();
    assert_eq!(fault.code, FaultCode::LoginRequired, "{fault:?}");
    fault
}

#[tokio::test]
async fn a_death_while_a_refresh_token_is_tried_leaves_the_refused_password_refused() {
    let (provider, site, store) = place().await;
    let daemon = refused(&site, &store, &provider).await;
    provider.then(Act::Hang);
    let secret = LoginSecret::RefreshToken(SecretText::new("entered").unwrap());
    let login = Request::Login {
        account: name("ads"),
        secret,
    };
    let _waiting = daemon
        .requests
        .handle(&crate::testing::peer(crate::testing::OWNER), login);
    provider.asked(2).await;
    daemon.stop().await;
    for _ in 0..2 {
        store.restart();
        let daemon = Daemon::start(&site, &store).await;
        login_required(&daemon).await;
        reload(&daemon).await;
        login_required(&daemon).await;
        daemon.drain().await;
    }
    assert_eq!(provider.seen().len(), 2);
}

#[tokio::test]
async fn a_store_that_refuses_what_came_of_a_trial_loses_not_what_was_refused() {
    let (provider, site, store) = place().await;
    let daemon = refused(&site, &store, &provider).await;
    provider.then(reply("401 Unauthorized", r#"{"error":"invalid_client"}"#));
    store.fail_commit(2, tokend_store::ScriptedFault::DISK_FULL);
    enter(&daemon, LoginSecret::RefreshToken, "entered").await;
    let daemon = restarted(daemon, &site, &store).await;
    let fault = login_required(&daemon).await;
    assert!(fault.message.contains("invalid_client"), "{fault:?}");
    reload(&daemon).await;
    login_required(&daemon).await;
    assert_eq!(provider.seen().len(), 2);
}

#[tokio::test]
async fn a_block_that_outlives_a_trial_ends_when_its_own_secret_changes() {
    let (provider, site, store) = place().await;
    let daemon = refused(&site, &store, &provider).await;
    provider.then(Act::ResetAfter);
    enter(&daemon, LoginSecret::RefreshToken, "entered").await;
    let fault = login_required(&daemon).await;
    assert!(fault.message.contains("invalid_grant"), "{fault:?}");
    reload(&daemon).await;
    login_required(&daemon).await;
    assert_eq!(provider.seen().len(), 2);
    site.secret("pw", "better", 0o600);
    reload(&daemon).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-3");
}

#[tokio::test]
async fn a_refused_login_is_told_in_its_own_words_after_what_a_refresh_token_was_told() {
    let provider = Provider::start().await;
    let text = account("ads", &provider.base_url) + "client_secret = { file = \"cs\" }\n";
    let (site, store) = (Site::new(&text), MemoryStore::new());
    site.secret("pw", "right", 0o600);
    site.secret("cs", "wrong", 0o600);
    let daemon = Daemon::start(&site, &store).await;
    let of_client = r#"{"error":"invalid_client"}"#;
    provider.then(reply("401 Unauthorized", of_client));
    login_required(&daemon).await;
    enter(&daemon, LoginSecret::RefreshToken, "entered").await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-2");
    provider.then(reply("400 Bad Request", REFUSED));
    login_required_by(token_of(daemon.ask(force("ads")).await));
    let record = || stored(&store, &site);
    let is_its_own = |fault: tokend_proto::Fault| {
        assert!(fault.message.contains("invalid_client"), "{fault:?}");
        let advice = fault.advice.unwrap();
        assert!(advice.contains("client_secret"), "{advice}");
    };
    is_its_own(token_of(daemon.ask(reject("ads", "token-2")).await).unwrap_err());
    is_its_own(login_required(&daemon).await);
    let daemon = restarted(daemon, &site, &store).await;
    assert!(record().provider_message.unwrap().contains("invalid_grant"));
    is_its_own(login_required(&daemon).await);
    assert_eq!(provider.seen().len(), 3);
}

#[tokio::test]
async fn a_reload_while_a_password_is_tried_decides_whether_a_login_is_possible() {
    let provider = Provider::start().await;
    let text = account("ads", &provider.base_url).replace("password = { file = \"pw\" }\n", "");
    let site = Site::new(&text);
    let daemon = Daemon::start(&site, &MemoryStore::new()).await;
    enter(&daemon, LoginSecret::Password, "hunter2").await;
    let go_on = hold(&provider);
    let secret = LoginSecret::Password(SecretText::new("hunter3").unwrap());
    let login = Request::Login {
        account: name("ads"),
        secret,
    };
    let _waiting = daemon
        .requests
        .handle(&crate::testing::peer(crate::testing::OWNER), login);
    provider.asked(2).await;
    site.write(&(text + "options = { grant = \"refresh_token\" }\n"));
    reload(&daemon).await;
    go_on.send(raw("200 OK", &grant(2))).unwrap();
    soon(async {
        while daemon.get("ads").await.as_deref() != Ok("token-2") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    provider.then(reply("400 Bad Request", REFUSED));
    let fault = token_of(daemon.ask(force("ads")).await).unwrap_err();
    assert_eq!(fault.code, FaultCode::LoginRequired, "{fault:?}");
    assert_eq!(provider.seen().len(), 3);
}

#[tokio::test]
async fn a_refresh_token_that_is_entered_again_is_held_once() {
    for killed in [false, true] {
        let provider = Provider::start().await;
        let (site, store) = (site(&provider), MemoryStore::new());
        let daemon = Daemon::start(&site, &store).await;
        assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
        if killed {
            provider.then(Act::Hang);
            let text = SecretText::new("refresh-1").unwrap();
            let login = Request::Login {
                account: name("ads"),
                secret: LoginSecret::RefreshToken(text),
            };
            let owner = crate::testing::peer(crate::testing::OWNER);
            let _waiting = daemon.requests.handle(&owner, login);
            provider.asked(2).await;
            daemon.stop().await;
            store.restart();
            Daemon::start(&site, &store).await.drain().await;
        } else {
            provider.then(Act::ResetAfter);
            enter(&daemon, LoginSecret::RefreshToken, "refresh-1").await;
            daemon.drain().await;
        }
        let credential = stored(&store, &site).credential;
        assert!(credential.refresh_in_doubt, "{killed}");
        assert!(credential.spare_refresh_token.is_none(), "{killed}");
    }
}

#[tokio::test]
async fn nobody_knows_what_a_refresh_token_taken_into_use_without_a_grant_was_asked_for() {
    let (provider, site, store, daemon) = started().await;
    let short = r#"{"access_token":"token-1","token_type":"Bearer","expires_in":0}"#;
    provider
        .then(reply("200 OK", short))
        .then(reply("400 Bad Request", REFUSED))
        .then(Act::ResetAfter);
    daemon.get("ads").await.unwrap_err();
    assert!(stored(&store, &site).asks.is_some());
    login_required_by(token_of(daemon.ask(force("ads")).await));
    enter(&daemon, LoginSecret::RefreshToken, "entered").await;
    daemon.drain().await;
    let record = stored(&store, &site);
    assert!(record.credential.refresh_token.is_some());
    assert_eq!(record.asks, None);
}

fn login_required_by(answer: Result<String, tokend_proto::Fault>) {
    assert_eq!(answer.unwrap_err().code, FaultCode::LoginRequired);
}

#[tokio::test]
async fn a_client_secret_that_is_refused_leaves_the_one_in_use() {
    let provider = Provider::start().await;
    let site = Site::new(&format!(
        "[account.ads]\nprovider = \"oauth2\"\nbase_url = \"{}\"\nclient_id = \"c\"\noptions = {{ grant = \"client_credentials\" }}\n",
        provider.base_url
    ));
    let store = MemoryStore::new();
    let daemon = Daemon::start(&site, &store).await;
    let stored = enter(&daemon, LoginSecret::ClientSecret, "right").await;
    assert!(matches!(stored, Response::Done { .. }), "{stored:?}");
    provider.then(reply("401 Unauthorized", r#"{"error":"invalid_client"}"#));
    let refused = enter(&daemon, LoginSecret::ClientSecret, "mistyped").await;
    assert!(
        matches!(&refused, Response::Fault(fault) if fault.code == FaultCode::LoginRequired),
        "{refused:?}"
    );
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    let daemon = restarted(daemon, &site, &store).await;
    assert!(token_of(daemon.ask(force("ads")).await).is_ok());
    let [first, second, third] = &provider.seen()[..] else {
        panic!("{:?}", provider.seen());
    };
    // Basic authentication of `c:mistyped`.
    assert!(
        second.contains("mistyped") || second.contains("YzptaXN0eXBlZA=="),
        "{second}"
    );
    let authorization = |request: &str| {
        let line = request
            .lines()
            .find(|it| it.to_lowercase().starts_with("authorization:"));
        line.map(str::to_owned)
    };
    assert_eq!(authorization(first), authorization(third));
}
