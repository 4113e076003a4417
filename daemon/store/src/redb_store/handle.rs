//! The open database, which is reopened after the disk failed.
//!
//! redb refuses everything after an I/O error until it is reopened, and after a panic its state is unknown. Must never unlock the state
//! directory in between, nor take another database for ours.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{Database, DatabaseError};

use super::caught::caught;
use super::database;
use crate::error::{OpenError, StoreError, StoreFailure};
use crate::state_dir::{FileId, StoreId};

/// How the file is opened.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

pub(super) struct Handle {
    path: PathBuf,
    open: Opener,
    id: StoreId,
    current: Mutex<Option<Opened>>,
}

/// An open database, and the file it is in.
#[derive(Clone)]
struct Opened {
    db: Arc<Database>,
    file: FileId,
}

/// A redb database is longer than its first page. It grows and shrinks, so no other length means anything.
const LEAST: u64 = 4096;

impl Opened {
    fn at(path: &Path, db: Database) -> io::Result<Self> {
        Ok(Self {
            db: Arc::new(db),
            file: FileId::of(&fs::metadata(path)?),
        })
    }
}

impl Handle {
    /// Opens the database, and returns how often that has been done.
    pub(super) fn open(path: PathBuf, open: Opener, id: StoreId) -> Result<(Self, u64), OpenError> {
        let opened = caught(|| {
            let db = open()?;
            let epoch = database::count_opening(&db)?;
            Ok((Opened::at(&path, db)?, epoch))
        });
        let (opened, epoch) = opened
            .unwrap_or_else(|panicked| Err(panicked.into()))
            .map_err(|error| database::not_opened(&path, error))?;
        let handle = Self {
            path,
            open,
            id,
            current: Mutex::new(Some(opened)),
        };
        Ok((handle, epoch))
    }

    /// Works on the database. Closes it when the disk fails or redb panics, so that the next call reopens it.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let db = self.current()?.db;
        match caught(|| work(&db)) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                if breaks(&error) {
                    self.let_go(db);
                }
                Err(self.store_error(&error))
            }
            Err(panicked) => {
                self.let_go(db);
                Err(self.corrupt(&panicked.to_string()))
            }
        }
    }

    /// Closes a database that no longer works, unless that has been done.
    fn let_go(&self, db: Arc<Database>) {
        let mut current = self.lock();
        let known = current.take_if(|known| Arc::ptr_eq(&known.db, &db));
        // While the lock is held, before anybody can reopen it. An error on closing adds nothing to what is known.
        let _no_news = caught(|| drop((known, db)));
    }

    /// Whether writes would survive a restart.
    ///
    /// A removed or replaced file still takes writes, which are lost with the process. Reading continues: tokens in memory are served,
    /// and the open file is all that is left of the logins.
    ///
    /// # Errors
    /// When the file is not at its path any more, or was emptied.
    pub(super) fn is_in_place(&self) -> Result<(), StoreError> {
        let file = self.current()?.file;
        let detail = match fs::metadata(&self.path) {
            Ok(found) if FileId::of(&found) == file && found.len() > LEAST => return Ok(()),
            Ok(_) => "it is not as it was opened".to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => error.to_string(),
            // Perhaps the directory's permissions were changed. The open file is as good as before.
            Err(_) => return Ok(()),
        };
        Err(self.failed(StoreFailure::TakenAway, detail))
    }

    pub(super) fn corrupt(&self, detail: &str) -> StoreError {
        StoreError::Corrupt {
            at: self.path.clone(),
            detail: detail.to_owned(),
        }
    }

    /// An error of the disk that was met beside the database.
    pub(super) fn unavailable(&self, error: &io::Error) -> StoreError {
        self.failed(StoreFailure::from(error), error.to_string())
    }

    fn failed(&self, cause: StoreFailure, detail: String) -> StoreError {
        StoreError::Unavailable {
            cause,
            at: self.path.clone(),
            detail,
        }
    }

    fn current(&self) -> Result<Opened, StoreError> {
        let mut current = self.lock();
        if let Some(opened) = &*current {
            return Ok(opened.clone());
        }
        let opened = caught(|| {
            let db = (self.open)()?;
            let is_ours = database::id(&db)? == Some(self.id);
            Ok(is_ours.then_some(Opened::at(&self.path, db)?))
        });
        let opened = opened
            .unwrap_or_else(|panicked| Err(panicked.into()))
            .map_err(|error| self.store_error(&error))?
            .ok_or_else(|| self.corrupt("another database was put in its place"))?;
        *current = Some(opened.clone());
        Ok(opened)
    }

    fn store_error(&self, error: &redb::Error) -> StoreError {
        let cause = match error {
            redb::Error::Io(error) if !database::is_damage(error) => StoreFailure::from(error),
            redb::Error::Io(error) => return self.corrupt(&error.to_string()),
            error if breaks(error) => StoreFailure::Io,
            // Another thread is about to close it.
            redb::Error::DatabaseAlreadyOpen => StoreFailure::Io,
            error => return self.corrupt(&error.to_string()),
        };
        self.failed(cause, error.to_string())
    }

    // A panic cannot leave this state half changed, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Option<Opened>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let db = self.lock().take();
        let _too_late = caught(|| drop(db));
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Whether redb refuses everything after this error.
fn breaks(error: &redb::Error) -> bool {
    matches!(
        error,
        redb::Error::Io(_)
            | redb::Error::PreviousIo
            | redb::Error::DatabaseClosed
            | redb::Error::LockPoisoned(_)
    )
}
