//! A store in memory with scripted faults, for simulation.
//!
//! Keeps the contract of [`Store`] by the same rules and the same codec as the real one, so that a simulation finds what would
//! go wrong there. Must never be used to keep anything.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::account::{AccountId, Version};
use crate::claims::{Claim, Claims};
use crate::codec;
use crate::error::{QuarantineReason, Quarantined, StoreError, StoreFailure};
use crate::record::Record;
use crate::store::{RecordCommit, Store, Strayed, check_version};
use crate::watch::{RecordChange, Reporter, Watch};

/// How a commit fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScriptedFault {
    /// The error that the caller gets.
    pub cause: StoreFailure,
    /// Whether the batch lands nevertheless.
    pub applied: bool,
}

impl ScriptedFault {
    /// The disk is full, and nothing lands.
    pub const DISK_FULL: Self = Self {
        cause: StoreFailure::DiskFull,
        applied: false,
    };

    /// The disk is full for what comes after the batch, which lands.
    pub const DISK_FULL_AFTER: Self = Self {
        cause: StoreFailure::DiskFull,
        applied: true,
    };

    /// The file system is read-only.
    pub const READ_ONLY: Self = Self {
        cause: StoreFailure::ReadOnly,
        applied: false,
    };

    /// The disk fails, and nothing lands.
    pub const IO: Self = Self {
        cause: StoreFailure::Io,
        applied: false,
    };

    /// The batch lands, and the answer does not.
    pub const LOST_ANSWER: Self = Self {
        cause: StoreFailure::Io,
        applied: true,
    };
}

/// Records in memory. Clones share them, so a clone is what a restarted daemon finds.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    claims: Claims,
    state: Mutex<State>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            claims: Claims::new(1),
            state: Mutex::default(),
        }
    }
}

#[derive(Default)]
struct State {
    records: BTreeMap<AccountId, StoredRecord>,
    floor: Version,
    commits: u64,
    faults: BTreeMap<u64, ScriptedFault>,
    outage: Option<StoreFailure>,
    reporters: Vec<Reporter>,
}

struct StoredRecord {
    version: Version,
    plain: Zeroizing<Vec<u8>>,
    quarantine: Option<QuarantineReason>,
}

impl MemoryStore {
    /// An empty store without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the `nth` commit from now fail; 1 is the next one.
    pub fn fail_commit(&self, nth: u64, fault: ScriptedFault) {
        let mut state = self.lock();
        let at = state.commits.saturating_add(nth);
        state.faults.insert(at, fault);
    }

    /// Makes every commit fail until this is called with `None`. [`StoreFailure::Io`] fails reads as well.
    pub fn set_outage(&self, outage: Option<StoreFailure>) {
        self.lock().outage = outage;
    }

    /// How many batches were committed or failed so far.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.lock().commits
    }

    /// Ends all claims, as the death of the daemon does. Records, faults and fences stay.
    pub fn restart(&self) {
        self.shared.claims.expire_all();
    }

    /// Ends the claim on one account, as its time limit does in a shared store.
    pub fn expire_claim(&self, account: &AccountId) {
        self.shared.claims.expire(account);
    }

    /// Writes as another daemon of a shared store would: the version moves on, and watches report it.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    pub fn write_elsewhere(
        &self,
        account: &AccountId,
        record: Option<&Record>,
    ) -> Result<Version, StoreError> {
        let plain = encode(account, record)?;
        let mut state = self.lock();
        let version = state.put(account, plain)?;
        state.report(match record {
            Some(_) => RecordChange::Written {
                account: account.clone(),
                version,
            },
            None => RecordChange::Removed {
                account: account.clone(),
            },
        });
        Ok(version)
    }

    /// Sets a record aside, as if it did not open.
    pub fn quarantine(&self, account: &AccountId, reason: QuarantineReason) {
        if let Some(stored) = self.lock().records.get_mut(account) {
            stored.quarantine = Some(reason);
        }
    }

    fn apply(&self, state: &mut State, commit: &RecordCommit<'_>) -> Result<Version, StoreError> {
        self.shared.claims.check(commit.claim)?;
        let account = commit.claim.account();
        let plain = encode(account, commit.record)?;
        let standing = state.records.get(account);
        if let Some(reason) = standing.and_then(|stored| stored.quarantine) {
            return Err(StoreError::Quarantined(Quarantined::new(account, reason)));
        }
        check_version(
            commit,
            standing.map(|stored| (stored.version, stored.plain.as_slice())),
            plain.as_ref().map(|plain| plain.as_slice()),
        )?;
        state.put(account, plain)
    }

    // A panic in a simulation ends it, so what a poisoned lock guards no longer matters.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn for_each(
        &self,
        visit: &mut dyn FnMut(AccountId, Version, Record),
    ) -> Result<Vec<Quarantined>, StoreError> {
        let state = self.lock();
        state.check_readable()?;
        let mut set_aside = Vec::new();
        for (account, stored) in &state.records {
            match stored.open() {
                Ok(record) => visit(account.clone(), stored.version, record),
                Err(reason) => set_aside.push(Quarantined::new(account, reason)),
            }
        }
        Ok(set_aside)
    }

    fn read(&self, account: &AccountId) -> Result<Option<(Version, Record)>, StoreError> {
        let state = self.lock();
        state.check_readable()?;
        let Some(stored) = state.records.get(account) else {
            return Ok(None);
        };
        stored
            .open()
            .map(|record| Some((stored.version, record)))
            .map_err(|reason| StoreError::Quarantined(Quarantined::new(account, reason)))
    }

    fn claim(&self, account: &AccountId, _ttl: Duration) -> Result<Claim, StoreError> {
        self.shared.claims.claim(account)
    }

    fn commit(&self, batch: &[RecordCommit<'_>]) -> Vec<Result<Version, StoreError>> {
        let mut state = self.lock();
        state.commits += 1;
        let ordinal = state.commits;
        let scripted = state.faults.remove(&ordinal);
        let fault = scripted.or(state.outage.map(|cause| ScriptedFault {
            cause,
            applied: false,
        }));
        let answers = if fault.is_none_or(|fault| fault.applied) {
            batch
                .iter()
                .map(|commit| self.apply(&mut state, commit))
                .collect()
        } else {
            Vec::new()
        };
        match fault {
            None => answers,
            Some(fault) => batch
                .iter()
                .map(|_| Err(unavailable(fault.cause)))
                .collect(),
        }
    }

    fn release(&self, claim: Claim) {
        self.shared.claims.release(&claim);
    }

    fn watch(&self) -> Watch {
        let (reporter, watch) = Reporter::pair();
        self.lock().reporters.push(reporter);
        watch
    }

    /// Nothing damages a name in memory.
    fn strayed(
        &self,
        _accounts: &[AccountId],
        _set_aside: &[Quarantined],
    ) -> Result<Vec<Strayed>, StoreError> {
        Ok(Vec::new())
    }

    fn put_back(&self, _strayed: &[Strayed]) -> Result<Vec<AccountId>, StoreError> {
        Ok(Vec::new())
    }

    fn discard_quarantined(&self, account: &str) -> Result<(), StoreError> {
        let mut state = self.lock();
        let found = state
            .records
            .iter()
            .find(|(id, stored)| id.as_str() == account && stored.open().is_err())
            .map(|(id, _)| id.clone());
        match found {
            Some(id) => {
                state.records.remove(&id);
                Ok(())
            }
            None => Err(StoreError::NotQuarantined(account.to_owned())),
        }
    }
}

impl State {
    /// Writes or removes without asking.
    fn put(
        &mut self,
        account: &AccountId,
        plain: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Version, StoreError> {
        let standing = self.records.get(account).map(|stored| stored.version);
        let Some(plain) = plain else {
            self.records.remove(account);
            self.floor = self.floor.max(standing.unwrap_or_default());
            return Ok(Version::NONE);
        };
        let version = standing
            .unwrap_or(self.floor)
            .next()
            .ok_or_else(|| StoreError::Corrupt {
                at: place(),
                detail: "there is no version left".to_owned(),
            })?;
        let stored = StoredRecord {
            version,
            plain,
            quarantine: None,
        };
        self.records.insert(account.clone(), stored);
        Ok(version)
    }

    fn report(&mut self, change: RecordChange) {
        self.reporters
            .retain(|reporter| reporter.report(change.clone()));
    }

    fn check_readable(&self) -> Result<(), StoreError> {
        match self.outage {
            Some(StoreFailure::Io) => Err(unavailable(StoreFailure::Io)),
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("records", &self.records.len())
            .field("commits", &self.commits)
            .field("faults", &self.faults)
            .field("outage", &self.outage)
            .finish_non_exhaustive()
    }
}

impl StoredRecord {
    fn open(&self) -> Result<Record, QuarantineReason> {
        match self.quarantine {
            Some(reason) => Err(reason),
            None => codec::decode(&self.plain),
        }
    }
}

fn encode(
    account: &AccountId,
    record: Option<&Record>,
) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    record
        .map(|record| codec::encode(record, 0, 0))
        .transpose()
        .map_err(|error| error.of(account))
}

fn unavailable(cause: StoreFailure) -> StoreError {
    StoreError::Unavailable {
        cause,
        at: place(),
        detail: "a scripted fault".to_owned(),
    }
}

fn place() -> PathBuf {
    PathBuf::from("(memory)")
}
