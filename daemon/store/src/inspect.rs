//! What would prevent a store from being opened, as far as can be seen without opening it.
//!
//! Owns the questions of `tokend check` about a state directory: those of an open, in the same words, for the current user. Must never
//! lock, make, change or wait for anything: a daemon may have the store open.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, StatxFlags, statx};

use crate::error::{KeyError, OpenError, failed};
use crate::key_file::next_to;
use crate::redb_store::looks_like_a_database;
use crate::seal::SealingKey;
use crate::state_dir::{Layout, check_directory};

/// Why an open would be refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The state directory or the database in it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The sealing key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// What would prevent this process's user from opening the store in `dir`. `key` is its key file, if it has one.
#[must_use]
pub fn inspect(dir: &Path, key: Option<&Path>) -> Vec<Refusal> {
    match directory(dir) {
        Err(error) => vec![error.into()],
        Ok(false) => Vec::new(),
        Ok(true) => {
            let state = Layout::of(dir);
            let questions = [
                lock(dir).map_err(Refusal::from),
                database(&state).map_err(Refusal::from),
                key.map_or(Ok(()), |key| sealing_key(&state, dir, key))
                    .map_err(Refusal::from),
            ];
            questions.into_iter().filter_map(Result::err).collect()
        }
    }
}

/// Whether a process holds the lock of the state directory, by the kernel's list of locks. Trying the lock could disturb a daemon that
/// is just starting.
#[must_use]
pub fn is_held(dir: &Path) -> bool {
    let Ok(lock) = fs::symlink_metadata(Layout::of(dir).lock()) else {
        return false;
    };
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    is_locked(&locks, lock.ino(), device(&Layout::of(dir).lock()))
}

/// Whether a list of locks contains a file, by its inode and, where known, the device of its file system.
fn is_locked(locks: &str, inode: u64, device: Option<(u32, u32)>) -> bool {
    // `1: FLOCK  ADVISORY  WRITE 4711 00:2f:1234 0 EOF`, with the device in hexadecimal digits.
    locks.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let is_one = words.next() == Some("FLOCK");
        let mut file = words.nth(3).unwrap_or_default().split(':');
        let mut part = |radix| u64::from_str_radix(file.next()?, radix).ok();
        let (major, minor, held) = (part(16), part(16), part(10));
        let is_there =
            device.is_none_or(|(of, at)| (major, minor) == (Some(of.into()), Some(at.into())));
        is_one && held == Some(inode) && is_there
    })
}

/// The device of a file's file system, as in the kernel's lists. stat(2) says something else on file systems with several, such as
/// btrfs.
fn device(path: &Path) -> Option<(u32, u32)> {
    let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::MNT_ID).ok()?;
    let has_mount = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::MNT_ID);
    let mount = has_mount.then(|| found.stx_mnt_id.to_string())?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    // `36 35 98:0 / /mnt rw ...`
    mounts.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (id, device) = (words.next()?, words.nth(1)?);
        let (major, minor) = device.split_once(':').filter(|_| id == mount)?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    })
}

/// Whether the directory exists; if so, it must belong to this user alone.
fn directory(dir: &Path) -> Result<bool, OpenError> {
    let metadata = match fs::metadata(dir) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let there = dir.ancestors().skip(1).find(|above| above.exists());
            let there = there.unwrap_or(Path::new("."));
            may(there, Access::WRITE_OK | Access::EXEC_OK)
                .map_err(failed("make the state directory", dir))?;
            return Ok(false);
        }
        Err(error) => return Err(failed("look at the state directory", dir)(error).into()),
    };
    check_directory(dir, &metadata)?;
    let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    may(dir, all).map_err(failed("use the state directory", dir))?;
    Ok(true)
}

fn lock(dir: &Path) -> Result<(), OpenError> {
    let path = Layout::of(dir).lock();
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(found) if !found.is_file() => {
            let error = io::Error::other("it is not a regular file; remove it");
            Err(failed("open the lock", &path)(error).into())
        }
        _ => Ok(may(&path, Access::READ_OK | Access::WRITE_OK)
            .map_err(failed("open the lock", &path))?),
    }
}

fn database(state: &Layout) -> Result<(), OpenError> {
    let path = state.database();
    if !state.has_database(state.read_marker()?.is_some())? {
        return Ok(());
    }
    may(&path, Access::READ_OK | Access::WRITE_OK).map_err(failed("open the database", &path))?;
    let mut start = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(64).read_to_end(&mut start))
        .map_err(failed("read the database", &path))?;
    match looks_like_a_database(&start) {
        true => Ok(()),
        false => Err(OpenError::Damaged {
            path,
            detail: "it does not begin like one".to_owned(),
        }),
    }
}

/// The next start finishes an interrupted rotation of the key: until then the key may be the one beside it.
fn sealing_key(state: &Layout, dir: &Path, path: &Path) -> Result<(), KeyError> {
    let next = SealingKey::from_file(&next_to(path))?;
    match SealingKey::from_file(path)? {
        None if next.is_none() && state.holds_data() => Err(KeyError::Missing {
            path: path.to_owned(),
            dir: dir.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Whether this process's effective user may do something with a file.
fn may(path: &Path, what: Access) -> io::Result<()> {
    rustix::fs::accessat(CWD, path, what, AtFlags::EACCESS).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::{RedbStore, StateDir, make_key_file};

    fn store() -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
        let site = tempfile::tempdir().unwrap();
        let dir = site.path().join("state");
        let key = dir.join("tokend.key");
        {
            let state = StateDir::acquire(&dir).unwrap();
            make_key_file(&key).unwrap();
            let sealing = SealingKey::from_file(&key).unwrap().unwrap();
            RedbStore::open(state, sealing).unwrap();
        }
        (site, dir, key)
    }

    fn said(dir: &Path, key: &Path) -> String {
        let all = inspect(dir, Some(key)).into_iter();
        all.map(|refusal| format!("{refusal}\n")).collect()
    }

    /// What a start says, as far as it gets.
    fn start(dir: &Path, key: &Path) -> String {
        let opened = StateDir::acquire(dir)
            .map_err(|error| error.to_string())
            .and_then(|state| {
                let key = SealingKey::load_or_create(key, &state);
                let key = key.map_err(|error| error.to_string())?;
                RedbStore::open(state, key).map_err(|error| error.to_string())
            });
        opened
            .map(|_| String::new())
            .unwrap_or_else(|why| why + "\n")
    }

    /// Takes away what else shows that there was a database.
    fn only_reserve(dir: &Path) {
        fs::remove_file(dir.join("tokend.redb")).unwrap();
        fs::remove_file(dir.join("tokend.marker")).unwrap();
    }

    #[test]
    fn what_an_open_refuses_is_seen_before_in_the_same_words() {
        type Harm = fn(&Path, &Path);
        let harms: [(&str, Harm); 10] = [
            ("open to other users", |dir, _| {
                fs::set_permissions(dir, fs::Permissions::from_mode(0o750)).unwrap();
            }),
            ("is missing, but", |_, key| fs::remove_file(key).unwrap()),
            ("holds 5 bytes", |_, key| fs::write(key, "short").unwrap()),
            ("open to other users", |_, key| {
                fs::set_permissions(key, fs::Permissions::from_mode(0o640)).unwrap();
            }),
            ("is not a regular file", |_, key| {
                fs::rename(key, key.with_extension("moved")).unwrap();
                std::os::unix::fs::symlink(key.with_extension("moved"), key).unwrap();
            }),
            ("is missing or empty", |dir, _| {
                fs::remove_file(dir.join("tokend.redb")).unwrap();
            }),
            ("is missing or empty", |dir, _| {
                fs::write(dir.join("tokend.redb"), "").unwrap();
            }),
            ("is missing or empty", |dir, _| {
                only_reserve(dir);
                fs::write(dir.join("tokend.reserve"), "").unwrap();
            }),
            ("could not look at", |dir, _| {
                only_reserve(dir);
                std::os::unix::fs::symlink("tokend.reserve", dir.join("tokend.reserve")).unwrap();
            }),
            ("is not readable as a marker", |dir, _| {
                fs::write(dir.join("tokend.marker"), "x").unwrap();
            }),
        ];
        for (words, harm) in harms {
            let (_site, dir, key) = store();
            assert_eq!(said(&dir, &key), "");
            harm(&dir, &key);
            let refusals = said(&dir, &key);
            assert!(refusals.contains(words), "{words}: {refusals}");
            assert_eq!(refusals, start(&dir, &key), "{words}");
        }
    }

    #[test]
    fn a_file_that_is_no_database_is_told() {
        let (_site, dir, key) = store();
        fs::write(dir.join("tokend.redb"), "x".repeat(8192)).unwrap();
        let refusals = said(&dir, &key);
        assert!(
            refusals.contains("is damaged or not a tokend database"),
            "{refusals}"
        );
        assert!(start(&dir, &key).contains("is damaged or not a tokend database"));
    }

    #[test]
    fn looking_changes_nothing_and_goes_on_beside_a_daemon() {
        let site = tempfile::tempdir().unwrap();
        let dir = site.path().join("state");
        let key = dir.join("tokend.key");
        assert_eq!(said(&dir, &key), "");
        assert!(!dir.exists() && !is_held(&dir));
        let state = StateDir::acquire(&dir).unwrap();
        assert!(is_held(&dir));
        make_key_file(&key).unwrap();
        let sealing = SealingKey::from_file(&key).unwrap().unwrap();
        let store = RedbStore::open(state, sealing).unwrap();
        assert_eq!(said(&dir, &key), "");
        drop(store);
        assert!(!is_held(&dir));
    }

    #[test]
    fn a_lock_on_a_file_of_the_same_number_elsewhere_is_another() {
        let locks = "1: FLOCK  ADVISORY  WRITE 7 fe:01:1234 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 8 00:2f:99 0 EOF\n\
                     2: POSIX  ADVISORY  WRITE 7 00:2f:55 0 EOF\n";
        assert!(is_locked(locks, 1234, Some((0xfe, 1))));
        assert!(is_locked(locks, 1234, None));
        for (inode, device) in [
            (1234, (0xfe, 0x10)),
            (1234, (0, 0x2f)),
            // One that waits for a lock holds none, and one of another kind is none.
            (99, (0, 0x2f)),
            (55, (0, 0x2f)),
        ] {
            assert!(!is_locked(locks, inode, Some(device)), "{inode}");
        }
        let site = tempfile::tempdir().unwrap();
        assert!(device(site.path()).is_some());
    }

    #[test]
    fn a_key_that_is_being_replaced_is_not_missing() {
        let (_site, dir, key) = store();
        fs::rename(&key, next_to(&key)).unwrap();
        assert_eq!(said(&dir, &key), "");
    }
}
