//! Where an answer goes.
//!
//! Owns how it gets there: as it comes, in bounded memory. On a terminal no byte of a server moves the cursor.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::progress::Progress;
use crate::failure::{Exit, Failure};
use crate::words;

/// How much is moved at once.
const PIECE: usize = 64 * 1024;

/// Standard output, or a file.
pub(crate) struct Sink {
    file: File,
    /// What the file is called, if it is not standard output.
    name: Option<String>,
    /// The file, if it was made for an answer that has not come yet.
    empty: Option<PathBuf>,
    screen: Option<Screen>,
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
                    file: File::from(stdout.map_err(|error| Failure::output(&error))?),
                    name: None,
                    empty: None,
                    screen: io::stdout().is_terminal().then(Screen::default),
                })
            }
            Some(path) => {
                let name = words::plain(&path.display().to_string());
                let (file, empty) = open(path).map_err(|error| {
                    Failure::new(
                        Exit::Io,
                        format!("{name} cannot be written: {error}"),
                        "nothing was sent; name a file that you can write",
                    )
                })?;
                Ok(Self {
                    file,
                    name: Some(name),
                    empty,
                    screen: None,
                })
            }
        }
    }

    /// Whether a line of progress disturbs nothing.
    pub(crate) fn leaves_terminal_free(&self) -> bool {
        self.screen.is_none()
    }

    /// An answer is there: a file loses what it had.
    pub(crate) fn begin(&mut self) -> Result<(), Failure> {
        self.empty = None;
        let is_file = self.file.metadata().is_ok_and(|kind| kind.is_file());
        match self.name.is_some() && is_file {
            true => self.file.set_len(0).map_err(|error| self.failure(&error)),
            false => Ok(()),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = match &mut self.screen {
            Some(screen) => self.file.write_all(&screen.harmless(bytes)),
            None => self.file.write_all(bytes),
        };
        written.map_err(|error| self.failure(&error))
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

    fn failure(&self, error: &io::Error) -> Failure {
        match &self.name {
            None => Failure::output(error),
            Some(name) => Failure::new(
                Exit::Io,
                format!("{name} cannot be written: {error}"),
                "the API has answered, and only a part of its answer is in the file",
            ),
        }
    }
}

impl Drop for Sink {
    /// Without an answer there is no file, unless there was one before.
    fn drop(&mut self) {
        let Some(path) = self.empty.take() else {
            return;
        };
        let id = |it: &std::fs::Metadata| (it.dev(), it.ino(), it.len());
        let ours = self.file.metadata().ok().map(|it| id(&it));
        let there = std::fs::symlink_metadata(&path).ok().map(|it| id(&it));
        if ours == there && ours.is_some_and(|(_, _, length)| length == 0) {
            // It stays where it cannot be removed, and says nothing wrong: it is empty.
            let _gone = std::fs::remove_file(&path);
        }
    }
}

/// Opens the file, and says where it is if it was not there before.
fn open(path: &Path) -> io::Result<(File, Option<PathBuf>)> {
    let mut options = OpenOptions::new();
    match options.write(true).create_new(true).open(path) {
        Ok(file) => Ok((file, Some(path.to_owned()))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mut options = OpenOptions::new();
            let opened = options.write(true).create(true).truncate(false).open(path);
            Ok((opened?, None))
        }
        Err(error) => Err(error),
    }
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
