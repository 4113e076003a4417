//! How many files and connections this process may have open.
//!
//! Owns raising the limit, and looking for room before anything is begun: some libraries panic, or report
//! another error, if no descriptor is left. Must never refuse a start for which there is room.

use std::io;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a daemon or a relay opens before it serves anybody (about twenty), and a few for clients.
pub const TO_SERVE: usize = 32;
/// How many descriptors a command opens at once that reads a configuration and fetches secrets.
pub const TO_LOOK: usize = 16;

/// There are too few descriptors for the files that have to be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no room for {needed} more descriptors (open files): {why}; raise the limit (LimitNOFILE= in the unit, `ulimit -n` in a shell), or find out what uses them up"
)]
pub struct NoRoom {
    needed: usize,
    // Not `source`: code that prints the causes of an error would print it twice.
    why: io::Error,
}

/// Allows as many descriptors as the system lets this process have: each connection takes one, and the usual soft limit of 1024 is
/// less than the connections that are allowed by default. How many there are now; `None` where nothing bounds them.
pub fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!("the limit on open files could not be raised: {error}");
    }
    getrlimit(Resource::Nofile).current
}

/// Checks that so many more descriptors can be open at once, by opening them.
pub fn must_have_room(needed: usize) -> Result<(), NoRoom> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let mut held = Vec::with_capacity(needed);
    while held.len() < needed {
        match rustix::fs::openat(CWD, "/", flags, Mode::empty()) {
            Ok(descriptor) => held.push(descriptor),
            Err(errno) => {
                let why = errno.into();
                // Any other refusal says nothing about room.
                return match tokend_config::is_shortage(&why) {
                    true => Err(NoRoom { needed, why }),
                    false => Ok(()),
                };
            }
        }
    }
    Ok(())
}
