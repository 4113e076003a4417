//! Replacing the sealing key of a store that is not open.
//!
//! Owns the order of the steps, so that the machine may crash between any two and each may fail: the new key is durable beside the old
//! one before anything is sealed with it, and replaces it only after everything is. A failed commit may still have been carried out, so
//! only [`settle`], which asks the database again, finishes or undoes what was interrupted. Must never remove a key before a transaction
//! with the other one is durable, nor the old one before every record was written again: what a failed commit left in memory may not be
//! on disk.

use std::fs;
use std::path::Path;

use crate::error::{KeyError, OpenError, RotateError, failed};
use crate::key_file::next_to;
use crate::key_file::{make_key_file, parent, remove_half_made};
use crate::named_key::NamedKey;
use crate::redb_store::{NotResealed, Opens, confirm, opened_by, reseal, write_again};
use crate::seal::SealingKey;
use crate::state_dir::{StateDir, sync_dir};

/// The result of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// So many records were sealed with the new key.
    Resealed(usize),
    /// The store was sealed with the new key already.
    Already,
}

/// The result of settling an interrupted rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// There was none.
    Nothing,
    /// The store was sealed with the new key, which replaced the old one.
    Finished,
    /// The store was sealed with the old key, and the new one was removed.
    Undone,
}

/// Makes a new key, seals the store with it, and replaces the key file at `path` with it.
///
/// # Errors
/// When the key, the store or a record in it cannot be opened; nothing was changed then. Also when the system refuses half-way: both
/// keys are kept, and a second call, or the next start, continues.
pub fn rotate_key_file(state: &StateDir, path: &Path) -> Result<Rotated, RotateError> {
    must_hold_data(state)?;
    settle(state, path)?;
    let old = must_load(path)?;
    let next = next_to(path);
    make_key_file(&next)?;
    let new = must_load(&next)?;
    match reseal(state, &old, &new) {
        Ok(count) => {
            take_place(&next, path).map_err(|source| RotateError::NotInPlace {
                path: path.to_owned(),
                next,
                source: Box::new(source),
            })?;
            Ok(Rotated::Resealed(count))
        }
        Err(NotResealed::Unchanged(error)) => {
            // If that cannot be done now, the next start does it.
            let _left = settle(state, path);
            Err(error)
        }
        Err(NotResealed::InDoubt(source)) => Err(RotateError::InDoubt {
            path: path.to_owned(),
            next,
            source: Box::new(source),
        }),
    }
}

/// Seals the store with a key from elsewhere, such as a systemd credential. Call it again if it was interrupted.
///
/// # Errors
/// When the store opens with neither key, or a record does not open; nothing was changed then. Also when the disk fails, after which the
/// store may have either key.
pub fn rotate_to(
    state: &StateDir,
    old: &SealingKey,
    new: &SealingKey,
) -> Result<Rotated, RotateError> {
    must_hold_data(state)?;
    match opened_by(state, old, new)? {
        // An interrupted call may have left this unsettled, and the operator is about to throw the old key away.
        Opens::New => {
            write_again(state, old, new)?;
            Ok(Rotated::Already)
        }
        // `reseal` says that the key is wrong.
        Opens::Old | Opens::Neither => match reseal(state, old, new) {
            Ok(count) => Ok(Rotated::Resealed(count)),
            Err(NotResealed::Unchanged(error)) => Err(error),
            Err(NotResealed::InDoubt(source)) => Err(RotateError::InDoubtElsewhere {
                source: Box::new(source),
            }),
        },
    }
}

/// Seals the store with a named key, after settling a rotation of its own key file at `kept`. Without `old`, the key in that file opens
/// it.
///
/// # Errors
/// As [`rotate_to`] and [`settle`]; and when the new key is no longer in its file: nothing was sealed then.
pub fn rotate_to_named(
    state: &StateDir,
    kept: &Path,
    old: Option<&SealingKey>,
    new: &NamedKey,
) -> Result<Rotated, RotateError> {
    settle(state, kept)?;
    new.must_be_there()?;
    match old {
        Some(old) => rotate_to(state, old, new.key()),
        None => rotate_to(state, &must_load(kept)?, new.key()),
    }
}

/// Finishes or undoes an interrupted rotation of the key file at `path`, if there was one.
///
/// # Errors
/// When the system refuses, or the store opens with neither key. Both are kept then.
pub fn settle(state: &StateDir, path: &Path) -> Result<Settled, RotateError> {
    remove_half_made(path);
    let next = next_to(path);
    let Some(new) = SealingKey::from_file(&next)? else {
        return Ok(Settled::Nothing);
    };
    let old = SealingKey::from_file(path)?;
    let known = old.as_ref().unwrap_or(&new);
    match (opened_by(state, known, &new)?, &old) {
        // Without the old key, the new one was asked for twice.
        (Opens::New, _) | (Opens::Old, None) => {
            // What was read may never have reached the disk, and after a crash the old key's records would be back.
            write_again(state, known, &new)?;
            take_place(&next, path)?;
            Ok(Settled::Finished)
        }
        (Opens::Old, Some(_)) => {
            confirm(state)?;
            remove_for_good(&next)?;
            Ok(Settled::Undone)
        }
        (Opens::Neither, _) => Err(OpenError::WrongKey(state.path().to_owned()).into()),
    }
}

fn take_place(next: &Path, path: &Path) -> Result<(), KeyError> {
    fs::rename(next, path).map_err(failed("put the new key in the place of", path))?;
    sync_dir(parent(path)).map_err(failed("make durable the new", path))?;
    Ok(())
}

fn remove_for_good(next: &Path) -> Result<(), KeyError> {
    fs::remove_file(next).map_err(failed("remove", next))?;
    sync_dir(parent(next)).map_err(failed("make durable the removal of", next))?;
    Ok(())
}

fn must_load(path: &Path) -> Result<SealingKey, RotateError> {
    SealingKey::from_file(path)?.ok_or_else(|| RotateError::NoKey(path.to_owned()))
}

fn must_hold_data(state: &StateDir) -> Result<(), RotateError> {
    if state.layout.holds_data() {
        return Ok(());
    }
    Err(RotateError::NoStore(state.path().to_owned()))
}

#[cfg(test)]
mod tests;
