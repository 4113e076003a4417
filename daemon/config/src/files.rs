//! Reads the files of a configuration, within bounds.
//!
//! Owns [`Files`], the only way from a path to what stands there. Must never wait for what stands there.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::mistake::Mistakes;
use super::stamps::{Seen, Stamps};

/// The most files in one directory.
const MOST_FILES: usize = 200_000;

/// Where files are.
#[derive(Debug)]
pub struct Files(Source, Seen, AtomicBool);

#[derive(Debug)]
enum Source {
    System,
    Fixed(BTreeMap<PathBuf, Vec<u8>>),
}

impl Files {
    /// The file system.
    pub fn system() -> Self {
        Self(Source::System, Seen::default(), AtomicBool::new(false))
    }

    /// Only these files, for whoever must not depend on the machine. There are the directories they are in, and no others.
    pub fn fixed(files: impl IntoIterator<Item = (PathBuf, Vec<u8>)>) -> Self {
        let files = Source::Fixed(files.into_iter().collect());
        Self(files, Seen::default(), AtomicBool::new(false))
    }

    /// The `*.toml` files of `dir`, sorted by name. Hidden ones, as editors leave behind, are left out.
    pub(super) fn toml_files(&self, dir: &Path) -> Result<Vec<PathBuf>, String> {
        let unreadable = |error: io::Error| {
            self.note(&error);
            format!("directory {}: {error}", dir.display())
        };
        let mut files = Vec::new();
        for path in self.entries(dir).map_err(unreadable)? {
            let path = path.map_err(unreadable)?;
            let name = path.file_name().unwrap_or_default().as_bytes();
            if name.ends_with(b".toml") && !name.starts_with(b".") {
                files.push(path);
            }
            if files.len() > MOST_FILES {
                return Err(format!(
                    "directory {} has more than {MOST_FILES} files",
                    dir.display()
                ));
            }
        }
        files.sort_unstable();
        if matches!(self.0, Source::System) {
            self.1.directory(dir, &files);
        }
        Ok(files)
    }

    /// Whether something could not be read because the machine is short of something that passes.
    pub(super) fn met_a_shortage(&self) -> bool {
        self.2.load(Ordering::Relaxed)
    }

    fn note(&self, error: &io::Error) {
        if is_shortage(error) {
            self.2.store(true, Ordering::Relaxed);
        }
    }

    /// What everything was like that was read so far.
    pub(super) fn stamps(&self) -> Stamps {
        self.1.stamps()
    }

    /// The text of a file of at most `longest` bytes.
    pub(super) fn text(
        &self,
        path: &Path,
        longest: u64,
        mistakes: &mut Mistakes,
    ) -> Option<String> {
        let bytes = match self.bytes(path, longest + 1) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.note(&error);
                let help = match error.kind() {
                    _ if is_shortage(&error) => Some(REMEDY.to_owned()),
                    io::ErrorKind::NotFound => Some(
                        "create it as tokend.toml(5) shows, or name another with --config"
                            .to_owned(),
                    ),
                    io::ErrorKind::PermissionDenied => {
                        Some("it must be readable by the user who runs tokend".to_owned())
                    }
                    _ => None,
                };
                mistakes.add_file(path, format!("cannot be read: {error}"), help);
                return None;
            }
        };
        if bytes.len() as u64 > longest {
            mistakes.add_file(path, format!("is longer than {longest} bytes"), None);
            return None;
        }
        match String::from_utf8(bytes) {
            Ok(text) => Some(text),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let line = error
                    .as_bytes()
                    .iter()
                    .take(at)
                    .filter(|byte| **byte == b'\n')
                    .count()
                    + 1;
                mistakes.add_file(
                    path,
                    format!("is not UTF-8 text: line {line} has a byte that is none"),
                    None,
                );
                None
            }
        }
    }

    /// Whether there is something at `path` that is a file.
    pub(super) fn is_file(&self, path: &Path) -> io::Result<bool> {
        match &self.0 {
            Source::System => std::fs::metadata(path).map(|metadata| metadata.is_file()),
            Source::Fixed(files) if files.contains_key(path) => Ok(true),
            Source::Fixed(_) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The first bytes of a file, at most so many.
    fn bytes(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match &self.0 {
            Source::System => {
                self.1.file(path);
                return read_regular(path, most);
            }
            Source::Fixed(files) => files
                .get(path)
                .ok_or(io::ErrorKind::NotFound)?
                .as_slice()
                .take(most)
                .read_to_end(&mut bytes)?,
        };
        Ok(bytes)
    }

    /// What is in a directory.
    fn entries(
        &self,
        dir: &Path,
    ) -> io::Result<Box<dyn Iterator<Item = io::Result<PathBuf>> + '_>> {
        match &self.0 {
            Source::System => {
                let entries = std::fs::read_dir(dir)?;
                Ok(Box::new(entries.map(|entry| Ok(entry?.path()))))
            }
            Source::Fixed(files) => {
                let inside: Vec<_> = files
                    .keys()
                    .filter(|path| path.parent() == Some(dir))
                    .map(|path| Ok(path.clone()))
                    .collect();
                if inside.is_empty() {
                    return Err(io::ErrorKind::NotFound.into());
                }
                Ok(Box::new(inside.into_iter()))
            }
        }
    }
}

/// What to do where the machine is short of something.
const REMEDY: &str = "nothing is wrong with the configuration: raise the limit (LimitNOFILE= in the unit), or find out what uses up descriptors or memory";

/// Whether the system said that there is too little of something that passes: descriptors, memory, processes.
pub fn is_shortage(error: &io::Error) -> bool {
    let short = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN];
    let number = error.raw_os_error();
    number.is_some_and(|number| short.iter().any(|own| own.raw_os_error() == number))
}

/// The first bytes of a regular file, at most so many.
///
/// A FIFO, a device or a socket is refused by name before it is opened, and nothing is ever waited for: whoever writes a pipe may never
/// come, and a device has no end.
///
/// # Errors
///
/// When it cannot be read, or is not a regular file.
pub fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    must_be_regular(&std::fs::metadata(path)?)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    // Another may have taken its place meanwhile.
    must_be_regular(&file.metadata()?)?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn must_be_regular(metadata: &Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    let found = match kind {
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(io::Error::other(format!(
        "it is {found}, and only a regular file is read"
    )))
}

/// The `*.toml` files of a directory of this machine, sorted by name. Hidden ones, as editors leave behind, are left out.
///
/// # Errors
///
/// The sentence that says why the directory cannot be read.
pub fn toml_files(dir: &Path) -> Result<Vec<PathBuf>, String> {
    Files::system().toml_files(dir)
}

impl Stamps {
    /// Whether everything is what it was. Files that came or went show too, where a directory was read.
    pub fn are_as_they_were(&self) -> bool {
        self.are_still(|dir| toml_files(dir).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_by_name_and_not_waited_for() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let fifo = dir.path().join("fifo");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, Mode::RUSR, 0).expect("a FIFO");
        let socket = dir.path().join("socket");
        let _bound = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&fifo, &link).expect("a link");
        for (path, told) in [
            (fifo.as_path(), "a FIFO"),
            (&link, "a FIFO"),
            (&socket, "a socket"),
            (Path::new("/dev/zero"), "a device"),
            (dir.path(), "is a directory"),
        ] {
            let error = read_regular(path, 9).expect_err("must be refused");
            assert!(error.to_string().contains(told), "{error}");
        }
        std::fs::write(dir.path().join("file"), "0123456789").expect("write");
        let file = dir.path().join("file");
        assert_eq!(read_regular(&file, 9).expect("read"), b"012345678");
    }

    #[test]
    fn files_in_memory_are_found_as_those_on_disk_are() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let names = ["b.toml", "a.toml", ".hidden.toml", "notes.txt"];
        for name in names {
            std::fs::write(dir.path().join(name), name).expect("write");
        }
        let texts = names.map(|name| (dir.path().join(name), name.into()));
        let missing = dir.path().join("missing");
        for files in [Files::system(), Files::fixed(texts)] {
            let found = files.toml_files(dir.path()).expect("a directory");
            assert_eq!(
                found,
                ["a.toml", "b.toml"].map(|name| dir.path().join(name))
            );
            let mut mistakes = Mistakes::default();
            let text = files.text(&dir.path().join("a.toml"), 6, &mut mistakes);
            assert_eq!(text.as_deref(), Some("a.toml"));
            assert_eq!(mistakes.count(), 0);
            assert_eq!(
                files.text(&dir.path().join("a.toml"), 5, &mut mistakes),
                None
            );
            assert_eq!(files.text(&missing, 5, &mut mistakes), None);
            assert_eq!(mistakes.count(), 2);
            assert!(files.toml_files(&missing).is_err());
            assert!(files.is_file(&dir.path().join("notes.txt")).expect("there"));
            assert!(files.is_file(&missing).is_err());
        }
    }
}
