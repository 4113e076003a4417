//! Disk space kept for outcomes.
//!
//! Owns one file that takes space and holds nothing. An attempt begins only while the file exists, and an outcome that finds the disk
//! full gets its space: a rotated refresh token must not be lost because the intent was the last thing to fit.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FallocateFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::error::StoreFailure;
use crate::sizes::MAX_RECORD_BYTES;

/// Four of the largest records, more than a transaction with one of them rewrites.
const ROOM: usize = 4 * MAX_RECORD_BYTES;

/// The file, and whether it is there.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    kept: Mutex<bool>,
}

impl Reserve {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            kept: Mutex::new(false),
        }
    }

    /// Makes sure that the file is there. Only a full disk is an error: writes report whatever else is wrong.
    pub(super) fn keep(&self) -> io::Result<()> {
        let mut kept = self.lock();
        if *kept {
            return Ok(());
        }
        match self.take_room() {
            Ok(()) => *kept = true,
            Err(error) if StoreFailure::from(&error) == StoreFailure::DiskFull => {
                // Half a reserve is useless, and others need its space.
                let _gone = fs::remove_file(&self.path);
                return Err(error);
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// Frees the space for the next write. False if there was none.
    pub(super) fn spend(&self) -> bool {
        let mut kept = self.lock();
        std::mem::take(&mut *kept) && fs::remove_file(&self.path).is_ok()
    }

    fn take_room(&self) -> io::Result<()> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(&self.path, flags, Mode::RUSR | Mode::WUSR)?;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, ROOM as u64) {
            Err(Errno::OPNOTSUPP) => File::from(file).write_all(&vec![0; ROOM]),
            done => Ok(done?),
        }
    }

    // A panic cannot leave this state half changed, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_once_given_once_and_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reserve");
        let reserve = Reserve::new(path.clone());
        assert!(!reserve.spend(), "nothing was kept yet");
        for _ in 0..2 {
            reserve.keep().unwrap();
            assert_eq!(fs::metadata(&path).unwrap().len(), ROOM as u64);
            reserve.keep().unwrap();
            assert!(reserve.spend() && !path.exists());
            assert!(!reserve.spend());
        }
    }

    #[test]
    fn only_a_full_disk_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(dir.path().join("no/such/folder/reserve"));
        reserve.keep().unwrap();
        assert!(!reserve.spend());
        for full in [Errno::NOSPC, Errno::DQUOT, Errno::FBIG] {
            assert_eq!(StoreFailure::from(&full.into()), StoreFailure::DiskFull);
        }
        assert_eq!(StoreFailure::from(&Errno::IO.into()), StoreFailure::Io);
    }
}
