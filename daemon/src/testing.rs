//! What tests of the shell share: accounts from a configuration, a provider of a few lines, and a daemon without its socket.

mod provider;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tempfile::TempDir;
use tokend_config::{Account, Config, Environment, Overrides};
use tokend_config::{Format, Level};
use tokend_engine::{AccountKey, GrantId, Held, Timestamp};
use tokend_policy::{Needs, Peer};
use tokend_proto::{AccountName, Request, Response, SecretText};
use tokend_store::{MemoryStore, Store};
use tokio::sync::{mpsc, oneshot};

use crate::attempts::Books;
use crate::audit::{Audit, Marker};
use crate::desk::thrift::Thrift;
use crate::desk::{Desk, Reply};
use crate::diagnosis::Diagnosis;
use crate::driver::{Surroundings, Task};
use crate::job::Job;
use crate::keeper::Keeper;
use crate::message::{DRIVER_QUEUE, Driver, Message};
use crate::metrics::{Counters, Metrics};
use crate::registry::{Epoch, IssuedToken, Registry, Slot};
use crate::reload::{Cures, FileThreads, LogChoice, Reloader};
use crate::secrets::SecretSource;
use crate::upstream::Upstream;
use tokend_peer::Reader;
use tokend_process::clock::Clock;
use tokend_process::logging::Logging;
use tokend_process::systemd::Manager;

pub(crate) use tokend_process::testing::{DEADLINE, soon};

pub(crate) use self::provider::{Act, Provider, grant, raw, reply};

/// The user the daemon of the tests runs as, so its administrator.
pub(crate) const OWNER: u32 = 7;

/// A configuration on disk.
#[derive(Debug)]
pub(crate) struct Site(TempDir);

impl Site {
    pub(crate) fn new(text: &str) -> Self {
        let site = Self(tempfile::tempdir().expect("temporary directory"));
        site.write(text);
        site
    }

    pub(crate) fn write(&self, text: &str) {
        std::fs::write(self.0.path().join("tokend.toml"), text).expect("write");
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    /// A file only its owner can read.
    pub(crate) fn secret(&self, name: &str, text: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("write");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
    }

    /// A dialect in the directory `dialects`, which the configuration has to name.
    pub(crate) fn dialect(&self, name: &str, text: &str) {
        let dir = self.0.path().join("dialects");
        std::fs::create_dir_all(&dir).expect("create");
        std::fs::write(dir.join(format!("{name}.toml")), text).expect("write");
    }

    pub(crate) fn config(&self) -> Config {
        Config::load(
            &self.0.path().join("tokend.toml"),
            &Overrides::default(),
            &environment(),
        )
        .unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn account(&self) -> Arc<Account> {
        Arc::clone(self.config().accounts.first().expect("an account"))
    }
}

fn environment() -> Environment {
    Environment {
        uid: OWNER,
        home: Some("/nonexistent".into()),
        ..Environment::default()
    }
}

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
    let slots = (0..).zip(&config.accounts).map(|(key, account)| {
        Arc::new(Slot {
            key: AccountKey(key),
            account: Arc::clone(account),
            held: Arc::default(),
        })
    });
    registry.replace(Arc::new(Epoch::new(slots, Arc::clone(&config.admin))));
    Arc::new(registry)
}

/// A token that was issued at `now` and lives an hour.
pub(crate) fn token(text: &str, grant: u64, now: Timestamp) -> IssuedToken {
    let expires = Some(now.after(Duration::from_secs(3600)));
    IssuedToken {
        text: SecretText::new(text).expect("a token"),
        token_type: "Bearer".into(),
        scope: None,
        mark: Marker::new(b"a key").mark(text),
        held: Held {
            grant: GrantId(grant),
            issued: now,
            expires,
        },
        ahead: now.after(Duration::from_secs(2700)),
        told: false.into(),
        unpersisted: false,
        remark: None,
    }
}

/// A desk whose driver is the test.
pub(crate) fn desk(
    site: &Site,
    clock: &Clock,
    room: usize,
) -> (Arc<Desk>, mpsc::Receiver<Message>) {
    let (driver, messages) = mpsc::channel(room);
    let registry = registry(&site.config());
    let store = Arc::new(MemoryStore::new());
    let reloader = Arc::new(reloader(
        site,
        store,
        driver.clone(),
        clock,
        Arc::clone(&registry),
    ));
    (
        Arc::new(Desk {
            registry,
            driver,
            clock: clock.clone(),
            audit: reloader.audit.clone(),
            metrics: reloader.metrics.clone(),
            diagnosis: Arc::new(Diagnosis::new(Arc::clone(&reloader))),
            reloader,
            facts: Reader::new(clock.clone()),
            always: Needs::NONE,
            thrift: Thrift::default(),
        }),
        messages,
    )
}

fn reloader(
    site: &Site,
    store: Arc<dyn Store>,
    driver: Driver,
    clock: &Clock,
    registry: Arc<Registry>,
) -> Reloader {
    let config = site.config();
    let audit = Audit::new(Marker::new(b"a key"), clock.clone(), "test");
    let level: Level = "off".parse().expect("a level");
    let logging = Logging::start(Format::Auto, &level);
    let metrics = Metrics::new(
        Counters::new(clock.wall_ms()),
        config.metrics.clone(),
        Arc::clone(&registry),
        driver.clone(),
        audit.clone(),
        logging.lines().clone(),
        clock.clone(),
    );
    let upstream = Upstream::new(&config.http, secrets(), clock.clone()).expect("a client");
    Reloader {
        file: site.0.path().join("tokend.toml"),
        overrides: Overrides::default(),
        environment: environment(),
        log: LogChoice {
            logging,
            format: None,
            level: Some(level),
        },
        store,
        upstream: Arc::new(upstream),
        driver,
        clock: clock.clone(),
        audit,
        metrics,
        registry,
        number: tokio::sync::Mutex::new(1),
        stamps: ArcSwap::from_pointee(config.stamps.clone()),
        manager: Manager::none(),
        files: FileThreads::new(),
        cures: Cures::new(),
        unresolved: ArcSwap::from_pointee(config.unresolved.clone()),
        names: ArcSwap::from_pointee(config.names.clone()),
        waiting: crate::reload::names::Waiting::default(),
        looks: crate::reload::looks::Looks::default(),
    }
}

/// A daemon without its socket.
pub(crate) struct Daemon {
    pub(crate) desk: Arc<Desk>,
    running: tokio::task::JoinHandle<()>,
}

impl Daemon {
    pub(crate) async fn start(site: &Site, store: &MemoryStore) -> Self {
        Self::watched(site, store, Manager::none()).await
    }

    /// One that tells this manager how it is.
    pub(crate) async fn watched(site: &Site, store: &MemoryStore, manager: Manager) -> Self {
        let clock = Clock::system();
        let (driver, messages) = mpsc::channel(DRIVER_QUEUE);
        let kept = Arc::new(store.clone());
        let (keeper, thread) =
            Keeper::start(kept, clock.clone(), driver.clone(), Counters::new(0)).expect("a thread");
        drop(thread);
        Self::of(site, store, keeper, manager, clock, (driver, messages)).await
    }

    /// One whose disk hangs.
    pub(crate) async fn hanging(site: &Site, manager: Manager) -> (Self, mpsc::Receiver<Job>) {
        let (keeper, jobs) = Keeper::hanging();
        let (clock, store) = (Clock::system(), MemoryStore::new());
        let messages = mpsc::channel(DRIVER_QUEUE);
        let daemon = Self::of(site, &store, keeper, manager, clock, messages).await;
        (daemon, jobs)
    }

    async fn of(
        site: &Site,
        store: &MemoryStore,
        keeper: Keeper,
        manager: Manager,
        clock: Clock,
        (driver, messages): (Driver, mpsc::Receiver<Message>),
    ) -> Self {
        let store = Arc::new(store.clone());
        let registry = Arc::new(Registry::new());
        let mut reloader = reloader(site, store, driver.clone(), &clock, Arc::clone(&registry));
        reloader.manager = manager.clone();
        let reloader = Arc::new(reloader);
        let counters = Arc::clone(reloader.metrics.counters());
        let upstream = Arc::clone(&reloader.upstream);
        let around = Surroundings {
            registry: Arc::clone(&registry),
            clock: clock.clone(),
            books: Books {
                audit: reloader.audit.clone(),
                counters,
            },
            keeper,
            upstream,
            own: driver.clone(),
            manager,
        };
        let task = Task::new(1, around);
        let running = tokio::spawn(task.run(messages));
        soon(Box::pin(reloader.apply(&site.config())))
            .await
            .expect("a configuration");
        Self {
            desk: Arc::new(Desk {
                registry,
                driver,
                facts: Reader::new(clock.clone()),
                always: Needs::NONE,
                thrift: Thrift::default(),
                clock,
                diagnosis: Arc::new(Diagnosis::new(Arc::clone(&reloader))),
                audit: reloader.audit.clone(),
                metrics: reloader.metrics.clone(),
                reloader,
            }),
            running,
        }
    }

    /// The answer to a request of the owner.
    pub(crate) async fn ask(&self, request: Request) -> Response {
        soon(answer(self.desk.handle(&peer(OWNER), request))).await
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
        self.desk
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

impl Desk {
    /// Decides about a request by what is known about the peer, and answers it.
    pub(crate) fn handle(&self, peer: &Peer, request: Request) -> Reply {
        let snapshot = self.registry.epoch();
        let decided = self.decide_by_what_is_known(&snapshot, peer, &request);
        self.answer(peer, request, decided)
    }
}

pub(crate) async fn answer(reply: Reply) -> Response {
    match reply {
        Reply::Ready(response) => response,
        Reply::Pending(pending) => pending.await.unchecked(),
    }
}
