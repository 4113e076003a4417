//! Loads a configuration and puts it in force, at start and on each reload.
//!
//! Owns the way from files to the registry: everything is compiled aside. On any error the configuration in force stays; otherwise it is
//! replaced at once. A reload changes permissions and served accounts; it never loses a credential.

mod cures;
mod files;
mod from_start;
mod in_force;
mod install;
mod lookups;
mod names;
mod records;
mod refused;
pub(crate) mod retry;
mod source;

use std::sync::Arc;
use std::time::Duration;

use tokend_config::{Config, Stamps};
use tokend_document::counted;
use tokend_policy::Directory;
use tokend_process::clock::Clock;
use tokend_process::logging::Logging;
use tokend_process::systemd::Manager;
use tokend_proto::{AccountName, Fault, FaultCode};
use tokend_record::RecordKey;
use tokio::sync::{Mutex, MutexGuard};

use crate::broker::change::{Reloaded, Summary};
use crate::broker::registry::Registry;
use crate::metrics::Metrics;
use tokend_audit::Audit;
use tokend_upstream::Upstream;

pub(crate) use files::FileThreads;
pub(crate) use from_start::Passed;
pub(crate) use in_force::InForce;
pub(crate) use install::Installer;
pub(crate) use refused::NotApplied;
pub(crate) use source::ConfigSource;

use lookups::Lookups;
use refused::{LIMIT, NotLoaded};

/// Loads configurations, one at a time.
#[derive(Debug)]
pub(crate) struct Reloader {
    parts: ReloaderParts,
    /// The number of the configuration in force; unique in this run.
    number: Mutex<u64>,
    /// The retries of names that were unknown.
    lookups: Lookups,
}

/// What a reload needs, and the parts of the daemon that depend on the configuration.
#[derive(Debug)]
pub(crate) struct ReloaderParts {
    pub(crate) source: ConfigSource,
    /// Made by the first read of the source.
    pub(crate) in_force: Arc<InForce>,
    pub(crate) installer: Installer,
    pub(crate) files: FileThreads,
    pub(crate) manager: Manager,
    pub(crate) clock: Clock,
    pub(crate) registry: Arc<Registry>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) audit: Audit,
    pub(crate) metrics: Metrics,
    pub(crate) log: LogChoice,
}

/// The command line's settings of the log, and the log itself.
#[derive(Debug)]
pub(crate) struct LogChoice {
    pub(crate) logging: Logging,
    pub(crate) format: Option<tokend_config::Format>,
    pub(crate) level: Option<tokend_config::Level>,
}

impl Reloader {
    pub(crate) fn new(parts: ReloaderParts) -> Self {
        Self {
            parts,
            number: Mutex::new(1),
            lookups: Lookups::default(),
        }
    }

    /// Loads the configuration again and puts it in force.
    ///
    /// # Errors
    /// A fault that says why the configuration was not loaded. The one in force stays in force.
    pub(crate) async fn reload(&self) -> Result<String, Box<Fault>> {
        self.reload_if(None).await
    }

    /// The same, but only while everything on disk is as `expected`, if that is given: a retry must not load an edit that was not asked
    /// for.
    async fn reload_if(&self, expected: Option<Arc<Stamps>>) -> Result<String, Box<Fault>> {
        let mut number = self.number.lock().await;
        let next = *number + 1;
        let parts = &self.parts;
        parts.manager.reloading();
        let done = parts.load_and_apply(expected).await;
        let reloaded = match &done {
            Ok(_) => Reloaded::InForce(next),
            Err(_) => Reloaded::Refused,
        };
        parts.installer.report(reloaded).await;
        parts.manager.ready();
        let counters = parts.metrics.counters();
        counters.reloaded(done.is_ok(), parts.clock.wall_ms());
        match done {
            Ok(summary) => {
                *number = next;
                let mut message = format!(
                    "configuration {next} is in force: {} ({} new, {} removed)",
                    counted(summary.accounts, "account"),
                    summary.added,
                    summary.removed
                );
                if summary.outdated > 0 {
                    message += &match summary.outdated {
                        1 => "; the token of 1 account was asked for with other options and is not served any more".to_owned(),
                        more => format!("; the tokens of {more} accounts were asked for with other options and are not served any more"),
                    };
                }
                if let Some(remedy) = parts.in_force.remedy() {
                    message += &format!("; {remedy}");
                }
                tracing::info!(
                    outdated = summary.outdated,
                    accounts = summary.accounts,
                    added = summary.added,
                    removed = summary.removed,
                    "configuration {next} is in force"
                );
                Ok(message)
            }
            Err(NotLoaded { why, passes }) => {
                tracing::error!(
                    "the configuration was not reloaded, the one in force stays: {why}"
                );
                let advice = match passes {
                    true => "nothing is wrong with the configuration: raise the limit (LimitNOFILE= in the unit) or find out what uses up descriptors or memory, then reload again".to_owned(),
                    false => format!(
                        "run `tokend check --config {}` to see every mistake with its place",
                        parts.source.file().display()
                    ),
                };
                Err(Box::new(
                    Fault::new(FaultCode::ReloadFailed, format!("not reloaded: {why}"))
                        .advise(advice),
                ))
            }
        }
    }

    /// Puts a loaded configuration in force.
    ///
    /// # Errors
    /// Why it failed. The configuration in force stays in force.
    pub(crate) async fn apply(&self, config: &Config) -> Result<Summary, NotApplied> {
        self.parts
            .installer
            .put_in_force(config, install::joining(config), Duration::MAX, || {})
            .await
    }

    /// Keeps every configuration from being put in force while the guard lives. The guard has the number of the one in force.
    pub(crate) async fn pause(&self) -> MutexGuard<'_, u64> {
        self.number.lock().await
    }

    /// Drops the secrets under a name for identities that are not configured. Returns how many records had any.
    pub(crate) async fn purge(
        &self,
        name: &AccountName,
        keep: Option<RecordKey>,
    ) -> Result<usize, NotApplied> {
        self.parts.installer.purge(name, keep).await
    }
}

impl ReloaderParts {
    async fn load_and_apply(&self, expected: Option<Arc<Stamps>>) -> Result<Summary, NotLoaded> {
        let source = self.source.clone();
        let world = self.upstream.secrets();
        let names = self.in_force.names();
        let snapshot = Arc::clone(&self.registry.snapshot());
        let work = move || {
            let known = |name: &AccountName| Some(Arc::clone(&snapshot.served(name)?.account));
            let config = files::read_at_rest(|| {
                // The ids of names as the system knows them now, or as they are in the configuration in force.
                let directory = Directory::system().remembering((*names).clone());
                let config = source.load_keeping(directory, &known);
                config.map_err(|error| NotLoaded::by(&error, error.is_shortage()))
            })?;
            if expected.is_some_and(|expected| *expected != config.stamps) {
                return Err("its files are being changed".to_owned().into());
            }
            let secrets = world.with_command_timeout(config.limits.command_timeout);
            let configure = Upstream::compile(&config.http, secrets)
                .map_err(|error| NotLoaded::by(&error, error.is_shortage()))?;
            let audit = Audit::prepare(&config.audit)
                .map_err(|error| NotLoaded::by(&error, error.is_shortage()))?;
            let joining = install::joining(&config);
            Ok::<_, NotLoaded>((config, joining, configure, audit))
        };
        let (config, joining, configure, audit) = self.files.run(LIMIT, work).await??;
        names::must_be_answered(&config.unresolved, &self.in_force.unresolved())?;
        let summary = self
            .installer
            .put_in_force(&config, joining, LIMIT, || configure(&self.upstream))
            .await
            .map_err(|error| error.to_string())?;
        self.in_force.note(&config, self.clock.wall_ms());
        self.metrics.configure(&config.metrics);
        // The configuration is in force already; this path is reached only if the machine can start no thread.
        if let Err(error) = self.audit.apply(audit) {
            tracing::error!(
                "records go where they went before, a thread cannot be started: {error}"
            );
        }
        let (format, level) = self.log.choose(&config);
        self.log.logging.apply(format, &level);
        Ok(summary)
    }
}

impl LogChoice {
    /// Format and level in force: the command line first, then the environment, then the configuration.
    pub(crate) fn choose(&self, config: &Config) -> (tokend_config::Format, tokend_config::Level) {
        let format = self.format.unwrap_or(config.log.format);
        let level = self
            .level
            .clone()
            .unwrap_or_else(|| config.log.level.clone());
        (format, level)
    }
}
