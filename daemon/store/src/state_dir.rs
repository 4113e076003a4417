//! The directory of a store: who owns it, who holds it, and whether it has held a database before.
//!
//! Must never let two daemons in, nor take a missing database for a first start.

use std::fmt;
use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::error::{OpenError, failed};

const DATABASE: &str = "tokend.redb";
const NEW_DATABASE: &str = "tokend.redb.new";
const MARKER: &str = "tokend.marker";
const NEW_MARKER: &str = "tokend.marker.new";
const RESERVE: &str = "tokend.reserve";
const LOCK: &str = "tokend.lock";

/// A state directory that this process has locked, until this is dropped.
#[derive(Debug)]
pub struct StateDir {
    pub(crate) layout: Layout,
    _lock: File,
}

/// The paths in a state directory, also for a process that has not locked it and only looks.
#[derive(Debug)]
pub(crate) struct Layout {
    path: PathBuf,
}

impl StateDir {
    /// Makes the directory if it is missing (mode 0700, as its missing parents), checks it, and locks it.
    ///
    /// # Errors
    /// When it is no directory, belongs to another user, is open to group or others, is in use by another daemon, or the
    /// system refuses.
    pub fn acquire(dir: &Path) -> Result<Self, OpenError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .or_else(|error| match error.kind() {
                // The check below has a better message.
                io::ErrorKind::AlreadyExists => Ok(()),
                _ => Err(failed("make the state directory", dir)(error)),
            })?;
        let metadata = fs::metadata(dir).map_err(failed("look at the state directory", dir))?;
        check_directory(dir, &metadata)?;
        Ok(Self {
            layout: Layout::of(dir),
            _lock: lock(dir)?,
        })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.layout.path
    }

    /// Records durably that this directory holds a store. Call it only once the database is durable.
    pub(crate) fn write_marker(&self, store: &StoreId) -> Result<(), OpenError> {
        let (path, new) = (self.layout.marker(), self.layout.path.join(NEW_MARKER));
        let write = || {
            // Left by a crash, or anything else in the way.
            remove_if_there(&new)?;
            let mut file = File::create_new(&new)?;
            writeln!(file, "{store}")?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            sync_dir(&self.layout.path)
        };
        Ok(write().map_err(failed("write the marker", &path))?)
    }
}

impl Layout {
    pub(crate) fn of(dir: &Path) -> Self {
        Self {
            path: dir.to_owned(),
        }
    }

    /// Whether there is a database, or was one once.
    pub(crate) fn holds_data(&self) -> bool {
        // Anything but "not there" counts as there: when in doubt, no key is made anew.
        [self.database(), self.marker()]
            .iter()
            .any(|path| !matches!(fs::symlink_metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound))
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    pub(crate) fn new_database(&self) -> PathBuf {
        self.path.join(NEW_DATABASE)
    }

    pub(crate) fn reserve(&self) -> PathBuf {
        self.path.join(RESERVE)
    }

    pub(crate) fn marker(&self) -> PathBuf {
        self.path.join(MARKER)
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.path.join(LOCK)
    }

    /// Whether there is a database. If one is missing or empty although there is a marker, or the reserve that comes with the first
    /// attempt, that is an error.
    pub(crate) fn has_database(&self, is_marked: bool) -> Result<bool, OpenError> {
        let (path, reserve) = (self.database(), self.reserve());
        let length = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(failed("look at the database", &path)(error).into()),
        };
        let marker = match length {
            1.. => return Ok(true),
            0 if is_marked => self.marker(),
            0 if reserve.try_exists().map_err(failed("look at", &reserve))? => reserve,
            0 => return Ok(false),
        };
        Err(OpenError::Missing { path, marker })
    }

    /// The store this directory has held, or `None` when it has not held one.
    pub(crate) fn read_marker(&self) -> Result<Option<StoreId>, OpenError> {
        let path = self.marker();
        let mut text = Vec::new();
        match open_regular(&path).and_then(|file| file.take(256).read_to_end(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read the marker", &path)(error).into()),
        }
        StoreId::parse(&String::from_utf8_lossy(&text))
            .map(Some)
            .ok_or(OpenError::BadMarker(path))
    }
}

/// Removes a file, which need not be there.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Opens a regular file to read it, without waiting.
fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::other("it is not a regular file"))
}

/// Refuses anything but a directory of this process's user alone.
pub(crate) fn check_directory(dir: &Path, found: &Metadata) -> Result<(), OpenError> {
    if !found.is_dir() {
        return Err(OpenError::NotADirectory(dir.to_owned()));
    }
    let us = rustix::process::geteuid().as_raw();
    check_access(dir, found.uid(), found.mode(), us)
}

/// Refuses a directory another user owns or can enter.
fn check_access(dir: &Path, owner: u32, mode: u32, us: u32) -> Result<(), OpenError> {
    if owner != us {
        return Err(OpenError::WrongOwner {
            dir: dir.to_owned(),
            owner,
            us,
        });
    }
    if mode & 0o077 != 0 {
        return Err(OpenError::TooOpen {
            dir: dir.to_owned(),
            mode: mode & 0o7777,
        });
    }
    Ok(())
}

/// Takes the lock, which the kernel releases when the process ends. The file stays: removing it would let two in.
fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)
        .map(File::from)
        .map_err(|error| failed("open the lock", &path)(error.into()))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            return Err(OpenError::InUse {
                dir: dir.to_owned(),
                pid: read_pid(&mut file),
            });
        }
        Err(error) => return Err(failed("lock", &path)(error.into()).into()),
    }
    // The pid only helps people, so a full disk must not keep us from starting.
    let _told = write_pid(&mut file);
    Ok(file)
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// The identity of a file, whatever its name: its file system and inode.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

impl FileId {
    pub(crate) fn of(found: &Metadata) -> Self {
        Self(found.dev(), found.ino())
    }
}

/// Makes changed names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The identity of a store. No secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoreId([u8; 16]);

impl StoreId {
    pub(crate) fn random() -> Result<Self, OpenError> {
        let mut bytes = [0; 16];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| OpenError::NoRandomness)?;
        Ok(Self(bytes))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end().strip_prefix("tokend store ")?;
        if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(digits, 16)
            .ok()
            .map(|number| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tokend store {:032x}", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_another_user_or_open_to_others_is_refused() {
        let dir = Path::new("/var/lib/tokend");
        assert!(check_access(dir, 1000, 0o40700, 1000).is_ok());
        assert!(matches!(
            check_access(dir, 0, 0o40700, 1000),
            Err(OpenError::WrongOwner {
                owner: 0,
                us: 1000,
                ..
            })
        ));
        for mode in [0o40710, 0o40701, 0o40750, 0o40777] {
            let error = check_access(dir, 1000, mode, 1000).unwrap_err();
            assert!(matches!(error, OpenError::TooOpen { .. }));
            assert!(error.to_string().contains("chmod 700"));
        }
    }

    #[test]
    fn a_store_id_survives_its_text() {
        let id = StoreId::random().unwrap();
        assert_eq!(StoreId::parse(&format!("{id}\n")), Some(id));
        for bad in [
            "",
            "tokend store",
            "tokend store 12",
            "tokend store +0000000000000000000000000000000",
        ] {
            assert_eq!(StoreId::parse(bad), None, "{bad}");
        }
    }
}
