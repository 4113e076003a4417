//! The process at the other end of the socket, as the kernel describes it.
//!
//! Owns asking the kernel: who connected, and through `reader` what that process is. Nothing a process says about itself is
//! believed, and nothing is taken from a process that may not be the one that connected. Must never decide anything: that is the
//! policy's.

mod executable;
mod pin;
mod process;
mod reader;
mod recent;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod turns;

use std::io;
use std::os::fd::AsFd as _;

use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::StreamCommon as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::Shutdown;
use rustix::net::SocketAddrUnix;
use tokend_policy::Peer;

pub use pin::{Pin, Pinned};
pub use reader::{PATIENCE, Reader};
pub use turns::{Full, Turn, Turns};

/// The id that stands for every id without a number in a user namespace (the default of kernel.overflowuid).
const NOBODY: u32 = 65_534;

/// A connection whose other end can be identified.
pub trait Connection {
    /// Pins the process that connected as `peer`, accepted at `accepted_ms` after boot.
    ///
    /// # Errors
    /// Why it cannot be pinned: a lower-case fragment.
    fn pin(&self, peer: &Peer, accepted_ms: u64) -> Result<Box<dyn Pinned>, String>;

    /// Whether the other end is closed, which is known before everything that it sent is read.
    fn has_gone(&self) -> bool;

    /// Tells the other end that nothing more comes. What it still sends can be read.
    fn end(&self);
}

impl Connection for Stream {
    fn pin(&self, peer: &Peer, accepted_ms: u64) -> Result<Box<dyn Pinned>, String> {
        let Self::UdSocket(socket) = self;
        let pin = Pin::of(socket.inner().as_fd(), peer.pid, accepted_ms)?;
        Ok(Box::new(pin))
    }

    fn has_gone(&self) -> bool {
        let Self::UdSocket(socket) = self;
        // poll(2) reports a hang-up whichever events are asked for.
        let mut fds = [PollFd::new(socket.inner(), PollFlags::empty())];
        let now = Timespec::default();
        poll(&mut fds, Some(&now)).is_ok_and(|found| found > 0)
    }

    fn end(&self) {
        let Self::UdSocket(socket) = self;
        // The library's own way does nothing. An error says that the other end is gone.
        let _gone = rustix::net::shutdown(socket.inner(), Shutdown::Write);
    }
}

/// Asks the kernel who is at the other end of `stream`.
///
/// # Errors
///
/// When the kernel does not say. Refuse the connection then.
pub fn of(stream: &Stream) -> io::Result<Peer> {
    let credentials = stream.peer_creds()?;
    let missing =
        || io::Error::other("the kernel did not say who is at the other end of the socket");
    let uid = credentials.euid().ok_or_else(missing)?;
    let gid = credentials.egid().ok_or_else(missing)?;
    // A process of another PID namespace has no number here.
    let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok());
    Ok(Peer::new(uid, gid, pid.unwrap_or(0)))
}

/// The abstract address that the other end of `stream` has bound, without its leading zero byte. It chose that address itself.
pub fn abstract_address(stream: &Stream) -> Option<Vec<u8>> {
    let Stream::UdSocket(socket) = stream;
    let address = rustix::net::getpeername(socket.inner()).ok()??;
    let address = SocketAddrUnix::try_from(address).ok()?;
    address.abstract_name().map(<[u8]>::to_vec)
}

/// Whether the kernel could not say who `peer` is: ids from outside have no number in a user namespace of the
/// daemon's own.
pub fn is_nobody(peer: &Peer) -> bool {
    let nobody = peer.uid == NOBODY || peer.gid == NOBODY;
    nobody && !process::maps_every_id()
}

#[cfg(test)]
mod tests {
    use interprocess::local_socket::tokio::prelude::*;
    use interprocess::local_socket::{GenericFilePath, ListenerOptions};

    use super::*;

    #[tokio::test]
    async fn a_peer_is_who_the_kernel_says() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("s");
        let name = || {
            path.as_path()
                .to_fs_name::<GenericFilePath>()
                .expect("a path")
        };
        let listener = ListenerOptions::new()
            .name(name())
            .create_tokio()
            .expect("listen");
        let (accepted, connected) =
            tokio::join!(listener.accept(), LocalSocketStream::connect(name()));
        let _connected = connected.expect("connect");

        let peer = of(&accepted.expect("accept")).expect("peer");
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        assert_eq!(peer.gid, rustix::process::getegid().as_raw());
        assert_eq!(peer.pid, std::process::id());
        assert_eq!(
            peer.to_string(),
            format!("uid {} gid {} pid {}", peer.uid, peer.gid, peer.pid)
        );
    }
}
