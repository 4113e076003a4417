//! Seals a whole store anew with another key, in one transaction.
//!
//! Must never leave a store with two keys: either all records and the key check are sealed with the new one, or nothing was changed.
//! Must never treat a failed commit as one that did not happen, nor carry over a record that does not open.

use std::ops::Bound as Edge;

use redb::{Database, ReadableTable as _};
use rustix::fs::Advice;
use zeroize::Zeroizing;

use super::caught::caught;
use super::database::{self, ACCOUNTS, META, not_opened};
use super::names::{account_of, name_of};
use crate::error::{OpenError, QuarantineReason, Quarantined, RotateError};
use crate::seal::{BACK, Bound, FRONT, Scratch, SealingKey};
use crate::state_dir::StateDir;

/// Records taken out of the table at a time, so that memory does not grow with their number.
const BATCH: usize = 256;

/// Which of two keys opens a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opens {
    /// The first.
    Old,
    /// The second.
    New,
    /// Neither.
    Neither,
}

/// Which of two keys opens the database of a state directory. Changes nothing.
pub(crate) fn opened_by(
    state: &StateDir,
    old: &SealingKey,
    new: &SealingKey,
) -> Result<Opens, OpenError> {
    forget_cached(state);
    match database::verify(state, old) {
        Ok(_) => return Ok(Opens::Old),
        Err(OpenError::WrongKey { .. }) => {}
        Err(error) => return Err(error),
    }
    match database::verify(state, new) {
        Ok(_) => Ok(Opens::New),
        Err(OpenError::WrongKey { .. }) => Ok(Opens::Neither),
        Err(error) => Err(error),
    }
}

/// Asks the system to read the database from the disk. It may do otherwise, so nothing rests on this alone.
fn forget_cached(state: &StateDir) {
    if let Ok(file) = std::fs::File::open(state.layout.database()) {
        let _may_refuse = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
    }
}

/// Commits a durable transaction on the database as it was just read, so that a refused earlier one cannot come back after a crash.
pub(crate) fn confirm(state: &StateDir) -> Result<(), OpenError> {
    let path = state.layout.database();
    let counted = caught(|| {
        let db = database::open(&path)?;
        database::count_opening(&db)
    });
    counted
        .unwrap_or_else(|panicked| Err(panicked.into()))
        .map(drop)
        .map_err(|error| not_opened(&path, error))
}

/// Writes every record again, durably, in a store that appears to be sealed with the new key. It may appear so by pages that never
/// reached the disk: file systems mark pages clean even if writing them failed, and return them until they need the memory. After this,
/// the disk holds what was written and synced. Records that only the old key opens are sealed with the new one; those that neither opens
/// stay as they are, set aside as before.
pub(crate) fn write_again(
    state: &StateDir,
    old: &SealingKey,
    new: &SealingKey,
) -> Result<(), OpenError> {
    let id = database::verify(state, new)?;
    let path = state.layout.database();
    let check = new.make_check(&id).ok_or(OpenError::NoRandomness)?;
    let written = caught(|| {
        let db = database::open(&path)?;
        transact(&db, &check, |key, sealed, scratch| {
            for with in [new, old] {
                match resealed(with, new, key, sealed, scratch) {
                    Err(Failure::SetAside(_)) => {}
                    done => return done,
                }
            }
            Ok(sealed.to_vec())
        })
    });
    match written.unwrap_or_else(|panicked| Err(Failure::Commit(Box::new(panicked.into())))) {
        Ok(_) => Ok(()),
        Err(Failure::Storage(error) | Failure::Commit(error)) => Err(not_opened(&path, *error)),
        Err(Failure::SetAside(_) | Failure::NotSealed) => Err(OpenError::NoRandomness),
    }
}

/// Why a store was not sealed with the new key.
#[derive(Debug)]
pub(crate) enum NotResealed {
    /// Nothing was committed.
    Unchanged(RotateError),
    /// The commit failed, but may have been carried out: either key may be the store's.
    InDoubt(OpenError),
}

impl<E: Into<RotateError>> From<E> for NotResealed {
    fn from(error: E) -> Self {
        Self::Unchanged(error.into())
    }
}

/// Seals every record with `new` instead of `old`. Returns how many there are.
pub(crate) fn reseal(
    state: &StateDir,
    old: &SealingKey,
    new: &SealingKey,
) -> Result<usize, NotResealed> {
    let id = database::verify(state, old)?;
    let path = state.layout.database();
    let check = new.make_check(&id).ok_or(OpenError::NoRandomness)?;
    let resealed = caught(|| {
        let db = database::open(&path)?;
        transact(&db, &check, |key, sealed, scratch| {
            resealed(old, new, key, sealed, scratch)
        })
    });
    // It may have panicked in the commit.
    let resealed =
        resealed.unwrap_or_else(|panicked| Err(Failure::Commit(Box::new(panicked.into()))));
    resealed.map_err(|failure| match failure {
        Failure::Storage(error) => not_opened(&path, *error).into(),
        Failure::Commit(error) => NotResealed::InDoubt(not_opened(&path, *error)),
        Failure::SetAside(record) => RotateError::SetAside(record).into(),
        Failure::NotSealed => OpenError::NoRandomness.into(),
    })
}

enum Failure {
    /// Before the commit.
    Storage(Box<redb::Error>),
    Commit(Box<redb::Error>),
    SetAside(Quarantined),
    NotSealed,
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Storage(Box::new(error.into()))
    }
}

/// Writes what `again` makes of every record, and the key check.
fn transact(
    db: &Database,
    check: &[u8],
    again: impl Fn(&[u8], &[u8], &mut Scratch) -> Result<Vec<u8>, Failure>,
) -> Result<usize, Failure> {
    let txn = database::begin_write(db)?;
    let mut count = 0;
    {
        let mut accounts = txn.open_table(ACCOUNTS)?;
        let (mut scratch, mut last): (_, Option<Vec<u8>>) = (Scratch::default(), None);
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            let from = last.as_deref().map_or(Edge::Unbounded, Edge::Excluded);
            for entry in accounts
                .range::<&[u8]>((from, Edge::Unbounded))?
                .take(BATCH)
            {
                let (key, sealed) = entry?;
                let sealed = again(key.value(), sealed.value(), &mut scratch)?;
                batch.push((key.value().to_vec(), sealed));
            }
            let Some((final_key, _)) = batch.last() else {
                break;
            };
            last = Some(final_key.clone());
            count += batch.len();
            for (key, sealed) in batch {
                accounts.insert(key.as_slice(), sealed.as_slice())?;
            }
        }
        txn.open_table(META)?.insert("key-check", check)?;
    }
    txn.commit()
        .map_err(|error| Failure::Commit(Box::new(error.into())))?;
    Ok(count)
}

/// One record sealed with the new key, under its own name and version.
fn resealed(
    old: &SealingKey,
    new: &SealingKey,
    key: &[u8],
    sealed: &[u8],
    scratch: &mut Scratch,
) -> Result<Vec<u8>, Failure> {
    let set_aside = |reason| Failure::SetAside(Quarantined::new(&name_of(key), reason));
    let account = account_of(key).ok_or_else(|| set_aside(QuarantineReason::BadName))?;
    let (version, plain) = old
        .open_record(&account, sealed, scratch)
        .map_err(set_aside)?;
    // Full capacity from the start: a vector that grows leaves plaintext behind.
    let mut buffer = Zeroizing::new(Vec::with_capacity(FRONT + plain.len() + BACK));
    buffer.resize(FRONT, 0);
    buffer.extend_from_slice(plain);
    let bound = Bound::Record {
        account: &account,
        version,
    };
    new.seal(bound, buffer).ok_or(Failure::NotSealed)
}
