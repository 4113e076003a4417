//! The end of a connection whose peer may still be sending.
//!
//! Owns that the last answer is read: a peer that sends to a connection that is closed is told that it broke, and many programs then read
//! nothing any more. Must never act on what still comes.

use std::io;
use std::time::Duration;

use tokend_peer::Connection;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use zeroize::Zeroizing;

/// How long a peer may take to read the last answer and to hang up. It is on its way already.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much is read at once.
const PART: usize = 4 * 1024;

/// Says that nothing more comes, and waits for the peer to hang up. What it still sends is dropped.
pub(crate) async fn part<S: AsyncRead + AsyncWrite + Connection + Unpin>(mut stream: S) {
    let parting = async {
        stream.shutdown().await?;
        stream.end();
        // May be a request with a token.
        let mut dropped = Zeroizing::new([0; PART]);
        while stream.read(&mut *dropped).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    // Whoever does not hang up in time, or did so in another way, has had its answer.
    let _either_way = timeout(PATIENCE, parting).await;
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use interprocess::local_socket::tokio::Stream;
    use interprocess::os::unix::uds_local_socket::tokio::Stream as Ours;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_is_still_sending_reads_the_last_answer() {
        let (mut client, ours) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut ours = Stream::from(Ours::try_from(OwnedFd::from(ours)).unwrap());
        let serving = tokio::spawn(async move {
            ours.write_all(b"no").await.unwrap();
            part(ours).await;
        });
        let talking = tokio::task::spawn_blocking(move || {
            // More than a socket holds.
            client.write_all(&vec![b'x'; 4 << 20]).unwrap();
            let mut said = String::new();
            client.read_to_string(&mut said).unwrap();
            (said, client)
        });
        let (said, client) = talking.await.unwrap();
        assert_eq!(said, "no");
        drop(client);
        serving.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_hang_up_is_not_waited_for() {
        let (_client, ours) = tokio::io::duplex(64);
        timeout(PATIENCE * 2, part(ours)).await.unwrap();
    }
}
