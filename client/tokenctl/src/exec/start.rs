//! Starting the updater of files, in the process that becomes the command.
//!
//! Owns how the updater comes to be apart from the command: a process between the two starts it and ends, so it is no child of the command,
//! which may wait for all of its children. It is there before the command is and before any file has a token, so that no token is ever
//! without somebody who removes it. Must never put a token among arguments.

use std::io::{self, ErrorKind, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{PidfdFlags, child_subreaper, getpid, pidfd_open, set_child_subreaper};

use super::handover;
use crate::arguments::Keep;
use crate::failure::{Exit, Failure};

/// This program, even if another release was installed meanwhile.
const SELF: &str = "/proc/self/exe";

/// What an updater says when the files are there.
pub(super) const READY: u8 = b'r';

/// Starts the updater, which has these tokens, and returns once the files are there and nothing that is sent to the command can end it.
pub(super) fn updater(socket: &Path, keep: &Keep, secrets: &[&str]) -> Result<(), Failure> {
    let failed = |exit, why: &str| {
        Err(Failure::new(
            exit,
            format!("the process that keeps the files fresh did not begin: {why}"),
            "see the line above if there is one; /proc must be mounted; or use --fd",
        ))
    };
    // It would be a child of the command after all, and the kernel would end it together with the command, before it removes the files.
    if getpid().is_init() {
        return Err(Failure::new(
            Exit::Config,
            "--file cannot be used by the first process of a container or of the system",
            "start it below an init, as `docker run --init` does; or use --fd",
        ));
    }
    match start(socket, keep, secrets) {
        Ok(true) => Ok(()),
        Ok(false) => failed(Exit::Io, "it ended"),
        Err(error) => failed(Exit::TryLater, &error.to_string()),
    }
}

fn start(socket: &Path, keep: &Keep, secrets: &[&str]) -> io::Result<bool> {
    let (mut ours, theirs) = UnixStream::pair()?;
    // Taken of this process while it lives, so that the updater cannot take another of the same number for it.
    let command = pidfd_open(getpid(), PidfdFlags::empty())?;
    let mut starter = Command::new(SELF);
    starter
        .arg0("tokenctl")
        .arg("--socket")
        .arg(std::path::absolute(socket)?)
        .args(keep.words())
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(command));
    // The updater must not come back to this process when the one between has ended.
    let adopts = child_subreaper().unwrap_or_default();
    if adopts.is_some() {
        set_child_subreaper(None)?;
    }
    let mut starting = starter.spawn()?;
    // This has the other end.
    drop(starter);
    // If this process ignores the end of its children, there is nothing to wait for.
    drop(starting.wait());
    if adopts.is_some() {
        set_child_subreaper(adopts)?;
    }
    let mut said = [0];
    match handover::send(secrets, &ours).and_then(|()| ours.read(&mut said)) {
        Ok(count) => Ok(count == 1 && said == [READY]),
        // It has ended.
        Err(error)
            if [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset].contains(&error.kind()) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// In the process between: starts the updater, and does not wait for it.
pub(super) fn another(socket: &Path, keep: &Keep) -> Result<(), Failure> {
    let started = Command::new(SELF)
        .arg0("tokenctl")
        .arg("--socket")
        .arg(socket)
        .args(keep.words())
        .spawn();
    started.map(drop).map_err(|error| {
        Failure::new(
            Exit::TryLater,
            format!("the process that keeps the files fresh cannot be started: {error}"),
            "free memory or processes, or use --fd",
        )
    })
}
