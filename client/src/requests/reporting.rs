//! The body of an answer that can still refuse the token at its end.
//!
//! Owns the report: one, before the reader sees that end, so that its next call has the newer token.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tonic::{Code, Status};

use super::authorizer::Authorizer;
use crate::Token;

/// Whether these headers or trailers end a call with `UNAUTHENTICATED`.
pub(super) fn is_unauthenticated(headers: &HeaderMap) -> bool {
    let code = headers.get(Status::GRPC_STATUS);
    code.is_some_and(|code| Code::from_bytes(code.as_bytes()) == Code::Unauthenticated)
}

/// A report on its way.
type Report = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct Reporting<B> {
    body: Pin<Box<B>>,
    /// What to report, until that is done.
    report: Option<(Authorizer, Arc<Token>)>,
    /// The report on its way, and the trailers that come after it.
    reported: Option<(Report, Frame<Bytes>)>,
}

impl<B> Reporting<B> {
    pub(super) fn of(body: B, report: (Authorizer, Arc<Token>)) -> Self {
        Self {
            body: Box::pin(body),
            report: Some(report),
            reported: None,
        }
    }
}

impl<B: Body<Data = Bytes>> Body for Reporting<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.reported.is_none() {
            let frame = match ready!(self.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            let refuses = frame.trailers_ref().is_some_and(is_unauthenticated);
            let Some((authorizer, token)) = self.report.take_if(|_| refuses) else {
                return Poll::Ready(Some(Ok(frame)));
            };
            // If it cannot be reported, the call ends all the same; the next one meets the same failure.
            let report = async move { drop(authorizer.reject(&token).await) };
            self.reported = Some((Box::pin(report), frame));
        }
        if let Some((report, _)) = &mut self.reported {
            ready!(report.as_mut().poll(cx));
        }
        Poll::Ready(self.reported.take().map(|(_, frame)| Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.reported.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
