//! Bytes between daemon and target, in both directions, unread.
//!
//! Owns when a tunnel ends: soon after one side has said that it sends no more, and at once when one side breaks.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::select;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};

use super::connect::Stream;
use super::recent_failures::{End, RecentFailures};
use crate::silence::is_of_other_side;

/// How long one side may go on after the other has ended. A peer that gave up must not leave behind a tunnel to a target that never
/// answers.
const AFTERWARDS: Duration = Duration::from_secs(30);
/// How many bytes are passed on at a time.
const PIECE: usize = 16 * 1024;

/// A tunnel that begins when its promise has been written.
pub(super) struct Tunnel {
    pub(super) upgrade: OnUpgrade,
    pub(super) stream: Box<dyn Stream>,
    pub(super) ending: Ending,
}

/// Remembers who ended a tunnel, at the latest when that is visible from outside.
pub(super) struct Ending {
    recent: Arc<RecentFailures>,
    named: String,
    is_known: AtomicBool,
}

impl Ending {
    pub(super) fn new(recent: &Arc<RecentFailures>, named: String) -> Self {
        Self {
            recent: Arc::clone(recent),
            named,
            is_known: AtomicBool::new(false),
        }
    }

    /// Notes who ended the tunnel first; `None` for the peer that asked for it.
    fn by(&self, end: Option<End>) {
        if !self.is_known.swap(true, Ordering::Relaxed)
            && let Some(end) = end
        {
            self.recent.ended(&self.named, end);
        }
    }
}

/// Exists while a tunnel carries bytes: without an end before the drop, the relay ends the tunnel.
struct Carrying<'e>(&'e Ending);

impl Drop for Carrying<'_> {
    fn drop(&mut self) {
        self.0.by(Some(End::Relay));
    }
}

impl Tunnel {
    /// Carries bytes until either side ends.
    pub(super) async fn carry(self) {
        match self.upgrade.await {
            Ok(asker) => carry(TokioIo::new(asker), self.stream, AFTERWARDS, &self.ending).await,
            Err(error) => tracing::debug!("the client of a tunnel went away: {error}"),
        }
    }
}

async fn carry(
    asker: impl AsyncRead + AsyncWrite,
    target: impl AsyncRead + AsyncWrite,
    afterwards: Duration,
    ending: &Ending,
) {
    let (mut from_asker, mut to_asker) = split(asker);
    let (mut from_target, mut to_target) = split(target);
    let asker_ended = |_: Option<&io::Error>| ending.by(None);
    let target_ended = |error: Option<&io::Error>| ending.by(Some(end(error)));
    let up = pin!(pass(
        &mut from_asker,
        &mut to_target,
        asker_ended,
        target_ended
    ));
    let down = pin!(pass(
        &mut from_target,
        &mut to_asker,
        target_ended,
        asker_ended
    ));
    // Declared last, so that it is dropped before the two halves close their connections.
    let _carrying = Carrying(ending);
    let (first, other) = select(up, down).await.factor_first();
    let ended = match first {
        Ok(()) => tokio::time::timeout(afterwards, other)
            .await
            .unwrap_or(Ok(())),
        broken => broken,
    };
    if let Err(error) = ended {
        tracing::debug!("a tunnel broke: {error}");
    }
}

/// Who caused an end on the target's side: without an error the target ended in order.
fn end(error: Option<&io::Error>) -> End {
    match error {
        None => End::Target,
        Some(error) if is_of_other_side(error) => End::Broken,
        Some(_) => End::Relay,
    }
}

/// Passes bytes on to their end. The callback learns which side ended and with which error before the other side can see it.
async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    from_ended: impl Fn(Option<&io::Error>),
    to_ended: impl Fn(Option<&io::Error>),
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let count = from
            .read(&mut piece)
            .await
            .inspect_err(|error| from_ended(Some(error)))?;
        let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else {
            from_ended(None);
            return to.shutdown().await;
        };
        to.write_all(bytes)
            .await
            .inspect_err(|error| to_ended(Some(error)))?;
        to.flush()
            .await
            .inspect_err(|error| to_ended(Some(error)))?;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncReadExt as _, DuplexStream, ReadBuf, duplex};

    use super::*;
    use tokend_process::clock::Clock;
    use tokend_process::testing::soon;

    const NAMED: &str = "a:1";

    fn ending() -> Ending {
        let recent = Arc::new(RecentFailures::new(Clock::system()));
        Ending::new(&recent, NAMED.to_owned())
    }

    /// A tunnel, and how the last one ended as far as is remembered.
    struct Remembered {
        asker: DuplexStream,
        target: DuplexStream,
        recent: Arc<RecentFailures>,
        carrying: tokio::task::JoinHandle<()>,
    }

    fn remembered() -> Remembered {
        let recent = Arc::new(RecentFailures::new(Clock::system()));
        let ((asker, one), (target, other)) = (duplex(64), duplex(64));
        let ending = Ending::new(&recent, NAMED.to_owned());
        let carrying = tokio::spawn(async move {
            carry(one, other, AFTERWARDS, &ending).await;
        });
        Remembered {
            asker,
            target,
            recent,
            carrying,
        }
    }

    #[tokio::test]
    async fn who_ended_it_is_known_before_that_is_seen() {
        let mut by_target = remembered();
        drop(by_target.target);
        assert_eq!(soon(by_target.asker.read(&mut [0; 1])).await.unwrap(), 0);
        assert_eq!(by_target.recent.end_of(NAMED), Some(End::Target));

        let mut by_relay = remembered();
        by_relay.asker.write_all(b"x").await.unwrap();
        assert_eq!(soon(by_relay.target.read(&mut [0; 1])).await.unwrap(), 1);
        by_relay.carrying.abort();
        assert_eq!(soon(by_relay.asker.read(&mut [0; 1])).await.unwrap(), 0);
        assert_eq!(by_relay.recent.end_of(NAMED), Some(End::Relay));

        let mut by_asker = remembered();
        drop(by_asker.asker);
        assert_eq!(soon(by_asker.target.read(&mut [0; 1])).await.unwrap(), 0);
        drop(by_asker.target);
        soon(by_asker.carrying).await.unwrap();
        assert_eq!(by_asker.recent.end_of(NAMED), None);
    }

    /// A target whose connection breaks with this error, when it is read or when it is written to.
    struct Breaks {
        number: i32,
        is_read: bool,
    }

    impl AsyncRead for Breaks {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            match self.is_read {
                true => Poll::Ready(Err(io::Error::from_raw_os_error(self.number))),
                false => Poll::Pending,
            }
        }
    }

    impl AsyncWrite for Breaks {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::Error::from_raw_os_error(self.number)))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_the_network_between_ended_is_not_told_as_the_targets_doing() {
        // Reset and broken pipe are the target's; keepalives that nobody answers, no way any more, no network are not.
        for (number, end) in [
            (104, End::Broken),
            (32, End::Broken),
            (110, End::Relay),
            (113, End::Relay),
            (101, End::Relay),
            (100, End::Relay),
        ] {
            for is_read in [true, false] {
                let recent = Arc::new(RecentFailures::new(Clock::system()));
                let ending = Ending::new(&recent, NAMED.to_owned());
                let (mut asker, one) = duplex(64);
                asker.write_all(b"question").await.unwrap();
                let target = Breaks { number, is_read };
                soon(carry(one, target, AFTERWARDS, &ending)).await;
                assert_eq!(recent.end_of(NAMED), Some(end), "{number} {is_read}");
            }
        }
    }

    fn tunnel(afterwards: Duration) -> (DuplexStream, DuplexStream, tokio::task::JoinHandle<()>) {
        let (asker, one) = duplex(64);
        let (target, other) = duplex(64);
        let carrying = tokio::spawn(async move {
            carry(one, other, afterwards, &ending()).await;
        });
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
