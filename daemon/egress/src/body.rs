//! Bodies that the relay sends: a stream that it passes on, or a sentence of its own.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// A body that the relay sends.
#[derive(Debug)]
pub(super) enum Relayed {
    /// Passed on piece by piece; nothing of it is kept or inspected.
    Passing(Incoming),
    Said(Option<Bytes>),
}

impl Relayed {
    pub(super) fn nothing() -> Self {
        Self::Said(None)
    }

    /// A sentence with a newline.
    pub(super) fn said(words: &str) -> Self {
        Self::Said(Some(format!("{words}\n").into()))
    }
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Passing(body) => Pin::new(body).poll_frame(context),
            Self::Said(words) => Poll::Ready(words.take().map(|words| Ok(Frame::data(words)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Passing(body) => body.is_end_stream(),
            Self::Said(words) => words.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Passing(body) => body.size_hint(),
            Self::Said(words) => {
                let length = words.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
        }
    }
}
