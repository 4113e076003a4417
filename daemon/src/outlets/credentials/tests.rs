//! Connections over a pipe; the driver is the test.

mod kept;
mod races;
mod rests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokend_peer::testing::Overheard;
use tokend_policy::{Fact, Facts, units};
use tokend_process::clock::Clock;
use tokend_proto::FaultCode;
use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;
use crate::broker::inbox::{AnswerSender, DriverAnswer, Message};
use crate::testing::{Site, name, requests, soon, token};

/// Accounts and their rules.
const ACCOUNTS: [(&str, &str); 5] = [
    ("ads", "unit = \"demo.service\""),
    ("other.json", "unit = \"demo.service\""),
    ("other", "unit = \"else.service\""),
    ("own", "user = 1000, user_unit = \"demo.service\""),
    ("root", "user = 0, unit = \"x.service\""),
];
const PATIENCE: Duration = Duration::from_secs(10);

fn site(rule: impl Fn(&str) -> String) -> Site {
    let account = |(name, allow): (&str, &str)| {
        format!(
            "[account.\"{name}\"]\nprovider = \"oauth2\"\nbase_url = \"http://127.0.0.1:1\"\nusername = \"u\"\nclient_id = \"c\"\nallow = [{{ {} }}]\n",
            rule(allow)
        )
    };
    Site::new(&ACCOUNTS.map(account).concat())
}

/// A daemon with these accounts, and what comes for its driver.
struct Stage {
    requests: Arc<Requests>,
    driver: mpsc::Receiver<Message>,
    shutdown: watch::Sender<Shutdown>,
    site: Site,
}

impl Stage {
    fn new() -> Self {
        Self::at(&Clock::system())
    }

    fn at(clock: &Clock) -> Self {
        let site = site(str::to_owned);
        let (requests, driver) = requests(&site, clock, 64);
        Self {
            requests,
            driver,
            shutdown: watch::channel(Shutdown::Serving).0,
            site,
        }
    }

    fn hold(&self, account: &str, text: &str) {
        let now = self.requests.clock.steady();
        let snapshot = self.requests.registry.snapshot();
        let served = snapshot.served(&name(account)).unwrap();
        served.cell.publish(token(text, 1, now));
    }

    /// A connection of this process that asks for `asked`, `UNIT/ID`.
    fn connect(&self, peer: Peer, asked: &str) -> (DuplexStream, JoinHandle<()>) {
        let (client, pipe) = duplex(1 << 16);
        (client, self.serve(pipe, peer, asked))
    }

    fn serve<S>(&self, stream: S, peer: Peer, asked: &str) -> JoinHandle<()>
    where
        S: AsyncWrite + Connection + Unpin + Send + 'static,
    {
        self.serve_kept(stream, peer, asked, Kept::default())
    }

    fn serve_kept<S>(&self, stream: S, peer: Peer, asked: &str, kept: Kept) -> JoinHandle<()>
    where
        S: AsyncWrite + Connection + Unpin + Send + 'static,
    {
        let asked = CredentialRequest::read(format!("1f/unit/{asked}").as_bytes());
        let connected = Connected::new(stream, (peer, 0), &self.requests, asked, kept);
        tokio::spawn(connected.serve(self.shutdown.subscribe(), PATIENCE))
    }

    async fn load(&self, peer: Peer, asked: &str) -> Loaded {
        let (client, serving) = self.connect(peer, asked);
        let loaded = loaded(client).await;
        soon(serving).await.unwrap();
        loaded
    }

    async fn asked(&mut self) -> (Message, AnswerSender) {
        match soon(self.driver.recv()).await {
            Some(Message::Wanted {
                account,
                waiter,
                uid,
                demand,
                want,
                reply,
            }) => {
                let (unused, _) = tokio::sync::oneshot::channel();
                let message = Message::Wanted {
                    account,
                    waiter,
                    uid,
                    demand,
                    want,
                    reply: unused,
                };
                (message, reply)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What a unit finds in its credential.
#[derive(Debug, PartialEq, Eq)]
enum Loaded {
    Content(String),
    /// Nothing: systemd refused the credential.
    Refused,
}

fn content(text: &str) -> Loaded {
    Loaded::Content(text.to_owned())
}

/// Reads like systemd.
async fn loaded(client: DuplexStream) -> Loaded {
    let mut bytes = Vec::new();
    let most = u64::try_from(OVERFLOW).unwrap();
    soon(client.take(most).read_to_end(&mut bytes))
        .await
        .unwrap();
    if bytes.len() < OVERFLOW {
        return Loaded::Content(String::from_utf8(bytes).unwrap());
    }
    assert!(bytes == BLANKS, "only blanks");
    Loaded::Refused
}

/// A process of this user in this control group.
fn process(uid: u32, cgroup: &str) -> Peer {
    let facts = Facts {
        units: Fact::Known(units(&format!("0::{cgroup}\n")).unwrap()),
        groups: Fact::Known([].into()),
        ..Facts::default()
    };
    Peer::new(uid, uid, 7).with(facts)
}

/// The process that systemd starts for demo.service.
fn systemd() -> Peer {
    process(0, "/system.slice/demo.service")
}

#[tokio::test]
async fn a_unit_gets_the_token_of_the_account_and_nothing_else() {
    let stage = Stage::new();
    stage.hold("ads", "secret-token");
    stage.hold("other", "not-this");
    stage.hold("other.json", "dotted");
    let load = |asked| stage.load(systemd(), asked);
    assert_eq!(load("demo.service/ads").await, content("secret-token"));
    let header = content("Authorization: Bearer secret-token\n");
    assert_eq!(load("demo.service/ads.header").await, header);
    let Loaded::Content(json) = load("demo.service/ads.json").await else {
        panic!("refused");
    };
    assert!(
        json.starts_with(r#"{"access_token":"secret-token","#),
        "{json}"
    );
    // An account of exactly that name comes first, also if the unit may not have the other.
    assert_eq!(load("demo.service/other.json").await, content("dotted"));
    let header = content("Authorization: Bearer dotted\n");
    assert_eq!(load("demo.service/other.json.header").await, header);
}

#[tokio::test]
async fn what_is_refused_is_never_an_empty_credential() {
    let stage = Stage::new();
    for account in ["ads", "other", "other.json", "own", "root"] {
        stage.hold(account, "secret-token");
    }
    let manager = "/user.slice/user-1000.slice/user@1000.service/app.slice/demo.service";
    for (peer, asked) in [
        // No rule for the unit; no such account; no name of an account.
        (systemd(), "demo.service/other"),
        (systemd(), "demo.service/nobody"),
        (systemd(), "demo.service/nobody.json"),
        (systemd(), "demo.service/a b"),
        // A rule that also names a user is not for another unit of that user.
        (systemd(), "demo.service/root"),
        // The name of another unit.
        (process(0, "/system.slice/evil.service"), "demo.service/ads"),
        (process(0, "/"), "demo.service/ads"),
        // Other users, in whichever control group.
        (
            process(1000, "/system.slice/demo.service"),
            "demo.service/ads",
        ),
        (process(1000, "/init.scope"), "demo.service/ads"),
        (process(1000, manager), "demo.service/ads"),
        (process(1001, manager), "demo.service/own"),
        (process(0, manager), "demo.service/own"),
        // No address of systemd.
        (systemd(), "demo.service"),
        (systemd(), "demo.service/ads/x"),
        // A process whose unit cannot be read.
        (Peer::new(0, 0, 7), "demo.service/ads"),
    ] {
        let shown = format!("{peer} {:?} {asked}", peer.facts());
        assert_eq!(stage.load(peer, asked).await, Loaded::Refused, "{shown}");
    }
    assert_eq!(
        stage.load(process(1000, manager), "demo.service/own").await,
        content("secret-token")
    );
    let itself = process(0, "/init.scope");
    assert_eq!(
        stage.load(itself, "demo.service/ads").await,
        content("secret-token")
    );
}

#[tokio::test]
async fn a_unit_waits_for_its_token_or_for_the_reason_why_there_is_none() {
    let mut stage = Stage::new();
    let (client, _serving) = stage.connect(systemd(), "demo.service/ads");
    let (message, reply) = stage.asked().await;
    let Message::Wanted { demand, uid, .. } = message else {
        panic!("{message:?}");
    };
    assert_eq!(uid, 0);
    assert_eq!(
        demand.start_by, demand.answer_by,
        "it waits for the pace too"
    );
    let now = stage.requests.clock.steady();
    reply
        .send(DriverAnswer::Token(Arc::new(token("secret-token", 2, now))))
        .unwrap();
    assert_eq!(loaded(client).await, content("secret-token"));
    for code in [
        FaultCode::LoginRequired,
        FaultCode::ProviderUnreachable,
        FaultCode::Paced,
        FaultCode::Timeout,
        FaultCode::Draining,
        FaultCode::TooBusy,
        FaultCode::InDoubt,
    ] {
        let (client, _serving) = stage.connect(systemd(), "demo.service/ads");
        let (_, reply) = stage.asked().await;
        let fault = Fault::new(code, "it is so");
        reply.send(DriverAnswer::Fault(Box::new(fault))).unwrap();
        assert_eq!(loaded(client).await, Loaded::Refused, "{code}");
    }
    // The driver is gone.
    let (client, _serving) = stage.connect(systemd(), "demo.service/ads");
    drop(stage.asked().await);
    assert_eq!(loaded(client).await, Loaded::Refused);
}

#[tokio::test]
async fn a_unit_that_waits_at_the_end_is_refused() {
    let mut stage = Stage::new();
    let (client, serving) = stage.connect(systemd(), "demo.service/ads");
    let _never = stage.asked().await;
    stage.shutdown.send_replace(Shutdown::Draining);
    tokio::task::yield_now().await;
    assert!(!serving.is_finished());
    stage.shutdown.send_replace(Shutdown::Closing);
    assert_eq!(loaded(client).await, Loaded::Refused);
    soon(serving).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_left_is_not_waited_for() {
    let mut stage = Stage::new();
    let gone = Arc::<AtomicBool>::default();
    let (client, pipe) = duplex(64);
    let serving = stage.serve(
        Overheard::new(pipe, &gone, |_| {}),
        systemd(),
        "demo.service/ads",
    );
    let (_, reply) = stage.asked().await;
    assert!(!reply.is_closed());
    gone.store(true, SeqCst);
    serving.await.unwrap();
    assert!(reply.is_closed());
    // One that leaves in the middle of its credential or its refusal harms nothing.
    drop(client);
    for asked in ["demo.service/ads", "demo.service/nobody"] {
        stage.hold("ads", &"a".repeat(1000));
        let (client, pipe) = duplex(64);
        let serving = stage.serve(pipe, systemd(), asked);
        drop(client);
        serving.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_stranger_has_to_read_a_refusal_in_time() {
    let stage = Stage::new();
    let stranger = process(1000, "/system.slice/demo.service");
    let (_client, serving) = stage.connect(stranger, "demo.service/ads");
    sleep(PATIENCE / 2).await;
    assert!(!serving.is_finished());
    serving.await.unwrap();
    // A part of a refusal would be a credential.
    let (client, serving) = stage.connect(systemd(), "demo.service/nobody");
    sleep(PATIENCE * 100).await;
    assert!(!serving.is_finished());
    assert_eq!(loaded(client).await, Loaded::Refused);
}
