//! Which sink keeps a file.
//!
//! Owns the file beside it that is locked while a sink runs. Two sinks with one file would replace each other's for ever, and a check of
//! configurations sees only those of its directories. The lock ends with the process. The file of the lock goes with an orderly end; where
//! one is left, a sink wrote what is beside it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process;

use rustix::fs::{self, AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::place::Place;
use crate::words;

/// What is added to the name of a file, besides the dot that hides it.
const ENDING: &str = ".lock";
/// How much is read of who holds it: a name and a number.
const LONGEST: u64 = 200;
/// How often the file of the lock may be exchanged between two steps.
const TRIES: usize = 16;

/// The lock of a file.
#[derive(Debug)]
pub(super) struct Hold {
    /// Where the file of the lock is.
    at: Place,
    file: File,
}

/// Why there is no lock.
#[derive(Debug)]
pub(super) enum NotHeld {
    /// Another sink has it: who, as it says itself.
    ByOther(String),
    Failed(Errno),
}

impl Hold {
    /// Takes the lock of the file in this place.
    pub(super) fn take(place: &Place, sink: &str) -> Result<Self, NotHeld> {
        Self::open(place, OFlags::CREATE, sink)
    }

    /// The same, if a sink was here before.
    pub(super) fn take_over(place: &Place, sink: &str) -> Result<Self, NotHeld> {
        Self::open(place, OFlags::empty(), sink)
    }

    fn open(place: &Place, create: OFlags, sink: &str) -> Result<Self, NotHeld> {
        let mut name = OsString::from(".");
        name.push(&place.name);
        name.push(ENDING);
        let directory = place.directory.try_clone();
        let directory = directory
            .map_err(|error| NotHeld::Failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        let at = Place { directory, name };
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | create;
        for _ in 0..TRIES {
            let opened = fs::openat(&at.directory, &at.name, flags, Mode::RUSR | Mode::WUSR);
            let mut file = File::from(opened.map_err(NotHeld::Failed)?);
            match fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    let mut who = String::new();
                    // Who cannot be read is another process all the same.
                    drop(file.take(LONGEST).read_to_string(&mut who));
                    return Err(NotHeld::ByOther(words::plain(who.trim_end())));
                }
                Err(error) => return Err(NotHeld::Failed(error)),
            }
            if is_at(&file, &at) {
                // It is a lock without these words too.
                drop(file.set_len(0));
                drop(writeln!(file, "sink {sink}, process {}", process::id()));
                return Ok(Self { at, file });
            }
        }
        Err(NotHeld::Failed(Errno::AGAIN))
    }

    /// Whether this is still the lock of the file in that place.
    pub(super) fn is_of(&self, place: &Place) -> bool {
        self.at.is_beside(place) && is_at(&self.file, &self.at)
    }

    /// Nobody keeps the file any more.
    pub(super) fn end(self) {
        if is_at(&self.file, &self.at) {
            // One that stays is taken over by the next sink.
            let _failed = self.at.remove();
        }
    }
}

/// Whether a file is still there under its name: whoever had the lock before may have removed it.
fn is_at(file: &File, at: &Place) -> bool {
    let here = fs::statat(&at.directory, &at.name, AtFlags::SYMLINK_NOFOLLOW);
    let own = fs::fstat(file);
    matches!((here, own), (Ok(one), Ok(two)) if (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino))
}

#[cfg(test)]
mod tests {
    use std::fs::{remove_file, rename};

    use rustix::process::geteuid;

    use super::super::place::Holder;
    use super::*;

    #[test]
    fn one_sink_has_the_lock_of_a_file_and_the_next_one_after_it() {
        let top = tempfile::tempdir().unwrap();
        let me = Holder::User(geteuid().as_raw());
        let place = Place::open(&top.path().join("token"), me).unwrap();
        assert!(Hold::take_over(&place, "none").is_err(), "there was none");
        let first = Hold::take(&place, "first").unwrap();
        let said = format!("sink first, process {}", process::id());
        match Hold::take(&place, "second").unwrap_err() {
            NotHeld::ByOther(who) => assert_eq!(who, said),
            NotHeld::Failed(error) => panic!("{error}"),
        }
        let other = Place::open(&top.path().join("other"), me).unwrap();
        let other = Hold::take(&other, "other").unwrap();
        // A killed one leaves its file.
        drop(first);
        let second = Hold::take_over(&place, "second").unwrap();
        assert!(second.is_of(&place));
        remove_file(top.path().join(".token.lock")).unwrap();
        assert!(!second.is_of(&place));
        let third = Hold::take(&place, "third").unwrap();
        second.end();
        assert!(third.is_of(&place), "the file of another lock stays");
        third.end();
        assert!(!top.path().join(".token.lock").exists());
        rename(top.path().join(".other.lock"), top.path().join("moved")).unwrap();
        other.end();
        assert!(top.path().join("moved").exists());
    }
}
