//! A process beside a command: how it becomes independent of it, and how it learns that the command has ended.
//!
//! Owns what such a process has of the command's. It is in a session of its own, ignores the signals that end programs, and of the command's
//! files has standard error alone, so it delays nobody who waits for the end of the others. Standard input is the other end of `start`, and
//! standard output is the command's process: nothing is ever printed there.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::stdio::dup2_stdin;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/// Becomes independent of the command. No thread may be started before this.
pub(super) fn settle() -> io::Result<()> {
    close_inherited()?;
    // The process that was started ends here, and a copy of it goes on in a session of its own and in the root directory: the command's directory
    // may be on something that is to be unmounted.
    nix::unistd::daemon(false, true)?;
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}

/// Says this to the process that becomes the command, for which everything is ready.
pub(super) fn answer(said: &[u8]) -> io::Result<()> {
    let mut left = said;
    while !left.is_empty() {
        let count = rustix::io::write(io::stdin(), left)?;
        left = left.get(count..).unwrap_or_default();
    }
    Ok(dup2_stdin(File::open("/dev/null")?)?)
}

/// Closes what was inherited but the first three: the other end of a pipe or a connection waits for the last one to close it.
fn close_inherited() -> io::Result<()> {
    let mut inherited = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        inherited.extend(number.filter(|number: &i32| *number > 2));
    }
    for number in inherited {
        match nix::unistd::close(number) {
            // The list itself was open too and is not any more.
            Ok(()) | Err(nix::errno::Errno::EBADF) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Waits for the end of the command.
pub(super) fn until_the_end() {
    let command = io::stdout();
    let mut watched = [PollFd::new(&command, PollFlags::IN)];
    while matches!(poll(&mut watched, None), Err(Errno::INTR)) {}
}

/// Does this at the end of the command, in a thread.
pub(super) fn at_the_end(then: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let wait = move || {
        until_the_end();
        then();
    };
    thread::Builder::new().spawn(wait).map(drop)
}
