//! Directories with tokens, in memory only.
//!
//! Owns where they are, who can see them, and how those go whose updater was killed. A directory is held by a lock on it for as long as a
//! process uses it; the kernel takes the lock from a process that dies, so what is not locked belongs to nobody. Must never put a token on
//! a disk, nor where another user can exchange a file.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, fchmod, flock, fstat, mkdir, open, statfs};
use rustix::process::geteuid;
use tokend_client::AccountName;

use crate::failure::{Exit, Failure};
use crate::secret_file::SecretFile;
use crate::{trust, words};

/// What the kernel calls tmpfs.
const TMPFS: i64 = 0x0102_1994;
/// How the names begin, before the user.
const PREFIX: &str = "tokenctl-exec-";
/// Attempts at a name that nobody has; the names are random, so that a second is all but never needed.
const ATTEMPTS: usize = 8;
/// Whose file it is alone.
const MODE: u32 = 0o600;

/// The directory in which directories with tokens are made.
#[derive(Debug)]
pub(crate) struct Runtime {
    base: PathBuf,
}

impl Runtime {
    /// Finds it, and removes what was left there by updaters that were killed.
    pub(crate) fn find() -> Result<Self, Failure> {
        Self::among(candidates())
    }

    fn among(places: Vec<PathBuf>) -> Result<Self, Failure> {
        let (usable, others): (Vec<_>, Vec<_>) = places
            .into_iter()
            .partition(|place| is_on_tmpfs(place) && trust::keeps_what_is_in(place));
        for place in &usable {
            remove_left_over(place);
        }
        let base = usable.into_iter().next();
        base.map(|base| Self { base }).ok_or_else(|| {
            let others: Vec<_> = others.iter().map(|it| shown(it)).collect();
            Failure::new(
                Exit::Io,
                format!(
                    "no directory is in memory only (tmpfs) and safe from other users: looked at {}",
                    others.join(", ")
                ),
                "set XDG_RUNTIME_DIR to a directory of yours on tmpfs, or use --fd",
            )
        })
    }

    /// A new directory, which this process holds.
    pub(super) fn make(&self) -> Result<TokenDirectory, Failure> {
        let failed = |error: io::Error| {
            Failure::new(
                Exit::Io,
                format!(
                    "cannot make a directory for tokens in {}: {error}",
                    shown(&self.base)
                ),
                "make room there, or use --fd",
            )
        };
        for _ in 0..ATTEMPTS {
            let path = self.base.join(name().map_err(failed)?);
            match mkdir(&path, Mode::RWXU) {
                Ok(()) => {}
                Err(rustix::io::Errno::EXIST) => continue,
                Err(error) => return Err(failed(error.into())),
            }
            // Until it is held, another start of tokenctl may take it for one that was left over.
            match TokenDirectory::hold(path) {
                Ok(directory) => return Ok(directory),
                Err(error) if is_taken(&error) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(failed(io::ErrorKind::AlreadyExists.into()))
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::WouldBlock
    )
}

/// A directory with tokens. Dropping it leaves it to the other processes that hold it.
#[derive(Debug)]
pub(super) struct TokenDirectory {
    path: PathBuf,
    _held: File,
}

impl TokenDirectory {
    /// Holds a directory that is there.
    pub(super) fn hold(path: PathBuf) -> io::Result<Self> {
        let held = open_directory(&path)?;
        flock(&held, FlockOperation::NonBlockingLockShared)?;
        if fstat(&held)?.st_nlink == 0 {
            return Err(io::ErrorKind::NotFound.into());
        }
        // Whatever the caller's mask is.
        fchmod(&held, Mode::RWXU)?;
        Ok(Self { path, _held: held })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the token of this account is.
    pub(super) fn path_of(&self, account: &AccountName) -> PathBuf {
        self.path.join(account.as_str())
    }

    pub(super) fn file_of(&self, account: &AccountName) -> SecretFile {
        SecretFile::new(self.path_of(account), MODE, None)
    }

    /// Removes it with everything in it.
    pub(super) fn remove(self) {
        remove(&self.path);
    }
}

/// Where to look, the first one first: what is said of a session, where it is without a session, and what every machine has.
fn candidates() -> Vec<PathBuf> {
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let named = named.filter(|place| place.is_absolute());
    let of_user = PathBuf::from(format!("/run/user/{}", geteuid().as_raw()));
    let mut all: Vec<_> = named.into_iter().chain([of_user]).collect();
    all.push(PathBuf::from("/dev/shm"));
    all
}

fn is_on_tmpfs(place: &Path) -> bool {
    // The width of the field differs by architecture.
    statfs(place).is_ok_and(|found| i128::from(found.f_type) == i128::from(TMPFS))
}

/// A name that nobody can guess: in a directory that all users share, another could take it first.
fn name() -> io::Result<String> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let random = u64::from_ne_bytes(bytes);
    Ok(format!("{PREFIX}{}-{random:016x}", geteuid().as_raw()))
}

/// The directories with tokens that no process holds: this user's, and for root those of every user.
pub(crate) fn left_over() -> Vec<PathBuf> {
    let mut places = candidates();
    if geteuid().is_root() {
        let of_users = fs::read_dir("/run/user").into_iter().flatten().flatten();
        places.extend(of_users.map(|entry| entry.path()));
    }
    places.sort();
    places.dedup();
    let places = places.iter().filter(|place| is_on_tmpfs(place));
    places
        .flat_map(|place| abandoned(place, geteuid().is_root()))
        .collect()
}

/// Removes the directories of this user that no process holds.
fn remove_left_over(base: &Path) {
    for directory in abandoned(base, false) {
        remove(&directory);
    }
}

/// The directories that no process holds: of this user, or of every user.
fn abandoned(base: &Path, of_all: bool) -> Vec<PathBuf> {
    let start = match of_all {
        true => PREFIX.to_owned(),
        false => format!("{PREFIX}{}-", geteuid().as_raw()),
    };
    let is_left = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(&start))
            && open_directory(path).is_ok_and(|directory| {
                let is_ours = of_all || directory.metadata().is_ok_and(|it| is_mine(&it));
                is_ours && flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok()
            })
    };
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(is_left).collect()
}

fn is_mine(found: &Metadata) -> bool {
    found.uid() == geteuid().as_raw()
}

/// What cannot be removed is found again by the next start.
fn remove(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        drop(fs::remove_file(entry.path()));
    }
    drop(fs::remove_dir(directory));
}

fn open_directory(path: &Path) -> io::Result<File> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?.into())
}

fn shown(path: &Path) -> String {
    words::plain(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_goes_when_nobody_holds_it_and_not_before() {
        let base = tempfile::tempdir().unwrap();
        let runtime = Runtime {
            base: base.path().to_owned(),
        };
        let directory = runtime.make().unwrap();
        let mode = fs::metadata(directory.path()).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
        let account = "ads".parse().unwrap();
        directory.file_of(&account).write(b"secret").unwrap();
        let file = directory.path_of(&account);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let again = TokenDirectory::hold(directory.path().to_owned()).unwrap();
        drop(directory);
        remove_left_over(base.path());
        assert_eq!(fs::read(&file).unwrap(), b"secret");
        assert!(abandoned(base.path(), true).is_empty(), "it is held");
        let other = runtime.make().unwrap();
        drop(again);
        remove_left_over(base.path());
        assert!(!file.exists());
        let left = fs::read_dir(base.path()).unwrap().count();
        assert_eq!(left, 1, "the held one");
        other.remove();
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_place_on_a_disk_or_open_to_others_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let memory = tempfile::tempdir_in("/dev/shm").unwrap();
        let open = memory.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        let places = vec![PathBuf::from("/proc"), open, memory.path().join("absent")];
        let refused = Runtime::among(places.clone()).unwrap_err().in_one_line();
        for place in &places {
            assert!(refused.contains(place.to_str().unwrap()), "{refused}");
        }
        let places = [places, vec![memory.path().to_owned()]].concat();
        assert_eq!(Runtime::among(places).unwrap().base, memory.path());
    }

    #[test]
    fn what_is_not_tokenctls_own_stays() {
        let base = tempfile::tempdir().unwrap();
        let ours = format!("{PREFIX}{}-", geteuid().as_raw());
        let target = base.path().join("target");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("file"), "").unwrap();
        std::os::unix::fs::symlink(&target, base.path().join(format!("{ours}link"))).unwrap();
        fs::write(base.path().join(format!("{ours}file")), "").unwrap();
        fs::create_dir(base.path().join(format!("{PREFIX}4242424-0"))).unwrap();
        remove_left_over(base.path());
        assert!(target.join("file").exists());
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 4);
    }
}
