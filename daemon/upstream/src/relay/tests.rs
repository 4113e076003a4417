//! Attempts through a relay, compared with the same without one: the same is known of whether the request left, in the same words.

use std::sync::Arc;

use tempfile::TempDir;
use tokend_config::Route;
use tokend_engine::{AttemptKind, ProviderAnswer};
use tokend_store::Credential;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};

use super::*;
use crate::secrets::SecretSource;
use crate::tests::{relay, relay_in, secrets, upstream_by as upstream};
use crate::{Outcome, Upstream};
use tokend_config::testing::Site;
use tokend_egress::testing::{Act, Provider, raw};
use tokend_process::clock::Clock;
use tokend_process::testing::soon;

mod silence;

fn site(base_url: &str) -> Site {
    let site = Site::new(&format!(
        "[http]\ntimeout = \"5s\"\nconnect_timeout = \"4s\"\nmax_body = 2048\n\n[account.ads]\nprovider = \"oauth2\"\nbase_url = \"{base_url}\"\nusername = \"u\"\nclient_id = \"c\"\npassword = {{ file = \"pw\" }}\n"
    ));
    site.secret("pw", "correct horse battery staple", 0o600);
    site
}

async fn attempt(base_url: &str, egress: Option<Egress>) -> Outcome {
    let site = site(base_url);
    let upstream = upstream(&site, egress);
    let nothing = Credential::default();
    let prepared = upstream
        .prepare(site.account(), AttemptKind::Login, &nothing, None, None)
        .await
        .unwrap();
    soon(upstream.send(prepared)).await
}

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A relay that answers this to the first it is asked, and is gone.
async fn dying(answer: &'static str) -> Option<Egress> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    drop(tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        drop(listener);
        let mut head = [0; 4096];
        let _some = stream.read(&mut head).await;
        let _gone = stream.write_all(answer.as_bytes()).await;
    }));
    Some(Egress::Tcp(at))
}

#[tokio::test]
async fn a_grant_comes_through() {
    let (provider, dir) = (Provider::start().await, dir());
    for egress in [relay().await, relay_in(&dir), None] {
        let outcome = attempt(&provider.base_url, egress).await;
        assert!(
            matches!(outcome.answer, ProviderAnswer::Granted(_)),
            "{outcome:?}"
        );
    }
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let seen = provider.seen();
    for through in &seen[..2] {
        let (through, direct) = (sorted(through), sorted(&seen[2]));
        assert_eq!(through, direct, "the provider sees no difference");
    }
}

#[tokio::test]
async fn what_was_not_reached_is_told_as_it_is_without_a_relay() {
    let (tcp, dir) = (relay().await, dir());
    let unix = relay_in(&dir);
    for url in [
        "http://127.0.0.1:1",
        "https://127.0.0.1:1",
        "https://[::1]:1",
        "https://no-such-host.invalid",
    ] {
        let direct = attempt(url, None).await;
        assert_eq!(direct.answer, ProviderAnswer::NotSent, "{url}: {direct:?}");
        for relay in [tcp, unix] {
            let through = attempt(url, relay).await;
            assert_eq!(
                through.answer,
                ProviderAnswer::NotSent,
                "{url}: {through:?}"
            );
            assert_eq!(through.message, direct.message, "{url}");
        }
    }
}

#[tokio::test]
async fn without_a_whole_answer_the_outcome_is_in_doubt_behind_a_relay_too() {
    let nonsense = Act::Say("nonsense\r\n\r\n".to_owned());
    for act in Act::without_a_whole_answer().into_iter().chain([nonsense]) {
        each_is_in_doubt(act, relay().await).await;
    }
    let (dir, nonsense) = (dir(), Act::Say("nonsense\r\n\r\n".to_owned()));
    let unix = relay_in(&dir);
    for act in Act::without_a_whole_answer().into_iter().chain([nonsense]) {
        each_is_in_doubt(act, unix).await;
    }
}

async fn each_is_in_doubt(act: Act, egress: Option<Egress>) {
    let provider = Provider::start().await;
    let what = format!("{act:?}");
    provider.then(act);
    let outcome = attempt(&provider.base_url, egress).await;
    assert_eq!(
        outcome.answer,
        ProviderAnswer::MaybeSent,
        "{what}: {outcome:?}"
    );
    assert!(provider.seen().len() <= 1, "{what}");
}

#[tokio::test]
async fn a_provider_cannot_pass_for_the_relay() {
    let provider = Provider::start().await;
    let lie = "HTTP/1.1 502 Bad Gateway\r\nproxy-status: tokend-egress; error=connection_refused\r\ncontent-length: 0\r\n\r\n";
    let dir = dir();
    for egress in [relay().await, relay_in(&dir), None] {
        provider.then(Act::Say(lie.to_owned()));
        let outcome = attempt(&provider.base_url, egress).await;
        assert_ne!(outcome.answer, ProviderAnswer::NotSent, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_named() {
    let absent = Some(Egress::parse("127.0.0.1:1").unwrap());
    for url in ["http://127.0.0.1:2", "https://127.0.0.1:2"] {
        let outcome = attempt(url, absent).await;
        assert_eq!(outcome.answer, ProviderAnswer::NotSent, "{outcome:?}");
        let message = outcome.message.unwrap();
        assert!(
            message.starts_with("the egress relay at 127.0.0.1:1 cannot be reached (")
                && message.contains("refused")
                && message.contains("`tokend egress --listen 127.0.0.1:1 --any-local-user` runs"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_unix_socket_without_a_relay_is_named_with_what_starts_one() {
    let dir = dir();
    let path = dir.path().join("egress.sock");
    let egress = Egress::parse(path.to_str().unwrap()).ok();
    let named = format!("the egress relay at {} ", path.display());
    let advice = format!(
        "check whether `tokend egress --listen {}` runs",
        path.display()
    );
    let asked = |how: &'static str| {
        let (named, advice) = (named.clone(), advice.clone());
        async move {
            for url in ["http://127.0.0.1:2", "https://127.0.0.1:2"] {
                let outcome = attempt(url, egress).await;
                assert_eq!(outcome.answer, ProviderAnswer::NotSent, "{outcome:?}");
                let message = outcome.message.unwrap();
                assert!(
                    message.starts_with(&named)
                        && message.contains(how)
                        && message.contains(&advice),
                    "{message}"
                );
            }
        }
    };
    asked("cannot be reached (").await;
    // Connections to it stand, since the kernel makes them, and nobody reads what comes.
    let stalled = UnixListener::bind(&path).unwrap();
    asked("does not answer (").await;
    drop(stalled);
    asked("cannot be reached (").await;
    // One that hangs up before there is a tunnel.
    std::fs::remove_file(&path).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    let hanging_up = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _some = stream.read(&mut [0; 4096]).await;
        }
    });
    asked("").await;
    hanging_up.abort();
}

#[tokio::test]
async fn a_full_relay_is_named_and_nothing_was_sent() {
    let dir = dir();
    let path = dir.path().join("egress.sock");
    tokend_egress::testing::start_at(&path, 1);
    let unix = Egress::parse(path.to_str().unwrap()).unwrap();
    let tcp = Egress::Tcp(tokend_egress::testing::start(1).await);
    let provider = Provider::start().await;
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ask = format!(
        "CONNECT {} HTTP/1.1\r\nhost: x\r\n\r\n",
        target.local_addr().unwrap()
    );
    let mut held = tokio::net::UnixStream::connect(&path).await.unwrap();
    held.write_all(ask.as_bytes()).await.unwrap();
    let Egress::Tcp(address) = tcp else {
        unreachable!()
    };
    let mut also_held = tokio::net::TcpStream::connect(address).await.unwrap();
    also_held.write_all(ask.as_bytes()).await.unwrap();
    let _carried = [
        soon(target.accept()).await.unwrap(),
        soon(target.accept()).await.unwrap(),
    ];
    for egress in [unix, tcp] {
        for url in [
            provider.base_url.clone(),
            provider.base_url.replace("http:", "https:"),
        ] {
            let outcome = attempt(&url, Some(egress)).await;
            assert_eq!(outcome.answer, ProviderAnswer::NotSent, "{outcome:?}");
            let message = outcome.message.unwrap();
            let full = format!("the egress relay at {egress} has no free place (");
            assert!(message.starts_with(&full), "{message}");
            let site = site(&url);
            let prober = upstream(&site, Some(egress)).prober().await.unwrap();
            let probed = soon(prober.probe(&Route::Inherited, &url)).await;
            assert!(probed.unwrap_err().starts_with(&full), "{url}");
        }
    }
    assert_eq!(provider.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn connections_through_a_unix_socket_are_not_mixed_up() {
    let dir = dir();
    let egress = relay_in(&dir);
    let mut all = Vec::new();
    for number in 0..20 {
        let provider = Provider::start().await;
        let scope = format!("scope-of-{number}");
        let site = site(&provider.base_url);
        let text = std::fs::read_to_string(site.path().join("tokend.toml")).unwrap();
        site.write(&format!("{text}scope = \"{scope}\"\n"));
        all.push((provider, scope, site));
    }
    // One upstream for all: they share what meets there.
    let shared = Arc::new(upstream(&all[0].2, egress));
    let asked = all.iter().map(|(_, _, site)| {
        let (shared, account) = (Arc::clone(&shared), site.account());
        async move {
            let nothing = Credential::default();
            let prepared = shared.prepare(account, AttemptKind::Login, &nothing, None, None);
            shared.send(prepared.await.unwrap()).await
        }
    });
    let outcomes = soon(futures_util::future::join_all(asked)).await;
    for (outcome, (provider, scope, ..)) in outcomes.iter().zip(&all) {
        assert!(
            matches!(outcome.answer, ProviderAnswer::Granted(_)),
            "{outcome:?}"
        );
        let seen = provider.seen();
        assert!(
            seen.len() == 1 && seen[0].contains(scope),
            "{scope}: {seen:?}"
        );
    }
}

#[tokio::test]
async fn a_relay_that_dies_before_or_with_the_tunnel_has_sent_nothing() {
    for answer in ["", "HTTP/1.1 200 OK\r\n\r\n"] {
        let outcome = attempt("https://127.0.0.1:2", dying(answer).await).await;
        assert_eq!(outcome.answer, ProviderAnswer::NotSent, "{outcome:?}");
        let message = outcome.message.unwrap();
        assert!(message.contains("the egress relay at "), "{message}");
    }
}

#[tokio::test]
async fn a_relay_that_dies_with_a_request_may_have_passed_it_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    drop(tokio::spawn(async move {
        for answer in [
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "",
        ] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let _some = stream.read(&mut head).await;
            let _gone = stream.write_all(answer.as_bytes()).await;
        }
    }));
    let outcome = attempt("http://127.0.0.1:2", Some(Egress::Tcp(at))).await;
    assert_eq!(outcome.answer, ProviderAnswer::MaybeSent, "{outcome:?}");
}

#[tokio::test]
async fn a_relay_that_hangs_or_dies_before_the_request_has_sent_nothing() {
    // Its connections stand, since the kernel makes them, and nobody reads what comes.
    let stalled = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hangs = Some(Egress::Tcp(stalled.local_addr().unwrap()));
    for (egress, how) in [
        (hangs, "does not answer"),
        (dying("").await, "cannot be reached"),
    ] {
        let outcome = attempt("http://127.0.0.1:2", egress).await;
        assert_eq!(outcome.answer, ProviderAnswer::NotSent, "{outcome:?}");
        assert!(outcome.message.unwrap().contains(how), "{how}");
    }
}

#[tokio::test]
async fn a_probe_ends_at_the_provider_and_not_at_the_relay() {
    let provider = Provider::start().await;
    let site = site(&provider.base_url);
    let (direct, dir) = (upstream(&site, None).prober().await.unwrap(), dir());
    for egress in [relay().await, relay_in(&dir)] {
        let through = upstream(&site, egress).prober().await.unwrap();
        let reached = soon(through.probe(&Route::Inherited, &provider.base_url)).await;
        assert_eq!(reached, Ok(()));
        for url in [
            "http://127.0.0.1:1",
            "https://127.0.0.1:1",
            "https://no-such-host.invalid",
        ] {
            let why = soon(through.probe(&Route::Inherited, url)).await;
            let same = soon(direct.probe(&Route::Inherited, url)).await;
            assert_eq!((why.is_err(), why), (true, same), "{url}");
        }
    }
    assert!(
        provider.seen().iter().all(String::is_empty),
        "{:?}",
        provider.seen()
    );
    let absent = Some(Egress::parse("127.0.0.1:1").unwrap());
    let absent = upstream(&site, absent).prober().await.unwrap();
    let why = soon(absent.probe(&Route::Inherited, &provider.base_url))
        .await
        .unwrap_err();
    assert!(
        why.starts_with("the egress relay at 127.0.0.1:1 cannot be reached"),
        "{why}"
    );
}

#[test]
fn a_proxy_behind_the_relay_must_be_spoken_to_in_the_clear() {
    let site = Site::new("[http]\nproxy = \"https://proxy.example.com\"\n");
    let secrets = SecretSource {
        egress: Egress::parse("127.0.0.1:1").ok(),
        ..secrets()
    };
    let refused = Upstream::new(&site.config().http, secrets, Clock::system()).unwrap_err();
    assert!(
        refused.to_string().contains("direct-network.conf"),
        "{refused}"
    );
}

#[test]
fn a_relay_is_on_this_machine() {
    assert_eq!(
        Egress::parse("127.0.0.1:3128").unwrap().to_string(),
        "127.0.0.1:3128"
    );
    assert!(Egress::parse("[::1]:3128").is_ok());
    let unix = Egress::parse("unix:/run/tokend/egress.sock").unwrap();
    assert_eq!(unix.to_string(), "/run/tokend/egress.sock");
    assert_eq!(unix.as_proxy(), None);
    for wrong in [
        "",
        "3128",
        "localhost:3128",
        "192.0.2.1:3128",
        "127.0.0.1:0",
        "http://127.0.0.1:1",
    ] {
        let message = Egress::parse(wrong).unwrap_err().to_string();
        assert!(message.contains("127.0.0.1:3128"), "{message}");
    }
}
