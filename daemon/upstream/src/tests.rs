//! One exchange with a provider, against a real socket on the loopback address.

use tokend_engine::GrantFacts;

use super::*;
use tokend_config::testing::Site;
use tokend_egress::Egress;
use tokend_egress::testing::{Act, Provider, grant, reply};
use tokend_process::testing::soon;

const PASSWORD: &str = "correct horse battery staple";
const REFRESH: &str = "refresh-token-4711-4711";

/// Where secrets come from in these tests.
pub(crate) fn secrets() -> SecretSource {
    SecretSource::of_this_process(Duration::from_secs(5), None)
}

fn site(base_url: &str, more: &str) -> Site {
    let site = Site::new(&format!(
        "[http]\ntimeout = \"500ms\"\nconnect_timeout = \"400ms\"\nmax_body = 2048\n\n[account.ads]\nprovider = \"oauth2\"\nbase_url = \"{base_url}\"\nusername = \"u\"\nclient_id = \"c\"\npassword = {{ file = \"pw\" }}\n{more}"
    ));
    site.secret("pw", PASSWORD, 0o600);
    site
}

fn upstream(site: &Site) -> Upstream {
    upstream_by(site, None)
}

pub(crate) async fn relay() -> Option<Egress> {
    Some(Egress::Tcp(tokend_egress::testing::start(100).await))
}

/// The same on a Unix socket.
pub(crate) fn relay_in(dir: &tempfile::TempDir) -> Option<Egress> {
    let path = dir.path().join("egress.sock");
    tokend_egress::testing::start_at(&path, 100);
    Egress::parse(path.to_str().unwrap()).ok()
}

/// A client of providers, through a relay if there is one.
pub(crate) fn upstream_by(site: &Site, egress: Option<Egress>) -> Upstream {
    let secrets = SecretSource {
        egress,
        ..secrets()
    };
    Upstream::new(&site.config().http, secrets, Clock::system()).unwrap()
}

fn held() -> Credential {
    Credential {
        refresh_token: Some(SecretString::from(REFRESH)),
        ..Credential::default()
    }
}

async fn attempt(site: &Site, kind: AttemptKind) -> Outcome {
    let upstream = upstream(site);
    let prepared = upstream
        .prepare(site.account(), kind, &held(), None, None)
        .await
        .unwrap();
    soon(upstream.send(prepared)).await
}

async fn outcome_of(act: Act) -> (Outcome, Provider) {
    let provider = Provider::start().await;
    provider.then(act);
    let outcome = attempt(&site(&provider.base_url, ""), AttemptKind::Login).await;
    (outcome, provider)
}

#[tokio::test]
async fn a_grant_comes_back() {
    let (outcome, provider) = outcome_of(reply("200 OK", &grant(1))).await;
    let facts = GrantFacts {
        lifetime: Some(Duration::from_secs(3600)),
        refresh_token: true,
        ..GrantFacts::default()
    };
    assert_eq!(outcome.answer, ProviderAnswer::Granted(facts));
    let Some(granted) = outcome.granted else {
        panic!("{:?}", outcome.granted);
    };
    let token = granted.access_token.unwrap();
    assert_eq!(token.text.expose(), "token-1");
    assert_eq!(outcome.message, None);
    let seen = provider.seen();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].starts_with("POST /token HTTP/1.1\r\n"), "{seen:?}");
    assert!(
        seen[0].contains("password=correct+horse+battery+staple"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_provider_that_is_not_there_was_not_sent_anything() {
    // Nobody listens on tcpmux. A port that was free a moment ago may be another test's provider by now.
    let outcome = attempt(&site("http://127.0.0.1:1", ""), AttemptKind::Login).await;
    assert_eq!(outcome.answer, ProviderAnswer::NotSent);
    assert!(outcome.message.unwrap().contains("refused"));
}

/// However short the limit of the whole exchange is.
#[tokio::test]
async fn a_connection_that_hangs_before_it_stands_was_not_sent_anything() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "[http]\ntimeout = \"500ms\"\n[account.ads]\nprovider = \"oauth2\"\nbase_url = \"https://{}\"\nusername = \"u\"\nclient_id = \"c\"\npassword = {{ file = \"pw\" }}\n",
        silent.local_addr().unwrap()
    );
    for text in [
        text.clone(),
        text.replace("\n[acc", "\nconnect_timeout = \"10s\"\n[acc"),
    ] {
        let site = Site::new(&text);
        site.secret("pw", PASSWORD, 0o600);
        let outcome = attempt(&site, AttemptKind::Login).await;
        assert_eq!(outcome.answer, ProviderAnswer::NotSent, "{outcome:?}");
        assert!(outcome.message.unwrap().contains("timed out"));
    }
}

#[tokio::test]
async fn without_a_whole_answer_the_outcome_is_in_doubt() {
    for act in Act::without_a_whole_answer() {
        let what = format!("{act:?}");
        let (outcome, _provider) = outcome_of(act).await;
        assert_eq!(outcome.answer, ProviderAnswer::MaybeSent, "{what}");
        let message = outcome.message.unwrap();
        assert!(
            message.starts_with("the request was sent and no whole answer came: "),
            "{what}: {message}"
        );
        assert!(!message.contains("tok\""), "{message}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_the_end() {
    let (outcome, _provider) = outcome_of(Act::Pour).await;
    assert_eq!(
        outcome.answer,
        ProviderAnswer::Misbehaved {
            maybe_processed: true
        }
    );
    assert_eq!(
        outcome.message.as_deref(),
        Some("the answer is larger than 2048 bytes")
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Provider::start().await;
    let text = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {}/token\r\ncontent-length: 0\r\n\r\n",
        elsewhere.base_url
    );
    let (outcome, provider) = outcome_of(Act::Say(text)).await;
    assert!(outcome.granted.is_none(), "{outcome:?}");
    assert_eq!((provider.seen().len(), elsewhere.seen().len()), (1, 0));
}

#[tokio::test]
async fn a_provider_that_echoes_secrets_is_not_quoted() {
    for (kind, status) in [
        (AttemptKind::Login, "400 Bad Request"),
        (AttemptKind::Refresh, "500 Internal Server Error"),
    ] {
        let provider = Provider::start().await;
        let echo = format!(
            r#"{{"error":"invalid_request","error_description":"you sent {PASSWORD} and {REFRESH}"}}"#
        );
        provider.then(reply(status, &echo));
        let outcome = attempt(&site(&provider.base_url, ""), kind).await;
        let shown = format!("{outcome:?}");
        let secret = if kind == AttemptKind::Login {
            PASSWORD
        } else {
            REFRESH
        };
        assert!(!shown.contains(secret), "{shown}");
        assert!(shown.contains("you sent"), "{shown}");
    }
}

#[tokio::test]
async fn a_provider_cannot_write_lines_into_the_log() {
    let body = "{\"error\":\"invalid_scope\",\"error_description\":\"a\\nb \\u001b[31m\"}";
    let (outcome, _provider) = outcome_of(reply("400 Bad Request", body)).await;
    let message = outcome.message.unwrap();
    assert!(message.chars().all(|c| !c.is_control()), "{message:?}");
}

#[tokio::test]
async fn the_fingerprint_changes_with_configuration_and_secrets_only() {
    let site = site("http://127.0.0.1:1", "");
    let up = upstream(&site);
    let fingerprint = async |kind: &str| {
        up.fingerprint(&site.account(), &held(), kind)
            .await
            .unwrap()
    };
    let prepared = async |kind| {
        up.prepare(site.account(), kind, &held(), None, None)
            .await
            .unwrap()
            .fingerprint
    };
    let login = prepared(AttemptKind::Login).await;
    assert_eq!(
        fingerprint(&login).await,
        login,
        "the same question, the same answer"
    );
    let refresh = prepared(AttemptKind::Refresh).await;
    assert_eq!(
        fingerprint(&refresh).await,
        refresh,
        "a refused refresh is compared with a refresh"
    );
    assert_ne!(login, refresh);
    site.secret("pw", "another", 0o600);
    assert_ne!(fingerprint(&login).await, login);
    assert_eq!(
        fingerprint(&refresh).await,
        refresh,
        "no refresh sends the password"
    );
    site.secret("pw", PASSWORD, 0o600);
    assert_eq!(fingerprint(&login).await, login);
    let text = "[account.ads]\nprovider = \"oauth2\"\nbase_url = \"http://127.0.0.1:1\"\nusername = \"u\"\nclient_id = \"c\"\nscope = \"s\"\npassword = { file = \"pw\" }\n";
    site.write(text);
    assert_ne!(fingerprint(&login).await, login);
    assert!(!login.contains(PASSWORD));
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_stops_before_anything_is_sent() {
    let provider = Provider::start().await;
    let site = site(&provider.base_url, "");
    site.secret("pw", PASSWORD, 0o644);
    let up = upstream(&site);
    let open = up
        .prepare(site.account(), AttemptKind::Login, &held(), None, None)
        .await
        .unwrap_err();
    assert!(matches!(open, PrepareError::Secret { .. }));
    let text = open.to_string();
    assert!(
        text.starts_with("cannot read the password of account ads: ") && text.contains("pw"),
        "{text}"
    );
    let path = site.account();
    site.secret("pw", "", 0o600);
    let empty = up
        .prepare(path, AttemptKind::Login, &held(), None, None)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        empty.starts_with("cannot read the password of account ads: "),
        "{empty}"
    );
    assert_eq!(
        up.fingerprint(&site.account(), &held(), "login-").await,
        None
    );
    assert!(provider.seen().is_empty());
}

#[tokio::test]
async fn nothing_of_a_prepared_request_shows() {
    let site = site("http://127.0.0.1:1", "");
    let prepared = upstream(&site)
        .prepare(site.account(), AttemptKind::Login, &held(), None, None)
        .await
        .unwrap();
    let shown = format!("{prepared:?}");
    assert!(
        !shown.contains("correct") && !shown.contains(REFRESH),
        "{shown}"
    );
}

#[tokio::test]
async fn what_a_person_enters_goes_before_what_is_stored_or_configured() {
    for (kind, secret, sent) in [
        (
            AttemptKind::Login,
            EnteredSecrets::one("password", "typed".into()),
            "password=typed",
        ),
        (
            AttemptKind::Refresh,
            EnteredSecrets::RefreshToken("typed".into()),
            "refresh_token=typed",
        ),
    ] {
        let provider = Provider::start().await;
        let site = site(&provider.base_url, "");
        let upstream = upstream(&site);
        let prepared = upstream
            .prepare(site.account(), kind, &held(), Some(&secret), None)
            .await
            .unwrap();
        soon(upstream.send(prepared)).await;
        let seen = provider.seen();
        assert!(seen[0].contains(sent), "{seen:?}");
    }
}
