//! Replacing the sealing key of a store nobody has open.
//!
//! Owns the order of the steps, so that a machine may die between any two: the new key is durable beside the old one before anything
//! is sealed with it, and takes the old one's place only after everything is. What a death left half done is finished, or undone, by
//! [`settle`] at the next start. Must never remove the last key that opens the store.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{OpenError, RotateError};
use crate::redb_store::{Opens, opened_by, reseal};
use crate::seal::{SealingKey, make_key_file, parent, sync_failed};
use crate::state_dir::{StateDir, sync_dir};

/// What became of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// So many records were sealed anew.
    Resealed(usize),
    /// The store was the new key's before.
    Already,
}

/// Makes a new key, seals the store with it, and puts it in the place of the key file at `path`.
///
/// # Errors
/// When the key or the store cannot be opened, or a record in it does not open; nothing was changed then. Also when the system refuses
/// half-way: a second call, or the next start, goes on where it ended.
pub fn rotate_key_file(state: &StateDir, path: &Path) -> Result<Rotated, RotateError> {
    must_hold_data(state)?;
    settle(state, path)?;
    let old = must_load(path)?;
    let next = next_to(path);
    make_key_file(&next)?;
    let new = must_load(&next)?;
    let count = reseal(state, &old, &new).inspect_err(|_| {
        // Nothing was sealed with it. If it cannot be removed, the next start does.
        let _left = fs::remove_file(&next);
    })?;
    take_place(&next, path)?;
    Ok(Rotated::Resealed(count))
}

/// Seals the store with a key that is kept elsewhere, such as a systemd credential. Call it again if it was interrupted.
///
/// # Errors
/// When the store opens with neither key, or a record in it does not open; nothing was changed then.
pub fn rotate_to(
    state: &StateDir,
    old: &SealingKey,
    new: &SealingKey,
) -> Result<Rotated, RotateError> {
    must_hold_data(state)?;
    match opened_by(state, old, new)? {
        Opens::New => Ok(Rotated::Already),
        // `reseal` says that the key is wrong.
        Opens::Old | Opens::Neither => reseal(state, old, new).map(Rotated::Resealed),
    }
}

/// Finishes or undoes a rotation of the key file at `path` that was interrupted. Does nothing where there was none.
///
/// # Errors
/// When the system refuses, or the store opens with neither key.
pub fn settle(state: &StateDir, path: &Path) -> Result<(), RotateError> {
    let next = next_to(path);
    let Some(new) = SealingKey::from_file(&next)? else {
        return Ok(());
    };
    let opens = match SealingKey::from_file(path)? {
        Some(old) => opened_by(state, &old, &new)?,
        None => opened_by(state, &new, &new)?.flip(),
    };
    match opens {
        Opens::New => take_place(&next, path),
        Opens::Old => {
            fs::remove_file(&next).map_err(sync_failed("remove", &next))?;
            sync_dir(parent(&next)).map_err(sync_failed("make durable the removal of", &next))?;
            Ok(())
        }
        Opens::Neither => Err(OpenError::WrongKey {
            path: state.path().to_owned(),
        }
        .into()),
    }
}

fn take_place(next: &Path, path: &Path) -> Result<(), RotateError> {
    fs::rename(next, path).map_err(sync_failed("put the new key in the place of", path))?;
    sync_dir(parent(path)).map_err(sync_failed("make durable the new", path))?;
    Ok(())
}

fn must_load(path: &Path) -> Result<SealingKey, RotateError> {
    SealingKey::from_file(path)?.ok_or_else(|| RotateError::NoKey {
        path: path.to_owned(),
    })
}

fn must_hold_data(state: &StateDir) -> Result<(), RotateError> {
    if state.holds_data() {
        return Ok(());
    }
    Err(RotateError::NoStore {
        dir: state.path().to_owned(),
    })
}

fn next_to(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

#[cfg(test)]
mod tests;
