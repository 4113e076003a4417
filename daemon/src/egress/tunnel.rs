//! Bytes between daemon and target, in both directions, unread.
//!
//! Owns when a tunnel ends: soon after one side has said that it sends no more, and at once when one side breaks.

use std::io;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy, split};

use super::way::Stream;

/// How long one side may go on after the other has ended. Whoever gave up waiting must not leave a tunnel to a target that never answers.
const AFTERWARDS: Duration = Duration::from_secs(30);

/// One that begins when its promise has been written.
pub(super) struct Tunnel {
    upgrade: OnUpgrade,
    stream: Box<dyn Stream>,
}

impl Tunnel {
    pub(super) fn new(upgrade: OnUpgrade, stream: Box<dyn Stream>) -> Self {
        Self { upgrade, stream }
    }

    /// Carries until it ends.
    pub(super) async fn carry(self) {
        match self.upgrade.await {
            Ok(asker) => carry(TokioIo::new(asker), self.stream, AFTERWARDS).await,
            Err(error) => tracing::debug!("whoever asked for a tunnel went away: {error}"),
        }
    }
}

async fn carry(
    asker: impl AsyncRead + AsyncWrite,
    target: impl AsyncRead + AsyncWrite,
    afterwards: Duration,
) {
    let (from_asker, to_asker) = split(asker);
    let (from_target, to_target) = split(target);
    let (up, down) = (pass(from_asker, to_target), pass(from_target, to_asker));
    tokio::pin!(up, down);
    let first = tokio::select! {
        ended = &mut up => Ended::Up(ended),
        ended = &mut down => Ended::Down(ended),
    };
    let ended = match first {
        Ended::Up(Err(error)) | Ended::Down(Err(error)) => Err(error),
        Ended::Up(Ok(())) => tokio::time::timeout(afterwards, down)
            .await
            .unwrap_or(Ok(())),
        Ended::Down(Ok(())) => tokio::time::timeout(afterwards, up).await.unwrap_or(Ok(())),
    };
    if let Err(error) = ended {
        tracing::debug!("a tunnel broke: {error}");
    }
}

/// Which direction was the first to end.
enum Ended {
    Up(io::Result<()>),
    Down(io::Result<()>),
}

/// Passes on what comes, and then that no more comes.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    copy(&mut from, &mut to).await?;
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

    use super::*;
    use crate::testing::soon;

    fn tunnel(afterwards: Duration) -> (DuplexStream, DuplexStream, tokio::task::JoinHandle<()>) {
        let (asker, one) = duplex(64);
        let (target, other) = duplex(64);
        let carrying = tokio::spawn(carry(one, other, afterwards));
        (asker, target, carrying)
    }

    #[tokio::test]
    async fn whoever_says_no_more_is_still_answered() {
        let (mut asker, mut target, carrying) = tunnel(Duration::from_secs(60));
        asker.write_all(b"question").await.unwrap();
        asker.shutdown().await.unwrap();
        let mut question = String::new();
        soon(target.read_to_string(&mut question)).await.unwrap();
        assert_eq!(question, "question");
        target.write_all(b"answer").await.unwrap();
        drop(target);
        let mut answer = String::new();
        soon(asker.read_to_string(&mut answer)).await.unwrap();
        assert_eq!(answer, "answer");
        soon(carrying).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_that_never_answers_is_left_when_nobody_waits() {
        let (asker, _silent, carrying) = tunnel(AFTERWARDS);
        drop(asker);
        carrying.await.unwrap();
    }

    #[tokio::test]
    async fn a_side_that_breaks_ends_it_at_once() {
        let (asker, target, carrying) = tunnel(Duration::from_secs(3600));
        drop(target);
        let mut asker = asker;
        let mut nothing = String::new();
        soon(asker.read_to_string(&mut nothing)).await.unwrap();
        // There is nobody to pass this on to.
        asker.write_all(b"lost").await.unwrap();
        soon(carrying).await.unwrap();
        assert_eq!(nothing, "");
    }
}
