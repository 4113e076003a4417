//! A body on its way to an API.
//!
//! Owns what happens when the API has answered before it read all of it, as it does with a body that is too large: it closes the connection,
//! and the answer is read all the same, as curl does. A connection that breaks before its head was sent, or without an answer, is a failure as
//! any other.

use std::io::{self, ErrorKind, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, NextTimeout, RustlsConnector,
    TcpConnector, Transport,
};

use super::progress::Progress;

/// Whether the connection of one request was closed while its body was sent.
#[derive(Debug, Default)]
pub(crate) struct Early {
    /// The head was sent.
    has_begun: AtomicBool,
    closed: OnceLock<ErrorKind>,
}

impl Early {
    pub(crate) fn is_there(&self) -> bool {
        self.closed.get().is_some()
    }

    /// How it was closed.
    pub(crate) fn broken_by(&self) -> Option<ErrorKind> {
        self.closed.get().copied()
    }

    /// The client's usual way to a server, but for this.
    pub(crate) fn connector(self: &Arc<Self>) -> impl Connector {
        // Below TLS, where a closed connection is noticed, and above it, so that nothing is encrypted in vain.
        let keeps = || KeepsAnswer(Arc::clone(self));
        ().chain(ConnectProxyConnector::default())
            .chain(TcpConnector::default())
            .chain(keeps())
            .chain(RustlsConnector::default())
            .chain(keeps())
    }
}

#[derive(Debug)]
struct KeepsAnswer(Arc<Early>);

impl<In: Transport> Connector<In> for KeepsAnswer {
    type Out = Kept<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| Kept {
            inner,
            early: Arc::clone(&self.0),
        }))
    }
}

/// A connection that can be read after it was closed for writing.
#[derive(Debug)]
struct Kept<T> {
    inner: T,
    early: Arc<Early>,
}

impl<T: Transport> Transport for Kept<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.early.is_there() {
            return Ok(());
        }
        match self.inner.transmit_output(amount, timeout) {
            Err(Error::Io(error))
                if matches!(
                    error.kind(),
                    ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                ) && self.early.has_begun.load(Ordering::Relaxed) =>
            {
                // One thread does all of this, so it is set once.
                let _first = self.early.closed.set(error.kind());
                Ok(())
            }
            sent => sent,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// A body on its way, which remembers whether its source failed.
pub(crate) struct Sending<'b> {
    pub(crate) source: Box<dyn Read + 'b>,
    /// What was announced and not sent yet.
    pub(crate) left: Option<u64>,
    pub(crate) progress: Progress,
    pub(crate) failed: &'b mut Option<(ErrorKind, String)>,
    pub(crate) early: &'b Early,
}

impl Sending<'_> {
    /// What is announced is counted to its end, and goes nowhere any more.
    fn rest(&mut self, room: usize) -> usize {
        let left = self.left.unwrap_or(0);
        let count = room.min(usize::try_from(left).unwrap_or(usize::MAX));
        self.left = Some(left.saturating_sub(count as u64));
        count
    }
}

impl Read for Sending<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.early.has_begun.store(true, Ordering::Relaxed);
        if self.early.is_there() {
            return Ok(self.rest(buffer.len()));
        }
        let read = match self.source.read(buffer) {
            Ok(0) if !buffer.is_empty() && self.left.is_some_and(|left| left > 0) => {
                Err(io::Error::other("the file became shorter"))
            }
            read => read,
        };
        match &read {
            Ok(count) => {
                self.progress.step(*count);
                self.left = self.left.map(|left| left.saturating_sub(*count as u64));
            }
            Err(error) => *self.failed = Some((error.kind(), error.to_string())),
        }
        read
    }
}
