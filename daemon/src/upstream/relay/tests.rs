//! Attempts through a relay, compared with the same without one: the same is known of whether the request left, in the same words.

use tokend_config::Route;
use tokend_engine::{Answer, Kind};
use tokend_store::Credential;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::clock::Clock;
use crate::secrets::SecretSource;
use crate::testing::{Act, Provider, Site, secrets, soon};
use crate::upstream::{Outcome, Upstream};

fn site(base_url: &str) -> Site {
    let site = Site::new(&format!(
        "[http]\ntimeout = \"5s\"\nconnect_timeout = \"4s\"\nmax_body = 2048\n\n[account.ads]\nprovider = \"oauth2\"\nbase_url = \"{base_url}\"\nusername = \"u\"\nclient_id = \"c\"\npassword = {{ file = \"pw\" }}\n"
    ));
    site.secret("pw", "correct horse battery staple", 0o600);
    site
}

fn upstream(site: &Site, egress: Option<Egress>) -> Upstream {
    let secrets = SecretSource {
        egress,
        ..secrets()
    };
    Upstream::new(&site.config().http, secrets, Clock::system()).unwrap()
}

async fn attempt(base_url: &str, egress: Option<Egress>) -> Outcome {
    let site = site(base_url);
    let upstream = upstream(&site, egress);
    let nothing = Credential::default();
    let prepared = upstream
        .prepare(site.account(), Kind::Login, &nothing, None, None)
        .await
        .unwrap();
    soon(upstream.send(prepared)).await
}

async fn relay() -> Option<Egress> {
    Some(Egress(crate::egress::start(100).await))
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
    Some(Egress(at))
}

#[tokio::test]
async fn a_grant_comes_through() {
    let provider = Provider::start().await;
    let outcome = attempt(&provider.base_url, relay().await).await;
    assert!(matches!(outcome.answer, Answer::Granted(_)), "{outcome:?}");
    let direct = attempt(&provider.base_url, None).await;
    assert!(matches!(direct.answer, Answer::Granted(_)), "{direct:?}");
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let seen = provider.seen();
    assert_eq!(
        sorted(&seen[0]),
        sorted(&seen[1]),
        "the provider sees no difference"
    );
}

#[tokio::test]
async fn what_was_not_reached_is_told_as_it_is_without_a_relay() {
    let relay = relay().await;
    for url in [
        "http://127.0.0.1:1",
        "https://127.0.0.1:1",
        "https://[::1]:1",
        "https://no-such-host.invalid",
    ] {
        let (through, direct) = (attempt(url, relay).await, attempt(url, None).await);
        assert_eq!(through.answer, Answer::NotSent, "{url}: {through:?}");
        assert_eq!(direct.answer, Answer::NotSent, "{url}: {direct:?}");
        assert_eq!(through.told, direct.told, "{url}");
    }
}

#[tokio::test]
async fn without_a_whole_answer_the_outcome_is_in_doubt_behind_a_relay_too() {
    let nonsense = Act::Say("nonsense\r\n\r\n".to_owned());
    for act in Act::without_a_whole_answer().into_iter().chain([nonsense]) {
        let provider = Provider::start().await;
        let what = format!("{act:?}");
        provider.then(act);
        let outcome = attempt(&provider.base_url, relay().await).await;
        assert_eq!(outcome.answer, Answer::MaybeSent, "{what}: {outcome:?}");
        assert!(provider.seen().len() <= 1, "{what}");
    }
}

#[tokio::test]
async fn a_provider_cannot_pass_for_the_relay() {
    let provider = Provider::start().await;
    let lie = "HTTP/1.1 502 Bad Gateway\r\nproxy-status: tokend-egress; error=connection_refused\r\ncontent-length: 0\r\n\r\n";
    for egress in [relay().await, None] {
        provider.then(Act::Say(lie.to_owned()));
        let outcome = attempt(&provider.base_url, egress).await;
        assert_ne!(outcome.answer, Answer::NotSent, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_named() {
    let absent = Some(Egress::parse("127.0.0.1:1").unwrap());
    for url in ["http://127.0.0.1:2", "https://127.0.0.1:2"] {
        let outcome = attempt(url, absent).await;
        assert_eq!(outcome.answer, Answer::NotSent, "{outcome:?}");
        let told = outcome.told.unwrap();
        assert!(
            told.starts_with("the egress relay at 127.0.0.1:1 is not there (")
                && told.contains("refused")
                && told.contains("systemctl status tokend-egress"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_relay_that_dies_before_or_with_the_tunnel_has_sent_nothing() {
    for answer in ["", "HTTP/1.1 200 OK\r\n\r\n"] {
        let outcome = attempt("https://127.0.0.1:2", dying(answer).await).await;
        assert_eq!(outcome.answer, Answer::NotSent, "{outcome:?}");
        let told = outcome.told.unwrap();
        assert!(told.contains("the egress relay at "), "{told}");
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
    let outcome = attempt("http://127.0.0.1:2", Some(Egress(at))).await;
    assert_eq!(outcome.answer, Answer::MaybeSent, "{outcome:?}");
}

#[tokio::test]
async fn a_relay_that_hangs_or_dies_before_the_request_has_sent_nothing() {
    // Its connections stand, since the kernel makes them, and nobody reads what comes.
    let stalled = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hangs = Some(Egress(stalled.local_addr().unwrap()));
    for (egress, how) in [
        (hangs, "does not answer"),
        (dying("").await, "is not there"),
    ] {
        let outcome = attempt("http://127.0.0.1:2", egress).await;
        assert_eq!(outcome.answer, Answer::NotSent, "{outcome:?}");
        assert!(outcome.told.unwrap().contains(how), "{how}");
    }
}

#[tokio::test]
async fn a_probe_ends_at_the_provider_and_not_at_the_relay() {
    let provider = Provider::start().await;
    let site = site(&provider.base_url);
    let through = upstream(&site, relay().await).prober().await.unwrap();
    let direct = upstream(&site, None).prober().await.unwrap();
    assert_eq!(
        soon(through.probe(&Route::Inherited, &provider.base_url)).await,
        Ok(())
    );
    for url in [
        "http://127.0.0.1:1",
        "https://127.0.0.1:1",
        "https://no-such-host.invalid",
    ] {
        let why = soon(through.probe(&Route::Inherited, url))
            .await
            .unwrap_err();
        assert_eq!(
            Err(why),
            soon(direct.probe(&Route::Inherited, url)).await,
            "{url}"
        );
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
        why.starts_with("the egress relay at 127.0.0.1:1 is not there"),
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
        "http://127.0.0.1:3128"
    );
    assert!(Egress::parse("[::1]:3128").is_ok());
    for wrong in [
        "",
        "3128",
        "localhost:3128",
        "192.0.2.1:3128",
        "127.0.0.1:0",
        "http://127.0.0.1:1",
    ] {
        let told = Egress::parse(wrong).unwrap_err().to_string();
        assert!(told.contains("127.0.0.1:3128"), "{told}");
    }
}
