//! `tokenctl doctor` against a real daemon: it finds every possible fault and says what to do, and asks no provider for a token.

use std::{
    fs,
    io::Read as _,
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokend_harness::{
    Site,
    clock::PATIENCE,
    hostile::{raw::Raw, tls::self_signed},
};
use tokend_provider_simulator::spec::Api;

use crate::stage::{Stage, account};

/// The findings of `doctor --json`, and its exit code.
struct Found {
    code: Option<i32>,
    findings: Vec<serde_json::Value>,
}

impl Found {
    fn at(site: &Site) -> Self {
        let said = site.tokenctl(&["doctor", "--json"]).unwrap();
        let findings =
            serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        Self {
            code: said.code,
            findings,
        }
    }

    /// The message and the advice of a topic at a severity.
    fn said(&self, topic: &str, severity: &str) -> String {
        let text = |it: &serde_json::Value| format!("{} | {}", it["message"], it["advice"]);
        let found = self
            .findings
            .iter()
            .filter(|it| it["topic"] == topic && it["severity"] == severity);
        let found: Vec<String> = found.map(text).collect();
        assert!(
            !found.is_empty(),
            "no {severity} about {topic} in {:#?}",
            self.findings
        );
        found.join("\n")
    }

    fn problems(&self) -> usize {
        self.findings
            .iter()
            .filter(|it| it["severity"] == "problem")
            .count()
    }
}

/// A place with one account, whose provider is at `base_url`.
fn site(base_url: &str, head: &str) -> Site {
    let site = Site::new().unwrap();
    let secret = site.path().join("secret");
    fs::write(&secret, "correct horse").unwrap();
    open_to(&secret, 0o600);
    let text = format!(
        "{head}\n[account.it]\nprovider = \"jwt-api\"\nbase_url = \"{base_url}\"\nusername = \"u\"\npassword = {{ file = \"secret\" }}\n"
    );
    fs::write(site.configuration(), text).unwrap();
    site
}

fn open_to(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A provider that reports how many bytes come through each connection, behind TLS if it has a certificate.
fn counting(shown: Option<Arc<ServerConfig>>) -> (Raw, mpsc::Receiver<usize>) {
    let (sender, counts) = mpsc::sync_channel(64);
    let raw = Raw::start(move |talk| {
        let mut stream = talk.stream.try_clone().unwrap();
        let mut bytes = Vec::new();
        let read = match shown.clone() {
            None => stream.read_to_end(&mut bytes),
            Some(config) => {
                let connection = ServerConnection::new(config).unwrap();
                StreamOwned::new(connection, stream).read_to_end(&mut bytes)
            }
        };
        // How the connection ends does not matter.
        drop(read);
        let _gone = sender.send(bytes.len());
    });
    (raw, counts)
}

#[test]
fn where_all_is_well_it_says_so_and_asks_no_provider_for_a_token() {
    let stage = Stage::new(
        vec![
            account("it", Api::JwtApi),
            account("other", Api::FirebaseAccounts),
        ],
        "",
    );
    let daemon = stage.site.start().unwrap();
    // If nothing of the rate limits is used, the next attempt is at the current time, which moves on.
    let pace = || {
        let status = stage.site.status("it").unwrap();
        ["burst", "left", "period_ms"].map(|part| status["attempts"][part].clone())
    };
    let before = pace();
    assert_eq!(before[0], before[1]);
    let found = Found::at(&stage.site);
    assert_eq!(
        (found.code, found.problems()),
        (Some(0), 0),
        "{:#?}",
        found.findings
    );
    assert!(found.said("socket", "ok").contains("named by --socket"));
    assert!(
        found
            .said("caller", "ok")
            .contains("an administrator, with the tokens of 2 of 2 accounts")
    );
    assert!(
        found
            .said("configuration", "ok")
            .contains("in force as it is on disk")
    );
    assert!(found.said("store", "ok").contains("its key is beside it"));
    assert!(found.said("secret", "ok").contains("password can be read"));
    assert_eq!(
        found
            .said("provider", "ok")
            .matches("can be reached")
            .count(),
        2
    );
    assert!(found.said("accounts", "ok").contains("2 accounts are well"));
    for account in ["it", "other"] {
        assert_eq!(stage.sim.log(account).token_requests(), 0);
    }
    assert_eq!(pace(), before);
    let said = stage.site.tokenctl(&["doctor", "other"]).unwrap();
    assert_eq!(said.code, Some(0));
    assert!(
        said.out
            .contains("ok       secret other: password can be read"),
        "{said:?}"
    );
    assert!(
        said.out.ends_with("all is well\n") || said.out.contains("warnings:"),
        "{said:?}"
    );
    assert!(!said.out.contains(" it:"), "{said:?}");
    daemon.terminate().unwrap();
}

#[test]
fn a_connection_is_ended_before_a_request_also_behind_tls() {
    let (raw, counts) = counting(None);
    let plain = site(&raw.http(), "");
    let daemon = plain.start().unwrap();
    assert!(
        Found::at(&plain)
            .said("provider", "ok")
            .contains("can be reached")
    );
    assert_eq!(counts.recv_timeout(PATIENCE), Ok(0), "bytes that came");
    // A second question gets the same answer without another connection, and the answer says how old it is.
    let again = Found::at(&plain).said("provider", "ok");
    assert!(
        again.contains(" could be reached ") && again.contains(" s ago"),
        "{again}"
    );
    assert!(counts.try_recv().is_err());
    daemon.terminate().unwrap();

    let (shown, certificate) = self_signed("localhost", false);
    let (raw, counts) = counting(Some(shown));
    let base_url = raw.https();
    let refused = site(&base_url, "");
    let daemon = refused.start().unwrap();
    let found = Found::at(&refused);
    assert_eq!(found.code, Some(75));
    assert!(
        found.said("provider", "problem").contains("`extra_ca`"),
        "{:#?}",
        found.findings
    );
    assert_eq!(counts.recv_timeout(PATIENCE), Ok(0));
    daemon.terminate().unwrap();

    let believed = site(&base_url, "[http]\nextra_ca = \"ca.pem\"");
    fs::write(believed.path().join("ca.pem"), certificate).unwrap();
    let daemon = believed.start().unwrap();
    let found = Found::at(&believed);
    assert_eq!(found.code, Some(0), "{:#?}", found.findings);
    assert_eq!(counts.recv_timeout(PATIENCE), Ok(0), "bytes inside TLS");
    daemon.terminate().unwrap();
}

#[test]
fn a_provider_that_is_down_or_has_no_name_is_told_with_what_to_check() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let down = site(&format!("http://{free}"), "");
    let daemon = down.start().unwrap();
    let found = Found::at(&down);
    assert_eq!(found.code, Some(75));
    assert!(
        found
            .said("provider", "problem")
            .contains("check the port in `base_url`"),
        "{:#?}",
        found.findings
    );
    daemon.terminate().unwrap();

    let nameless = site("https://no-such-host.invalid", "");
    let daemon = nameless.start().unwrap();
    let found = Found::at(&nameless);
    assert_eq!(found.code, Some(75));
    assert!(
        found.said("provider", "problem").contains("resolver"),
        "{:#?}",
        found.findings
    );
    daemon.terminate().unwrap();
}

#[test]
fn a_secret_that_is_open_or_missing_and_a_changed_configuration_are_found() {
    let (raw, _counts) = counting(None);
    let site = site(&raw.http(), "");
    let daemon = site.start().unwrap();
    open_to(&site.path().join("secret"), 0o644);
    let found = Found::at(&site);
    assert_eq!(found.code, Some(78));
    assert!(
        found.said("secret", "problem").contains("has mode 0644"),
        "{:#?}",
        found.findings
    );
    assert!(!format!("{:?}", found.findings).contains("correct horse"));
    fs::remove_file(site.path().join("secret")).unwrap();
    let said = site.tokenctl(&["doctor"]).unwrap();
    assert_eq!(said.code, Some(78));
    assert!(
        said.out
            .contains("PROBLEM  secret it: password cannot be read: file "),
        "{said:?}"
    );

    fs::write(site.path().join("secret"), "correct horse").unwrap();
    open_to(&site.path().join("secret"), 0o600);
    let text = fs::read_to_string(site.configuration()).unwrap();
    fs::write(site.configuration(), format!("# changed\n{text}")).unwrap();
    let found = Found::at(&site);
    assert_eq!(found.code, Some(0));
    assert!(
        found
            .said("configuration", "warning")
            .contains("tokenctl reload")
    );
    assert_eq!(site.tokenctl(&["reload"]).unwrap().code, Some(0));
    assert!(
        Found::at(&site)
            .said("configuration", "ok")
            .contains("in force")
    );
    fs::write(site.configuration(), format!("nonsense = 1\n{text}")).unwrap();
    let found = Found::at(&site);
    assert_eq!(found.code, Some(78));
    assert!(
        found
            .said("configuration", "problem")
            .contains("unknown key `nonsense`"),
        "{:#?}",
        found.findings
    );
    daemon.terminate().unwrap();
}

#[test]
fn without_a_daemon_it_says_why_and_how_to_start_it() {
    let site = site("https://localhost:9", "");
    let found = Found::at(&site);
    assert_eq!(found.code, Some(69));
    assert!(found.said("socket", "problem").contains("does not exist"));
    let daemon = site.start().unwrap();
    daemon.kill().unwrap();
    let found = Found::at(&site);
    assert_eq!(found.code, Some(69));
    assert!(
        found.said("daemon", "problem").contains("left over"),
        "{:#?}",
        found.findings
    );
    assert!(
        found
            .said("daemon", "problem")
            .contains("start the daemon: ")
    );
    fs::remove_file(site.socket()).unwrap();
    fs::write(site.socket(), "").unwrap();
    assert!(
        Found::at(&site)
            .said("socket", "problem")
            .contains("is not a socket")
    );
}

#[test]
fn an_account_that_needs_a_person_or_does_not_exist_is_told() {
    let stage = Stage::of(Api::FirebaseAccounts);
    let secrets = stage.site.path().join("secrets");
    for secret in fs::read_dir(&secrets).unwrap() {
        let path = secret.unwrap().path();
        fs::write(&path, "wrong").unwrap();
        open_to(&path, 0o600);
    }
    let daemon = stage.site.start().unwrap();
    assert_eq!(stage.site.tokenctl(&["get", "it"]).unwrap().code, Some(79));
    let found = Found::at(&stage.site);
    assert_eq!(found.code, Some(79), "{:#?}", found.findings);
    assert!(found.said("account", "problem").contains("login-required"));
    assert_eq!(stage.requests(), 1, "it was not tried again");
    let said = stage.site.tokenctl(&["doctor", "nobody"]).unwrap();
    assert_eq!(said.code, Some(78));
    assert!(said.err.contains("there is no account nobody"), "{said:?}");
    daemon.terminate().unwrap();
}

#[test]
fn a_daemon_that_hangs_up_is_told_and_not_waited_for() {
    let site = site("https://localhost:9", "");
    let listener = UnixListener::bind(site.socket()).unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&connections);
    // Ends with the test.
    drop(thread::spawn(move || {
        for stream in listener.incoming() {
            seen.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    }));
    let found = Found::at(&site);
    assert_eq!(found.code, Some(75));
    assert!(
        found
            .said("daemon", "problem")
            .contains("closed the connection"),
        "{:#?}",
        found.findings
    );
    assert!(connections.load(Ordering::SeqCst) > 0);
}
