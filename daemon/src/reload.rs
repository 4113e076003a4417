//! Putting a configuration in force, at start and again.
//!
//! Owns the way from files to the registry: everything is compiled aside, on any error what is in force stays, and otherwise it is
//! swapped once. Reload changes what is allowed and what is served; it never loses a credential.

mod cures;
mod files;
pub(crate) mod looks;
pub(crate) mod names;
mod records;
mod refused;
pub(crate) mod retry;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokend_config::{Account, Config, Environment, Files, Overrides, Stamps, Unresolved};
use tokend_policy::{Directory, Names};
use tokend_proto::{AccountName, Fault, FaultCode};
use tokend_store::{AccountId, Store};
use tokio::sync::{Mutex, oneshot};

use crate::audit::Audit;
use crate::change::{Change, HostsUsed, Joining, Reloaded, Stored, Summary, Used};
use crate::message::{Driver, Message};
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::roster::{Survey, record_id};
use crate::upstream::Upstream;
use crate::vault;
use tokend_process::clock::Clock;
use tokend_process::logging::Logging;
use tokend_process::panics::ending;
use tokend_process::stack;
use tokend_process::systemd::Manager;

/// How often a configuration is surveyed again because an account went while its record was read.
const TRIES: usize = 8;

pub(crate) use cures::Cures;
use cures::Question;
pub(crate) use files::FileThreads;
pub(crate) use refused::NotApplied;
use refused::{LIMIT, NotLoaded};

/// Whoever loads configurations. One at a time.
pub(crate) struct Reloader {
    pub(crate) file: PathBuf,
    pub(crate) overrides: Overrides,
    pub(crate) environment: Environment,
    pub(crate) log: LogChoice,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) driver: Driver,
    pub(crate) clock: Clock,
    pub(crate) audit: Audit,
    pub(crate) metrics: Metrics,
    pub(crate) registry: Arc<Registry>,
    pub(crate) number: Mutex<u64>,
    /// What the files of the configuration in force were like.
    pub(crate) stamps: ArcSwap<Stamps>,
    pub(crate) manager: Manager,
    pub(crate) files: FileThreads,
    pub(crate) cures: Cures,
    /// Names in the rules in force that nobody had.
    pub(crate) unresolved: ArcSwap<Vec<Unresolved>>,
    /// Names in the rules in force, with the ids they have there.
    pub(crate) names: ArcSwap<Names>,
    /// Since when names are tried again, and when the next time is.
    pub(crate) waiting: names::Waiting,
    /// How far they have been tried.
    pub(crate) looks: looks::Looks,
}

/// What the command line said of the log, and the log itself.
#[derive(Debug)]
pub(crate) struct LogChoice {
    pub(crate) logging: Logging,
    pub(crate) format: Option<tokend_config::Format>,
    pub(crate) level: Option<tokend_config::Level>,
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Reloader {
    /// Loads the configuration again and puts it in force.
    ///
    /// # Errors
    /// A fault that says what is wrong. What was in force stays in force.
    pub(crate) async fn reload(&self) -> Result<String, Box<Fault>> {
        self.reload_if(None).await
    }

    /// The same, only while everything on disk is as `expected`, where that is given: nobody asked for an edit to be loaded.
    async fn reload_if(&self, expected: Option<Arc<Stamps>>) -> Result<String, Box<Fault>> {
        let mut number = self.number.lock().await;
        let next = *number + 1;
        self.manager.reloading();
        let done = self.load_and_apply(expected).await;
        let reloaded = match &done {
            Ok(_) => Reloaded::InForce(next),
            Err(_) => Reloaded::Refused,
        };
        // A driver that is gone is the end of the daemon, and then nobody is told of reloads.
        let _gone = self.driver.send(Message::Reloaded(reloaded)).await;
        self.manager.ready();
        self.metrics
            .counters()
            .reloaded(done.is_ok(), self.clock.wall_ms());
        match done {
            Ok(summary) => {
                *number = next;
                let mut message = format!(
                    "configuration {next} is in force: {} ({} new, {} removed)",
                    accounts(summary.accounts),
                    summary.added,
                    summary.removed
                );
                if summary.outdated > 0 {
                    message += &match summary.outdated {
                        1 => "; the token of 1 account was asked for with other options and is not served any more".to_owned(),
                        more => format!("; the tokens of {more} accounts were asked for with other options and are not served any more"),
                    };
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
                        self.file.display()
                    ),
                };
                Err(Box::new(
                    Fault::new(FaultCode::ReloadFailed, format!("not reloaded: {why}"))
                        .advise(advice),
                ))
            }
        }
    }

    async fn load_and_apply(&self, expected: Option<Arc<Stamps>>) -> Result<Summary, NotLoaded> {
        let (file, overrides, environment) = (
            self.file.clone(),
            self.overrides.clone(),
            self.environment.clone(),
        );
        let world = self.upstream.secrets();
        let names = Names::clone(&self.names.load());
        let in_force = Arc::clone(&self.registry.epoch());
        let work = move || {
            let mut config = files::read_at_rest(|| {
                // Whom names belong to, now or as it was in force.
                let directory = Directory::system().remembering(names.clone());
                Config::load_from(&Files::system(), directory, &file, &overrides, &environment)
                    .map_err(NotLoaded::from)
            })?;
            if expected.is_some_and(|expected| *expected != config.stamps) {
                return Err("its files are being changed".to_owned().into());
            }
            config.keep_unchanged(|name| {
                let slot = in_force.slot(name);
                slot.map(|slot| Arc::clone(&slot.account))
            });
            let secrets = world.with_command_timeout(config.limits.command_timeout);
            let configure = Upstream::compile(&config.http, secrets)?;
            let audit = Audit::prepare(&config.audit)?;
            Ok::<_, NotLoaded>((config, configure, audit))
        };
        let (config, configure, audit) = self.files.run(LIMIT, work).await??;
        names::must_be_answered(&config.unresolved, &self.unresolved.load())?;
        let summary = self
            .put_in_force(&config, LIMIT, || configure(&self.upstream))
            .await
            .map_err(|error| error.to_string())?;
        self.stamps.store(Arc::new(config.stamps.clone()));
        names::tell(&config.unresolved);
        let now_ms = self.clock.wall_ms();
        self.waiting.note(&config.unresolved, now_ms);
        self.unresolved.store(Arc::new(config.unresolved.clone()));
        self.names.store(Arc::new(config.names.clone()));
        self.metrics.configure(&config.metrics);
        // The configuration is in force already; only a machine that can start no thread comes here.
        if let Err(error) = self.audit.apply(audit) {
            tracing::error!(
                "records go where they went before, a thread cannot be started: {error}"
            );
        }
        let (format, level) = self.log.choose(&config);
        self.log.logging.apply(format, &level);
        Ok(summary)
    }

    /// Puts a loaded configuration in force.
    ///
    /// # Errors
    /// What went wrong. What was in force stays in force.
    pub(crate) async fn apply(&self, config: &Config) -> Result<Summary, NotApplied> {
        self.put_in_force(config, Duration::MAX, || {}).await
    }

    /// Within the limit until something is changed; then to the end. `configure` is called when nothing can go wrong any more, and before any attempt under the new configuration.
    async fn put_in_force(
        &self,
        config: &Config,
        limit: Duration,
        configure: impl FnOnce(),
    ) -> Result<Summary, NotApplied> {
        let mut configure = Some(configure);
        let named = config.accounts.iter();
        let named: Vec<_> = named
            .filter_map(|account| Some((account, record_id(account)?)))
            .collect();
        let mut records = HashMap::new();
        for _ in 0..TRIES {
            let preparing = async {
                let ids = named.iter().map(|(_, id)| id.clone()).collect();
                let survey = self.survey(ids).await?;
                let used = self.read(&survey, &mut records, named.len()).await?;
                Ok((self.join(&named, &survey, &mut records).await, used))
            };
            let (accounts, (hosts_used, logins_used)) = tokio::time::timeout(limit, preparing)
                .await
                .unwrap_or(Err(NotApplied::TooSlow))?;
            if let Some(configure) = configure.take() {
                configure();
            }
            let (reply, answer) = oneshot::channel();
            let change = Change {
                accounts,
                admin: Arc::clone(&config.admin),
                hosts_used,
                logins_used,
                reply,
            };
            self.driver
                .send(Message::Change(Box::new(change)))
                .await
                .map_err(|_| NotApplied::Stopping)?;
            match answer.await.map_err(|_| NotApplied::Stopping)? {
                Ok(summary) => return Ok(summary),
                // An account that was known went in between: its record has to be read after all.
                Err(_gone) => records.clear(),
            }
        }
        Err(NotApplied::Unsettled)
    }

    async fn survey(&self, accounts: Vec<AccountId>) -> Result<Survey, NotApplied> {
        let (reply, answer) = oneshot::channel();
        self.driver
            .send(Message::Survey { accounts, reply })
            .await
            .map_err(|_| NotApplied::Stopping)?;
        answer.await.map_err(|_| NotApplied::Stopping)
    }

    /// Reads what has to be read.
    async fn read(
        &self,
        survey: &Survey,
        found: &mut HashMap<AccountId, Stored>,
        all: usize,
    ) -> Result<(Option<HostsUsed>, Used), NotApplied> {
        let store = Arc::clone(&self.store);
        let clock = self.clock.clone();
        let missing: HashSet<_> = survey.missing.iter().cloned().collect();
        let ask_all = survey.ask_all;
        let read = stack::wiped_off_the_runtime(move || {
            // All at once when it is much, one by one when it is little.
            if ask_all || missing.len() * 4 > all {
                let (found, told) = records::all(&*store, &clock, &missing)?;
                return Ok((found, (ask_all.then_some(told.hosts), told.logins)));
            }
            let found = records::some(&*store, &clock, missing)?;
            // A name that was not in force may be that of a login that is known, with a record or without.
            let logins = match found.is_empty() {
                true => Used::new(),
                false => records::logins(&*store, &clock)?,
            };
            Ok((found, (None, logins)))
        });
        let (read, used) = read
            .await
            .map_err(|error| NotApplied::Died(ending(&error)))?
            .map_err(NotApplied::Store)?;
        found.extend(read);
        Ok(used)
    }

    async fn join(
        &self,
        named: &[(&Arc<Account>, AccountId)],
        survey: &Survey,
        records: &mut HashMap<AccountId, Stored>,
    ) -> Vec<Joining> {
        let missing: HashSet<_> = survey.missing.iter().collect();
        let blocked: HashMap<_, _> = survey
            .blocked
            .iter()
            .map(|(id, fingerprint)| (id, &**fingerprint))
            .collect();
        let mut joining: Vec<Joining> = Vec::with_capacity(named.len());
        let mut questions = Vec::new();
        for (account, id) in named {
            let stored = if missing.contains(id) {
                records.remove(id).unwrap_or(Stored::Blank)
            } else {
                Stored::Live
            };
            let blocked_for = match &stored {
                Stored::Record(restored) => restored
                    .notes
                    .hangs_on(restored.durable.block.as_ref(), restored.durable.no_verdict),
                Stored::Live => blocked.get(id).map(|fingerprint| Box::from(*fingerprint)),
                _ => None,
            };
            questions.extend(blocked_for.map(|before| Question {
                number: joining.len(),
                account: Arc::clone(account),
                id: id.clone(),
                before,
            }));
            joining.push(Joining {
                account: Arc::clone(account),
                id: id.clone(),
                stored,
                cured_of: None,
            });
        }
        let cured = self.cures.ask(&self.store, &self.upstream, questions);
        for Question { number, before, .. } in cured.await {
            if let Some(joining) = joining.get_mut(number) {
                joining.cured_of = Some(before);
            }
        }
        joining
    }

    /// Drops the secrets that are stored under a name for identities that are not configured. Returns how many records had any.
    pub(crate) async fn purge(
        &self,
        name: &AccountName,
        keep: Option<AccountId>,
    ) -> Result<usize, String> {
        let store = Arc::clone(&self.store);
        let prefix = format!("{name}#");
        let purge =
            stack::wiped_off_the_runtime(move || vault::purge(&*store, &prefix, keep.as_ref()));
        purge
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())
    }
}

/// So many accounts, in words.
pub(crate) fn accounts(count: usize) -> String {
    match count {
        1 => "1 account".to_owned(),
        more => format!("{more} accounts"),
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
