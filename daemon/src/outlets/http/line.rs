//! The line to a peer, with its deadlines.
//!
//! Owns when a peer that is silent, slow or deaf is let go, and the knowledge whether all that was to be written is written. Knows nothing of
//! HTTP but when a request is being served.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::outlets::shared::Shared;
use crate::server::connection::{Bounds, Ended};

/// How far a connection is.
#[derive(Debug)]
pub(super) struct Progress(Mutex<State>);

#[derive(Debug)]
struct State {
    phase: Phase,
    /// How many requests there were.
    requests: u64,
    /// Whether bytes are left that the peer has not taken.
    is_behind: bool,
    /// Who waits until nothing is left.
    waiting: Option<Waker>,
    /// Why the line was cut.
    cut: Option<Ended>,
}

/// What is being waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The first byte of a request.
    Idle,
    /// The rest of a head.
    Head,
    /// An answer.
    Serving,
}

/// What is waited for, and behind how many requests.
type Awaited = (Phase, u64);

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            phase: Phase::Idle,
            requests: 0,
            is_behind: false,
            waiting: None,
            cut: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the peer has taken all that was to be written.
    pub(super) async fn written(&self) {
        poll_fn(|context| self.poll_written(context)).await;
    }

    pub(super) fn poll_written(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.is_behind {
            state.waiting = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn cut(&self, why: Ended) -> io::Error {
        self.state().cut.get_or_insert(why);
        io::ErrorKind::TimedOut.into()
    }

    /// Why the connection ended.
    pub(super) fn ended(&self, served: hyper::Result<()>) -> Ended {
        let cut = self.state().cut.take();
        match (cut, served) {
            (Some(why), _) => why,
            (None, Ok(())) => Ended::Closed,
            (None, Err(error)) if error.is_parse() => Ended::Protocol(error.to_string()),
            (None, Err(error)) if error.is_incomplete_message() => Ended::CutOff,
            // The peer hung up while it waited.
            (None, Err(error)) if error.is_user() => Ended::Closed,
            (None, Err(error)) => Ended::Broken(io::Error::other(error)),
        }
    }
}

/// A request is being served, until dropped.
#[derive(Debug)]
pub(super) struct Busy(Arc<Progress>);

impl Busy {
    pub(super) fn begin(progress: &Arc<Progress>) -> Self {
        let mut state = progress.state();
        state.phase = Phase::Serving;
        state.requests += 1;
        drop(state);
        Self(Arc::clone(progress))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.state().phase = Phase::Idle;
    }
}

/// A connection that ends when its peer keeps it waiting.
pub(super) struct Line<S> {
    stream: Shared<S>,
    progress: Arc<Progress>,
    bounds: Bounds,
    /// What is waited for, and until when.
    read_by: Option<(Awaited, Pin<Box<Sleep>>)>,
    write_by: Option<Pin<Box<Sleep>>>,
}

impl<S> Line<S> {
    pub(super) fn new(stream: Shared<S>, progress: Arc<Progress>, bounds: Bounds) -> Self {
        Self {
            stream,
            progress,
            bounds,
            read_by: None,
            write_by: None,
        }
    }

    /// Nothing came. An error if it has been too long.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = self.progress.state();
        let current = (state.phase, state.requests);
        drop(state);
        let (patience, why) = match current.0 {
            Phase::Idle => (self.bounds.idle, Ended::Idle),
            Phase::Head => (self.bounds.frame, Ended::Unfinished),
            Phase::Serving => return Poll::Pending,
        };
        let (waited_for, timer) = self
            .read_by
            .get_or_insert_with(|| (current, Box::pin(sleep(patience))));
        if *waited_for != current {
            *waited_for = current;
            timer.as_mut().reset(sleep(patience).deadline());
        }
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(self.progress.cut(why)))
    }

    /// The peer takes nothing. An error if it has been too long.
    fn poll_deaf<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        self.progress.state().is_behind = true;
        let frame = self.bounds.frame;
        let timer = self.write_by.get_or_insert_with(|| Box::pin(sleep(frame)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(self.progress.cut(Ended::NotTaken)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Line<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if Pin::new(&mut self.stream)
            .poll_read(context, buffer)?
            .is_pending()
        {
            return self.poll_silence(context);
        }
        let mut state = self.progress.state();
        if buffer.filled().len() > before && state.phase == Phase::Idle {
            state.phase = Phase::Head;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Pending => self.poll_deaf(context),
            taken => taken,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(context, parts) {
            Poll::Pending => self.poll_deaf(context),
            taken => taken,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when all has been written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.write_by = None;
        let mut state = self.progress.state();
        state.is_behind = false;
        if let Some(waiting) = state.waiting.take() {
            waiting.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
