//! Where an answer goes.
//!
//! Owns how it gets there: as it comes, in bounded memory. On a terminal no byte of a server moves the cursor.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::progress::Progress;
use crate::failure::{Exit, Failure};
use crate::words;

/// How much is moved at once.
const PIECE: usize = 64 * 1024;
/// How many symbolic links the kernel follows in one path.
const LINKS: usize = 40;

/// Standard output, or a file.
pub(crate) struct Sink {
    place: Place,
    /// What the file is called, if it is not standard output.
    name: Option<String>,
    screen: Option<Screen>,
}

enum Place {
    Open(File),
    /// Made when there is an answer. However this process ends before that, no file is left.
    Absent(PathBuf),
}

/// Why an answer did not get here whole.
pub(crate) enum Broken {
    /// The API, or the way to it.
    Source(io::Error),
    /// The place it goes to.
    Sink(Failure),
}

impl Sink {
    /// Opens it. A file keeps what it has until there is an answer.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        match path {
            None => {
                let stdout = io::stdout().as_fd().try_clone_to_owned();
                Ok(Self {
                    place: Place::Open(stdout.map_err(|error| Failure::output(&error))?.into()),
                    name: None,
                    screen: io::stdout().is_terminal().then(Screen::default),
                })
            }
            Some(path) => {
                let name = words::plain(&path.display().to_string());
                let place = open(path).map_err(|error| {
                    Failure::new(
                        Exit::Io,
                        format!("{name} cannot be written: {error}"),
                        "nothing was sent; name a file that you can write",
                    )
                })?;
                Ok(Self {
                    place,
                    name: Some(name),
                    screen: None,
                })
            }
        }
    }

    /// Whether a line of progress disturbs nothing.
    pub(crate) fn leaves_terminal_free(&self) -> bool {
        self.screen.is_none()
    }

    /// An answer is there: a file loses what it had, or comes to be.
    pub(crate) fn begin(&mut self) -> Result<(), Failure> {
        let begun = match &self.place {
            Place::Open(file) => {
                let is_file = file.metadata().is_ok_and(|kind| kind.is_file());
                match self.name.is_some() && is_file {
                    true => file.set_len(0),
                    false => Ok(()),
                }
            }
            Place::Absent(path) => File::create(path).map(|file| self.place = Place::Open(file)),
        };
        begun.map_err(|error| self.failure(&error, "the API has answered, and its answer is lost"))
    }

    /// Writes a part of the answer, after it was begun.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Place::Open(file) = &mut self.place else {
            return Ok(());
        };
        let written = match &mut self.screen {
            Some(screen) => file.write_all(&screen.harmless(bytes)),
            None => file.write_all(bytes),
        };
        written.map_err(|error| {
            let advice = "the API has answered, and only a part of its answer is in the file";
            self.failure(&error, advice)
        })
    }

    /// Moves all of it.
    pub(crate) fn copy(
        &mut self,
        source: &mut impl Read,
        progress: &mut Progress,
    ) -> Result<(), Broken> {
        let mut piece = vec![0; PIECE];
        loop {
            let count = match source.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Broken::Source(error)),
            };
            let read = piece.get(..count).unwrap_or_default();
            self.write(read).map_err(Broken::Sink)?;
            progress.step(count);
        }
    }

    fn failure(&self, error: &io::Error, advice: &str) -> Failure {
        match &self.name {
            None => Failure::output(error),
            Some(name) => Failure::new(
                Exit::Io,
                format!("{name} cannot be written: {error}"),
                advice,
            ),
        }
    }
}

/// Opens a file that is there, or makes sure that it can be made.
fn open(path: &Path) -> io::Result<Place> {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => Ok(Place::Open(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            can_be_made(path)?;
            Ok(Place::Absent(path.to_owned()))
        }
        Err(error) => Err(error),
    }
}

/// A link that leads nowhere is followed, as when the file is made.
fn can_be_made(path: &Path) -> io::Result<()> {
    if path.as_os_str().as_bytes().ends_with(b"/") {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let beside = |path: &Path, name: &Path| match path.parent() {
        Some(parent) => parent.join(name),
        None => name.to_owned(),
    };
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match std::fs::read_link(&path) {
            Ok(target) => path = beside(&path, &target),
            Err(_) => break,
        }
    }
    let directory = beside(&path, Path::new("."));
    Ok(access(&directory, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// What a terminal gets of an answer: text, lines and tabs.
#[derive(Default)]
struct Screen {
    /// The last byte may begin one of the second control characters of Unicode.
    is_after_c2: bool,
}

impl Screen {
    fn harmless(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            let is_second_half =
                std::mem::take(&mut self.is_after_c2) && (0x80..0xa0).contains(&byte);
            match byte {
                b'\n' | b'\t' => text.push(byte),
                b'\r' => {}
                0..0x20 | 0x7f => text.push(b'?'),
                _ if is_second_half => text.push(b'?'),
                0xc2 => {
                    self.is_after_c2 = true;
                    text.push(byte);
                }
                _ => text.push(byte),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_of_a_server_moves_the_cursor() {
        let mut screen = Screen::default();
        assert_eq!(
            screen.harmless("a\u{1b}[2J\r\n\té\u{7f}\0".as_bytes()),
            "a?[2J\n\té??".as_bytes()
        );
        // U+009B in two pieces.
        assert_eq!(screen.harmless(b"\xc2"), b"\xc2");
        assert_eq!(screen.harmless(b"\x9b2J"), b"?2J");
    }
}
