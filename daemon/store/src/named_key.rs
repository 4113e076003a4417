//! A key file that an operator names, to seal the store with its key.
//!
//! Makes sure that the key is in its file when the store is sealed with it: finishing an interrupted rotation may remove or replace the
//! store's own key files, and anybody may replace theirs. Must never let a store be sealed with a key that only this process holds.

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

/// A key, and its file, which stays open.
pub struct NamedKey {
    key: SealingKey,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    file: File,
    path: PathBuf,
}

impl NamedKey {
    /// Reads a key file of our own, or of `other`: for root, who acts as that user afterwards.
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

    /// Refuses a key whose file was moved or changed since. A process that may not look up the path any more checks the open file.
    pub(crate) fn must_be_there(&self) -> Result<(), KeyError> {
        let ours = self
            .file
            .metadata()
            .map_err(failed("look at the sealing key", &self.path))?;
        let is_named = match fs::symlink_metadata(&self.path) {
            Ok(found) => FileId::of(&found) == FileId::of(&ours),
            Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
        };
        // One byte more than a key, to notice a longer file.
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

/// Refuses the store's own key file at `kept`, and the files beside it that a rotation makes: finishing an interrupted rotation may
/// remove or replace them. Links and other spellings of the path are recognised.
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

/// The path of a file, existing or not, with all links of its directory resolved.
fn place(path: &Path) -> Option<PathBuf> {
    Some(fs::canonicalize(parent(path)).ok()?.join(path.file_name()?))
}

/// Whether a file has the name of an unfinished key beside `kept`.
fn is_half_made_for(kept: &Path, named: &Path) -> bool {
    let Some((named, kept)) = place(named).zip(place(kept)) else {
        return false;
    };
    let name = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
    let names = name(&named).zip(name(&kept));
    parent(&named) == parent(&kept)
        && names.is_some_and(|(named, kept)| is_half_made(&named, &kept))
}
