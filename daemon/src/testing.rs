//! The shared parts of the shell's tests: accounts from a configuration, a provider of a few lines, and a daemon without its socket.

use std::sync::Arc;
use std::time::Duration;

use tokend_config::{Config, Format, Level, Overrides};
use tokend_engine::{AccountKey, GrantId, Timestamp, TokenFacts};
use tokend_peer::Reader;
use tokend_policy::Peer;
use tokend_process::clock::Clock;
use tokend_process::logging::Logging;
use tokend_process::systemd::Manager;
use tokend_proto::{AccountName, Request, Response};
use tokend_store::{MemoryStore, Store};
use tokend_upstream::AccessToken;
use tokio::sync::{mpsc, oneshot};

use crate::app::{Shell, Surroundings};
use crate::broker::inbox::{DRIVER_QUEUE, Message};
use crate::broker::job::StoreJob;
use crate::broker::publications::IssuedToken;
use crate::broker::registry::{Registry, ServedAccount, Snapshot};
use crate::broker::store_thread::StoreThread;
use crate::reload::{ConfigSource, InForce, LogChoice, Passed};
use crate::requests::{Reply, Requests};
use tokend_audit::{Audit, FingerprintKey};
use tokend_upstream::secrets::SecretSource;

pub(crate) use tokend_process::testing::soon;

pub(crate) use tokend_config::testing::{OWNER, Site, environment};
pub(crate) use tokend_egress::testing::{Act, Provider, grant, raw, reply};

pub(crate) fn peer(uid: u32) -> Peer {
    Peer::new(uid, uid, 1)
}

pub(crate) fn name(text: &str) -> AccountName {
    text.parse().expect("a name")
}

pub(crate) fn secrets() -> SecretSource {
    SecretSource::of_this_process(Duration::from_secs(5), None)
}

/// The accounts of a configuration, as sessions see them; their keys are their places in it.
pub(crate) fn registry(config: &Config) -> Arc<Registry> {
    let registry = Registry::new();
    let accounts = (0..).zip(&config.accounts).map(|(key, account)| {
        Arc::new(ServedAccount {
            key: AccountKey(key),
            account: Arc::clone(account),
            cell: Arc::default(),
        })
    });
    registry.replace(Arc::new(Snapshot::new(accounts, Arc::clone(&config.admin))));
    Arc::new(registry)
}

/// A token that was issued at `now` and lives an hour.
pub(crate) fn token(text: &str, grant: u64, now: Timestamp) -> IssuedToken {
    let expires = Some(now.after(Duration::from_secs(3600)));
    IssuedToken {
        token: Arc::new(AccessToken::new(text, "Bearer", None::<&str>).expect("a token")),
        fingerprint: FingerprintKey::new(b"a key").fingerprint(text),
        held: TokenFacts {
            grant: GrantId(grant),
            issued: now,
            expires,
        },
        ahead: now.after(Duration::from_secs(2700)),
        reported: false.into(),
        unpersisted: false,
        remark: None,
    }
}

/// A shell of this configuration, and what comes for its driver.
fn shell(
    site: &Site,
    store: Arc<dyn Store>,
    clock: Clock,
    manager: Manager,
    room: usize,
) -> (Shell, mpsc::Receiver<Message>) {
    let level: Level = "off".parse().expect("a level");
    let around = Surroundings {
        source: ConfigSource::new(site.file(), Overrides::default(), environment()),
        log: LogChoice {
            logging: Logging::start(Format::Auto, &level),
            format: None,
            level: Some(level),
        },
        store,
        audit: Audit::new(FingerprintKey::new(b"a key"), clock.clone(), "test"),
        secrets: secrets(),
        peers: Reader::new(clock.clone()),
        clock,
        manager,
        passed: Passed::default(),
        sockets: Vec::new(),
        room,
    };
    Shell::build(around, &site.config()).expect("a client")
}

/// The requests of a shell whose driver is the test.
pub(crate) fn requests(
    site: &Site,
    clock: &Clock,
    room: usize,
) -> (Arc<Requests>, mpsc::Receiver<Message>) {
    let store = Arc::new(MemoryStore::new());
    let (shell, messages) = shell(site, store, clock.clone(), Manager::none(), room);
    let in_force = registry(&site.config()).snapshot();
    shell.requests.registry.replace(Arc::clone(&in_force));
    (shell.requests, messages)
}

/// A daemon without its socket.
pub(crate) struct Daemon {
    pub(crate) requests: Arc<Requests>,
    pub(crate) in_force: Arc<InForce>,
    running: tokio::task::JoinHandle<()>,
}

impl Daemon {
    pub(crate) async fn start(site: &Site, store: &MemoryStore) -> Self {
        Self::watched(site, store, Manager::none()).await
    }

    /// A daemon that reports to this service manager.
    pub(crate) async fn watched(site: &Site, store: &MemoryStore, manager: Manager) -> Self {
        let store = Arc::new(store.clone());
        let (shell, messages) = shell(site, store, Clock::system(), manager, DRIVER_QUEUE);
        let (store_thread, thread) = shell.store_thread().expect("a thread");
        drop(thread);
        Self::of(site, shell, store_thread, messages).await
    }

    /// A daemon whose disk hangs.
    pub(crate) async fn hanging(site: &Site, manager: Manager) -> (Self, mpsc::Receiver<StoreJob>) {
        let store = Arc::new(MemoryStore::new());
        let (shell, messages) = shell(site, store, Clock::system(), manager, DRIVER_QUEUE);
        let (store_thread, jobs) = StoreThread::hanging();
        (Self::of(site, shell, store_thread, messages).await, jobs)
    }

    async fn of(
        site: &Site,
        shell: Shell,
        store_thread: StoreThread,
        messages: mpsc::Receiver<Message>,
    ) -> Self {
        let running = shell.decide(1, store_thread, messages);
        soon(Box::pin(shell.reloader.apply(&site.config())))
            .await
            .expect("a configuration");
        Self {
            requests: shell.requests,
            in_force: shell.in_force,
            running,
        }
    }

    /// The answer to a request of the owner.
    pub(crate) async fn ask(&self, request: Request) -> Response {
        soon(answer(self.requests.handle(&peer(OWNER), request))).await
    }

    /// The text of the account's token, or the fault.
    pub(crate) async fn get(&self, account: &str) -> Result<String, tokend_proto::Fault> {
        token_of(self.ask(get(account)).await)
    }

    /// Ends the driver's loop at once.
    pub(crate) async fn stop(self) {
        self.running.abort();
        let _aborted = soon(self.running).await;
    }

    /// Drains, and waits for the driver to end.
    pub(crate) async fn drain(self) {
        soon(self.begin_drain().await).await.expect("drained");
        soon(self.running).await.expect("the driver");
    }

    /// Begins to drain. Ends when that is done.
    pub(crate) async fn begin_drain(&self) -> oneshot::Receiver<()> {
        let (reply, drained) = oneshot::channel();
        self.requests
            .driver
            .send(Message::Drain(reply))
            .await
            .expect("a driver");
        drained
    }
}

pub(crate) fn get(account: &str) -> Request {
    Request::Get {
        account: name(account),
        min_validity_ms: None,
        wait_ms: 0,
        timeout_ms: 20_000,
    }
}

pub(crate) fn token_of(response: Response) -> Result<String, tokend_proto::Fault> {
    match response {
        Response::Token(token) => Ok(token.access_token.expose().to_owned()),
        Response::Fault(fault) => Err(fault),
        other => panic!("{other:?}"),
    }
}

impl Requests {
    /// Decides about a request by what is known about the peer, and answers it.
    pub(crate) fn handle(&self, peer: &Peer, request: Request) -> Reply {
        let began = self.clock.since_boot();
        let snapshot = self.registry.snapshot();
        let decided = self.decide_by_what_is_known(&snapshot, peer, &request);
        self.answer(peer, request, decided, began)
    }
}

pub(crate) async fn answer(reply: Reply) -> Response {
    match reply {
        Reply::Ready(response) => response,
        Reply::Pending(pending) => pending.await.unchecked(),
    }
}
