//! The database file: its tables, how it is made whole or not at all, how a wrong one is recognised.
//!
//! Must never make a database where there was one, nor touch accounts before the key is known to be right.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase as _, ReadableTable, StorageError, Table,
    TableDefinition, WriteTransaction,
};
use rustix::fs::{Mode, OFlags};

use crate::account::Version;
use crate::error::{OpenError, failed};
use crate::seal::{Scratch, SealingKey};
use crate::state_dir::{StateDir, StoreId, remove_if_there, sync_dir};

use super::caught::caught;

pub(super) const ACCOUNTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("accounts");
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// The layout this build writes. Raise it when an older build must not touch the file.
const LAYOUT: u32 = 1;

// redb's default is 1 GiB. Records are read once at start, so a small cache is enough.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Makes sure that there is a database that this key opens, and returns its id.
pub(super) fn ensure(state: &StateDir, key: &SealingKey) -> Result<StoreId, OpenError> {
    let marked = state.layout.read_marker()?;
    let id = match state.layout.has_database(marked.is_some())? {
        true => check(state, marked, key)?,
        false => create(state, key)?,
    };
    if marked.is_none() {
        state.write_marker(&id)?;
    }
    Ok(id)
}

/// Checks that the database is ours and opens with this key, and changes nothing.
pub(super) fn verify(state: &StateDir, key: &SealingKey) -> Result<StoreId, OpenError> {
    let marked = state.layout.read_marker()?;
    match state.layout.has_database(marked.is_some())? {
        true => check(state, marked, key),
        false => Err(OpenError::Missing {
            path: state.layout.database(),
            marker: state.layout.marker(),
        }),
    }
}

/// Opens the file as it is.
pub(super) fn open(path: &Path) -> Result<Database, DatabaseError> {
    builder().open(path)
}

/// Begins a transaction that is durable once committed and needs no scan after a crash: a scan would refuse the whole file for one
/// damaged record.
pub(super) fn begin_write(db: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut txn = db.begin_write()?;
    txn.set_two_phase_commit(true);
    txn.set_quick_repair(true);
    Ok(txn)
}

/// Commits a transaction that changed something, and gives up one that changed nothing.
pub(super) fn end(txn: WriteTransaction, is_change: bool) -> Result<(), redb::Error> {
    match is_change {
        true => txn.commit()?,
        false => txn.abort()?,
    }
    Ok(())
}

/// The id of the database, if it has one.
pub(super) fn id(db: &Database) -> Result<Option<StoreId>, redb::Error> {
    let meta = db.begin_read()?.open_table(META)?;
    let id = meta.get("store-id")?;
    Ok(id.and_then(|id| StoreId::from_bytes(id.value())))
}

/// Whether a file begins like redb's. That does not mean that the rest is sound.
pub(crate) fn looks_like_a_database(start: &[u8]) -> bool {
    start.starts_with(b"redb\x1A\x0A\xA9\x0D\x0A")
}

/// Counts one more opening, durably, which shows that the file can be written.
pub(super) fn count_opening(db: &Database) -> Result<u64, redb::Error> {
    let txn = begin_write(db)?;
    let epoch = {
        let mut meta = txn.open_table(META)?;
        let epoch = number(&meta, "epoch")?.saturating_add(1);
        meta.insert("epoch", epoch.to_be_bytes().as_slice())?;
        epoch
    };
    txn.commit()?;
    Ok(epoch)
}

/// The highest version of any removed record.
pub(super) fn floor(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Version, StorageError> {
    number(meta, "floor").map(Version::from)
}

/// Records that a record of this version was removed.
pub(super) fn raise_floor(
    meta: &mut Table<'_, &'static str, &'static [u8]>,
    version: Version,
) -> Result<(), StorageError> {
    let floor = u64::from(floor(meta)?.max(version));
    meta.insert("floor", floor.to_be_bytes().as_slice())?;
    Ok(())
}

/// The error for an operator who starts the daemon.
pub(super) fn not_opened(path: &Path, error: redb::Error) -> OpenError {
    match error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => OpenError::InUse {
            dir: path.parent().unwrap_or(path).to_owned(),
            pid: None,
        },
        redb::Error::Io(source) if !is_damage(&source) => {
            failed("open the database", path)(source).into()
        }
        error => damaged(path, &error),
    }
}

/// Whether an I/O error is about the file's content rather than the disk.
pub(super) fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof
    )
}

/// Makes a database under another name and moves it into place, so that it is whole or missing.
fn create(state: &StateDir, key: &SealingKey) -> Result<StoreId, OpenError> {
    let (path, new) = (state.layout.database(), state.layout.new_database());
    remove_if_there(&new).map_err(failed("remove", &new))?;
    let id = StoreId::random()?;
    let check = key.make_check(&id).ok_or(OpenError::NoRandomness)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::open(&new, flags, Mode::RUSR | Mode::WUSR)
        .map(File::from)
        .map_err(|error| failed("make the database", &new)(error.into()))?;
    fill(file, &id, &check).map_err(|error| match error {
        redb::Error::Io(source) => failed("make the database", &new)(source).into(),
        error => damaged(&new, &error),
    })?;
    fs::rename(&new, &path).map_err(failed("make the database", &path))?;
    sync_dir(state.path()).map_err(failed("make the database durable", &path))?;
    Ok(id)
}

fn fill(file: File, id: &StoreId, check: &[u8]) -> Result<(), redb::Error> {
    let db = builder().create_with_backend(redb::backends::FileBackend::new(file)?)?;
    let txn = begin_write(&db)?;
    {
        let mut meta = txn.open_table(META)?;
        meta.insert("layout", LAYOUT.to_be_bytes().as_slice())?;
        meta.insert("store-id", id.as_bytes())?;
        meta.insert("key-check", check)?;
        txn.open_table(ACCOUNTS)?;
    }
    txn.commit()?;
    db.close()?;
    Ok(())
}

/// Refuses a database that is not ours or that this key does not open.
fn check(
    state: &StateDir,
    marked: Option<StoreId>,
    key: &SealingKey,
) -> Result<StoreId, OpenError> {
    let path = state.layout.database();
    caught(|| look_into(state, &path, marked, key))
        .unwrap_or_else(|panicked| Err(damaged(&path, &panicked)))
}

fn look_into(
    state: &StateDir,
    path: &Path,
    marked: Option<StoreId>,
    key: &SealingKey,
) -> Result<StoreId, OpenError> {
    let db = open(path).map_err(|error| not_opened(path, error.into()))?;
    let known = read_known(&db).map_err(|error| not_opened(path, error))?;
    let layout = known
        .layout
        .ok_or_else(|| damaged(path, &"it has no layout number"))?;
    if layout > LAYOUT {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            layout,
        });
    }
    let (Some(id), Some(check)) = (known.id, known.check) else {
        return Err(damaged(path, &"it has no store id or key check"));
    };
    if marked.is_some_and(|marked| marked != id) {
        return Err(OpenError::OtherStore {
            path: path.to_owned(),
            marker: state.layout.marker(),
        });
    }
    if key.passes_check(&id, &check) {
        return Ok(id);
    }
    if opens_a_record(&db, key).map_err(|error| not_opened(path, error))? {
        return Err(damaged(path, &"the key is right, but its check is not"));
    }
    Err(OpenError::WrongKey(path.to_owned()))
}

/// Whether the key opens one of the first few records, and so is not a wrong one.
fn opens_a_record(db: &Database, key: &SealingKey) -> Result<bool, redb::Error> {
    let accounts = db.begin_read()?.open_table(ACCOUNTS)?;
    let mut scratch = Scratch::default();
    for entry in accounts.iter()?.take(16) {
        let (name, sealed) = entry?;
        let account = super::names::account_of(name.value());
        if account.is_some_and(|account| {
            key.open_record(&account, sealed.value(), &mut scratch)
                .is_ok()
        }) {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Known {
    layout: Option<u32>,
    id: Option<StoreId>,
    check: Option<Vec<u8>>,
}

fn read_known(db: &Database) -> Result<Known, redb::Error> {
    let txn = db.begin_read()?;
    // Only to see that it exists.
    txn.open_table(ACCOUNTS)?;
    let meta = txn.open_table(META)?;
    Ok(Known {
        layout: meta
            .get("layout")?
            .and_then(|bytes| bytes.value().try_into().ok().map(u32::from_be_bytes)),
        id: meta
            .get("store-id")?
            .and_then(|bytes| StoreId::from_bytes(bytes.value())),
        check: meta.get("key-check")?.map(|bytes| bytes.value().to_vec()),
    })
}

fn number(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<u64, StorageError> {
    let Some(bytes) = meta.get(name)? else {
        return Ok(0);
    };
    bytes
        .value()
        .try_into()
        .map(u64::from_be_bytes)
        .map_err(|_| StorageError::Corrupted(format!("the number {name} is not 8 bytes long")))
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn damaged(path: &Path, detail: &dyn std::fmt::Display) -> OpenError {
    OpenError::Damaged {
        path: path.to_owned(),
        detail: detail.to_string(),
    }
}
