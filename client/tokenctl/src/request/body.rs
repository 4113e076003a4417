//! What a request sends.
//!
//! Owns whether a body can be sent a second time: data and files can, a stream cannot once its first byte was read. A file is read as it
//! is sent, so that its size does not matter.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use crate::clock;
use crate::failure::{Exit, Failure};

/// The source of a body.
pub(crate) enum Body {
    None,
    Data(Vec<u8>),
    File(PathBuf),
    /// Standard input, a pipe or a device: it can be read once.
    Stream {
        source: File,
        begun: bool,
    },
}

/// A body from its beginning.
pub(crate) struct Opened<'b> {
    pub(crate) source: Box<dyn Read + 'b>,
    /// Unknown for a stream.
    pub(crate) length: Option<u64>,
}

impl Body {
    /// Reads `DATA`, `@FILE` or `@-`.
    pub(crate) fn parse(text: Option<&OsStr>) -> Result<Self, Failure> {
        let Some(text) = text else {
            return Ok(Self::None);
        };
        match text.as_bytes().split_first() {
            Some((b'@', b"-")) => {
                let stdin = io::stdin().as_fd().try_clone_to_owned();
                let source = stdin.map_err(|error| unreadable("standard input", &error))?;
                Ok(Self::Stream {
                    source: File::from(source),
                    begun: false,
                })
            }
            Some((b'@', name)) => {
                let path = Path::new(OsStr::from_bytes(name));
                // It is noticed before a token is asked for.
                let (file, is_regular) =
                    open(path).map_err(|error| unreadable("the file of --data", &error))?;
                Ok(match is_regular {
                    true => Self::File(path.to_owned()),
                    false => Self::Stream {
                        source: file,
                        begun: false,
                    },
                })
            }
            _ => Ok(Self::Data(text.as_bytes().to_vec())),
        }
    }

    /// Whether a token that was refused can be followed by a newer one.
    pub(crate) fn can_be_sent(&self) -> bool {
        !matches!(self, Self::Stream { begun: true, .. })
    }

    /// The body from its beginning; none for a request without one. A stream is waited for until `until`.
    pub(crate) fn open(&mut self, until: Option<Instant>) -> Result<Option<Opened<'_>>, Failure> {
        Ok(match self {
            Self::None => None,
            Self::Data(bytes) => Some(Opened {
                length: Some(bytes.len() as u64),
                source: Box::new(bytes.as_slice()),
            }),
            Self::File(path) => {
                let opened = open(path).and_then(|(file, _)| Ok((file.metadata()?.len(), file)));
                let (length, file) =
                    opened.map_err(|error| unreadable("the file of --data", &error))?;
                Some(Opened {
                    length: Some(length),
                    // A file that grows meanwhile is sent as long as it was.
                    source: Box::new(file.take(length)),
                })
            }
            Self::Stream { source, begun } => Some(Opened {
                length: None,
                source: Box::new(Stream {
                    source,
                    begun,
                    until,
                }),
            }),
        })
    }
}

fn open(path: &Path) -> io::Result<(File, bool)> {
    let file = File::open(path)?;
    let kind = file.metadata()?;
    match kind.is_dir() {
        true => Err(io::ErrorKind::IsADirectory.into()),
        false => Ok((file, kind.is_file())),
    }
}

fn unreadable(what: &str, error: &io::Error) -> Failure {
    Failure::new(
        Exit::Io,
        format!("{what} cannot be read: {error}"),
        "nothing was sent; name a file that you can read",
    )
}

struct Stream<'b> {
    source: &'b mut File,
    begun: &'b mut bool,
    until: Option<Instant>,
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(until) = self.until {
            let left = until.saturating_duration_since(clock::steady());
            let left = left.min(Duration::from_secs(24 * 60 * 60));
            let timeout = left.try_into().map_err(io::Error::other)?;
            if poll(
                &mut [PollFd::new(&*self.source, PollFlags::IN)],
                Some(&timeout),
            )? == 0
            {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        let count = self.source.read(buffer)?;
        *self.begun |= count > 0;
        Ok(count)
    }
}
