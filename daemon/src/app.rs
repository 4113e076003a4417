//! The life of the process after the configuration is read: which parts start in which order, and in which order they end.
//!
//! Owns that order, and opening the store. Decides nothing about accounts or clients; how the parts are connected is in `shell`.

mod drain;
mod exit;
mod shell;

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle as Thread;
use std::time::Duration;

use anyhow::Context as _;
use tokend_config::{AuditEvent, Config};
use tokend_document::counted;
use tokend_process::clock::Clock;
use tokend_process::listen::{self, Bound, SocketOrigin, Usage};
use tokend_process::shutdown::Shutdown;
use tokend_process::signals::{Incoming, SignalRequest};
use tokend_process::systemd::{self, Manager};
use tokend_process::{stack, task};
use tokend_store::{KEY_CREDENTIAL, KEY_FILE, RedbStore, SealingKey, Settled, StateDir, Store};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::broker::inbox::{DRIVER_QUEUE, Message};
use crate::outlets::listeners::Listeners;
use crate::reload::{ConfigSource, LogChoice, Passed, retry};
use crate::server::accept::{self, Native, Places};
use crate::server::listen::Inherited;
use crate::server::metrics_http;
use tokend_audit::{Audit, Event, FingerprintKey, Outcome, Trigger};
use tokend_egress::Egress;
use tokend_upstream::secrets::SecretSource;

use self::drain::{drain, record_end};
pub(crate) use self::exit::is_mistake;
pub(crate) use self::shell::{Shell, Surroundings};

/// How long running work may take at the end, beyond the time limits of one attempt.
const DRAIN_MARGIN: Duration = Duration::from_secs(15);

/// Everything `run` needs.
pub(crate) struct Start {
    pub(crate) source: ConfigSource,
    pub(crate) log: LogChoice,
    pub(crate) config: Config,
    pub(crate) inherited: Inherited,
    /// The relay that this process was started with.
    pub(crate) egress: Option<Egress>,
}

/// Runs the daemon until a signal stops it.
///
/// # Errors
/// Why the daemon could not start, with advice. Once it serves, it ends only on a signal.
pub(crate) fn run(start: Start) -> anyhow::Result<()> {
    let Start {
        source,
        log,
        config,
        inherited,
        egress,
    } = start;
    // Before the runtime starts: the store refuses a second daemon, and the socket is made while there is one thread.
    let (store, fingerprint_key) = open_store(&config)?;
    let sockets_passed = passed(&inherited);
    let bound = match inherited.clients {
        Some(bound) => bound,
        None => listen::bind(&config.socket, config.socket_mode, Usage::Clients)?,
    };
    let outlets = Listeners::bind(&config, inherited.outlets, inherited.kept)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("tokend")
        .on_thread_park(stack::before_rest)
        .build()
        .context("the runtime cannot be started")?;
    let passed = inherited.metrics;
    let mut origins = outlets.origins();
    origins.push(bound.origin.clone());
    let sockets = origins.clone();
    let ended = runtime.block_on(stack::wiped_throughout(async move {
        let signals = Incoming::register().context("signals cannot be listened to")?;
        let clock = Clock::system();
        let audit = Audit::new(fingerprint_key, clock.clone(), &run_name(&clock));
        let prepared = Audit::prepare(&config.audit)?;
        audit
            .apply(prepared)
            .context("a thread for audit records cannot be started")?;
        let around = Surroundings {
            source,
            log,
            store,
            audit,
            secrets: SecretSource::of_this_process(config.limits.command_timeout, egress),
            peers: tokend_peer::Reader::new(clock.clone()),
            clock,
            manager: Manager::of_this_process(),
            passed: sockets_passed,
            sockets,
            room: DRIVER_QUEUE,
        };
        let (shell, messages) = Shell::build(around, &config)?;
        let daemon = Daemon { shell, signals };
        let sockets = Sockets {
            bound,
            passed,
            outlets,
        };
        daemon.run(config, messages, sockets, egress).await
    }));
    // A file system that does not answer may block a thread for good: the process ends without that thread.
    runtime.shutdown_background();
    origins.iter().for_each(SocketOrigin::clean_up);
    ended
}

fn passed(inherited: &Inherited) -> Passed {
    let outlets = inherited.outlets.iter();
    Passed {
        clients: inherited.clients.is_some(),
        metrics: inherited.metrics.is_some(),
        outlets: outlets.map(|(outlet, _)| *outlet).collect(),
    }
}

fn open_store(config: &Config) -> anyhow::Result<(Arc<dyn Store>, FingerprintKey)> {
    let dir = StateDir::acquire(&config.state_dir)?;
    let from_credentials = match systemd::credentials() {
        Some(credentials) => SealingKey::from_credentials_dir(&credentials, KEY_CREDENTIAL)?,
        None => None,
    };
    let key = match from_credentials {
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
    let fingerprint_key = FingerprintKey::new(key.marking_key().as_slice());
    Ok((Arc::new(RedbStore::open(dir, key)?), fingerprint_key))
}

/// The sockets it listens on.
struct Sockets {
    /// For clients.
    bound: Bound,
    /// For readers of metrics, if systemd passed it.
    passed: Option<TcpListener>,
    outlets: Listeners,
}

/// The daemon of this process.
struct Daemon {
    shell: Shell,
    signals: Incoming,
}

impl Daemon {
    /// Puts the configuration in force, serves until a signal, and stops.
    async fn run(
        mut self,
        config: Config,
        messages: mpsc::Receiver<Message>,
        sockets: Sockets,
        egress: Option<Egress>,
    ) -> anyhow::Result<()> {
        let Sockets {
            bound,
            passed,
            outlets,
        } = sockets;
        let readers = metrics_http::listen(config.metrics.listen.as_ref(), passed, egress).await?;
        let (store_thread, ending_thread) = self.shell.store_thread()?;
        let engine = self
            .shell
            .decide(seed(&self.shell.requests.clock), store_thread, messages);
        self.shell.in_force.log_unresolved();
        let limits = config.limits;
        // Records and secrets may lie on a file system that does not answer: that must not keep a signal from stopping the daemon.
        let applying = self.shell.reloader.apply(&config);
        let Some(applied) = self.signals.unless_stopped(applying).await else {
            tracing::info!("stopping before anybody was served");
            self.shell.manager().stopping();
            return record_end(self.drain().await, &self.shell.requests.audit);
        };
        let accounts = applied?;
        drop(config);
        let (stage, stages) = watch::channel(Shutdown::Serving);
        for readers in readers {
            task::spawn(readers.serve(self.shell.requests.metrics.clone(), stages.clone()));
        }
        let socket = bound.origin.clone();
        let places = Places::new(Arc::clone(&self.shell.requests), limits);
        let mut accepting = outlets.start(&places, &stages);
        let native = accept::run::<Native>(bound.fd, places, stages);
        accepting.push(tokio::spawn(native));
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            accounts = accounts.accounts,
            with_token = accounts.with_token,
            socket = %socket,
            "ready"
        );
        self.shell.requests.audit.note(started(accounts.accounts));
        self.shell.manager().ready();
        self.serve(engine, ending_thread, accepting, stage).await
    }

    /// Reloads the configuration on each signal, until the daemon stops.
    async fn serve(
        mut self,
        mut engine: JoinHandle<()>,
        ending_thread: Thread<()>,
        accepting: Vec<JoinHandle<std::io::Result<()>>>,
        stage: watch::Sender<Shutdown>,
    ) -> anyhow::Result<()> {
        let trying = retry::keep_trying(Arc::clone(&self.shell.reloader));
        let names = tokio::spawn(stack::wiped_throughout(trying));
        let audit = self.shell.requests.audit.clone();
        // Runs beside the signals, so that a slow reload does not keep a signal from stopping the daemon.
        let mut reloads = JoinSet::new();
        loop {
            tokio::select! {
                asked = self.signals.next() => match asked {
                    // One waiting reload beside the running one is enough: it reads the files when its turn comes.
                    SignalRequest::Reload if reloads.len() < 2 => {
                        let reloader = Arc::clone(&self.shell.reloader);
                        let reload = async move { reloader.reload().await.err() };
                        reloads.spawn(stack::wiped_throughout(reload));
                    }
                    SignalRequest::Reload => {}
                    SignalRequest::Stop => break,
                },
                // The error is in the log; the configuration in force stays.
                Some(Ok(fault)) = reloads.join_next() => audit.note(Event::of_reload(Trigger::Signal, fault.as_deref())),
                _ = &mut engine => return record_end(Outcome::Died, &audit),
            }
        }
        names.abort();
        drop(reloads);
        tracing::info!("stopping: attempts in flight are being finished");
        self.shell.manager().stopping();
        stage.send_replace(Shutdown::Draining);
        let end = self.drain().await;
        stage.send_replace(Shutdown::Closing);
        for accepting in accepting {
            accepting
                .await
                .context("the task that accepts connections died")?
                .context("connections cannot be accepted")?;
        }
        tokio::time::sleep(accept::GRACE).await;
        engine.abort();
        drop(self);
        finish(ending_thread);
        record_end(end, &audit)
    }

    /// Waits until running work is finished, unless a second signal cuts the wait short.
    async fn drain(&mut self) -> Outcome {
        let patience = self.shell.in_force.longest_attempt() + DRAIN_MARGIN;
        drain(self.shell.driver(), patience, self.signals.stop()).await
    }
}

/// Waits a moment for the store thread: by now it has nothing to do, unless the disk hangs.
fn finish(store_thread: Thread<()>) {
    if store_thread.is_finished() && store_thread.join().is_err() {
        tracing::error!("the store's thread died; please report this");
    }
}

fn started(accounts: usize) -> Event {
    let version = env!("CARGO_PKG_VERSION");
    Event {
        detail: Some(format!("tokend {version}, {}", counted(accounts, "account")).into()),
        ..Event::new(AuditEvent::Start, Outcome::Ok)
    }
}

/// The name of this run in audit records. It keeps the sequence numbers of two runs apart.
fn run_name(clock: &Clock) -> String {
    format!("{:x}-{:x}", clock.wall_ms(), std::process::id())
}

/// The seed of the engine's random choices. Two daemons that start together must not back off together.
fn seed(clock: &Clock) -> u64 {
    u64::from(std::process::id())
        ^ clock.boot_ms().rotate_left(32)
        ^ u64::from_le_bytes(clock.wall_ms().to_le_bytes())
}
