//! The daemon from its parts: what is started in which order, and ended in which.
//!
//! Owns the life of the process between configuration and exit. Decides nothing about accounts or clients.

mod drain;
mod ending;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokend_process::task;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokend_config::{AuditEvent, Config, Environment, Overrides};
use tokend_policy::Needs;
use tokend_store::{RedbStore, SealingKey, Settled, StateDir, Store};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;

use crate::accept;
use crate::attempts::Books;
use crate::audit::{Audit, Event, Marker};
use crate::desk::Desk;
use crate::desk::thrift::Thrift;
use crate::diagnosis::Diagnosis;
use crate::driver::{Surroundings, Task};
use crate::egress::Egress;
use crate::keeper::Keeper;
use crate::key_names::{KEY_CREDENTIAL, KEY_FILE};
use crate::listen::{self, Bound, Inherited, Usage};
use crate::message::DRIVER_QUEUE;
use crate::metrics::{self, Counters, Metrics};
use crate::registry::Registry;
use crate::reload::{self, Cures, FileThreads, LogChoice, Reloader, looks, names, retry};
use crate::secrets::SecretSource;
use crate::upstream::Upstream;
use tokend_process::clock::Clock;
use tokend_process::shutdown::Shutdown;
use tokend_process::signals::{Asked, Incoming};
use tokend_process::stack;
use tokend_process::systemd::Manager;

use self::drain::{End, drain};
pub(crate) use self::ending::is_mistake;

/// How long what runs may take at the end, beyond the time one exchange with a provider may take.
const DRAIN_MARGIN: Duration = Duration::from_secs(15);

/// Everything `run` needs.
pub(crate) struct Start {
    pub(crate) file: PathBuf,
    pub(crate) overrides: Overrides,
    pub(crate) environment: Environment,
    pub(crate) log: LogChoice,
    pub(crate) config: Config,
    pub(crate) inherited: Inherited,
    /// The relay this process was told of.
    pub(crate) egress: Option<Egress>,
}

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// What kept it from starting, with what to do. Once it serves, it ends only when told to.
pub(crate) fn run(start: Start) -> anyhow::Result<()> {
    // Before the runtime: the store refuses a second daemon, and the socket is made while there is one thread.
    let (store, marker) = open_store(&start.config)?;
    let bound = match start.inherited.clients {
        Some(bound) => bound,
        None => listen::bind(
            &start.config.socket,
            start.config.socket_mode,
            Usage::Clients,
        )?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("tokend")
        .on_thread_park(stack::before_rest)
        .build()
        .context("the runtime cannot be started")?;
    let passed = start.inherited.metrics;
    let origin = bound.origin.clone();
    let Start {
        file,
        overrides,
        environment,
        log,
        config,
        egress,
        ..
    } = start;
    let ended = runtime.block_on(stack::wiped_throughout(async move {
        let parts = Parts {
            file,
            overrides,
            environment,
            log,
            config,
            bound,
            passed,
            egress,
            store,
            marker,
        };
        parts.serve().await
    }));
    // A file system that does not answer may hold a thread for good: the process ends without it.
    runtime.shutdown_background();
    origin.clean_up();
    ended
}

fn open_store(config: &Config) -> anyhow::Result<(Arc<dyn Store>, Marker)> {
    let dir = StateDir::acquire(&config.state_dir)?;
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let given = match &credentials {
        Some(credentials) => SealingKey::from_credentials_dir(credentials, KEY_CREDENTIAL)?,
        None => None,
    };
    let key = match given {
        Some(key) => key,
        None => {
            let file = config.state_dir.join(KEY_FILE);
            match tokend_store::settle(&dir, &file)? {
                Settled::Nothing => {}
                Settled::Finished => tracing::warn!(
                    "the sealing key was being replaced: the store is the new key's, which is now in {}",
                    file.display()
                ),
                Settled::Undone => tracing::warn!(
                    "the sealing key was being replaced: the store is still the old key's, and the new one was removed; run tokend key rotate again"
                ),
            }
            SealingKey::load_or_create(&file, &dir)?
        }
    };
    let marker = Marker::new(key.marking_key().as_slice());
    Ok((Arc::new(RedbStore::open(dir, key)?), marker))
}

struct Parts {
    file: PathBuf,
    overrides: Overrides,
    environment: Environment,
    log: LogChoice,
    config: Config,
    bound: Bound,
    /// The socket systemd passed for metrics.
    passed: Option<TcpListener>,
    /// The relay this process was told of.
    egress: Option<Egress>,
    store: Arc<dyn Store>,
    marker: Marker,
}

impl Parts {
    async fn serve(self) -> anyhow::Result<()> {
        let Self {
            file,
            overrides,
            environment,
            log,
            config,
            bound,
            passed,
            egress,
            store,
            marker,
        } = self;
        let mut signals = Incoming::register().context("signals cannot be listened to")?;
        let clock = Clock::system();
        let manager = Manager::of_this_process();
        let audit = Audit::new(marker, clock.clone(), &run_name(&clock));
        let prepared = Audit::prepare(&config.audit)?;
        audit
            .apply(prepared)
            .context("a thread for audit records cannot be started")?;
        let registry = Arc::new(Registry::new());
        let secrets = SecretSource::of_this_process(config.limits.command_timeout, egress);
        let upstream = Arc::new(Upstream::new(&config.http, secrets, clock.clone())?);
        let (driver, messages) = mpsc::channel(DRIVER_QUEUE);
        let counters = Counters::new(clock.wall_ms());
        let metrics = Metrics::new(
            Arc::clone(&counters),
            config.metrics.clone(),
            Arc::clone(&registry),
            driver.clone(),
            audit.clone(),
            log.logging.lines().clone(),
            clock.clone(),
        );
        let readers = metrics::listen(config.metrics.listen.as_ref(), passed, egress).await?;
        let (keeper, keeper_thread) = Keeper::start(
            Arc::clone(&store),
            clock.clone(),
            driver.clone(),
            Arc::clone(&counters),
        )
        .context("the store's thread cannot be started")?;
        let around = Surroundings {
            registry: Arc::clone(&registry),
            clock: clock.clone(),
            books: Books {
                audit: audit.clone(),
                counters,
            },
            keeper,
            upstream: Arc::clone(&upstream),
            own: driver.clone(),
            manager: manager.clone(),
        };
        let task = Task::new(seed(&clock), around);
        let mut engine = tokio::spawn(stack::wiped_throughout(task.run(messages)));
        let reloader = Arc::new(Reloader {
            file,
            overrides,
            environment,
            log,
            store,
            upstream,
            driver: driver.clone(),
            clock: clock.clone(),
            audit: audit.clone(),
            metrics: metrics.clone(),
            registry: Arc::clone(&registry),
            number: Mutex::new(1),
            stamps: ArcSwap::from_pointee(config.stamps.clone()),
            manager: manager.clone(),
            files: FileThreads::new(),
            cures: Cures::new(),
            unresolved: ArcSwap::from_pointee(config.unresolved.clone()),
            names: ArcSwap::from_pointee(config.names.clone()),
            waiting: names::Waiting::default(),
            looks: looks::Looks::default(),
        });
        names::tell(&config.unresolved);
        reloader.waiting.note(&config.unresolved, clock.wall_ms());
        let limits = config.limits;
        let patience = config.http.timeout + config.limits.command_timeout + DRAIN_MARGIN;
        // Records and secrets may lie where nobody answers: that keeps nobody from stopping the daemon.
        let Some(applied) = signals.unless_stopped(reloader.apply(&config)).await else {
            tracing::info!("stopping before anybody was served");
            manager.stopping();
            return drain(&driver, patience, signals.stop())
                .await
                .record(&audit);
        };
        let summary = applied?;
        drop(config);
        let desk = Arc::new(Desk {
            registry: Arc::clone(&registry),
            driver: driver.clone(),
            facts: tokend_peer::Reader::new(clock.clone()),
            always: Needs::NONE,
            clock,
            reloader: Arc::clone(&reloader),
            diagnosis: Arc::new(Diagnosis::new(Arc::clone(&reloader))),
            audit: audit.clone(),
            metrics: metrics.clone(),
            thrift: Thrift::default(),
        });
        let (stage, stages) = watch::channel(Shutdown::Serving);
        let origin = bound.origin.clone();
        for readers in readers {
            task::spawn(readers.serve(metrics.clone(), stages.clone()));
        }
        let accepting = tokio::spawn(accept::run(bound.fd, desk, limits, stages));
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            accounts = summary.accounts,
            with_token = summary.with_token,
            socket = %origin,
            "ready"
        );
        audit.note(started(summary.accounts));
        manager.ready();
        let trying = retry::keep_trying(Arc::clone(&reloader));
        let names = tokio::spawn(stack::wiped_throughout(trying));
        // Beside the signals, so that a reload that takes its time keeps nobody from stopping the daemon.
        let mut reloads = JoinSet::new();
        loop {
            tokio::select! {
                asked = signals.next() => match asked {
                    // One more than runs is enough: it reads what is there when its turn comes.
                    Asked::Reload if reloads.len() < 2 => {
                        let reloader = Arc::clone(&reloader);
                        let reload = async move { reloader.reload().await.err() };
                        reloads.spawn(stack::wiped_throughout(reload));
                    }
                    Asked::Reload => {}
                    Asked::Stop => break,
                },
                // What went wrong is in the log; the configuration in force stays.
                Some(Ok(fault)) = reloads.join_next() => audit.note(Event::of_reload("signal", fault.as_deref())),
                _ = &mut engine => return End::Died.record(&audit),
            }
        }
        names.abort();
        drop(reloads);
        tracing::info!("stopping: what runs is being finished");
        manager.stopping();
        stage.send_replace(Shutdown::Draining);
        let end = drain(&driver, patience, signals.stop()).await;
        stage.send_replace(Shutdown::Closing);
        accepting
            .await
            .context("the task that accepts connections died")?
            .context("connections cannot be accepted")?;
        tokio::time::sleep(accept::GRACE).await;
        engine.abort();
        drop((driver, reloader));
        finish(keeper_thread);
        end.record(&audit)
    }
}

/// Waits a moment for the store's thread: by now it has nothing to do, unless the disk hangs.
fn finish(keeper: std::thread::JoinHandle<()>) {
    if keeper.is_finished() && keeper.join().is_err() {
        tracing::error!("the store's thread died; please report this");
    }
}

fn started(accounts: usize) -> Event {
    let version = env!("CARGO_PKG_VERSION");
    Event {
        detail: Some(format!("tokend {version}, {}", reload::accounts(accounts)).into()),
        ..Event::new(AuditEvent::Start, "ok")
    }
}

/// The name of this run in audit records, by which their numbers are told from those of another.
fn run_name(clock: &Clock) -> String {
    format!("{:x}-{:x}", clock.wall_ms(), std::process::id())
}

/// What decides the chance in the engine. Two daemons that start together must not back off together.
fn seed(clock: &Clock) -> u64 {
    u64::from(std::process::id())
        ^ clock.boot_ms().rotate_left(32)
        ^ u64::from_le_bytes(clock.wall_ms().to_le_bytes())
}
