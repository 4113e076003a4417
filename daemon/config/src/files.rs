//! Reads the files of a configuration, within bounds.
//!
//! Owns [`Files`], the only way from a path to its contents. Must never block on a file.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::stamps::{Recorder, Stamps};
use tokend_document::Diagnostics;

/// The most files in one directory.
const MOST_FILES: usize = 200_000;

/// Where files are read from.
#[derive(Debug)]
pub struct Files {
    source: Source,
    recorder: Recorder,
    shortages: AtomicUsize,
}

#[derive(Debug)]
enum Source {
    System,
    /// The contents of files, then the paths that fail to open for want of a descriptor.
    Fixed(BTreeMap<PathBuf, Vec<u8>>, Vec<PathBuf>),
}

impl Files {
    /// The file system.
    pub fn system() -> Self {
        Self::new(Source::System)
    }

    /// Only these files and their directories, for callers that must not depend on the machine.
    pub fn fixed(files: impl IntoIterator<Item = (PathBuf, Vec<u8>)>) -> Self {
        Self::new(Source::Fixed(files.into_iter().collect(), Vec::new()))
    }

    /// The same, but opening these files and directories fails because no descriptor is left.
    #[cfg(test)]
    pub(super) fn short_at(mut self, paths: &[&Path]) -> Self {
        if let Source::Fixed(_, short) = &mut self.source {
            short.extend(paths.iter().map(|path| path.to_path_buf()));
        }
        self
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            recorder: Recorder::default(),
            shortages: AtomicUsize::new(0),
        }
    }

    /// The `*.toml` files of `dir`, sorted by name. Hidden files, such as those editors leave behind, are left out.
    pub(super) fn toml_files(&self, dir: &Path) -> Result<Vec<PathBuf>, NotListed> {
        let unreadable = |error: io::Error| NotListed {
            is_shortage: self.note(&error),
            message: format!("directory {}: {error}", dir.display()),
        };
        let mut files = Vec::new();
        for path in self.entries(dir).map_err(unreadable)? {
            let path = path.map_err(unreadable)?;
            let name = path.file_name().unwrap_or_default().as_bytes();
            if name.ends_with(b".toml") && !name.starts_with(b".") {
                files.push(path);
            }
            if files.len() > MOST_FILES {
                let dir = dir.display();
                return Err(NotListed {
                    is_shortage: false,
                    message: format!("directory {dir} has more than {MOST_FILES} files"),
                });
            }
        }
        files.sort_unstable();
        if matches!(self.source, Source::System) {
            self.recorder.directory(dir, &files);
        }
        Ok(files)
    }

    /// How many paths could not be read because of a temporary shortage on this machine. Each is reported once.
    pub(super) fn shortages(&self) -> usize {
        self.shortages.load(Ordering::Relaxed)
    }

    fn note(&self, error: &io::Error) -> bool {
        let is_shortage = is_shortage(error);
        self.shortages
            .fetch_add(usize::from(is_shortage), Ordering::Relaxed);
        is_shortage
    }

    /// The state of everything that was read so far.
    pub(super) fn stamps(&self) -> Stamps {
        self.recorder.stamps()
    }

    /// The text of a file of at most `longest` bytes.
    pub(super) fn text(
        &self,
        path: &Path,
        longest: u64,
        diagnostics: &mut Diagnostics,
    ) -> Option<String> {
        let name = path.display().to_string();
        let bytes = match self.bytes(path, longest + 1) {
            Ok(bytes) => bytes,
            Err(error) => {
                let help = match error.kind() {
                    _ if self.note(&error) => Some(REMEDY),
                    io::ErrorKind::NotFound => {
                        Some("create it as tokend.toml(5) shows, or name another with --config")
                    }
                    io::ErrorKind::PermissionDenied => {
                        Some("it must be readable by the user who runs tokend")
                    }
                    _ => None,
                };
                let message = format!("cannot be read: {error}");
                diagnostics.add_file(&name, message, help.map(str::to_owned));
                return None;
            }
        };
        if bytes.len() as u64 > longest {
            diagnostics.add_file(&name, format!("is longer than {longest} bytes"), None);
            return None;
        }
        match String::from_utf8(bytes) {
            Ok(text) => Some(text),
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let good = error.as_bytes().iter().take(good);
                let line = 1 + good.filter(|byte| **byte == b'\n').count();
                let message = format!("is not UTF-8 text: line {line} has a byte that is none");
                diagnostics.add_file(&name, message, None);
                None
            }
        }
    }

    /// Whether `path` is a file.
    pub(super) fn is_file(&self, path: &Path) -> io::Result<bool> {
        match &self.source {
            Source::System => std::fs::metadata(path).map(|metadata| metadata.is_file()),
            Source::Fixed(files, _) if files.contains_key(path) => Ok(true),
            Source::Fixed(..) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The first `most` bytes of a file.
    fn bytes(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match &self.source {
            Source::System => {
                self.recorder.file(path);
                return read_regular(path, most);
            }
            Source::Fixed(_, short) if short.iter().any(|it| it == path) => {
                return Err(Errno::MFILE.into());
            }
            Source::Fixed(files, _) => files
                .get(path)
                .ok_or(io::ErrorKind::NotFound)?
                .as_slice()
                .take(most)
                .read_to_end(&mut bytes)?,
        };
        Ok(bytes)
    }

    /// The contents of a directory.
    fn entries(
        &self,
        dir: &Path,
    ) -> io::Result<Box<dyn Iterator<Item = io::Result<PathBuf>> + '_>> {
        match &self.source {
            Source::System => {
                let entries = std::fs::read_dir(dir)?;
                Ok(Box::new(entries.map(|entry| Ok(entry?.path()))))
            }
            Source::Fixed(_, short) if short.iter().any(|it| it == dir) => Err(Errno::MFILE.into()),
            Source::Fixed(files, _) => {
                let inside = files.keys().filter(move |path| path.parent() == Some(dir));
                let inside: Vec<_> = inside.cloned().map(Ok).collect();
                match inside.is_empty() {
                    true => Err(io::ErrorKind::NotFound.into()),
                    false => Ok(Box::new(inside.into_iter())),
                }
            }
        }
    }
}

/// A directory that could not be listed.
#[derive(Debug)]
pub(super) struct NotListed {
    pub(super) message: String,
    /// Whether the only cause is a temporary shortage on this machine.
    pub(super) is_shortage: bool,
}

/// The advice for a shortage on this machine.
pub(super) const REMEDY: &str = "this is no mistake in the configuration: raise the limit (LimitNOFILE= in the unit), or find out what uses up descriptors or memory";

/// Whether the system reported a temporary shortage: of descriptors, memory or processes.
pub fn is_shortage(error: &io::Error) -> bool {
    let short = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN];
    let number = error.raw_os_error();
    number.is_some_and(|number| short.iter().any(|own| own.raw_os_error() == number))
}

/// The first `most` bytes of a regular file.
///
/// A FIFO, a device or a socket is refused before it is opened, so this never blocks: a pipe may have no writer, and a device has no end.
///
/// # Errors
///
/// When it cannot be read, or is not a regular file.
pub fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    must_be_regular(&std::fs::metadata(path)?)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    // The path may lead to another file by now.
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

/// The `*.toml` files of a directory of this machine, sorted by name. Hidden files, such as those editors leave behind, are left out.
///
/// # Errors
///
/// The sentence that says why the directory cannot be read.
pub fn toml_files(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let files = Files::system().toml_files(dir);
    files.map_err(|error| error.message)
}

impl Stamps {
    /// Whether everything is unchanged. Added and removed files also count, where a directory was read.
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
        for (path, expected) in [
            (fifo.as_path(), "a FIFO"),
            (&link, "a FIFO"),
            (&socket, "a socket"),
            (Path::new("/dev/zero"), "a device"),
            (dir.path(), "is a directory"),
        ] {
            let error = read_regular(path, 9).expect_err("must be refused");
            assert!(error.to_string().contains(expected), "{error}");
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
            let mut diagnostics = Diagnostics::default();
            let text = files.text(&dir.path().join("a.toml"), 6, &mut diagnostics);
            assert_eq!(text.as_deref(), Some("a.toml"));
            assert_eq!(diagnostics.count(), 0);
            assert_eq!(
                files.text(&dir.path().join("a.toml"), 5, &mut diagnostics),
                None
            );
            assert_eq!(files.text(&missing, 5, &mut diagnostics), None);
            assert_eq!(diagnostics.count(), 2);
            assert!(files.toml_files(&missing).is_err());
            assert!(files.is_file(&dir.path().join("notes.txt")).expect("there"));
            assert!(files.is_file(&missing).is_err());
        }
    }
}
