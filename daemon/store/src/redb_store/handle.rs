//! The open database, which is opened anew after the disk failed under it.
//!
//! redb refuses everything after an I/O error until it is reopened. Must never let go of the state directory meanwhile, nor
//! take another database for ours.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{Database, DatabaseError};

use super::database;
use crate::error::{Cause, OpenError, StoreError};
use crate::state_dir::StoreId;

/// How the file is opened.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

pub(super) struct Handle {
    path: PathBuf,
    open: Opener,
    id: StoreId,
    current: Mutex<Option<Arc<Database>>>,
}

impl Handle {
    /// Opens the database, and tells how often that has been done.
    pub(super) fn open(path: PathBuf, open: Opener, id: StoreId) -> Result<(Self, u64), OpenError> {
        let db = open().map_err(|error| database::not_opened(&path, error.into()))?;
        let epoch =
            database::count_opening(&db).map_err(|error| database::not_opened(&path, error))?;
        let handle = Self {
            path,
            open,
            id,
            current: Mutex::new(Some(Arc::new(db))),
        };
        Ok((handle, epoch))
    }

    /// Works on the database, and lets go of it when the disk fails, so that the next call opens it anew.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let db = self.current()?;
        work(&db).map_err(|error| {
            if breaks(&error) {
                let mut current = self.lock();
                if current
                    .as_ref()
                    .is_some_and(|known| Arc::ptr_eq(known, &db))
                {
                    *current = None;
                }
            }
            self.store_error(&error)
        })
    }

    pub(super) fn corrupt(&self, detail: &str) -> StoreError {
        StoreError::Corrupt {
            at: self.path.clone(),
            detail: detail.to_owned(),
        }
    }

    /// What the disk beside the database said.
    pub(super) fn unavailable(&self, error: &std::io::Error) -> StoreError {
        StoreError::Unavailable {
            cause: Cause::from(error),
            at: self.path.clone(),
            detail: error.to_string(),
        }
    }

    fn current(&self) -> Result<Arc<Database>, StoreError> {
        let mut current = self.lock();
        if let Some(db) = &*current {
            return Ok(Arc::clone(db));
        }
        let db = (self.open)().map_err(|error| self.store_error(&error.into()))?;
        if database::id(&db).map_err(|error| self.store_error(&error))? != Some(self.id) {
            return Err(self.corrupt("another database was put in its place"));
        }
        let db = Arc::new(db);
        *current = Some(Arc::clone(&db));
        Ok(db)
    }

    fn store_error(&self, error: &redb::Error) -> StoreError {
        let cause = match error {
            redb::Error::Io(error) if !database::is_damage(error) => Cause::from(error),
            redb::Error::Io(error) => return self.corrupt(&error.to_string()),
            error if breaks(error) => Cause::Io,
            // Another thread is about to let go of it.
            redb::Error::DatabaseAlreadyOpen => Cause::Io,
            error => return self.corrupt(&error.to_string()),
        };
        StoreError::Unavailable {
            cause,
            at: self.path.clone(),
            detail: error.to_string(),
        }
    }

    // A panic cannot leave this state half changed, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Option<Arc<Database>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Whether redb works no more after this error.
fn breaks(error: &redb::Error) -> bool {
    matches!(
        error,
        redb::Error::Io(_)
            | redb::Error::PreviousIo
            | redb::Error::DatabaseClosed
            | redb::Error::LockPoisoned(_)
    )
}
