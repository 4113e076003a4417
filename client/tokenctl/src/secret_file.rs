//! A file with a token, written whole or not at all.
//!
//! Owns how such a file comes to be: in the same directory, nameless or under a hidden name, with its permissions and its owner before its
//! content, on disk before it takes the place of the file before. Nobody else can read it for a moment, and a reader sees the old file or
//! the new one. Must never follow a symbolic link in the file's place: whoever made it could choose what is replaced.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{self, AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::failure::{Exit, Failure};
use crate::left_over::{self, DIGITS, HIDDEN};
use crate::words;

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

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn mode(&self) -> u32 {
        self.mode
    }

    /// The group that it is to have, if not that of the process.
    pub(crate) fn gid(&self) -> Option<u32> {
        self.owner.as_ref().and_then(|it| it.gid)
    }

    /// Whether the file can be written here at all, before there is a token to write. What a killed writer left beside it goes.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let (directory, _) = self.open_directory()?;
        let own = geteuid().as_raw();
        let owner = self.owner.map(|it| it.uid);
        left_over::remove(&directory, &[own, owner.unwrap_or(own)]);
        Ok(())
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

    /// Writes the file in this directory, which the caller has looked at.
    pub(crate) fn write_in(
        &self,
        directory: &File,
        name: &OsStr,
        content: &[u8],
    ) -> io::Result<()> {
        let hidden = Hidden::make(directory, |file| self.fill(file, content))?;
        fs::renameat(directory, &hidden.name, directory, name)?;
        // It has another name now.
        hidden.keep();
        Ok(fs::fsync(directory)?)
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

    pub(crate) fn failure(&self, what: &str, error: &io::Error) -> Failure {
        let shown = self.shown();
        let advice = match Errno::from_io_error(error) {
            Some(Errno::NOENT) => "make the directory, or name another",
            Some(Errno::NAMETOOLONG) => "name the file with fewer letters",
            Some(Errno::PERM) if self.owner.is_some_and(|it| it.uid == geteuid().as_raw()) => {
                "only a member of the group can give it a file: add the user to the group, in a unit with SupplementaryGroups="
            }
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

/// A whole file under a hidden name of its own, which is removed unless it is kept.
struct Hidden<'d> {
    directory: &'d File,
    name: OsString,
    /// Locked, so that nobody takes it for one that was left.
    held: Option<File>,
    is_kept: bool,
}

impl<'d> Hidden<'d> {
    /// A file that `fill` has filled. Where the file system allows it, it has no name before it is whole: if this process is killed,
    /// nothing is left.
    fn make(directory: &'d File, fill: impl Fn(&mut File) -> io::Result<()>) -> io::Result<Self> {
        let mut hidden = Self {
            directory,
            name: random_name()?.into(),
            held: None,
            is_kept: false,
        };
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        match fs::openat(directory, ".", flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => {
                let mut file = File::from(file);
                fill(&mut file)?;
                left_over::hold(&file);
                match hidden.link(&file) {
                    // Without /proc, a file without a name cannot get one.
                    Err(Errno::NOENT) => hidden.create(fill)?,
                    linked => {
                        linked?;
                        hidden.held = Some(file);
                    }
                }
            }
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {
                hidden.create(fill)?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(hidden)
    }

    /// Gives the file its name. By the process' own list of descriptors, because the direct way needs a privilege.
    fn link(&self, file: &File) -> Result<(), Errno> {
        let own = format!("/proc/self/fd/{}", file.as_raw_fd());
        fs::linkat(
            fs::CWD,
            own,
            self.directory,
            &self.name,
            AtFlags::SYMLINK_FOLLOW,
        )
    }

    fn create(&mut self, fill: impl Fn(&mut File) -> io::Result<()>) -> io::Result<()> {
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = fs::openat(self.directory, &self.name, flags, Mode::RUSR | Mode::WUSR)?;
        let file = self.held.insert(File::from(file));
        left_over::hold(file);
        fill(file)
    }

    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            // The error that led here is reported; this one would hide it.
            let _failed = fs::unlinkat(self.directory, &self.name, AtFlags::empty());
        }
    }
}

/// A name that no other writer has, and that is not longer than any name of a file may be.
fn random_name() -> io::Result<String> {
    let mut random = [0; DIGITS / 2];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{HIDDEN}{digits}"))
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
        // The system takes this number for `as it is`.
        match uid == u32::MAX || gid == Some(u32::MAX) {
            true => Err(Failure::usage(
                format!("{} is the number of no user or group", u32::MAX),
                "name an existing one, or use its number",
            )),
            false => Ok(Self { uid, gid }),
        }
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
            "use the numbers of users and groups",
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
            "use the numbers of users and groups",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir, read_dir, read_to_string};
    use std::thread;

    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        let entries = read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn nothing_is_left_when_the_last_step_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let file = SecretFile::new(path.clone(), 0o644, None);
        let (directory, name) = file.open_directory().unwrap();
        // It comes to be after the check.
        create_dir(&path).unwrap();
        file.write_in(&directory, name, b"secret").unwrap_err();
        assert_eq!(names(folder.path()), ["token"]);
        // The same where a file cannot be without a name.
        let fill = |_: &mut File| Err(io::Error::other("full"));
        let mut hidden = Hidden {
            directory: &directory,
            name: ".hidden".into(),
            held: None,
            is_kept: false,
        };
        hidden.create(fill).unwrap_err();
        drop(hidden);
        assert_eq!(names(folder.path()), ["token"]);
    }

    #[test]
    fn a_group_that_the_user_is_not_in_has_its_own_advice() {
        let refused = io::Error::from(Errno::PERM);
        let advice = |uid| {
            let owner = Owner { uid, gid: Some(4) };
            let file = SecretFile::new(PathBuf::from("/a/token"), 0o640, Some(owner));
            file.failure("written", &refused).in_one_line()
        };
        let me = geteuid().as_raw();
        assert!(advice(me).contains("SupplementaryGroups="));
        assert!(advice(me + 1).contains("--owner"));
    }

    #[test]
    fn writers_at_once_leave_one_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n".repeat(255));
        thread::scope(|scope| {
            for writer in 0..8 {
                let path = path.clone();
                scope.spawn(move || {
                    let content = vec![b'a' + writer; 10_000];
                    SecretFile::new(path, 0o600, None).write(&content).unwrap();
                });
            }
        });
        let content = read_to_string(&path).unwrap();
        assert_eq!(content.len(), 10_000);
        assert!(
            content
                .bytes()
                .all(|byte| Some(byte) == content.bytes().next())
        );
        assert_eq!(names(folder.path()).len(), 1);
    }
}
