//! Puts a loaded configuration in force.
//!
//! Owns which records have to be read for it, and that the driver gets the configuration whole or not at all.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokend_config::Config;
use tokend_process::clock::Clock;
use tokend_process::panics::ending;
use tokend_process::stack;
use tokend_proto::AccountName;
use tokend_record::RecordKey;
use tokend_store::StoreError;
use tokio::sync::oneshot;

use super::cures::{Cures, Question};
use super::records::{self, Walk};
use super::refused::NotApplied;
use crate::broker::accounts::Survey;
use crate::broker::change::{
    ConfigChange, FoundRecord, HostsUsed, Joining, Reloaded, Summary, Used,
};
use crate::broker::inbox::{Driver, Message, ask};
use crate::broker::job::StoreJob;
use tokend_record::Leftovers;
use tokend_record::StoreReader;
use tokend_upstream::Upstream;

/// How often a configuration is surveyed again because an account was removed while its record was read.
const TRIES: usize = 8;

/// The accounts of a configuration, before their records are read. With many accounts the list takes much memory, and every thread that
/// builds one keeps that memory: a reload builds it on the thread that reads its files.
pub(super) fn joining(config: &Config) -> Vec<Joining> {
    let accounts = config.accounts.iter();
    let joining = accounts.filter_map(|account| {
        Some(Joining {
            account: Arc::clone(account),
            id: RecordKey::of(account)?,
            stored: FoundRecord::Live,
            cured_of: None,
        })
    });
    joining.collect()
}

/// Puts configurations in force through the driver.
#[derive(Debug)]
pub(crate) struct Installer {
    store: StoreReader,
    upstream: Arc<Upstream>,
    driver: Driver,
    clock: Clock,
    cures: Cures,
}

impl Installer {
    pub(crate) fn new(
        store: StoreReader,
        upstream: Arc<Upstream>,
        driver: Driver,
        clock: Clock,
    ) -> Self {
        Self {
            store,
            upstream,
            driver,
            clock,
            cures: Cures::new(),
        }
    }

    /// Tells the driver the result of a reload. A driver that is gone means the end of the daemon, and then the result does not matter.
    pub(super) async fn report(&self, reloaded: Reloaded) {
        let _gone = self.driver.send(Message::Reloaded(reloaded)).await;
    }

    /// The limit holds until the first change; from there the work runs to its end. `accounts` come from [`joining`]. `configure` is called
    /// when no failure is possible any more, and before any attempt under the new configuration.
    ///
    /// # Errors
    /// Why it failed. The configuration in force stays in force.
    pub(super) async fn put_in_force(
        &self,
        config: &Config,
        accounts: Vec<Joining>,
        limit: Duration,
        configure: impl FnOnce(),
    ) -> Result<Summary, NotApplied> {
        let (mut first, mut configure) = (Some(accounts), Some(configure));
        let mut records = HashMap::new();
        for _ in 0..TRIES {
            let preparing = async {
                let mut accounts = first.take().unwrap_or_else(|| joining(config));
                let ids = accounts.iter().map(|it| it.id.clone()).collect();
                let survey = self.survey(ids).await?;
                let used = self.read(&survey, &mut records).await?;
                self.complete(&mut accounts, &survey, &mut records).await;
                Ok((accounts, used))
            };
            let (accounts, (hosts_used, logins_used)) = tokio::time::timeout(limit, preparing)
                .await
                .unwrap_or(Err(NotApplied::TooSlow))?;
            if let Some(configure) = configure.take() {
                configure();
            }
            let change = |reply| {
                Message::Change(Box::new(ConfigChange {
                    accounts,
                    admin: Arc::clone(&config.admin),
                    hosts_used,
                    logins_used,
                    reply,
                }))
            };
            match ask(&self.driver, change)
                .await
                .ok_or(NotApplied::Stopping)?
            {
                Ok(summary) => return Ok(summary),
                // A known account was removed in between: its record has to be read after all.
                Err(_gone) => records.clear(),
            }
        }
        Err(NotApplied::Unsettled)
    }

    async fn survey(&self, accounts: Vec<RecordKey>) -> Result<Survey, NotApplied> {
        let survey = |reply| Message::Survey { accounts, reply };
        let survey = ask(&self.driver, survey).await;
        survey.ok_or(NotApplied::Stopping)
    }

    async fn read(
        &self,
        survey: &Survey,
        found: &mut HashMap<RecordKey, FoundRecord>,
    ) -> Result<(Option<HostsUsed>, Used), NotApplied> {
        if survey.missing.is_empty() && !survey.ask_all {
            return Ok((None, Used::new()));
        }
        let missing: Arc<HashSet<_>> = Arc::new(survey.missing.iter().cloned().collect());
        let mut walk = self.walk(&missing).await?;
        if !walk.strayed.is_empty() {
            // Without its record an account would log in.
            let strayed = walk.strayed;
            let put_back = self.by_the_store(|reply| StoreJob::PutBack { strayed, reply });
            for id in put_back.await? {
                tracing::warn!(account = %id.name(), "the stored record had a damaged name and was put back");
            }
            walk = self.walk(&missing).await?;
        }
        for set_aside in &walk.set_aside {
            // A reload that adds an account says nothing of the records of others.
            let id = RecordKey::read(&set_aside.account);
            if survey.ask_all || id.is_some_and(|id| missing.contains(&id)) {
                tracing::error!("a stored record cannot be opened: {set_aside}");
            }
        }
        found.extend(walk.found);
        Ok((survey.ask_all.then_some(walk.hosts), walk.logins))
    }

    async fn walk(&self, missing: &Arc<HashSet<RecordKey>>) -> Result<Walk, NotApplied> {
        let (missing, clock) = (Arc::clone(missing), self.clock.clone());
        self.read_store(move |store| records::walk(store, &clock, &missing))
            .await
    }

    /// States for each account the store's knowledge of it, and the change that cured it.
    async fn complete(
        &self,
        accounts: &mut [Joining],
        survey: &Survey,
        records: &mut HashMap<RecordKey, FoundRecord>,
    ) {
        let missing: HashSet<_> = survey.missing.iter().collect();
        let blocked: HashMap<_, _> = survey.blocked.iter().map(|(id, it)| (id, it)).collect();
        let mut questions = Vec::new();
        for (number, joining) in accounts.iter_mut().enumerate() {
            if missing.contains(&joining.id) {
                joining.stored = records.remove(&joining.id).unwrap_or(FoundRecord::Blank);
            }
            let blocked_for = match &joining.stored {
                FoundRecord::Record(restored) => restored
                    .notes
                    .hangs_on(restored.durable.block.as_ref(), restored.durable.no_verdict),
                FoundRecord::Live => blocked.get(&joining.id).map(|it| (*it).clone()),
                _ => None,
            };
            questions.extend(blocked_for.map(|before| Question {
                number,
                account: Arc::clone(&joining.account),
                id: joining.id.clone(),
                before,
            }));
        }
        let cured = self.cures.ask(&self.store, &self.upstream, questions);
        for Question { number, before, .. } in cured.await {
            if let Some(joining) = accounts.get_mut(number) {
                joining.cured_of = Some(before);
            }
        }
    }

    /// Lets the store thread drop the secrets under a name for identities that are not configured. Returns how many records had any.
    pub(super) async fn purge(
        &self,
        name: &AccountName,
        keep: Option<RecordKey>,
    ) -> Result<usize, NotApplied> {
        let name = name.clone();
        let find = move |store: &StoreReader| Leftovers::find(store, &name, keep.as_ref());
        let leftovers = self.read_store(find).await?;
        let count = leftovers.count();
        if count > 0 {
            self.by_the_store(|reply| StoreJob::Purge { leftovers, reply })
                .await?;
        }
        Ok(count)
    }

    /// Reads from the store, beside its thread.
    async fn read_store<T: Send + 'static>(
        &self,
        read: impl FnOnce(&StoreReader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, NotApplied> {
        let store = self.store.clone();
        let read = stack::wiped_off_the_runtime(move || read(&store)).await;
        read.map_err(|error| NotApplied::Died(ending(&error)))?
            .map_err(NotApplied::Store)
    }

    /// Lets the store thread do a job, after all earlier jobs of the driver.
    async fn by_the_store<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> StoreJob,
    ) -> Result<T, NotApplied> {
        let done = ask(&self.driver, |reply| Message::Store(job(reply))).await;
        done.ok_or_else(|| NotApplied::without_the_store(&self.driver))?
            .map_err(NotApplied::Store)
    }
}
