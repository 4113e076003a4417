//! The state of files when they were read.
//!
//! Owns the test for whether a file or the contents of a directory changed. The state is taken before each read, so that an edit that was
//! half written then is noticed afterwards.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The state of everything that a configuration was read from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamps(Vec<(PathBuf, State)>);

/// The state of one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A file; `None` if there was none.
    File(Option<Stamp>),
    /// A directory, with the names of the files that are read there.
    Directory(u64),
}

/// Device, file, size, and the time of the last change in seconds and nanoseconds.
type Stamp = (u64, u64, u64, i64, i64);

/// Stamps, collected while files are read.
#[derive(Debug, Default)]
pub(super) struct Recorder(RefCell<Stamps>);

impl Stamps {
    /// The files and directories that were read.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(path, _)| &**path)
    }

    /// Whether everything is unchanged; `list` gives the files of a directory that would be read.
    pub(super) fn are_still(&self, list: impl Fn(&Path) -> Option<Vec<PathBuf>>) -> bool {
        let same = |(path, state): &(PathBuf, State)| match state {
            State::File(before) => stamp(path) == *before,
            State::Directory(before) => list(path).is_some_and(|files| names(&files) == *before),
        };
        self.0.iter().all(same)
    }
}

impl Recorder {
    /// Notes a file that is about to be read.
    pub(super) fn file(&self, path: &Path) {
        self.note(path, State::File(stamp(path)));
    }

    /// Notes the files of a directory that are about to be read.
    pub(super) fn directory(&self, path: &Path, files: &[PathBuf]) {
        self.note(path, State::Directory(names(files)));
    }

    pub(super) fn stamps(&self) -> Stamps {
        self.0.borrow().clone()
    }

    fn note(&self, path: &Path, state: State) {
        self.0.borrow_mut().0.push((path.to_owned(), state));
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let it = std::fs::metadata(path).ok()?;
    Some((it.dev(), it.ino(), it.size(), it.mtime(), it.mtime_nsec()))
}

fn names(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use crate::{Config, Environment, Overrides};

    #[test]
    fn whatever_a_configuration_is_made_of_shows_when_it_is_another() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let at = |name: &str| dir.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(at(name), text).expect("write");
        for name in ["dialects", "accounts"] {
            std::fs::create_dir(at(name)).expect("create");
        }
        write(
            "t.toml",
            "dialect_dir = \"dialects\"\ninclude_dir = \"accounts\"\n",
        );
        write("dialects/mine.toml", "extends = \"oauth2\"\n");
        write("accounts/a.toml", "# none\n");
        let read = || {
            let config = Config::load(
                &at("t.toml"),
                &Overrides::default(),
                &Environment::default(),
            );
            config.unwrap_or_else(|error| panic!("{error}")).stamps
        };
        let before = read();
        assert!(before.are_as_they_were());
        assert_eq!(read(), before);
        let edits: [(&str, &dyn Fn()); 6] = [
            ("the file itself", &|| {
                write(
                    "t.toml",
                    "# \ndialect_dir = \"dialects\"\ninclude_dir = \"accounts\"\n",
                );
            }),
            ("a dialect", &|| {
                write("dialects/mine.toml", "extends = \"jwt-api\"\n")
            }),
            ("an included file", &|| {
                write("accounts/a.toml", "# still none\n")
            }),
            ("a new file", &|| write("accounts/b.toml", "\n")),
            ("a new dialect", &|| {
                write("dialects/more.toml", "extends = \"oauth2\"\n")
            }),
            ("a file that went", &|| {
                std::fs::remove_file(at("accounts/a.toml")).expect("remove")
            }),
        ];
        for (what, edit) in edits {
            let before = read();
            edit();
            assert!(!before.are_as_they_were(), "{what}");
            assert_ne!(read(), before, "{what}");
        }
        let before = read();
        write("accounts/.b.toml.swp", "what an editor leaves");
        assert!(before.are_as_they_were());
    }
}
