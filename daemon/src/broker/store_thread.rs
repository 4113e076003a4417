//! The store thread.
//!
//! Owns every write: it claims accounts, keeps the records of attempts in flight, groups writes into one durable transaction, purges,
//! restores records, and reports to the driver. All other parts only read the store (`StoreReader`), and the driver never waits for the
//! disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokend_engine::{AccountKey, AttemptId};
use tokend_record::RecordKey;
use tokend_store::{Claim, Record, RecordCommit, Store, StoreError, Version};
use tokio::sync::mpsc;

use crate::broker::inbox::{Driver, Message};
use crate::broker::job::{StoreJob, Stored, Write};
use tokend_metrics::Counters;
use tokend_process::clock::Clock;
use tokend_process::stack;

/// How many writes go into one transaction.
const BATCH: usize = 256;
/// How long a claim holds. A local store forgets its claims with the process.
const CLAIM_TTL: Duration = Duration::from_secs(300);

/// The driver's handle to the store thread. Each account has at most one job in flight, so the bound is never reached. A store thread that
/// is gone counts as a store that refuses.
#[derive(Debug, Clone)]
pub(crate) struct StoreThread(mpsc::Sender<StoreJob>);

/// More jobs than there can be accounts.
const QUEUE: usize = 4 << 20;

impl StoreThread {
    /// Starts the thread. It ends when the last handle is dropped and all its jobs are done.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        clock: Clock,
        driver: Driver,
        counters: Arc<Counters>,
    ) -> std::io::Result<(Self, std::thread::JoinHandle<()>)> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let work = StoreWork {
            store,
            clock,
            driver,
            counters,
            open: HashMap::new(),
        };
        let thread = std::thread::Builder::new()
            .name("store-thread".into())
            .spawn(move || work.run(receiver))?;
        Ok((Self(sender), thread))
    }

    /// A store thread that never completes a job, like a disk that hangs.
    #[cfg(test)]
    pub(crate) fn hanging() -> (Self, mpsc::Receiver<StoreJob>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), receiver)
    }

    /// Hands a job over; returns it if the thread is gone.
    pub(crate) fn hand(&self, job: StoreJob) -> Result<(), StoreJob> {
        self.0.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(job) | mpsc::error::TrySendError::Closed(job) => job,
        })
    }
}

/// A record with the right to write it.
struct Open {
    claim: Claim,
    version: Version,
    record: Record,
}

struct StoreWork {
    store: Arc<dyn Store>,
    clock: Clock,
    driver: Driver,
    counters: Arc<Counters>,
    /// The records of attempts in flight.
    open: HashMap<AccountKey, Open>,
}

impl StoreWork {
    fn run(mut self, mut jobs: mpsc::Receiver<StoreJob>) {
        let mut batch = Vec::with_capacity(BATCH);
        while jobs.blocking_recv_many(&mut batch, BATCH) > 0 {
            stack::wiped(|| self.work(&mut batch));
        }
    }

    fn work(&mut self, batch: &mut Vec<StoreJob>) {
        let (mut writes, mut asked) = (Vec::new(), Vec::new());
        for job in batch.drain(..) {
            match job {
                StoreJob::Claim(account, attempt, id) => self.claim(account, attempt, &id),
                StoreJob::Write(write) => writes.push(*write),
                StoreJob::Release(account) => self.release(account),
                StoreJob::Discard(account, id) => self.discard(account, &id),
                StoreJob::Reached(reply) => asked.push(reply),
                StoreJob::Purge { leftovers, reply } => {
                    // Not before earlier jobs.
                    self.write(std::mem::take(&mut writes));
                    let _nobody_asks = reply.send(tokend_record::purge(&*self.store, &leftovers));
                }
                StoreJob::PutBack { strayed, reply } => {
                    self.write(std::mem::take(&mut writes));
                    let put_back = self.store.put_back(&strayed);
                    let of_accounts = |ids: Vec<_>| ids.into_iter().map(RecordKey::from).collect();
                    let _nobody_asks = reply.send(put_back.map(of_accounts));
                }
            }
        }
        self.write(writes);
        for reply in asked {
            let _nobody_asks = reply.send(());
        }
    }

    fn claim(&mut self, account: AccountKey, attempt: AttemptId, id: &RecordKey) {
        let credential = match self.open(account, id) {
            Ok(()) => self
                .open
                .get(&account)
                .map(|open| Box::new(open.record.credential.clone())),
            Err(error) => {
                tracing::error!(account = %id.name(), error = %error, "the store does not grant the account");
                None
            }
        };
        self.report(Stored::Claimed(account, attempt, credential));
    }

    fn open(&mut self, account: AccountKey, id: &RecordKey) -> Result<(), StoreError> {
        if !self.open.contains_key(&account) {
            let claim = self.store.claim(id, CLAIM_TTL)?;
            let read = match self.store.read(id) {
                Ok(read) => read,
                Err(error) => {
                    self.store.release(claim);
                    return Err(error);
                }
            };
            let (version, record) = read.unwrap_or_else(|| {
                let blank = Record::new(self.clock.anchor(), id.as_str());
                (Version::NONE, blank)
            });
            let open = Open {
                claim,
                version,
                record,
            };
            self.open.insert(account, open);
        }
        Ok(())
    }

    fn release(&mut self, account: AccountKey) {
        if let Some(open) = self.open.remove(&account) {
            self.store.release(open.claim);
        }
    }

    fn discard(&mut self, account: AccountKey, id: &RecordKey) {
        let done = match self.store.discard_quarantined(id.as_str()) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(account = %id.name(), error = %error, "the unreadable record cannot be removed");
                false
            }
        };
        self.report(Stored::Discarded(account, done));
    }

    /// Writes everything in one transaction. An account has at most one write in flight, so no record is written twice in it.
    fn write(&mut self, writes: Vec<Write>) {
        let mut ready = Vec::with_capacity(writes.len());
        for mut write in writes {
            // Without an attempt in flight the record is opened for this write alone.
            let alone = !self.open.contains_key(&write.account);
            let clock = self.clock.clone();
            if let Err(error) = self.open(write.account, &write.id) {
                self.written(&write, alone, Err(error));
            } else if let Some(open) = self.open.get_mut(&write.account) {
                prepare(&mut open.record, &mut write, &clock);
                ready.push((write, alone));
            }
        }
        let results = {
            let commits: Vec<_> = ready
                .iter()
                .filter_map(|(write, _)| self.open.get(&write.account))
                .map(|open| RecordCommit {
                    claim: &open.claim,
                    expected: open.version,
                    record: Some(&open.record),
                })
                .collect();
            if commits.is_empty() {
                return;
            }
            let began = self.clock.since_boot();
            let results = self.store.commit(&commits);
            let took = self.clock.since_boot().saturating_sub(began);
            let done = results.iter().filter(|result| result.is_ok()).count();
            self.counters.written(done, results.len() - done, took);
            results
        };
        for ((write, alone), result) in ready.into_iter().zip(results) {
            self.written(&write, alone, result);
        }
    }

    fn written(&mut self, write: &Write, alone: bool, result: Result<Version, StoreError>) {
        let account = write.account;
        let done = match result {
            Ok(version) => self.open.get_mut(&account).map(|open| {
                open.version = version;
                tokend_record::entered(&open.record)
            }),
            Err(error) => {
                tracing::error!(account = %write.id.name(), error = %error, "the store refused a write");
                self.mend(account, &write.id, &error);
                None
            }
        };
        if alone {
            self.release(account);
        }
        self.report(write.result(done));
    }

    /// Prepares the record so that the same write can succeed the next time.
    fn mend(&mut self, account: AccountKey, id: &RecordKey, error: &StoreError) {
        let Some(open) = self.open.get_mut(&account) else {
            return;
        };
        match error {
            // Only the claim's owner writes: an earlier write of ours landed although the store reported a failure.
            StoreError::Conflict { actual, .. } => open.version = *actual,
            // The store refused the write for longer than the claim lasts.
            StoreError::Fenced { .. } => {
                if let Ok(claim) = self.store.claim(id, CLAIM_TTL) {
                    open.claim = claim;
                }
            }
            _ => {}
        }
    }

    fn report(&self, stored: Stored) {
        // The driver is gone only when the daemon ends; then no report is needed.
        let _gone = self.driver.blocking_send(Message::Stored(stored));
    }
}

fn prepare(record: &mut Record, write: &mut Write, clock: &Clock) {
    let secrets = &mut write.secrets;
    if secrets.forget {
        tokend_record::forget(record);
    }
    if let Some(fate) = secrets.fate {
        tokend_record::settle_fate(record, fate);
    }
    if let Some((id, granted)) = secrets.granted.take() {
        tokend_record::take_granted(record, id, granted, secrets.fate);
    }
    if let (Some(attempt), Some(entered)) = (write.intent_of, &secrets.entered) {
        tokend_record::take_candidate(record, attempt, entered);
    }
    tokend_record::update(record, &write.durable, &write.host, &write.notes, clock);
}

#[cfg(test)]
mod tests;
