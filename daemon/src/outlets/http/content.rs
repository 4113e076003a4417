//! The bodies of answers: whole ones, and the events of a watch.
//!
//! Owns the words on silence. An event is decided when it is about to be written, and never while another is still to be written.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use hyper::body::{Body, Frame, SizeHint};
use tokend_outlets::http::Stream as Form;
use tokend_peer::Connection;
use tokend_proto::{AccountName, Response};
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::line::{Busy, Progress};
use crate::outlets::caller::{Caller, Watching};
use crate::requests::{Release, watching};

/// How long a stream is silent at most.
const SILENCE: Duration = Duration::from_secs(15);

/// A body.
pub(super) struct Reply {
    content: Content,
    /// Until the body is written, or the peer is gone.
    _busy: Busy,
}

pub(super) enum Content {
    Whole(Option<Bytes>),
    Events(
        Pin<Box<dyn Stream<Item = Bytes> + Send>>,
        Option<Arc<Progress>>,
    ),
}

/// A watch and whom it tells.
pub(super) struct Telling<S> {
    pub(super) caller: OwnedMutexGuard<Caller<S>>,
    pub(super) account: AccountName,
    pub(super) form: Form,
    /// What was decided on together with the head.
    pub(super) first: Option<Response>,
}

impl Reply {
    /// A body that may carry a token, and is wiped when it is written.
    pub(super) fn whole(body: Zeroizing<Vec<u8>>, busy: Busy) -> Self {
        Self {
            content: Content::Whole(Some(Bytes::from_owner(body))),
            _busy: busy,
        }
    }

    pub(super) fn nothing(busy: Busy) -> Self {
        Self {
            content: Content::Whole(None),
            _busy: busy,
        }
    }

    pub(super) fn stream(mut content: Content, progress: Arc<Progress>, busy: Busy) -> Self {
        if let Content::Events(_, own) = &mut content {
            *own = Some(progress);
        }
        Self {
            content,
            _busy: busy,
        }
    }
}

impl Content {
    /// The events of a watch, as they come.
    pub(super) fn events<S>(telling: Telling<S>, waiting: Watching) -> Self
    where
        S: Connection + Send + 'static,
    {
        let events = unfold(Some((telling, waiting)), |state| async {
            let (mut telling, waiting) = state?;
            let (event, waiting) = telling.next(waiting).await?;
            Some((Bytes::from_owner(event), waiting.map(|it| (telling, it))))
        });
        Self::Events(Box::pin(events), None)
    }
}

impl<S: Connection> Telling<S> {
    /// The next bytes, and how the watch goes on, unless it is over.
    async fn next(
        &mut self,
        mut waiting: Watching,
    ) -> Option<(Zeroizing<Vec<u8>>, Option<Watching>)> {
        if let Some(first) = self.first.take()
            && let Some(event) = self.form.event(&self.account, &first)
        {
            return Some((event, Some(waiting)));
        }
        loop {
            let Ok(waited) = timeout(SILENCE, &mut waiting).await else {
                let silence = Zeroizing::new(self.form.silence().to_vec());
                return Some((silence, Some(waiting)));
            };
            let (event, goes_on) = match self.caller.release(waited).await {
                Release::Part(event, watch) => (event, Some(watching(watch))),
                Release::Answer(response) => (Some(response), None),
                // Neither is about a watch.
                Release::NeedFacts(..) | Release::Again(_) => return None,
            };
            if let Some(response) = &event {
                self.caller.count(response);
            }
            let event = event.and_then(|it| self.form.event(&self.account, &it));
            match (event, goes_on) {
                (Some(event), goes_on) => return Some((event, goes_on)),
                (None, Some(goes_on)) => waiting = goes_on,
                (None, None) => return None,
            }
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match &mut self.content {
            Content::Whole(body) => body.take(),
            Content::Events(events, progress) => {
                if let Some(progress) = progress {
                    ready!(progress.poll_written(context));
                }
                ready!(events.as_mut().poll_next(context))
            }
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(body) => {
                let length = body.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
            Content::Events(..) => SizeHint::default(),
        }
    }
}
