//! Follows a path by symbolic links that no other user can redirect.
//!
//! Owns the walk: step by step, each from the open descriptor of the step before, so that the directory that was checked is the one that
//! is used. Must never follow a link or a directory that other users can change.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::error::FileError;
use super::limits::MOST_LINKS;
use super::trust::{Trust, is_read_only};

/// Opens the target of `path` with `flags`, which must contain NOFOLLOW.
pub(super) fn open(path: &Path, trust: Trust, flags: OFlags) -> Result<File, FileError> {
    let mut walk = Walk::from_root(trust)?;
    let mut ahead = names(&std::path::absolute(path)?);
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        let found = rustix::fs::statat(walk.here(), &name, AtFlags::SYMLINK_NOFOLLOW)?;
        if let Some(step) = walk.changeable(&name, &found) {
            return Err(FileError::Symlink(step));
        }
        if FileType::from_raw_mode(found.st_mode) == FileType::Symlink {
            links += 1;
            if links > MOST_LINKS {
                return Err(FileError::TooManyLinks);
            }
            let target = rustix::fs::readlinkat(walk.here(), &name, Vec::new())?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            if target.is_absolute() {
                walk = Walk::from_root(trust)?;
            }
            for name in names(&target).into_iter().rev() {
                ahead.push_front(name);
            }
        } else if ahead.is_empty() {
            let file = rustix::fs::openat(walk.here(), &name, flags, Mode::empty())?;
            return Ok(File::from(file));
        } else {
            walk.enter(&name)?;
        }
    }
    // Only the root directory has no name.
    Err(FileError::NotAFile)
}

/// The directories on the path so far, each open.
struct Walk {
    trust: Trust,
    at: PathBuf,
    open: Vec<OwnedFd>,
    root: OwnedFd,
}

impl Walk {
    fn from_root(trust: Trust) -> Result<Self, Errno> {
        Ok(Self {
            trust,
            at: PathBuf::from("/"),
            open: Vec::new(),
            root: rustix::fs::open("/", DIRECTORY, Mode::empty())?,
        })
    }

    fn here(&self) -> &OwnedFd {
        self.open.last().unwrap_or(&self.root)
    }

    fn enter(&mut self, name: &OsString) -> Result<(), Errno> {
        if name == ".." {
            self.open.pop();
            self.at.pop();
            return Ok(());
        }
        let next = rustix::fs::openat(self.here(), name, DIRECTORY, Mode::empty())?;
        self.open.push(next);
        self.at.push(name);
        Ok(())
    }

    /// The part of the step to `name` that other users can change: the directory that holds it, or the link itself.
    fn changeable(&self, name: &OsString, found: &Stat) -> Option<PathBuf> {
        if matches!(self.trust, Trust::Mount(_)) && is_read_only(self.here().as_fd()) {
            return None;
        }
        let Ok(directory) = rustix::fs::fstat(self.here()) else {
            return Some(self.at.clone());
        };
        let is_ours = |owner: u32| match self.trust {
            Trust::Owner(user) | Trust::Mount(user) => [user, 0].contains(&owner),
            Trust::Manager => owner == 0,
        };
        // In a sticky directory like /tmp only the owner of an entry can rename it.
        let is_sticky = directory.st_mode & 0o1000 != 0;
        let is_open = directory.st_mode & 0o022 != 0 && !(is_sticky && is_ours(found.st_uid));
        if !is_ours(directory.st_uid) || is_open {
            return Some(self.at.clone());
        }
        let is_link = FileType::from_raw_mode(found.st_mode) == FileType::Symlink;
        (is_link && !is_ours(found.st_uid)).then(|| self.at.join(name))
    }
}

/// PATH, since a user who may traverse a directory need not be able to list it.
const DIRECTORY: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The steps of a path. `..` stays, since it goes back from the target of a link.
fn names(path: &Path) -> VecDeque<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    names.collect()
}
