//! Replacing the sealing key of a store that is not open.
//!
//! Owns the order of the steps, so that a machine may die between any two, and any of them may fail: the new key is durable beside the
//! old one before anything is sealed with it, and takes the old one's place only after everything is. An error out of a commit does not
//! say that nothing was sealed. So what a death or an error left half done is finished, or undone, by [`settle`] alone, which asks the
//! database anew. Must never remove a key before a transaction made with the other one is durable; and the old one
//! not before every record was written again, since what a failed commit left in memory may not be on the disk.

use std::fs;
use std::path::Path;

use crate::error::{KeyError, OpenError, RotateError, failed};
use crate::key_file::next_to;
use crate::key_file::{make_key_file, parent, remove_half_made};
use crate::named_key::NamedKey;
use crate::redb_store::{NotResealed, Opens, confirm, opened_by, reseal, write_again};
use crate::seal::SealingKey;
use crate::state_dir::{StateDir, sync_dir};

/// What became of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// So many records were sealed anew.
    Resealed(usize),
    /// The store was the new key's before.
    Already,
}

/// What an interrupted rotation of a key file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// There was none.
    Nothing,
    /// The store was the new key's, which took the old one's place.
    Finished,
    /// The store was still the old key's, and the new one was removed.
    Undone,
}

/// Makes a new key, seals the store with it, and puts it in the place of the key file at `path`.
///
/// # Errors
/// When the key or the store cannot be opened, or a record in it does not open; nothing was changed then. Also when the system refuses
/// half-way: both keys are kept, and a second call, or the next start, goes on where it ended.
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

/// Seals the store with a key that is kept elsewhere, such as a systemd credential. Call it again if it was interrupted.
///
/// # Errors
/// When the store opens with neither key, or a record in it does not open; nothing was changed then. Also when the disk fails, which
/// may leave it with either key.
pub fn rotate_to(
    state: &StateDir,
    old: &SealingKey,
    new: &SealingKey,
) -> Result<Rotated, RotateError> {
    must_hold_data(state)?;
    match opened_by(state, old, new)? {
        // An interrupted call may have left that unsettled, and the old key is about to be thrown away.
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

/// Seals the store with a named key, after a rotation of its own key file at `kept` is settled. Without `old`, that file's
/// key opens it.
///
/// # Errors
/// As [`rotate_to`] and [`settle`]; and when the new key is the store's own, or not in its file any more: nothing was sealed then.
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

/// Finishes or undoes a rotation of the key file at `path` that was interrupted. Does nothing where there was none.
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
            // What was read may never have reached the disk, where the old key's records would come back.
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
