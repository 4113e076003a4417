//! The process at the other end of the socket, as the kernel describes it.
//!
//! Owns asking the kernel. Everything in a [`Peer`] comes from there at the time the connection was made; nothing the process says
//! about itself is believed. Must never decide anything: that is the policy's.

use std::io;

use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::StreamCommon as _;
use tokend_policy::Peer;

/// Asks the kernel who is at the other end of `stream`.
///
/// # Errors
///
/// When the kernel does not say, as it does for a process of another PID namespace. Refuse the connection then.
pub(crate) fn of(stream: &Stream) -> io::Result<Peer> {
    let told = stream.peer_creds()?;
    let missing =
        || io::Error::other("the kernel did not say who is at the other end of the socket");
    Ok(Peer {
        uid: told.euid().ok_or_else(missing)?,
        gid: told.egid().ok_or_else(missing)?,
        pid: told
            .pid()
            .and_then(|pid| u32::try_from(pid).ok())
            .ok_or_else(missing)?,
    })
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
