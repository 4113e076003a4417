//! What tests of the shell share: accounts from a configuration, a provider of a few lines, and a daemon without its socket.
//!
//! The provider here does as it is scripted and notes what it was sent; the strict one is in the package of the acceptance tests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tempfile::TempDir;
use tokend_config::{Account, Config, Environment, Overrides};
use tokend_config::{Format, Level};
use tokend_engine::{AccountKey, GrantId, Held, Timestamp};
use tokend_policy::{Needs, Peer};
use tokend_proto::{AccountName, Request, Response, SecretText};
use tokend_store::{MemoryStore, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use crate::attempts::Books;
use crate::audit::{Audit, Marker};
use crate::clock::Clock;
use crate::desk::{Desk, Handled};
use crate::diagnosis::{Diagnosis, Stamps};
use crate::driver::Task;
use crate::keeper::{Job, Keeper};
use crate::logging::Logging;
use crate::message::{DRIVER_QUEUE, Driver, Message};
use crate::metrics::{Counters, Metrics};
use crate::peer::{Connection, Pinned, Reader};
use crate::registry::{Epoch, IssuedToken, Registry, Slot};
use crate::reload::{LogChoice, Reloader};
use crate::secrets::SecretSource;
use crate::systemd::Manager;
use crate::upstream::Upstream;

/// The user the daemon of the tests runs as, so its administrator.
pub(crate) const OWNER: u32 = 7;

/// How long anything may take that is waited for. Reached only by a test that fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for something that must come.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what)
        .await
        .expect("it never came")
}

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

    /// A file only its owner can read.
    pub(crate) fn secret(&self, name: &str, text: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("write");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
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

/// A pipe has nobody at its other end who could be held on to.
impl Connection for DuplexStream {
    fn pin(&self, _: &Peer, _: u64) -> Result<Box<dyn Pinned>, String> {
        Err("it is a pipe".to_owned())
    }
}

pub(crate) fn name(text: &str) -> AccountName {
    text.parse().expect("a name")
}

pub(crate) fn secrets() -> SecretSource {
    SecretSource::of_this_process(Duration::from_secs(5))
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
    let metrics = Metrics::new(
        Counters::new(clock.wall_ms()),
        config.metrics.clone(),
        registry,
        driver.clone(),
        audit.clone(),
        clock.clone(),
    );
    let level: Level = "off".parse().expect("a level");
    let upstream = Upstream::new(&config.http, secrets(), clock.clone()).expect("a client");
    Reloader {
        file: site.0.path().join("tokend.toml"),
        overrides: Overrides::default(),
        environment: environment(),
        log: LogChoice {
            logging: Logging::start(Format::Auto, &level),
            format: None,
            level: Some(level),
        },
        store,
        upstream: Arc::new(upstream),
        driver,
        clock: clock.clone(),
        audit,
        metrics,
        number: tokio::sync::Mutex::new(1),
        stamps: ArcSwap::from_pointee(Stamps::of(&config.files)),
        manager: Manager::none(),
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
        let task = Task::new(
            1,
            Arc::clone(&registry),
            clock.clone(),
            Books {
                audit: reloader.audit.clone(),
                counters,
            },
            keeper,
            upstream,
            driver.clone(),
            manager,
        );
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

pub(crate) async fn answer(handled: Handled) -> Response {
    match handled {
        Handled::Now(response) => response,
        Handled::Later(pending) => pending.await,
    }
}

/// What the provider does with a connection.
#[derive(Debug)]
pub(crate) enum Act {
    /// Reads the request, writes these bytes, closes.
    Say(String),
    /// Closes with a reset before it has read anything.
    ResetAtOnce,
    /// Reads the request and closes with a reset.
    ResetAfter,
    /// Reads the request, and then waits to be told to go on with these bytes.
    Hold(oneshot::Receiver<String>),
    /// Reads the request and says nothing.
    Hang,
    /// Reads the request and writes without end.
    Pour,
}

/// A provider on a loopback address.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) base_url: String,
    seen: Arc<Mutex<Vec<String>>>,
    acts: Arc<Mutex<VecDeque<Act>>>,
}

impl Provider {
    /// A provider that gives `token-N` and `refresh-N` to the Nth request, unless it is scripted otherwise.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let base_url = format!("http://{}", listener.local_addr().expect("an address"));
        let (seen, acts) = (
            Arc::<Mutex<Vec<String>>>::default(),
            Arc::<Mutex<VecDeque<Act>>>::default(),
        );
        let provider = Self {
            base_url,
            seen: Arc::clone(&seen),
            acts: Arc::clone(&acts),
        };
        drop(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let act = lock(&acts).pop_front();
                drop(tokio::spawn(serve(stream, act, Arc::clone(&seen))));
            }
        }));
        provider
    }

    pub(crate) fn then(&self, act: Act) -> &Self {
        lock(&self.acts).push_back(act);
        self
    }

    /// The requests that were read, as they came.
    pub(crate) fn seen(&self) -> Vec<String> {
        lock(&self.seen).clone()
    }

    /// Waits until this many requests have been read.
    pub(crate) async fn asked(&self, times: usize) {
        soon(async {
            while lock(&self.seen).len() < times {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A reply with this status and body.
pub(crate) fn reply(status: &str, body: &str) -> Act {
    Act::Say(raw(status, body))
}

pub(crate) fn raw(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The body of a grant.
pub(crate) fn grant(n: usize) -> String {
    format!(
        r#"{{"access_token":"token-{n}","refresh_token":"refresh-{n}","token_type":"Bearer","expires_in":3600}}"#
    )
}

async fn serve(mut stream: TcpStream, act: Option<Act>, seen: Arc<Mutex<Vec<String>>>) {
    if matches!(act, Some(Act::ResetAtOnce)) {
        // Closing with unread bytes resets; wait for some without reading them.
        let _readable = stream.readable().await;
        return;
    }
    let request = read_request(&mut stream).await;
    let nth = {
        let mut seen = lock(&seen);
        seen.push(request);
        seen.len()
    };
    let text = match act {
        None => raw("200 OK", &grant(nth)),
        Some(Act::Say(text)) => text,
        Some(Act::Hold(go_on)) => go_on.await.unwrap_or_default(),
        Some(Act::ResetAtOnce | Act::ResetAfter) => {
            let _reset = stream.set_zero_linger();
            return;
        }
        Some(Act::Hang) => return std::future::pending().await,
        Some(Act::Pour) => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
            let _gone = stream.write_all(head.as_bytes()).await;
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
            return;
        }
    };
    let _gone = stream.write_all(text.as_bytes()).await;
    let _gone = stream.shutdown().await;
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = stream.read(&mut chunk).await.unwrap_or(0);
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if count == 0 {
                return text;
            }
            continue;
        };
        let length = head.to_ascii_lowercase().lines().find_map(|line| {
            line.strip_prefix("content-length:")
                .map(|value| value.trim().parse().unwrap_or(0))
        });
        if count == 0 || body.len() >= length.unwrap_or(0) {
            return text;
        }
    }
}
