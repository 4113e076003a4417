//! Every way this crate fails: what happened, where, and what to do.
//!
//! Must never carry a secret, a key or a byte of plaintext.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::account::{AccountId, Version};
use crate::sizes::{KEY_BYTES, MAX_RECORD_BYTES};

/// Why an operation on an open store failed.
///
/// `Clone`, because one failed transaction answers many commits.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The record is not at the version the caller read.
    #[error(
        "the record of account {account} is at version {actual}, not {expected}: another writer changed it; read it again before writing"
    )]
    Conflict {
        /// The account.
        account: AccountId,
        /// What the caller expected.
        expected: Version,
        /// What is there; [`Version::NONE`] when nothing is.
        actual: Version,
    },
    /// The claim has ended: released, expired, or made before a restart.
    #[error(
        "the claim on account {account} (fence {fence}) has ended: claim it again before writing"
    )]
    Fenced {
        /// The account.
        account: AccountId,
        /// Its number.
        fence: u64,
    },
    /// Someone holds a live claim.
    #[error(
        "account {account} is already claimed (fence {fence}): wait until that attempt has ended"
    )]
    Claimed {
        /// The account.
        account: AccountId,
        /// The number of the live one.
        fence: u64,
    },
    /// The stored record does not open, and is kept as it is.
    #[error("{0}")]
    Quarantined(Quarantined),
    /// There is nothing to discard.
    #[error("no record named {0} is set aside: nothing was discarded")]
    NotQuarantined(String),
    /// The record is larger than any token could make it.
    #[error(
        "the record of account {account} would take {bytes} bytes, more than {MAX_RECORD_BYTES}: the provider's tokens are too long to keep"
    )]
    TooLarge {
        /// The account.
        account: AccountId,
        /// Its encoded length.
        bytes: usize,
    },
    /// The cipher or the system's random numbers failed.
    #[error(
        "the record of account {0} could not be sealed: the cipher or the system's random numbers failed"
    )]
    NotSealed(AccountId),
    /// The storage does not answer. From a commit, this leaves open whether it landed; the same commit may be tried again.
    #[error("{}: {cause} ({detail})", at.display())]
    Unavailable {
        /// What kind of failure, and so what to do.
        cause: StoreFailure,
        /// The database.
        at: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// The database is damaged beyond one record.
    #[error(
        "{}: the database is damaged ({detail}): stop tokend and restore the state directory from a backup, or move it away and log in again", at.display()
    )]
    Corrupt {
        /// The database.
        at: PathBuf,
        /// What was found.
        detail: String,
    },
}

/// What kind of storage failure, and so what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum StoreFailure {
    /// No space, or no quota, is left, or files may not grow any more (`RLIMIT_FSIZE`).
    #[error(
        "no space is left: free some on this disk, or raise the quota or the limit on the size of files"
    )]
    DiskFull,
    /// The file system is mounted read-only, which often follows a disk error.
    #[error(
        "the file system is read-only: remount it writable, and check the kernel log for the reason"
    )]
    ReadOnly,
    /// What is open has no place any more: it was removed, replaced or emptied while it was in use.
    #[error(
        "the database was removed, replaced or emptied while tokend uses it: save the open one before tokend is stopped, as the operations guide says, or its logins are lost"
    )]
    TakenAway,
    /// Anything else the operating system reports.
    #[error("reading or writing failed: check the kernel log and the disk")]
    Io,
}

impl From<&io::Error> for StoreFailure {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::DiskFull,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::Io,
        }
    }
}

/// A stored record that does not open. It stays in the database untouched until it is discarded on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the record of account {account} is set aside: {reason}")]
pub struct Quarantined {
    /// The name the record has in the database, escaped where it is no [`AccountId`].
    pub account: String,
    /// Why it does not open.
    pub reason: QuarantineReason,
}

impl Quarantined {
    pub(crate) fn new(account: &impl ToString, reason: QuarantineReason) -> Self {
        Self {
            account: account.to_string(),
            reason,
        }
    }
}

/// Why one record does not open, while the key is known to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QuarantineReason {
    /// Authentication failed.
    #[error(
        "it was altered, damaged, or moved here from another account; restore a backup, or discard it and log in again"
    )]
    DoesNotOpen,
    /// Written in a form this build does not know.
    #[error(
        "it was written by a newer tokend (schema {schema}); start that version again, or discard it and log in again"
    )]
    Newer {
        /// The record's schema.
        schema: u32,
    },
    /// It opens, but is no record.
    #[error(
        "it opens but is not a record (column {column}), which is a fault of the tokend that wrote it; report it, or discard it and log in again"
    )]
    Malformed {
        /// Where in its text, or 0.
        column: usize,
    },
    /// Its key in the database is no account name.
    #[error("its name is not an account name; restore a backup, or discard it")]
    BadName,
}

/// A step that the operating system refused.
#[derive(Debug, Error)]
#[error("{}: could not {doing}: {source}", path.display())]
pub struct IoFailure {
    /// What was tried.
    pub doing: &'static str,
    /// With which file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Says which step the system refused.
pub(crate) fn failed<'p>(
    doing: &'static str,
    path: &'p Path,
) -> impl FnOnce(io::Error) -> IoFailure + 'p {
    move |source| IoFailure {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// Why a store could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The state directory's path leads to something else.
    #[error("{} is not a directory: give tokend a directory of its own", .0.display())]
    NotADirectory(PathBuf),
    /// Someone else owns the state directory.
    #[error("{} belongs to user {owner}, but tokend runs as user {us}: {}", dir.display(), owner_advice(dir, *owner, *us))]
    WrongOwner {
        /// The path.
        dir: PathBuf,
        /// Its owner's uid.
        owner: u32,
        /// Our effective uid.
        us: u32,
    },
    /// Others can enter the state directory.
    #[error("{} is open to other users (mode {mode:04o}): run chmod 700 on it", dir.display())]
    TooOpen {
        /// The path.
        dir: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A second daemon.
    #[error("{} is in use by another tokend{}: stop that one, or give this one a state directory of its own", dir.display(), pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    InUse {
        /// The path.
        dir: PathBuf,
        /// The other process, where it is known.
        pid: Option<u32>,
    },
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// The key is not the one the database was made with.
    #[error(
        "{}: the sealing key is not the one this database was made with: give tokend the key that belongs to it; nothing was changed", .0.display()
    )]
    WrongKey(PathBuf),
    /// The marker says that there was a database.
    #[error(
        "{} is missing or empty, but {} says there was one: restore the database from a backup, or remove tokend.marker and tokend.reserve to start with no credentials, after which every account has to log in anew", path.display(), marker.display()
    )]
    Missing {
        /// Where the database should be.
        path: PathBuf,
        /// What shows it: the marker, or the reserve.
        marker: PathBuf,
    },
    /// The database and the marker are of two different stores.
    #[error(
        "{} is not the database that {} stands for: put the right one back, or remove the marker to accept this one", path.display(), marker.display()
    )]
    OtherStore {
        /// The database.
        path: PathBuf,
        /// The marker.
        marker: PathBuf,
    },
    /// The marker is not one tokend wrote.
    #[error("{} is not readable as a marker: restore it from a backup, or remove it to accept the database beside it", .0.display())]
    BadMarker(PathBuf),
    /// The database cannot be read.
    #[error(
        "{} is damaged or not a tokend database ({detail}): restore it from a backup, or move it and the marker away and log in again", path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The file's layout is of a later version.
    #[error("{} was written by a newer tokend (layout {layout}): start that version again", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its layout number.
        layout: u32,
    },
    /// No random numbers, or the cipher failed.
    #[error("the system gave no random numbers for a new store")]
    NoRandomness,
}

/// What to do about the directory of another user. What belongs to a daemon's user is not taken from it for root, who can be any user.
fn owner_advice(dir: &Path, owner: u32, us: u32) -> String {
    let dir = dir.display();
    match us {
        0 => format!("run it as user {owner}, such as with sudo -u '#{owner}'"),
        _ => format!("run it as user {owner}, or chown -R {us} {dir}"),
    }
}

/// Why there is no sealing key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is sealed data, but its key is gone.
    #[error(
        "{} is missing, but {} holds data sealed with it: restore the key; a new one could not open what is there", path.display(), dir.display()
    )]
    Missing {
        /// Where the key should be.
        path: PathBuf,
        /// The state directory.
        dir: PathBuf,
    },
    /// A new key was to be made where something stands.
    #[error("{} is there already: move it away first, if nothing is sealed with it any more", .0.display())]
    Exists(PathBuf),
    /// A key that was named is not there.
    #[error("{}: there is no such file", .0.display())]
    NoSuchFile(PathBuf),
    /// A key that was named is not in its file any more.
    #[error("{} was changed or taken away meanwhile: nothing was sealed with what was in it; put the new key there and do this again", .0.display())]
    Changed(PathBuf),
    /// A symbolic link, a directory or the like.
    #[error("{} is not a regular file: put the key itself there, not a link", .0.display())]
    NotAFile(PathBuf),
    /// Someone else owns the key.
    #[error("{} belongs to user {owner}, but tokend runs as user {us}: chown it, and change the key if that user should not know it", path.display())]
    WrongOwner {
        /// The path.
        path: PathBuf,
        /// Its owner's uid.
        owner: u32,
        /// Our effective uid.
        us: u32,
    },
    /// Others can read or write the key.
    #[error("{} is open to other users (mode {mode:04o}): run chmod 600 on it, and change the key if someone may have read it", path.display())]
    TooOpen {
        /// The path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not 32 bytes.
    #[error("{} holds {bytes} bytes{}, but a key has {}: restore it, or make one with head -c 32 /dev/urandom", path.display(), if *more { " or more" } else { "" }, KEY_BYTES)]
    WrongLength {
        /// The path.
        path: PathBuf,
        /// How many were read.
        bytes: usize,
        /// Whether there are more.
        more: bool,
    },
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// No random numbers.
    #[error("the system gave no random numbers for a new sealing key")]
    NoRandomness,
}

/// Why a store's sealing key was not replaced.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RotateError {
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is nothing to seal.
    #[error("{} holds no store yet: start tokend once, or name another directory with --state-dir", .0.display())]
    NoStore(PathBuf),
    /// The key file is not there.
    #[error("{} is missing: if the key comes from a systemd credential, name the old and the new one with --old-key and --new-key", .0.display())]
    NoKey(PathBuf),
    /// The key that was named is the store's own, or beside it for a rotation that was interrupted.
    #[error(
        "{} is one of the store's own key files, which tokend replaces or removes by itself; nothing was changed: leave --new-key out for a new key in the store's own file, or make one elsewhere with tokend key new FILE and name that", .0.display()
    )]
    OwnKey(PathBuf),
    /// The disk failed in the commit, which may have been carried out all the same.
    #[error(
        "whether the store is sealed with the new key is not known ({source}): both keys are kept, {} and {}; remove neither, check the disk, and \
         start tokend or do this again: either finds out which of them opens the store", path.display(), next.display()
    )]
    InDoubt {
        /// The old key.
        path: PathBuf,
        /// The new key.
        next: PathBuf,
        /// What failed.
        source: Box<OpenError>,
    },
    /// The same, with keys that the store does not keep itself.
    #[error(
        "whether the store is sealed with the new key is not known ({source}): keep both keys, check the disk, and do this again, which finds out \
         which of them opens the store"
    )]
    InDoubtElsewhere {
        /// What failed.
        source: Box<OpenError>,
    },
    /// Sealed, but the key is still beside its place.
    #[error(
        "the store is sealed with the new key, but {} may not be in the place of {} for good ({source}): remove neither, check the disk, and \
         start tokend or do this again: either puts it there", next.display(), path.display()
    )]
    NotInPlace {
        /// The place.
        path: PathBuf,
        /// Where the new key is, or was until a moment ago.
        next: PathBuf,
        /// What failed.
        source: Box<KeyError>,
    },
    /// A record would be left behind with the old key.
    #[error("{0}; until then the key cannot be replaced, and nothing was changed")]
    SetAside(Quarantined),
}
