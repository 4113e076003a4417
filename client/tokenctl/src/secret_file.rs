//! A file with a token, written whole or not at all.
//!
//! Owns how such a file comes to be: in the same directory, nameless or under a hidden name, with its permissions and its owner before its
//! content, on disk before it takes the place of the file before. Nobody else can read it for a moment, and a reader sees the old file or
//! the new one. Must never follow a symbolic link in the file's place: whoever made it could choose what is replaced.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{self, AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use crate::failure::{Exit, Failure};
use crate::words;

/// Attempts at a hidden name that another writer of the same file keeps taking.
const ATTEMPTS: usize = 16;

/// Where a token goes, and who can read it there.
#[derive(Debug)]
pub(crate) struct SecretFile {
    path: PathBuf,
    mode: u32,
    owner: Option<Owner>,
}

/// A user, and perhaps a group, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    uid: u32,
    gid: Option<u32>,
}

impl SecretFile {
    pub(crate) fn new(path: PathBuf, mode: u32, owner: Option<Owner>) -> Self {
        Self { path, mode, owner }
    }

    /// Whether the file can be written here at all, before there is a token to write.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.open_directory().map(drop)
    }

    /// Writes the file in place of the one before.
    pub(crate) fn write(&self, content: &[u8]) -> Result<(), Failure> {
        let (directory, name) = self.open_directory()?;
        self.write_in(&directory, name, content)
            .map_err(|error| self.failure("written", &error))
    }

    /// The directory, and the name of the file in it.
    fn open_directory(&self) -> Result<(File, &OsStr), Failure> {
        let name = self.path.file_name().ok_or_else(|| {
            Failure::usage(
                format!("{} names no file", self.shown()),
                "name the file, with its directory",
            )
        })?;
        let parent = match self.path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let directory = fs::open(parent, flags, Mode::empty())
            .map_err(|error| self.failure("written", &error.into()))?;
        let wrong = |what: &str, advice: &str| {
            Err(Failure::new(
                Exit::Config,
                format!("{} is {what}", self.shown()),
                advice,
            ))
        };
        match fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            Err(error) => return Err(self.failure("looked at", &error.into())),
            Ok(found) => match FileType::from_raw_mode(found.st_mode) {
                FileType::RegularFile => {}
                FileType::Symlink => {
                    return wrong("a symbolic link", "name the file that it leads to");
                }
                _ => return wrong("no regular file", "name a file, or a new name"),
            },
        }
        Ok((File::from(directory), name))
    }

    fn write_in(&self, directory: &File, name: &OsStr, content: &[u8]) -> io::Result<()> {
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".tokenctl");
        for _ in 0..ATTEMPTS {
            let mut file = match nameless(directory) {
                Ok(file) => Some(file),
                Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => None,
                Err(error) => return Err(error.into()),
            };
            let has_name = file.is_none();
            let mut file = match file.take() {
                Some(file) => file,
                None => match named(directory, &hidden) {
                    Ok(file) => file,
                    Err(Errno::EXIST) => {
                        remove(directory, &hidden)?;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                },
            };
            let put = self
                .fill(&mut file, content)
                .and_then(|()| match has_name {
                    true => Ok(()),
                    false => give_name(&file, directory, &hidden).map_err(io::Error::from),
                })
                .and_then(|()| Ok(fs::renameat(directory, &hidden, directory, name)?));
            match put {
                Ok(()) => return Ok(fs::fsync(directory)?),
                // Left over from a writer that was killed, or another writer is at the same file.
                Err(error) if is(&error, Errno::EXIST) => remove(directory, &hidden)?,
                Err(error) if is(&error, Errno::NOENT) => {}
                Err(error) => {
                    if has_name {
                        remove(directory, &hidden)?;
                    }
                    return Err(error);
                }
            }
        }
        Err(io::Error::other(
            "other programs write the same file all the time",
        ))
    }

    /// The owner and the permissions come first, and the disk has it all at the end.
    fn fill(&self, file: &mut File, content: &[u8]) -> io::Result<()> {
        if let Some(Owner { uid, gid }) = self.owner {
            let gid = gid.map(Gid::from_raw);
            fs::fchown(file.as_fd(), Some(Uid::from_raw(uid)), gid)?;
        }
        fs::fchmod(file.as_fd(), Mode::from_raw_mode(self.mode))?;
        file.write_all(content)?;
        file.sync_all()
    }

    fn failure(&self, what: &str, error: &io::Error) -> Failure {
        let shown = self.shown();
        let advice = match Errno::from_io_error(error) {
            Some(Errno::NOENT) => "make the directory, or name another",
            Some(Errno::PERM) if self.owner.is_some() => {
                "only root can give a file to another user: leave out --owner, or run this as root"
            }
            Some(Errno::ACCESS | Errno::PERM) => "name a directory that you may write to",
            Some(Errno::NOSPC | Errno::DQUOT) => {
                "make room on its disk; the file before is as it was"
            }
            _ => "name a file in a directory that you may write to",
        };
        Failure::new(
            Exit::Io,
            format!("{shown} cannot be {what}: {error}"),
            advice,
        )
    }

    fn shown(&self) -> String {
        words::plain(&self.path.display().to_string())
    }
}

/// A file without a name: if this process is killed, nothing is left.
fn nameless(directory: &File) -> Result<File, Errno> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    fs::openat(directory, ".", flags, Mode::RUSR | Mode::WUSR).map(File::from)
}

/// A new file of this name, where the file system has none without.
fn named(directory: &File, hidden: &OsStr) -> Result<File, Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    fs::openat(directory, hidden, flags, Mode::RUSR | Mode::WUSR).map(File::from)
}

/// By the process' own list of descriptors: the direct way needs a privilege.
fn give_name(file: &File, directory: &File, hidden: &OsStr) -> Result<(), Errno> {
    use std::os::fd::AsRawFd as _;
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    fs::linkat(fs::CWD, own, directory, hidden, AtFlags::SYMLINK_FOLLOW)
}

fn remove(directory: &File, hidden: &OsStr) -> io::Result<()> {
    match fs::unlinkat(directory, hidden, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    Errno::from_io_error(error) == Some(errno)
}

impl Owner {
    /// `USER[:GROUP]`, by name or number. A user without a group brings the user's own group.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let (uid, own) = match user.parse() {
            Ok(uid) => (uid, None),
            Err(_) => {
                let entry = entry("passwd", user)?;
                (field(&entry, 2)?, Some(field(&entry, 3)?))
            }
        };
        let gid = match group {
            None => own,
            Some(group) => Some(match group.parse() {
                Ok(gid) => gid,
                Err(_) => field(&entry("group", group)?, 2)?,
            }),
        };
        Ok(Self { uid, gid })
    }
}

/// The entry of a user or group. The program that asks the system's databases is run, since a static program cannot ask them all itself.
fn entry(database: &str, name: &str) -> Result<String, Failure> {
    let is_name =
        !name.is_empty() && !name.starts_with('-') && name.chars().all(|c| c.is_ascii_graphic());
    let unknown = || {
        Failure::usage(
            format!(
                "there is no {} {}",
                if database == "group" { "group" } else { "user" },
                words::plain(name)
            ),
            "name an existing one, or use its number",
        )
    };
    if !is_name {
        return Err(unknown());
    }
    let asked = Command::new("getent").args([database, name]).output();
    let asked = asked.map_err(|error| {
        Failure::new(
            Exit::Io,
            format!("getent cannot be run to look up a name: {error}"),
            "use numbers with --owner",
        )
    })?;
    match (asked.status.success(), String::from_utf8(asked.stdout)) {
        (true, Ok(entry)) => Ok(entry),
        _ => Err(unknown()),
    }
}

fn field(entry: &str, at: usize) -> Result<u32, Failure> {
    let number = entry
        .trim_end()
        .split(':')
        .nth(at)
        .and_then(|field| field.parse().ok());
    number.ok_or_else(|| {
        Failure::new(
            Exit::Io,
            "getent printed no entry of a database",
            "use numbers with --owner",
        )
    })
}
