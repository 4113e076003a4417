//! Where a sealing key comes from: a systemd credential, or a file of the daemon that is made at the first start.
//!
//! Must never make a key while there is a database sealed with another, nor accept one that others may have read.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use crate::error::{KeyError, failed};
use crate::seal::SealingKey;
use crate::sizes::KEY_BYTES;
use crate::state_dir::{StateDir, sync_dir};

impl SealingKey {
    /// Reads the credential `name` from `dir`, which is `$CREDENTIALS_DIRECTORY` (systemd.exec(5)). `None` when there is no such
    /// credential.
    ///
    /// Owner and mode are not checked: systemd sets them, with an access list that looks like group bits.
    ///
    /// # Errors
    /// When it is not a regular file, is not 32 bytes long, or cannot be read.
    pub fn from_credentials_dir(dir: &Path, name: &str) -> Result<Option<Self>, KeyError> {
        let path = dir.join(name);
        let opened = open(&path)?;
        opened.map(|(file, _)| read(&file, &path)).transpose()
    }

    /// Reads a key file. `None` when there is none.
    ///
    /// # Errors
    /// When it is a link, belongs to another user, is open to group or others, or is not 32 bytes long; and when the system refuses.
    pub fn from_file(path: &Path) -> Result<Option<Self>, KeyError> {
        let file = open_own(None, path)?;
        file.map(|file| read(&file, path)).transpose()
    }

    /// Reads the key file, or makes it when there is neither a key nor anything sealed with one in the state directory.
    ///
    /// # Errors
    /// When the key is missing but there is a database; when the file is a link, belongs to another user, is open to group or
    /// others, or is not 32 bytes long; and when the system refuses.
    pub fn load_or_create(path: &Path, state: &StateDir) -> Result<Self, KeyError> {
        if let Some(key) = Self::from_file(path)? {
            return Ok(key);
        }
        let missing = || KeyError::Missing {
            path: path.to_owned(),
            dir: state.path().to_owned(),
        };
        if state.layout.holds_data() {
            return Err(missing());
        }
        match create(path) {
            Ok(()) | Err(KeyError::Exists { .. }) => {}
            Err(error) => return Err(error),
        }
        // Read back, so that a key made by someone else a moment earlier is the one that counts.
        Self::from_file(path)?.ok_or_else(missing)
    }
}

/// Makes a new key in a file of its own that only its owner can read.
///
/// # Errors
/// When the file exists, which is left alone, and when the system refuses.
pub fn make_key_file(path: &Path) -> Result<(), KeyError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(KeyError::Exists(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        Err(error) => Err(failed("look at", path)(error).into()),
    }
}

/// Removes unfinished key files that a crash or an error left beside `path`: nothing is ever sealed with them. One that cannot be
/// removed does no harm.
pub(crate) fn remove_half_made(path: &Path) {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return;
    };
    let Ok(entries) = fs::read_dir(parent(path)) else {
        return;
    };
    for entry in entries.flatten() {
        if entry
            .file_name()
            .to_str()
            .is_some_and(|file| is_half_made(file, name))
        {
            let _left = fs::remove_file(entry.path());
        }
    }
}

/// Whether a file has a name made by [`beside`].
pub(crate) fn is_half_made(file: &str, name: &str) -> bool {
    let rest = file.strip_prefix(name).unwrap_or_default();
    let rest = rest.strip_prefix(".next").unwrap_or(rest);
    let digits = rest
        .strip_prefix('.')
        .and_then(|rest| rest.strip_suffix(".new"));
    digits.is_some_and(|digits| {
        digits.len() == SUFFIX_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

/// The length of the random part of such a name.
const SUFFIX_DIGITS: usize = 16;

/// Opens a key file of our own, or of the other user.
pub(crate) fn open_own(other: Option<u32>, path: &Path) -> Result<Option<File>, KeyError> {
    let Some((file, metadata)) = open(path)? else {
        return Ok(None);
    };
    let us = rustix::process::geteuid().as_raw();
    let us = other.filter(|uid| *uid == metadata.uid()).unwrap_or(us);
    check_access(path, metadata.uid(), metadata.mode(), us)?;
    Ok(Some(file))
}

/// Refuses a key that another user owns or may have read.
fn check_access(path: &Path, owner: u32, mode: u32, us: u32) -> Result<(), KeyError> {
    if owner != us {
        return Err(KeyError::WrongOwner {
            path: path.to_owned(),
            owner,
            us,
        });
    }
    if mode & 0o077 != 0 {
        return Err(KeyError::TooOpen {
            path: path.to_owned(),
            mode: mode & 0o7777,
        });
    }
    Ok(())
}

/// Opens a regular file; never through a link, and without waiting, as a pipe would make us.
fn open(path: &Path) -> Result<Option<(File, Metadata)>, KeyError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(rustix::io::Errno::LOOP) => {
            return Err(KeyError::NotAFile(path.to_owned()));
        }
        Err(error) => return Err(failed("open the sealing key", path)(error.into()).into()),
    };
    let metadata = file
        .metadata()
        .map_err(failed("look at the sealing key", path))?;
    if !metadata.is_file() {
        return Err(KeyError::NotAFile(path.to_owned()));
    }
    Ok(Some((file, metadata)))
}

fn read(file: &File, path: &Path) -> Result<SealingKey, KeyError> {
    SealingKey::from_bytes(&read_bytes(file, path)?)
}

pub(crate) fn read_bytes(file: &File, path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyError> {
    // Reads one byte more than a key, to notice a longer file; with room for it all, so that the vector never moves.
    let mut bytes = Zeroizing::new(Vec::with_capacity(4 * KEY_BYTES));
    file.take(KEY_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed("read the sealing key", path))?;
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if bytes.len() != KEY_BYTES {
        return Err(KeyError::WrongLength {
            path: path.to_owned(),
            bytes: bytes.len(),
            more: bytes.len() > KEY_BYTES,
        });
    }
    key.copy_from_slice(&bytes);
    Ok(key)
}

/// Makes a key file that is whole or missing, even after a power failure. An existing one is left alone.
///
/// On any error the file is removed: after a message that no key was made there must be none.
fn create(path: &Path) -> Result<(), KeyError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let mut suffix = [0; 8];
    aws_lc_rs::rand::fill(key.as_mut_slice()).map_err(|_| KeyError::NoRandomness)?;
    aws_lc_rs::rand::fill(&mut suffix).map_err(|_| KeyError::NoRandomness)?;
    let new = beside(path, u64::from_be_bytes(suffix));

    let named = write_new(&new, key.as_slice()).and_then(|()| name(&new, path));
    let gone = fs::remove_file(&new);
    named?;
    gone.map_err(failed("remove", &new))
        .and_then(|()| sync_dir(parent(path)).map_err(failed("make the sealing key durable", path)))
        .inspect_err(|_| {
            let _left = fs::remove_file(path);
        })?;
    Ok(())
}

/// Gives a durable key file its final name.
fn name(new: &Path, path: &Path) -> Result<(), KeyError> {
    fs::hard_link(new, path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyError::Exists(path.to_owned()),
        _ => failed("make the sealing key", path)(error).into(),
    })
}

fn write_new(path: &Path, key: &[u8]) -> Result<(), KeyError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let doing = "make the sealing key";
    let mut file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)
        .map(File::from)
        .map_err(|error| failed(doing, path)(error.into()))?;
    file.write_all(key).map_err(failed(doing, path))?;
    Ok(file.sync_all().map_err(failed(doing, path))?)
}

fn beside(path: &Path, suffix: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{suffix:0SUFFIX_DIGITS$x}.new"));
    name.into()
}

pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The path of the new key during a rotation.
pub(crate) fn next_to(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

#[cfg(test)]
mod tests;
