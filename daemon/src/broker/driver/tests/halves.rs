//! A success is kept part by part, whatever the other part is worth.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn rotated(rest: &str) -> Act {
    reply(
        "200 OK",
        &format!(r#"{{"refresh_token":"refresh-rotated",{rest}}}"#),
    )
}

/// Gets a token, refreshes with this answer, starts again, and refreshes once more: what that sends.
async fn presented_after(act: Act) -> String {
    let (provider, site, store, daemon) = started().await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    provider.then(act);
    let fault = token_of(daemon.ask(force("ads")).await).unwrap_err();
    assert!(
        !format!("{fault:?}").contains("refresh-rotated"),
        "{fault:?}"
    );
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1", "{fault:?}");
    let daemon = restarted(daemon, &site, &store).await;
    assert_eq!(token_of(daemon.ask(force("ads")).await).unwrap(), "token-3");
    provider.seen().pop().unwrap()
}

#[tokio::test]
async fn whatever_is_wrong_with_an_access_token_the_refresh_token_beside_it_is_presented_next() {
    let long = format!(r#""access_token":"{}""#, "x".repeat(40 * 1024));
    for rest in [
        r#""access_token":"t","token_type":"BearerToken""#,
        r#""access_token":"t","token_type":"DPoP""#,
        r#""access_token":null"#,
        r#""access_token":"undefined""#,
        r#""access_token":17"#,
        r#""access_token":"a b""#,
        r#""expires_in":60"#,
        &long,
    ] {
        let request = presented_after(rotated(rest)).await;
        assert!(
            request.contains("refresh_token=refresh-rotated"),
            "{rest:.60}: {request}"
        );
    }
}

#[tokio::test]
async fn a_refresh_token_that_cannot_be_kept_leaves_the_one_before_in_doubt_and_the_access_token_served()
 {
    let (provider, _site, _store, daemon) = started().await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    provider.then(reply(
        "200 OK",
        r#"{"access_token":"token-x","refresh_token":{"nested":1},"expires_in":3600}"#,
    ));
    assert_eq!(token_of(daemon.ask(force("ads")).await).unwrap(), "token-x");
    assert_eq!(token_of(daemon.ask(force("ads")).await).unwrap(), "token-3");
    // What reuse costs is not known, and there is a password.
    let last = provider.seen().pop().unwrap();
    assert!(last.contains("grant_type=password"), "{last}");
}

#[tokio::test]
async fn a_packed_answer_is_read_and_one_that_unpacks_without_end_is_no_verdict() {
    let packed = |body: &[u8], header: &str| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(body).unwrap();
        let body = packer.finish().unwrap();
        let head = format!(
            "HTTP/1.1 401 X\r\n{header}content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        [head.into_bytes(), body].concat()
    };
    let (provider, _site, _store, daemon) = started().await;
    for header in ["content-encoding: gzip\r\n", ""] {
        let head = packed(grant(9).as_bytes(), header);
        let head = [b"HTTP/1.1 200 X", &head[b"HTTP/1.1 401 X".len()..]].concat();
        provider.then(Act::Bytes(head));
        assert_eq!(token_of(daemon.ask(force("ads")).await).unwrap(), "token-9");
    }
    let bomb = packed(&vec![b' '; 8 << 20], "content-encoding: gzip\r\n");
    provider.then(Act::Bytes(bomb));
    let fault = token_of(daemon.ask(force("ads")).await).unwrap_err();
    assert!(fault.message.contains("larger than"), "{fault:?}");
    assert_ne!(state(&daemon, "ads").await, AccountState::LoginRequired);
}

/// A site whose dialect is below; the account is of it.
fn own_dialect(provider: &Provider, text: &str) -> Site {
    let account = account("ads", &provider.base_url).replace("oauth2", "own");
    let account = account.replace("client_id = \"c\"\n", "");
    let site = Site::new(&format!("dialect_dir = \"dialects\"\n{account}"));
    site.secret("pw", "right", 0o600);
    let pacing = "[pacing]\nattempts = { burst = 9, every = \"1s\" }\nlogins = { burst = 9, every = \"1s\" }\n";
    site.dialect("own", &format!("summary = \"own\"\n{text}{pacing}"));
    site
}

#[tokio::test]
async fn a_refresh_that_presents_the_access_token_is_made_after_a_restart_too() {
    let provider = Provider::start().await;
    let (site, store) = (
        own_dialect(
            &provider,
            "[login]\npath = \"/token\"\nbody.form = { u = \"{username}\", p = \"{password}\" }\n\
             [refresh]\npath = \"/renew\"\nauth = { scheme = \"bearer\", token = \"{access_token}\" }\n\
             needs_valid_access_token = true\nreuse = \"rotates\"\n",
        ),
        MemoryStore::new(),
    );
    let daemon = Daemon::start(&site, &store).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    assert_eq!(token_of(daemon.ask(force("ads")).await).unwrap(), "token-2");
    let daemon = restarted(daemon, &site, &store).await;
    assert_eq!(token_of(daemon.ask(force("ads")).await).unwrap(), "token-3");
    let seen = provider.seen();
    for (request, token) in seen[1..].iter().zip(["token-1", "token-2"]) {
        assert!(request.starts_with("POST /renew"), "{request}");
        assert!(
            request.contains(&format!("Bearer {token}\r\n")),
            "{request}"
        );
    }
    // What an API refused is not presented.
    assert_eq!(
        token_of(daemon.ask(reject("ads", "token-3")).await).unwrap(),
        "token-4"
    );
    assert!(provider.seen()[3].starts_with("POST /token"));
}

#[tokio::test]
async fn a_refresh_that_sends_both_tokens_gives_way_to_a_login_once_there_is_no_access_token() {
    let provider = Provider::start().await;
    let site = own_dialect(
        &provider,
        "[login]\npath = \"/token\"\nbody.form = { u = \"{username}\", p = \"{password}\" }\n\
         [refresh]\npath = \"/renew\"\nbody.json = { old = \"{access_token}\", refresh = \"{refresh_token}\" }\n",
    );
    let daemon = Daemon::start(&site, &MemoryStore::new()).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-1");
    assert_eq!(token_of(daemon.ask(force("ads")).await).unwrap(), "token-2");
    assert!(provider.seen()[1].contains(r#""old":"token-1""#));
    let _unusable = daemon.ask(reject("ads", "token-2")).await;
    assert_eq!(daemon.get("ads").await.unwrap(), "token-3");
    assert!(
        provider.seen()[2].starts_with("POST /token"),
        "{:?}",
        provider.seen()
    );
}

#[tokio::test]
async fn what_of_an_answer_could_not_be_used_is_told_by_doctor_also_after_a_restart() {
    let provider = Provider::start().await;
    provider.then(reply(
        "200 OK",
        r#"{"access_token":"token-1","refresh_token":"refresh-1","expires_at":1795262400}"#,
    ));
    let text = account("ads", &provider.base_url) + "assumed_lifetime = \"10m\"\n";
    let (site, store) = (Site::new(&text), MemoryStore::new());
    site.secret("pw", "right", 0o600);
    let mut daemon = Daemon::start(&site, &store).await;
    for _ in 0..2 {
        let token = match daemon.ask(get("ads")).await {
            Response::Token(token) => token,
            other => panic!("{other:?}"),
        };
        assert!(token.expires_at_ms.is_some(), "{token:?}");
        let diagnose = Request::Diagnose {
            account: Some(name("ads")),
            after: None,
        };
        let findings = match daemon.ask(diagnose).await {
            Response::Diagnosis(page) => page.findings,
            other => panic!("{other:?}"),
        };
        let finding = findings
            .iter()
            .find(|it| it.message.contains("could not be used in full"));
        let finding = finding.unwrap_or_else(|| panic!("{findings:?}"));
        assert!(
            finding
                .message
                .contains("`/expires_at` is a time with nothing to count it from"),
            "{finding:?}"
        );
        daemon.drain().await;
        store.restart();
        daemon = Daemon::start(&site, &store).await;
    }
    // A probe is a connection without a request.
    let asked = provider
        .seen()
        .iter()
        .filter(|it| it.starts_with("POST"))
        .count();
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn a_token_is_handed_out_with_how_its_api_wants_it() {
    let login =
        "[login]\npath = \"/token\"\nbody.form = { u = \"{username}\", p = \"{password}\" }\n";
    for (present, expected) in [
        ("", "Bearer"),
        ("[api]\npresent = { scheme = \"Token\" }\n", "Token"),
        (
            "[api]\npresent = { header = \"X-Api-Key\" }\n",
            "header:X-Api-Key",
        ),
        (
            "[api]\npresent = { header = \"X-Auth\", prefix = \"Key \" }\n",
            "header:X-Auth:Key ",
        ),
        ("[api]\npresent = { cookie = \"sid\" }\n", "cookie:sid"),
        ("[api]\npresent = { query = \"key\" }\n", "query:key"),
    ] {
        let provider = Provider::start().await;
        let site = own_dialect(&provider, &format!("{login}{present}"));
        let daemon = Daemon::start(&site, &MemoryStore::new()).await;
        // The first is fetched, the second is held.
        for _ in 0..2 {
            match daemon.ask(get("ads")).await {
                Response::Token(token) => assert_eq!(token.token_type, expected),
                other => panic!("{other:?}"),
            }
        }
    }
}
