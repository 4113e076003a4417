//! The local store: one redb file in a state directory that no other process uses.
//!
//! Owns the tables and the transactions. Only sealed bytes go in and out of the database, and a record that does not open is never
//! overwritten.

mod caught;
mod database;
mod handle;
mod names;
mod reseal;
mod reserve;

use std::collections::HashSet;
use std::time::Duration;

use redb::{ReadableDatabase as _, ReadableTable as _, Table};

use crate::account::{AccountId, Version};
use crate::claims::{Claim, Claims};
use crate::codec;
use crate::error::{OpenError, QuarantineReason, Quarantined, StoreError, StoreFailure};
use crate::record::Record;
use crate::seal::{self, Bound, Scratch, SealingKey};
use crate::state_dir::StateDir;
use crate::store::{RecordCommit, Store, Strayed, check_version};
use crate::watch::Watch;
pub(crate) use database::looks_like_a_database;
use database::{ACCOUNTS, META, floor, raise_floor};
use handle::{Handle, Opener};
use names::{account_of, name_of};
pub(crate) use reseal::{NotResealed, Opens, confirm, opened_by, reseal, write_again};
use reserve::Reserve;

/// Sealed records in `tokend.redb`. See the crate's documentation for the layout.
///
/// When the disk fails, the operation fails and the next one reopens the database, so the store recovers with the disk.
#[derive(Debug)]
pub struct RedbStore {
    handle: Handle,
    key: SealingKey,
    claims: Claims,
    reserve: Reserve,
    // Last, so that the lock outlives the database.
    _state: StateDir,
}

impl RedbStore {
    /// Opens the database of a state directory, or makes it if there never was one.
    ///
    /// # Errors
    /// When the key is another database's; when the database is missing, damaged, not the marker's or from a newer version; or when the
    /// system refuses. Nothing is changed then.
    pub fn open(state: StateDir, key: SealingKey) -> Result<Self, OpenError> {
        let path = state.layout.database();
        Self::open_with(state, key, Box::new(move || database::open(&path)))
    }

    /// As [`open`](Self::open), with another way to open the file.
    fn open_with(state: StateDir, key: SealingKey, opener: Opener) -> Result<Self, OpenError> {
        let id = database::ensure(&state, &key)?;
        let (handle, epoch) = Handle::open(state.layout.database(), opener, id)?;
        Ok(Self {
            handle,
            key,
            claims: Claims::new(epoch),
            reserve: Reserve::new(state.layout.reserve()),
            _state: state,
        })
    }

    /// Writes a batch in one transaction.
    fn write(&self, batch: &[RecordCommit<'_>]) -> Vec<Result<Version, StoreError>> {
        let written = self.handle.with(|db| {
            let txn = database::begin_write(db)?;
            let mut answers = Vec::with_capacity(batch.len());
            {
                let mut accounts = txn.open_table(ACCOUNTS)?;
                let mut meta = txn.open_table(META)?;
                for commit in batch {
                    answers.push(match self.apply(&mut accounts, &mut meta, commit) {
                        Ok(version) => Ok(version),
                        Err(Failure::OfCommit(error)) => Err(error),
                        Err(Failure::OfStorage(error)) => return Err(error),
                    });
                }
            }
            database::end(txn, answers.iter().any(Result::is_ok))?;
            Ok(answers)
        });
        written.unwrap_or_else(|error| batch.iter().map(|_| Err(error.clone())).collect())
    }

    /// Writes one commit into a transaction.
    fn apply(
        &self,
        accounts: &mut Table<'_, &'static [u8], &'static [u8]>,
        meta: &mut Table<'_, &'static str, &'static [u8]>,
        commit: &RecordCommit<'_>,
    ) -> Result<Version, Failure> {
        self.claims.check(commit.claim)?;
        let account = commit.claim.account();
        let encoded = commit
            .record
            .map(|record| codec::encode(record, seal::FRONT, seal::BACK))
            .transpose()
            .map_err(|error| error.of(account))?;

        let mut scratch = Scratch::default();
        let standing = match accounts.get(account.as_str().as_bytes())? {
            Some(sealed) => {
                let (version, plain, _) = self
                    .open_value(account, sealed.value(), &mut scratch)
                    .map_err(|reason| StoreError::Quarantined(Quarantined::new(account, reason)))?;
                Some((version, plain))
            }
            None => None,
        };
        let text = encoded.as_ref().and_then(|bytes| bytes.get(seal::FRONT..));
        check_version(commit, standing, text)?;
        let standing = standing.map(|(version, _)| version);

        let Some(encoded) = encoded else {
            accounts.remove(account.as_str().as_bytes())?;
            raise_floor(meta, standing.unwrap_or_default())?;
            return Ok(Version::NONE);
        };
        let version = match standing {
            Some(version) => version,
            None => floor(meta)?,
        }
        .next()
        .ok_or_else(|| self.handle.corrupt("there is no version left"))?;
        let sealed = self
            .key
            .seal(Bound::Record { account, version }, encoded)
            .ok_or_else(|| StoreError::NotSealed(account.clone()))?;
        accounts.insert(account.as_str().as_bytes(), sealed.as_slice())?;
        Ok(version)
    }

    fn open_value<'s>(
        &self,
        account: &AccountId,
        sealed: &[u8],
        scratch: &'s mut Scratch,
    ) -> Result<(Version, &'s [u8], Record), QuarantineReason> {
        let (version, plain) = self.key.open_record(account, sealed, scratch)?;
        Ok((version, plain, codec::decode(plain)?))
    }

    /// Whether this entry is set aside.
    fn is_quarantined(&self, key: &[u8], sealed: &[u8]) -> bool {
        account_of(key).is_none_or(|account| {
            self.open_value(&account, sealed, &mut Scratch::default())
                .is_err()
        })
    }
}

impl Store for RedbStore {
    fn for_each(
        &self,
        visit: &mut dyn FnMut(AccountId, Version, Record),
    ) -> Result<Vec<Quarantined>, StoreError> {
        self.handle.with(|db| {
            let accounts = db.begin_read()?.open_table(ACCOUNTS)?;
            let mut scratch = Scratch::default();
            let mut set_aside = Vec::new();
            for entry in accounts.iter()? {
                let (key, sealed) = entry?;
                let opened = match account_of(key.value()) {
                    Some(account) => self
                        .open_value(&account, sealed.value(), &mut scratch)
                        .map(|(version, _, record)| (account, version, record)),
                    None => Err(QuarantineReason::BadName),
                };
                match opened {
                    Ok((account, version, record)) => visit(account, version, record),
                    Err(reason) => set_aside.push(Quarantined::new(&name_of(key.value()), reason)),
                }
            }
            Ok(set_aside)
        })
    }

    fn read(&self, account: &AccountId) -> Result<Option<(Version, Record)>, StoreError> {
        let opened = self.handle.with(|db| {
            let accounts = db.begin_read()?.open_table(ACCOUNTS)?;
            let sealed = accounts.get(account.as_str().as_bytes())?;
            Ok(sealed.map(|sealed| {
                self.open_value(account, sealed.value(), &mut Scratch::default())
                    .map(|(version, _, record)| (version, record))
            }))
        })?;
        opened
            .transpose()
            .map_err(|reason| StoreError::Quarantined(Quarantined::new(account, reason)))
    }

    fn claim(&self, account: &AccountId, _ttl: Duration) -> Result<Claim, StoreError> {
        self.in_place()?;
        self.reserve
            .keep()
            .map_err(|error| self.handle.unavailable(&error))?;
        self.claims.claim(account)
    }

    fn commit(&self, batch: &[RecordCommit<'_>]) -> Vec<Result<Version, StoreError>> {
        if batch.is_empty() {
            return Vec::new();
        }
        let answers = self.write(batch);
        // An intent can wait for space; an outcome may be the only copy of a refresh token.
        let outcomes: Vec<_> = batch
            .iter()
            .filter(|commit| !begins(commit))
            .copied()
            .collect();
        if outcomes.is_empty() || !answers.iter().any(is_full) || !self.reserve.spend() {
            return answers;
        }
        let mut again = self.write(&outcomes).into_iter();
        let answer = |(commit, answer): (&RecordCommit<'_>, _)| match begins(commit) {
            true => answer,
            false => again.next().unwrap_or(answer),
        };
        batch.iter().zip(answers).map(answer).collect()
    }

    fn release(&self, claim: Claim) {
        self.claims.release(&claim);
    }

    fn in_place(&self) -> Result<(), StoreError> {
        self.handle.is_in_place()
    }

    fn watch(&self) -> Watch {
        Watch::silent()
    }

    fn strayed(
        &self,
        accounts: &[AccountId],
        set_aside: &[Quarantined],
    ) -> Result<Vec<Strayed>, StoreError> {
        let names: HashSet<_> = set_aside.iter().map(|it| it.account.as_str()).collect();
        self.handle.with(|db| {
            let table = db.begin_read()?.open_table(ACCOUNTS)?;
            let mut scratch = Scratch::default();
            let mut strayed = Vec::new();
            for entry in table.iter()? {
                let (key, sealed) = entry?;
                if !names.contains(name_of(key.value()).as_str()) {
                    continue;
                }
                let is_its = |account: &&AccountId| {
                    let opened = self.open_value(account, sealed.value(), &mut scratch);
                    opened.is_ok()
                };
                strayed.extend(accounts.iter().find(is_its).map(|account| Strayed {
                    account: account.clone(),
                    key: key.value().into(),
                }));
            }
            Ok(strayed)
        })
    }

    fn put_back(&self, strayed: &[Strayed]) -> Result<Vec<AccountId>, StoreError> {
        self.handle.with(|db| {
            let txn = database::begin_write(db)?;
            let mut put_back = Vec::new();
            {
                let mut accounts = txn.open_table(ACCOUNTS)?;
                for Strayed { account, key } in strayed {
                    let name = account.as_str().as_bytes();
                    let sealed = accounts.get(&**key)?.map(|it| it.value().to_vec());
                    let Some(sealed) = sealed.filter(|sealed| {
                        self.open_value(account, sealed, &mut Scratch::default())
                            .is_ok()
                    }) else {
                        continue;
                    };
                    if accounts.get(name)?.is_none() {
                        accounts.remove(&**key)?;
                        accounts.insert(name, sealed.as_slice())?;
                        put_back.push(account.clone());
                    }
                }
            }
            database::end(txn, !put_back.is_empty())?;
            Ok(put_back)
        })
    }

    fn discard_quarantined(&self, account: &str) -> Result<(), StoreError> {
        let found = self.handle.with(|db| {
            let txn = database::begin_write(db)?;
            let found = {
                let mut accounts = txn.open_table(ACCOUNTS)?;
                let mut found = None;
                for entry in accounts.iter()? {
                    let (key, sealed) = entry?;
                    if name_of(key.value()) == account
                        && self.is_quarantined(key.value(), sealed.value())
                    {
                        found = Some(key.value().to_vec());
                        break;
                    }
                }
                if let Some(key) = &found {
                    accounts.remove(key.as_slice())?;
                }
                found.is_some()
            };
            database::end(txn, found)?;
            Ok(found)
        })?;
        match found {
            true => Ok(()),
            false => Err(StoreError::NotQuarantined(account.to_owned())),
        }
    }
}

/// Whether a commit is the intent of an attempt that has not left yet.
fn begins(commit: &RecordCommit<'_>) -> bool {
    commit.record.is_some_and(|record| record.intent.is_some())
}

fn is_full(answer: &Result<Version, StoreError>) -> bool {
    matches!(
        answer,
        Err(StoreError::Unavailable {
            cause: StoreFailure::DiskFull,
            ..
        })
    )
}

/// Why one commit was not added to the transaction.
enum Failure {
    /// It alone is refused.
    OfCommit(StoreError),
    /// The transaction is lost.
    OfStorage(redb::Error),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::OfCommit(error)
    }
}

impl From<redb::StorageError> for Failure {
    fn from(error: redb::StorageError) -> Self {
        Self::OfStorage(error.into())
    }
}

#[cfg(test)]
mod tests;
