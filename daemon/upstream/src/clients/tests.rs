//! Which way a request takes, seen from the proxies it could have gone through.

use tokend_engine::{AttemptKind, ProviderAnswer};
use tokend_store::Credential;

use super::*;
use crate::tests::{relay, relay_in, upstream_by as upstream};
use crate::{Outcome, PrepareError};
use tokend_config::testing::Site;
use tokend_egress::testing::{Act, Provider};
use tokend_process::testing::soon;

const PASSWORD: &str = "p%41:w ü";

fn site(base_url: &str, http: &str, account: &str) -> Site {
    let site = Site::new(&format!(
        "[http]\ntimeout = \"5s\"\nconnect_timeout = \"4s\"\n{http}\n[account.ads]\nprovider = \"oauth2\"\nbase_url = \"{base_url}\"\nusername = \"u\"\nclient_id = \"c\"\npassword = {{ file = \"pw\" }}\n{account}\n"
    ));
    site.secret("pw", "correct horse battery staple", 0o600);
    site.secret("proxy", PASSWORD, 0o600);
    site
}

async fn attempt(site: &Site, egress: Option<Egress>) -> Outcome {
    let upstream = upstream(site, egress);
    let nothing = Credential::default();
    let prepared = upstream
        .prepare(site.account(), AttemptKind::Login, &nothing, None, None)
        .await
        .unwrap();
    soon(upstream.send(prepared)).await
}

fn refusal() -> Act {
    Act::Say(
        "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n"
            .to_owned(),
    )
}

fn with_password(proxy: &Provider) -> String {
    format!(
        "proxy = {{ url = \"{}\", username = \"tokend\", password = {{ file = \"proxy\" }} }}",
        proxy.base_url
    )
}

#[tokio::test]
async fn what_stays_on_this_machine_goes_through_no_proxy() {
    let (proxy, provider) = (Provider::start().await, Provider::start().await);
    let port = provider.base_url.rsplit(':').next().unwrap();
    let own = format!("proxy = \"{}\"", proxy.base_url);
    let dir = tempfile::tempdir().unwrap();
    for egress in [None, relay().await, relay_in(&dir)] {
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1"] {
            for (http, account) in [(&*own, ""), ("", &*own)] {
                let site = site(&format!("http://{host}:{port}"), http, account);
                let outcome = attempt(&site, egress).await;
                assert!(
                    matches!(outcome.answer, ProviderAnswer::Granted(_)),
                    "{host}: {outcome:?}"
                );
            }
        }
        // Encrypted or not: a proxy of another machine has another loopback.
        let site = site("https://127.0.0.1:1", &own, "");
        let outcome = attempt(&site, egress).await;
        assert_eq!(outcome.answer, ProviderAnswer::NotSent, "{outcome:?}");
    }
    assert_eq!(proxy.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn a_proxy_that_asks_who_we_are_is_told_and_the_account_is_not_blamed() {
    let dir = tempfile::tempdir().unwrap();
    for egress in [None, relay().await, relay_in(&dir)] {
        let proxy = Provider::start().await;
        proxy.then(refusal()).then(refusal());
        let nameless = format!("proxy = \"{}\"", proxy.base_url);
        let outcome = attempt(&site("https://api.example.com", &nameless, ""), egress).await;
        assert_eq!(outcome.answer, ProviderAnswer::NotSent, "{outcome:?}");
        let message = outcome.message.unwrap();
        let begins = format!("through the proxy {}: ", proxy.base_url);
        assert!(message.starts_with(&begins), "{message}");
        assert!(
            message.contains("set `username` and `password`"),
            "{message}"
        );

        let named = with_password(&proxy);
        let outcome = attempt(&site("https://api.example.com", &named, ""), egress).await;
        assert_eq!(outcome.answer, ProviderAnswer::NotSent, "{outcome:?}");
        assert!(!format!("{outcome:?}").contains(PASSWORD), "{outcome:?}");
        let message = outcome.message.unwrap();
        assert!(
            message.contains("does not take the `username`"),
            "{message}"
        );

        let seen = proxy.seen();
        for request in &seen {
            assert!(
                request.starts_with("CONNECT api.example.com:443 HTTP/1.1\r\n"),
                "{request}"
            );
        }
        let lower = seen[0].to_lowercase();
        assert!(!lower.contains("proxy-authorization"), "{lower}");
        // base64 of `tokend:p%41:w ü`.
        let line = "proxy-authorization: Basic dG9rZW5kOnAlNDE6dyDDvA==\r\n";
        assert!(
            seen[1].to_lowercase().contains(&line.to_lowercase())
                && seen[1].contains("dG9rZW5kOnAlNDE6dyDDvA=="),
            "{}",
            seen[1]
        );
    }
}

#[tokio::test]
async fn an_account_may_have_a_proxy_of_its_own_or_none() {
    let (common, own) = (Provider::start().await, Provider::start().await);
    let common_line = format!(
        "proxy = \"{}\"\nno_proxy = [\".invalid\", \"10.0.0.0/8\"]",
        common.base_url
    );
    let own_line = format!("proxy = \"{}\"", own.base_url);
    for (url, account) in [
        ("https://no-such-host.invalid", ""),
        ("https://api.example.com", &*own_line),
        ("https://no-such-host.invalid", &*own_line),
        ("https://another.example.com", ""),
    ] {
        for provider in [&common, &own] {
            provider.then(refusal());
        }
        let outcome = attempt(&site(url, &common_line, account), None).await;
        assert_eq!(
            outcome.answer,
            ProviderAnswer::NotSent,
            "{url}: {outcome:?}"
        );
    }
    let first = |provider: &Provider| {
        let seen = provider.seen();
        let lines = seen.iter().filter_map(|request| request.lines().next());
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(first(&common), ["CONNECT another.example.com:443 HTTP/1.1"]);
    assert_eq!(
        first(&own),
        [
            "CONNECT api.example.com:443 HTTP/1.1",
            "CONNECT no-such-host.invalid:443 HTTP/1.1"
        ]
    );
    let site = site(
        "https://no-such-host.invalid",
        &own_line,
        "proxy = \"none\"",
    );
    let outcome = attempt(&site, None).await;
    assert!(outcome.message.unwrap().contains("dns error"));
    assert_eq!(own.seen().len(), 2);
}

#[tokio::test]
async fn a_proxy_whose_password_cannot_be_had_is_sent_nothing() {
    let proxy = Provider::start().await;
    let site = site("https://api.example.com", &with_password(&proxy), "");
    site.secret("proxy", PASSWORD, 0o644);
    let nothing = Credential::default();
    let upstream = upstream(&site, None);
    let prepare = upstream.prepare(site.account(), AttemptKind::Login, &nothing, None, None);
    let error = prepare.await.unwrap_err();
    assert!(matches!(error, PrepareError::Proxy { .. }), "{error:?}");
    let message = error.to_string();
    let begins = format!("cannot read the password of the proxy {}: ", proxy.base_url);
    assert!(message.starts_with(&begins), "{message}");
    assert_eq!(proxy.seen(), Vec::<String>::new());
}

#[test]
fn nothing_leaves_this_machine_unencrypted_whatever_was_configured() {
    let may = |url: &str| may_leave(&Url::parse(url).unwrap()).is_ok();
    for good in [
        "https://api.example.com",
        "http://127.0.0.1",
        "http://[::1]:1",
        "http://localhost",
    ] {
        assert!(may(good), "{good}");
    }
    for bad in [
        "http://api.example.com",
        "http://10.0.0.1",
        "http://[::ffff:10.0.0.1]",
        "http://0.0.0.0",
    ] {
        assert!(!may(bad), "{bad}");
    }
}

#[tokio::test]
async fn a_probe_goes_the_way_of_attempts() {
    let proxy = Provider::start().await;
    let http = format!(
        "{}\nno_proxy = [\"no-such-host.invalid\"]",
        with_password(&proxy)
    );
    let site = site("https://api.example.com", &http, "");
    let prober = upstream(&site, None).prober().await.unwrap();
    proxy.then(refusal());
    let probe = async |url: &str| soon(prober.probe(&Route::Inherited, url)).await;
    let why = probe("https://api.example.com").await.unwrap_err();
    assert!(why.starts_with("through the proxy "), "{why}");
    assert!(proxy.seen()[0].contains("dG9rZW5kOnAlNDE6dyDDvA=="));
    let why = probe("https://no-such-host.invalid").await.unwrap_err();
    assert!(why.starts_with("dns error"), "{why}");
    assert_eq!(proxy.seen().len(), 1);
    let direct = Provider::start().await;
    assert_eq!(probe(&direct.base_url).await, Ok(()));
}
