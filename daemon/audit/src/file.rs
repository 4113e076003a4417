//! Records in a file: one JSON object a line, appended. A file that reached its maximum size is renamed.
//!
//! Owns the guarantee that only the daemon's user controls the file: it is never reached through a link, and neither the file nor its
//! directory is writable by others. A batch that does not fit on the disk leaves no partial line.

use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use tokend_config::AuditFile;

use super::destination::{Destination, IsMade, OpenSink, PrepareError, Room, Sink, Takes};
use super::event::Record;

/// How many directories that occupy the name of an older file are skipped.
const PASSED_OVER: u32 = 16;
/// The suffix that names the file of denials after the main file.
const DENIED: &str = ".denied";

/// The file, where one is named.
pub(super) const DESTINATION: Destination = Destination {
    name: "file",
    takes: Takes::AllButDenials,
    room: Room::USUAL,
    required: true,
    open: |settings| open_one(settings.file.clone()),
    check: |settings, is_made| check_one(settings.file.clone(), is_made),
};

/// The file of denials, next to the main file and with the same settings. Records that strangers cause take no room from records of
/// released tokens.
pub(super) const OF_DENIALS: Destination = Destination {
    name: "denials-file",
    takes: Takes::Denials,
    room: Room::USUAL,
    required: false,
    open: |settings| open_one(settings.file.as_ref().map(of_denials)),
    check: |settings, is_made| check_one(settings.file.as_ref().map(of_denials), is_made),
};

fn of_denials(settings: &AuditFile) -> AuditFile {
    let mut path = settings.path.clone().into_os_string();
    path.push(DENIED);
    AuditFile {
        path: path.into(),
        ..settings.clone()
    }
}

fn open_one(file: Option<AuditFile>) -> Result<Option<OpenSink>, PrepareError> {
    let Some(file) = file else {
        return Ok(None);
    };
    let open = File::open(&file).map_err(|error| PrepareError::of(&file, error))?;
    Ok(Some(Box::new(open)))
}

fn check_one(file: Option<AuditFile>, is_made: &IsMade<'_>) -> Result<bool, PrepareError> {
    let Some(file) = file else {
        return Ok(false);
    };
    let is_made = file.path.parent().is_some_and(is_made);
    if !is_made || file.path.exists() {
        File::check(&file).map_err(|error| PrepareError::of(&file, error))?;
    }
    Ok(true)
}

#[derive(Debug)]
pub(super) struct File {
    settings: AuditFile,
    name: PathBuf,
    dir: OwnedFd,
    file: std::fs::File,
    length: u64,
    lines: Vec<u8>,
}

impl File {
    /// Whether the file can be opened or created. Creates and writes nothing.
    fn check(settings: &AuditFile) -> io::Result<()> {
        let (dir, name) = place(settings)?;
        match rustix::fs::openat(&dir, &name, FLAGS, Mode::empty()) {
            Ok(fd) => check_file(&std::fs::File::from(fd)).map(drop),
            Err(Errno::NOENT) => {
                let needed = Access::WRITE_OK | Access::EXEC_OK;
                rustix::fs::accessat(&dir, ".", needed, AtFlags::EACCESS)?;
                Ok(())
            }
            Err(error) => Err(not_opened(error)),
        }
    }

    pub(super) fn open(settings: &AuditFile) -> io::Result<Self> {
        let (dir, name) = place(settings)?;
        let (file, length) = open(&dir, &name, settings, OFlags::empty())?;
        Ok(Self {
            settings: settings.clone(),
            name,
            dir,
            file,
            length,
            lines: Vec::new(),
        })
    }

    /// Makes sure that the open file is still the one with the configured name. Another process may have renamed or removed it, and so may
    /// a queue from before a reload that still writes its rest. The file may also have been truncated (logrotate's copytruncate); appending
    /// goes to the end in any case.
    fn follow_name(&mut self) -> io::Result<()> {
        let open_one = rustix::fs::fstat(&self.file)?;
        let is_ours =
            |named: Stat| (named.st_dev, named.st_ino) == (open_one.st_dev, open_one.st_ino);
        if self.stat(&self.name)?.is_some_and(is_ours) {
            self.length = self.file.metadata()?.len();
            return Ok(());
        }
        let (file, length) = open(&self.dir, &self.name, &self.settings, OFlags::empty())?;
        self.finish();
        (self.file, self.length) = (file, length);
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        // If an earlier call renamed the files and failed afterwards, the name is free: another round of renames would drop the oldest file
        // for nothing.
        if self.stat(&self.name)?.is_some() {
            self.make_room()?;
        }
        self.file.sync_data()?;
        let (file, length) = open(&self.dir, &self.name, &self.settings, OFlags::EXCL)?;
        (self.file, self.length) = (file, length);
        Ok(())
    }

    /// Frees the name for a new file: `file.1` becomes `file.2` and so on, and files beyond the configured number are removed.
    fn make_room(&self) -> io::Result<()> {
        if self.settings.keep == 0 {
            return absent(rustix::fs::unlinkat(
                &self.dir,
                &self.name,
                AtFlags::empty(),
            ));
        }
        let numbered = |number: u32| {
            let mut name = self.name.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        // A directory with such a name cannot be replaced by a file. It is skipped, so that records are still written.
        let numbers = 1..=self.settings.keep.saturating_add(PASSED_OVER);
        let usable = numbers
            .map(numbered)
            .filter(|name| !self.is_directory(name));
        let keep = usize::try_from(self.settings.keep).unwrap_or(usize::MAX);
        let usable: Vec<_> = usable.take(keep).collect();
        for pair in usable.windows(2).rev() {
            if let [from, to] = pair {
                absent(rustix::fs::renameat(&self.dir, from, &self.dir, to))?;
            }
        }
        let first = usable.first().ok_or_else(|| {
            other("there are directories of all names that older files could have; move them away")
        })?;
        absent(rustix::fs::renameat(
            &self.dir, &self.name, &self.dir, first,
        ))
    }

    fn is_directory(&self, name: &Path) -> bool {
        let is_directory = |stat: Stat| FileType::from_raw_mode(stat.st_mode).is_dir();
        matches!(self.stat(name), Ok(Some(stat)) if is_directory(stat))
    }

    /// The entry of this name in the directory, if there is one. A link is not followed.
    fn stat(&self, name: &Path) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes all of `lines`, or leaves nothing of them.
    fn append(&mut self) -> io::Result<()> {
        match (&self.file).write_all(&self.lines) {
            Ok(()) => {
                self.length += self.lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                // A partial line would spoil the next one, and a retry would write the complete lines twice.
                self.file.set_len(self.length)?;
                Err(error)
            }
        }
    }
}

impl Sink for File {
    fn write(&mut self, records: &[Record], done: &mut usize) -> io::Result<()> {
        let max = self.settings.max_size;
        for records in records.chunks(CHUNK) {
            self.follow_name()?;
            self.lines.clear();
            records
                .iter()
                .for_each(|record| record.json(&mut self.lines));
            if self.length > 0 && self.length + self.lines.len() as u64 > max {
                self.rotate()?;
            }
            self.append()?;
            *done += records.len();
        }
        Ok(())
    }

    fn finish(&mut self) {
        if let Err(error) = self.file.sync_data() {
            tracing::error!("the audit file was not synced: {error}");
        }
    }
}

/// How many records are written at once. A hundred of the longest stay below the smallest `max_size`.
const CHUNK: usize = 64;

/// Opens a file of records. A path that is not a regular file is never waited for.
const FLAGS: OFlags = OFlags::RDWR
    .union(OFlags::APPEND)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// The directory of the file, which only the daemon's user may write to, and the file's name in it.
fn place(settings: &AuditFile) -> io::Result<(OwnedFd, PathBuf)> {
    let name = settings
        .path
        .file_name()
        .map(PathBuf::from)
        .ok_or_else(|| other("this is not the name of a file"))?;
    let parent = match settings.path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    let dir = rustix::fs::openat(CWD, parent, flags, Mode::empty())
        .map_err(|error| other(&format!("{}: {error}", parent.display())))?;
    check_dir(&dir, parent)?;
    Ok((dir, name))
}

fn open(
    dir: &OwnedFd,
    name: &Path,
    settings: &AuditFile,
    extra: OFlags,
) -> io::Result<(std::fs::File, u64)> {
    let flags = FLAGS | OFlags::CREATE | extra;
    let opened = rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(settings.mode));
    let file = std::fs::File::from(opened.map_err(not_opened)?);
    let length = finish_line(&file, check_file(&file)?)?;
    Ok((file, length))
}

fn not_opened(error: Errno) -> io::Error {
    match error {
        Errno::LOOP => other("it is a symbolic link; name the file itself"),
        error => error.into(),
    }
}

/// Checks that others cannot change the open file; returns its length.
fn check_file(file: &std::fs::File) -> io::Result<u64> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.nlink() > 1 {
        return Err(other("it is not a plain file with one name; name another"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(other(
            "it belongs to another user; chown it to the user tokend runs as",
        ));
    }
    if metadata.mode() & 0o027 != 0 {
        return Err(other(
            "others may write or read it; chmod it to 0600, or to 0640 for a group of readers",
        ));
    }
    Ok(metadata.len())
}

/// A daemon that was killed during a write leaves a partial line; the next record starts on a new line.
fn finish_line(mut file: &std::fs::File, length: u64) -> io::Result<u64> {
    let Some(at) = length.checked_sub(1) else {
        return Ok(0);
    };
    let mut last = [0];
    file.read_exact_at(&mut last, at)?;
    if last == [b'\n'] {
        return Ok(length);
    }
    file.write_all(b"\n")?;
    Ok(length + 1)
}

/// Any user who may write to the directory could replace our file.
fn check_dir(dir: &OwnedFd, path: &Path) -> io::Result<()> {
    let stat = rustix::fs::fstat(dir.as_fd())?;
    let own = stat.st_uid == 0 || stat.st_uid == rustix::process::geteuid().as_raw();
    let sticky = stat.st_mode & 0o1000 != 0;
    if own && (stat.st_mode & 0o022 == 0 || sticky) {
        return Ok(());
    }
    Err(other(&format!(
        "others may write to its directory {}; use one of tokend's own",
        path.display()
    )))
}

fn absent(result: Result<(), Errno>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn other(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}
