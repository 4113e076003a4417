//! A key that an operator names, to seal the store with instead of its own.
//!
//! Owns that such a key is in a file when the store is sealed with it: what is settled before may remove or replace the store's own key
//! files, and anybody may replace theirs. Must never let a store be sealed with a key that only this process holds.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::{KeyError, RotateError, failed};
use crate::key_file::next_to;
use crate::key_file::{is_half_made, open_own, parent, read_bytes};
use crate::seal::SealingKey;
use crate::sizes::KEY_BYTES;
use crate::state_dir::FileId;

/// A key, and the file it was read from, which stays open.
pub struct NamedKey {
    key: SealingKey,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    file: File,
    path: PathBuf,
}

impl NamedKey {
    /// Reads a key file that is ours, or of `other`: for root, who acts as that user afterwards.
    ///
    /// # Errors
    /// As [`SealingKey::from_file`], and when there is none.
    pub fn read(path: &Path, other: Option<u32>) -> Result<Self, KeyError> {
        let file = open_own(other, path)?.ok_or_else(|| KeyError::NoSuchFile(path.to_owned()))?;
        let bytes = read_bytes(&file, path)?;
        Ok(Self {
            key: SealingKey::from_bytes(&bytes)?,
            bytes,
            file,
            path: path.to_owned(),
        })
    }

    /// The key.
    pub fn key(&self) -> &SealingKey {
        &self.key
    }

    /// Whether the file is still where it was and holds what was read. A process that may no longer look it up goes by the open file.
    pub(crate) fn must_be_there(&self) -> Result<(), KeyError> {
        let ours = self
            .file
            .metadata()
            .map_err(failed("look at the sealing key", &self.path))?;
        let is_named = match fs::symlink_metadata(&self.path) {
            Ok(found) => FileId::of(&found) == FileId::of(&ours),
            Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
        };
        // One byte more, to notice a longer file.
        let mut now = Zeroizing::new([0; KEY_BYTES + 1]);
        let count = self
            .file
            .read_at(now.as_mut_slice(), 0)
            .map_err(failed("read the sealing key", &self.path))?;
        let is_as_read = now.get(..count) == Some(self.bytes.as_slice());
        match ours.nlink() > 0 && is_named && is_as_read {
            true => Ok(()),
            false => Err(KeyError::Changed(self.path.clone())),
        }
    }
}

/// Refuses a key file that is the store's own at `kept`, or one beside it that a rotation of that makes: whatever settles an interrupted
/// rotation may remove or replace those. Neither a link nor another way to write the path hides that.
///
/// # Errors
/// [`RotateError::OwnKey`], which says what to do instead.
pub fn must_be_elsewhere(kept: &Path, named: &Path) -> Result<(), RotateError> {
    let own = [kept.to_owned(), next_to(kept)];
    let file = |path: &Path| fs::metadata(path).ok().map(|found| FileId::of(&found));
    let (found, placed) = (file(named), place(named));
    let is_own = own.iter().any(|own| {
        (found.is_some() && found == file(own)) || (placed.is_some() && placed == place(own))
    });
    match is_own || is_half_made_for(kept, named) {
        true => Err(RotateError::OwnKey(named.to_owned())),
        false => Ok(()),
    }
}

/// Where a file is, or would be, by whatever links lead to its directory.
fn place(path: &Path) -> Option<PathBuf> {
    Some(fs::canonicalize(parent(path)).ok()?.join(path.file_name()?))
}

/// Whether a file has a name that is swept away beside `kept`.
fn is_half_made_for(kept: &Path, named: &Path) -> bool {
    let Some((named, kept)) = place(named).zip(place(kept)) else {
        return false;
    };
    let name = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
    let names = name(&named).zip(name(&kept));
    parent(&named) == parent(&kept)
        && names.is_some_and(|(named, kept)| is_half_made(&named, &kept))
}
