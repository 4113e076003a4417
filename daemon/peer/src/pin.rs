//! Makes sure that facts are read about the process that connected, and about no other.
//!
//! A process id alone names the process that has it now. Owns the descriptor that holds on to a process, and
//! the question whether that process lives: as long as it does, no other process has its id.

use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::process;

/// A process that is held on to.
pub trait Pinned: fmt::Debug + Send {
    /// Whether it lives.
    fn lives(&self) -> bool;

    /// A number that no other process has had since the machine started, if the kernel gives one.
    fn number(&self) -> Option<u64>;
}

/// A descriptor that names one process for good (pidfd_open(2)).
#[derive(Debug)]
pub struct Pin(OwnedFd);

impl Pin {
    /// The process that connected `socket`, as the kernel remembers it (SO_PEERPIDFD, since Linux 6.5).
    ///
    /// An older kernel only gives the process id. The process with that id is the one that connected, unless it
    /// started after the connection was accepted. One gap is left: a process that connected and ended, and
    /// whose id was reused before we accepted.
    pub fn of(socket: BorrowedFd<'_>, pid: u32, accepted_ms: u64) -> Result<Self, String> {
        match getsockopt(&socket, sockopt::PeerPidfd) {
            Ok(pidfd) => Ok(Self(pidfd)),
            Err(Errno::ENOPROTOOPT) => Self::by_number(pid, accepted_ms),
            Err(Errno::ESRCH | Errno::EINVAL) => Err(ENDED.to_owned()),
            Err(error) => Err(format!("the kernel does not pin it: {}", error.desc())),
        }
    }

    fn by_number(pid: u32, accepted_ms: u64) -> Result<Self, String> {
        let pin = Self::open(pid)?;
        match process::started_ms(pid) {
            // Both clocks are cut to the kernel's ticks, so that a process whose first act was to connect is
            // not rejected.
            Ok(started_ms) if started_ms <= accepted_ms => Ok(pin),
            Ok(_) => Err(ENDED.to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The process that has this number now.
    pub fn open(pid: u32) -> Result<Self, String> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or("the kernel has no process id for it")?;
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Self(pidfd)),
            Err(rustix::io::Errno::SRCH) => Err(ENDED.to_owned()),
            Err(error) => Err(format!("the kernel does not pin it: {error}")),
        }
    }
}

/// The file system of such descriptors, whose files have a number for each process (PID_FS_MAGIC in linux/magic.h).
const PIDFS: rustix::fs::FsWord = 0x5049_4446;

/// The reason given when the process has ended.
pub(crate) const ENDED: &str = "the process that connected has ended";

impl Pinned for Pin {
    fn lives(&self) -> bool {
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        // Readable means that the process has ended. An error counts as ended.
        matches!(poll(&mut fds, Some(&Timespec::default())), Ok(0))
    }

    fn number(&self) -> Option<u64> {
        // Before Linux 6.9 all of these descriptors shared one inode, and on 32-bit machines the inode number
        // is cut.
        let of_pidfs =
            cfg!(target_pointer_width = "64") && rustix::fs::fstatfs(&self.0).ok()?.f_type == PIDFS;
        let file = of_pidfs.then(|| rustix::fs::fstat(&self.0).ok())??;
        Some(file.st_ino)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_pin_tells_the_living_from_the_dead() {
        let own = Pin::open(std::process::id()).unwrap();
        assert!(own.lives());
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pin = Pin::open(child.id()).unwrap();
        assert!(pin.lives());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!pin.lives());
        assert_eq!(Pin::open(child.id()).unwrap_err(), ENDED);
        assert!(Pin::open(0).is_err());
    }

    #[test]
    fn a_process_has_one_number_and_no_other_has_it() {
        let number = |id| Pin::open(id).unwrap().number();
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let (own, other) = (number(std::process::id()), number(child.id()));
        assert_eq!(own, number(std::process::id()));
        // An older kernel has no such number for either process.
        assert_eq!(own.is_some(), other.is_some());
        assert!(own.is_none() || own != other);
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn whoever_has_the_number_but_started_after_the_connection_is_a_stranger() {
        let own = std::process::id();
        assert!(Pin::by_number(own, u64::MAX).unwrap().lives());
        assert_eq!(Pin::by_number(own, 1).unwrap_err(), ENDED);
    }

    #[test]
    fn the_kernel_remembers_who_connected() {
        let (one, _other) = UnixStream::pair().unwrap();
        let pin = Pin::of(one.as_fd(), std::process::id(), u64::MAX).unwrap();
        assert!(pin.lives());
    }
}
