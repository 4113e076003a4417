//! The files of a configuration, from their first byte to their place.
//!
//! Owns that no file is ever overwritten, that each is whole under its name, and that what did not come to its place goes again: the file,
//! and the directories made for it. A draft has a hidden name that the daemon does not read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

use super::place::Place;
use crate::account_file::AccountFile;
use crate::failure::{Exit, Failure};

/// An account that is written and not in its place.
pub(super) struct Draft {
    staged: PathBuf,
    target: PathBuf,
    /// What was made for it, in this order; all of it goes if the account does not come to its place.
    made: Vec<Made>,
    /// The directory of the configuration, held against another `init`.
    _lock: File,
}

enum Made {
    Directory(PathBuf),
    File(PathBuf),
}

impl Draft {
    /// Writes the account under a hidden name, and the configuration itself if there is none.
    pub(super) fn write(place: &Place, file: &AccountFile) -> Result<Self, Failure> {
        let (mode, dir_mode) = place.modes();
        let target = place.account_file(file);
        let home = place.main.parent().unwrap_or(Path::new("/"));
        let mut made = Undo(Vec::new());
        make_directory(home, dir_mode, &mut made)?;
        let lock = lock(home)?;
        make_directory(&place.accounts, dir_mode, &mut made)?;
        if fs::symlink_metadata(&target).is_ok() {
            return Err(there(&target));
        }
        if !place.has_configuration()? {
            let staged = hidden(&place.main);
            write(&staged, &place.text(), mode)?;
            put(&staged, &place.main)?;
            made.0.push(Made::File(place.main.clone()));
        }
        let staged = hidden(&target);
        write(&staged, &file.text(), mode)?;
        made.0.push(Made::File(staged.clone()));
        Ok(Self {
            staged,
            target,
            made: std::mem::take(&mut made.0),
            _lock: lock,
        })
    }

    /// The account's file before it has its name.
    pub(super) fn staged(&self) -> &Path {
        &self.staged
    }

    /// Puts the account in its place. Returns the files that are new.
    pub(super) fn keep(mut self) -> Result<Vec<PathBuf>, Failure> {
        put(&self.staged, &self.target)?;
        let staged = self.staged.clone();
        let files = self.made.drain(..).filter_map(|made| match made {
            Made::File(path) if path != staged => Some(path),
            _ => None,
        });
        let mut files: Vec<_> = files.collect();
        files.push(self.target.clone());
        Ok(files)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        drop(Undo(std::mem::take(&mut self.made)));
    }
}

/// Takes away what was made, the last first.
struct Undo(Vec<Made>);

impl Drop for Undo {
    fn drop(&mut self) {
        for made in self.0.drain(..).rev() {
            // What others have put into a directory meanwhile keeps it, and nothing more can be done here.
            drop(match made {
                Made::Directory(path) => fs::remove_dir(path),
                Made::File(path) => fs::remove_file(path),
            });
        }
    }
}

/// Makes a directory, and those above it.
fn make_directory(path: &Path, mode: u32, made: &mut Undo) -> Result<(), Failure> {
    let mut missing = path.ancestors().take_while(|path| !path.exists());
    let missing: Vec<_> = missing.by_ref().collect();
    for path in missing.into_iter().rev() {
        let done = DirBuilder::new().mode(mode).create(path).and_then(|()| {
            made.0.push(Made::Directory(path.to_owned()));
            // Whatever the mask of this process is.
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
        });
        done.map_err(|error| failure(path, &error))?;
    }
    match path.is_dir() {
        true => Ok(()),
        false => Err(failure(path, &ErrorKind::NotADirectory.into())),
    }
}

/// Keeps another `init` out of this directory.
fn lock(home: &Path) -> Result<File, Failure> {
    let directory = File::open(home).map_err(|error| failure(home, &error))?;
    match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(directory),
        Err(Errno::WOULDBLOCK) => Err(Failure::new(
            Exit::TryLater,
            format!("another tokenctl init writes in {} now", home.display()),
            "nothing was written; run it again when that one has ended",
        )),
        Err(error) => Err(failure(home, &error.into())),
    }
}

/// The name of a file before it is in place. It is not that of a file which the daemon reads.
fn hidden(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.init"))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    // Left by an `init` that was killed: this one holds the lock.
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failure(path, &error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| {
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        drop(fs::remove_file(path));
        failure(path, &error)
    })
}

/// Gives a file its name, which nothing else may have.
fn put(from: &Path, to: &Path) -> Result<(), Failure> {
    let done = match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system cannot; a second name is as safe.
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::hard_link(from, to).and_then(|()| fs::remove_file(from))
        }
        done => done.map_err(io::Error::from),
    };
    done.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => there(to),
        _ => failure(to, &error),
    })?;
    let directory = to.parent().unwrap_or(Path::new("/"));
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| failure(directory, &error))
}

fn there(path: &Path) -> Failure {
    Failure::new(
        Exit::Config,
        format!("{} exists, and is not overwritten", path.display()),
        "choose another account name, or move the file away and run this again",
    )
}

fn failure(path: &Path, error: &io::Error) -> Failure {
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => "run it as the user to whom the directory belongs",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room and run it again",
        ErrorKind::ReadOnlyFilesystem => "name a place that can be written with --config",
        _ => "correct that and run it again",
    };
    let exit = match error.kind() {
        ErrorKind::PermissionDenied => Exit::NotAllowed,
        _ => Exit::Io,
    };
    Failure::new(
        exit,
        format!("{} cannot be written: {error}", path.display()),
        format!("nothing was written; {advice}"),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn place(home: &Path) -> Place {
        Place {
            main: home.join("a/b/tokend.toml"),
            accounts: home.join("a/b/accounts.d"),
            is_system: false,
            is_default: true,
        }
    }

    fn account() -> AccountFile {
        AccountFile {
            name: "ads".parse().unwrap(),
            dialect: "oauth2".to_owned(),
            base_url: None,
            fields: Vec::new(),
            secrets: Vec::new(),
            options: Vec::new(),
            callers: Vec::new(),
            can_login: true,
        }
    }

    fn all(home: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut ahead = vec![home.to_path_buf()];
        while let Some(dir) = ahead.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                found.push(path.strip_prefix(home).unwrap().display().to_string());
                if path.is_dir() {
                    ahead.push(path);
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn what_is_not_kept_goes_with_all_that_was_made_for_it() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        let draft = Draft::write(&place, &account()).unwrap();
        assert!(draft.staged().exists() && place.main.exists());
        // One after the other.
        let second = Draft::write(&place, &account()).err().unwrap();
        assert!(
            format!("{second:?}").contains("another tokenctl init"),
            "{second:?}"
        );
        assert!(draft.staged().exists());
        drop(draft);
        assert_eq!(all(home.path()), [""; 0]);
        Draft::write(&place, &account()).unwrap().keep().unwrap();
        let files = [
            "a",
            "a/b",
            "a/b/accounts.d",
            "a/b/accounts.d/ads.toml",
            "a/b/tokend.toml",
        ];
        assert_eq!(all(home.path()), files);
        for (path, mode) in [
            ("a", 0o700),
            ("a/b/tokend.toml", 0o600),
            ("a/b/accounts.d/ads.toml", 0o600),
        ] {
            let found = fs::metadata(home.path().join(path)).unwrap().permissions();
            assert_eq!(found.mode() & 0o7777, mode, "{path}");
        }
    }

    #[test]
    fn nothing_that_is_there_is_overwritten_or_followed() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        fs::create_dir_all(&place.accounts).unwrap();
        fs::write(&place.main, "mine").unwrap();
        let target = place.accounts.join("ads.toml");
        let other = home.path().join("other");
        fs::write(&other, "other").unwrap();
        symlink(&other, &target).unwrap();
        let refused = Draft::write(&place, &account()).err().unwrap();
        assert!(
            format!("{refused:?}").contains("not overwritten"),
            "{refused:?}"
        );
        fs::remove_file(&target).unwrap();
        // One that comes while the other is looked at.
        let draft = Draft::write(&place, &account()).unwrap();
        fs::write(&target, "theirs").unwrap();
        let refused = draft.keep().unwrap_err();
        assert!(
            format!("{refused:?}").contains("not overwritten"),
            "{refused:?}"
        );
        assert_eq!(fs::read_to_string(&target).unwrap(), "theirs");
        assert_eq!(fs::read_to_string(&place.main).unwrap(), "mine");
        assert_eq!(fs::read_to_string(&other).unwrap(), "other");
        assert_eq!(fs::read_dir(&place.accounts).unwrap().count(), 1);
        // A leftover of one that was killed, which may be a link.
        fs::remove_file(&target).unwrap();
        symlink(&other, hidden(&target)).unwrap();
        Draft::write(&place, &account()).unwrap().keep().unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "other");
        assert_eq!(fs::read_dir(&place.accounts).unwrap().count(), 1);
    }
}
