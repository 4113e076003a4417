//! Connections for tests, without a process at their other end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokend_policy::Peer;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::Connection;
use crate::pin::Pinned;

/// A pipe has no process at its other end that could be pinned.
impl Connection for DuplexStream {
    fn pin(&self, _: &Peer, _: u64) -> Result<Box<dyn Pinned>, String> {
        Err("it is a pipe".to_owned())
    }

    fn has_gone(&self) -> bool {
        false
    }

    /// Its own way does it.
    fn end(&self) {}
}

/// A test's callback for bytes that are about to be written.
type Heard = dyn FnMut(&[u8]) + Send;

/// A pipe that tells a test what is written to it, and of which the test says whether its other end has gone.
pub struct Overheard {
    pipe: DuplexStream,
    gone: Arc<AtomicBool>,
    written: Box<Heard>,
}

impl Overheard {
    /// Tells `written` of everything that is about to be written to `pipe`, whose other end has gone once `gone` says so.
    pub fn new(
        pipe: DuplexStream,
        gone: &Arc<AtomicBool>,
        written: impl FnMut(&[u8]) + Send + 'static,
    ) -> Self {
        Self {
            pipe,
            gone: Arc::clone(gone),
            written: Box::new(written),
        }
    }
}

impl AsyncRead for Overheard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(context, buffer)
    }
}

impl AsyncWrite for Overheard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        (self.written)(bytes);
        Pin::new(&mut self.pipe).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(context)
    }
}

impl Connection for Overheard {
    fn pin(&self, peer: &Peer, accepted_ms: u64) -> Result<Box<dyn Pinned>, String> {
        self.pipe.pin(peer, accepted_ms)
    }

    fn has_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    fn end(&self) {}
}
