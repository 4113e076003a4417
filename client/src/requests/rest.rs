//! A body of which the beginning was read, as if it had not been.
//!
//! Owns the order: what was read, how reading ended, and the rest. It loses no trailers and no error.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A body of which the beginning may have been read; to its reader it is the whole body.
pub struct Rest<B: Body> {
    read: VecDeque<Bytes>,
    /// What came instead of more data: trailers, or an error.
    next: Option<Result<Frame<Bytes>, B::Error>>,
    /// `None` where nothing is left.
    rest: Option<Pin<Box<B>>>,
}

// Nothing of it is pinned but the rest, which is pinned by its box.
impl<B: Body> Unpin for Rest<B> {}

impl<B: Body> fmt::Debug for Rest<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").finish_non_exhaustive()
    }
}

impl<B: Body<Data = Bytes>> Rest<B> {
    /// All of it.
    pub(super) fn of(body: B) -> Self {
        Self {
            read: VecDeque::new(),
            next: None,
            rest: Some(Box::pin(body)),
        }
    }

    /// Reads one more frame ahead. Whether another may follow.
    pub(super) fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Some(rest) = self.rest.as_mut().filter(|_| self.next.is_none()) else {
            return Poll::Ready(false);
        };
        match rest.as_mut().poll_frame(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                self.rest = None;
                Poll::Ready(false)
            }
            Poll::Ready(Some(frame)) => {
                match frame.map(Frame::into_data) {
                    Ok(Ok(data)) => self.read.push_back(data),
                    Ok(Err(other)) => self.next = Some(Ok(other)),
                    Err(error) => self.next = Some(Err(error)),
                }
                Poll::Ready(self.next.is_none())
            }
        }
    }

    /// The whole body once more, if all of it was read ahead.
    #[cfg(feature = "tonic")]
    pub(super) fn copy(&self) -> Option<Self> {
        let is_whole = self.rest.is_none() && self.next.is_none();
        is_whole.then(|| Self {
            read: self.read.clone(),
            next: None,
            rest: None,
        })
    }

    /// How many bytes were read ahead.
    pub(super) fn ahead(&self) -> usize {
        self.read.iter().map(Bytes::len).sum()
    }

    /// What was read ahead, up to this many bytes.
    pub(super) fn beginning(&self, limit: usize) -> Vec<u8> {
        self.read.iter().flatten().copied().take(limit).collect()
    }
}

impl<B: Body<Data = Bytes>> Body for Rest<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(data) = self.read.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some(next) = self.next.take() {
            return Poll::Ready(Some(next));
        }
        match &mut self.rest {
            Some(rest) => rest.as_mut().poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        let rest = self.rest.as_ref();
        self.read.is_empty() && self.next.is_none() && rest.is_none_or(|it| it.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let ahead = self.ahead() as u64;
        let rest = self.rest.as_ref().map(|rest| rest.size_hint());
        let rest = rest.unwrap_or_else(|| SizeHint::with_exact(0));
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(ahead));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(ahead));
        }
        hint
    }
}
