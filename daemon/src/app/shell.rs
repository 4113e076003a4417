//! The one place where the daemon is put together from its parts. Tests of the shell use it too.
//!
//! Owns which part gets which handles. Starts nothing by itself, and knows the process only through its arguments.

use std::sync::Arc;
use std::thread::JoinHandle as Thread;

use anyhow::Context as _;
use tokend_config::Config;
use tokend_process::clock::Clock;
use tokend_process::listen::SocketOrigin;
use tokend_process::stack;
use tokend_process::systemd::Manager;
use tokend_store::Store;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::broker::attempt_log::Telemetry;
use crate::broker::budget::RequestBudgets;
use crate::broker::inbox::{Driver, Message};
use crate::broker::registry::Registry;
use crate::broker::store_thread::StoreThread;
use crate::broker::task::{DriverParts, Task};
use crate::doctor::{Diagnosis, OwnFiles};
use crate::metrics::Metrics;
use crate::reload::{
    ConfigSource, FileThreads, InForce, Installer, LogChoice, Passed, Reloader, ReloaderParts,
};
use crate::requests::Requests;
use tokend_audit::Audit;
use tokend_metrics::Counters;
use tokend_record::StoreReader;
use tokend_upstream::Upstream;
use tokend_upstream::secrets::SecretSource;

/// The surroundings of a daemon: from the process, or from a test in its place.
pub(crate) struct Surroundings {
    /// The source of configurations.
    pub(crate) source: ConfigSource,
    pub(crate) log: LogChoice,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) audit: Audit,
    /// The source of secrets, and the relay for requests to providers.
    pub(crate) secrets: SecretSource,
    /// Reads facts about peers.
    pub(crate) peers: tokend_peer::Reader,
    pub(crate) manager: Manager,
    pub(crate) passed: Passed,
    /// What it listens on, but for metrics.
    pub(crate) sockets: Vec<SocketOrigin>,
    /// How many messages may wait for the driver.
    pub(crate) room: usize,
}

/// A daemon whose parts are connected. Its driver does not run before [`Shell::decide`].
pub(crate) struct Shell {
    pub(crate) requests: Arc<Requests>,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) in_force: Arc<InForce>,
    /// Only for the store thread.
    store: Arc<dyn Store>,
    upstream: Arc<Upstream>,
    manager: Manager,
}

impl Shell {
    /// Puts a daemon together for this configuration, which is not in force yet. Also returns the parts that only the driver gets.
    ///
    /// # Errors
    /// When no client for requests to providers can be built from the configuration.
    pub(crate) fn build(
        around: Surroundings,
        config: &Config,
    ) -> anyhow::Result<(Self, mpsc::Receiver<Message>)> {
        let clock = around.clock;
        let registry = Arc::new(Registry::new());
        let upstream = Arc::new(Upstream::new(&config.http, around.secrets, clock.clone())?);
        let (driver, messages) = mpsc::channel(around.room);
        let store = StoreReader::new(Arc::clone(&around.store));
        let metrics = Metrics::new(
            Counters::new(clock.wall_ms()),
            config.metrics.clone(),
            Arc::clone(&registry),
            driver.clone(),
            around.audit.clone(),
            around.log.logging.lines().clone(),
            clock.clone(),
        );
        let in_force = Arc::new(InForce::new(config, around.passed, clock.wall_ms()));
        let files = FileThreads::new();
        let own_files = OwnFiles {
            source: around.source.clone(),
            in_force: Arc::clone(&in_force),
            sockets: around.sockets,
            store: store.clone(),
            threads: files.clone(),
        };
        let diagnosis = Diagnosis::new(Arc::clone(&upstream), own_files, clock.clone());
        let reloader = Arc::new(Reloader::new(ReloaderParts {
            source: around.source,
            in_force: Arc::clone(&in_force),
            installer: Installer::new(store, Arc::clone(&upstream), driver.clone(), clock.clone()),
            files,
            manager: around.manager.clone(),
            clock: clock.clone(),
            registry: Arc::clone(&registry),
            upstream: Arc::clone(&upstream),
            audit: around.audit.clone(),
            metrics: metrics.clone(),
            log: around.log,
        }));
        let requests = Requests {
            registry,
            driver,
            facts: around.peers,
            clock,
            reloader: Arc::clone(&reloader),
            diagnosis: Arc::new(diagnosis),
            audit: around.audit,
            metrics,
            budgets: RequestBudgets::default(),
        };
        let shell = Self {
            requests: Arc::new(requests),
            reloader,
            in_force,
            store: around.store,
            upstream,
            manager: around.manager,
        };
        Ok((shell, messages))
    }

    /// The way to the driver.
    pub(crate) fn driver(&self) -> &Driver {
        &self.requests.driver
    }

    /// The service manager, which gets the daemon's status.
    pub(crate) fn manager(&self) -> &Manager {
        &self.manager
    }

    /// Starts the store thread. It ends when the last handle for jobs is dropped.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn store_thread(&self) -> anyhow::Result<(StoreThread, Thread<()>)> {
        StoreThread::start(
            Arc::clone(&self.store),
            self.requests.clock.clone(),
            self.driver().clone(),
            Arc::clone(self.requests.metrics.counters()),
        )
        .context("the store's thread cannot be started")
    }

    /// Starts the driver. The seed is for the engine's random choices.
    pub(crate) fn decide(
        &self,
        seed: u64,
        store_thread: StoreThread,
        messages: mpsc::Receiver<Message>,
    ) -> JoinHandle<()> {
        let parts = DriverParts {
            registry: Arc::clone(&self.requests.registry),
            clock: self.requests.clock.clone(),
            telemetry: Telemetry {
                audit: self.requests.audit.clone(),
                counters: Arc::clone(self.requests.metrics.counters()),
            },
            store_thread,
            upstream: Arc::clone(&self.upstream),
            own: self.driver().clone(),
            manager: self.manager.clone(),
        };
        let task = Task::new(seed, parts);
        tokio::spawn(stack::wiped_throughout(task.run(messages)))
    }
}
