//! A layer for clients of `tonic`.
//!
//! Owns when a call is made a second time, and which status a failure of ours has. It reads no message.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body as HttpBody;
use tokend_proto::FaultCode;
use tonic::body::Body;
use tonic::{Code, Status};
use tower_layer::Layer;
use tower_service::Service;

use super::authorizer::{Authorizer, put};
use super::reporting::{Reporting, is_unauthenticated};
use super::request_error::RequestError;
use super::rest::Rest;
use crate::{ClientError, HeaderError, TokenSource};

type BoxError = Box<dyn Error + Send + Sync>;

/// How much of a call is kept to make it again.
const KEPT: usize = 1024 * 1024;

/// Adds an account's token to the calls of a client of `tonic`, if the server belongs to the account: `urls` in its
/// `[api]`. If not, the calls pass as they are.
///
/// A call that ends at once with `UNAUTHENTICATED`, or with HTTP status 401, is reported, and repeated once with the newer
/// token. One whose messages were not all there when it began, or are longer than a mebibyte, is not repeated, nor one that
/// ends so after its answer has begun: both are reported, the answer is the server's, and the next call has the newer token.
/// Where there is no token no call is made: the answer is a [`Status`] with our words, whose source is a
/// [`RequestError`](crate::RequestError).
#[derive(Debug, Clone)]
pub struct GrpcTokenLayer {
    authorizer: Authorizer,
    server: Uri,
}

impl GrpcTokenLayer {
    /// With the tokens of this source, for the server that the channel is connected to: requests do not say it yet when
    /// they come through a layer. It is `endpoint.uri()` of tonic's `Endpoint`.
    pub fn new(source: impl TokenSource + 'static, server: Uri) -> Self {
        Self {
            authorizer: Authorizer::new(source),
            server,
        }
    }

    /// The URL that a call goes to.
    fn whole(&self, url: &Uri) -> Uri {
        let mut parts = self.server.clone().into_parts();
        parts.path_and_query = url.path_and_query().cloned();
        Uri::from_parts(parts).unwrap_or_default()
    }
}

impl<S> Layer<S> for GrpcTokenLayer {
    type Service = GrpcWithToken<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GrpcWithToken {
            inner,
            layer: self.clone(),
        }
    }
}

/// A channel whose calls have the token; see [`GrpcTokenLayer`].
#[derive(Clone)]
pub struct GrpcWithToken<S> {
    inner: S,
    layer: GrpcTokenLayer,
}

impl<S> fmt::Debug for GrpcWithToken<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcWithToken").finish_non_exhaustive()
    }
}

impl<S, R> Service<Request<Body>> for GrpcWithToken<S>
where
    S: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // What was made ready is used; its clone is not.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(call(inner, self.layer.clone(), request))
    }
}

async fn call<S, R>(
    mut inner: S,
    layer: GrpcTokenLayer,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Request<Body>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let authorizer = &layer.authorizer;
    let server = layer.whole(request.uri());
    // A request that says where it goes has to say the same.
    let own = request.uri().authority().map(|_| request.uri());
    let urls: Vec<&Uri> = [Some(&server), own].into_iter().flatten().collect();
    let Some(used) = authorizer.token(&urls).await.map_err(status)? else {
        let response = inner.call(request).await.map_err(Into::into)?;
        return Ok(response.map(Body::new));
    };
    let (mut head, body) = request.into_parts();
    let body = ahead(body).await;
    let mut again = body.copy().map(|body| (head.clone(), body));
    put(&mut head.headers, &used).map_err(unfit)?;
    let first = Request::from_parts(head, Body::new(body));
    let response = inner.call(first).await.map_err(Into::into)?;
    if !is_refusal(&response) {
        let report = (authorizer.clone(), used);
        return Ok(response.map(|body| Body::new(Reporting::of(body, report))));
    }
    let newer = authorizer.reject(&used).await.map_err(status)?;
    let Some((mut head, body)) = again.take() else {
        return Ok(response.map(Body::new));
    };
    drop(response);
    put(&mut head.headers, &newer).map_err(unfit)?;
    poll_fn(|cx| inner.poll_ready(cx))
        .await
        .map_err(Into::into)?;
    let second = Request::from_parts(head, Body::new(body));
    let response = inner.call(second).await.map_err(Into::into)?;
    Ok(response.map(Body::new))
}

/// Takes what is there of a body without waiting: all of it, where every message was given when the call began.
async fn ahead(body: Body) -> Rest<Body> {
    let mut body = Rest::of(body);
    poll_fn(|cx| {
        while body.ahead() <= KEPT && body.poll_ahead(cx) == Poll::Ready(true) {}
        Poll::Ready(())
    })
    .await;
    body
}

/// Whether the answer is a refusal of the token already in its head. A proxy says so by the status of HTTP.
fn is_refusal<R>(response: &Response<R>) -> bool {
    match response.headers().contains_key(Status::GRPC_STATUS) {
        true => is_unauthenticated(response.headers()),
        false => response.status() == http::StatusCode::UNAUTHORIZED,
    }
}

fn unfit(error: HeaderError) -> Status {
    status(error.into())
}

/// Our failure as a call ends with it.
fn status(error: RequestError) -> Status {
    let code = match &error {
        RequestError::Header(_) | RequestError::NoAddresses => Code::FailedPrecondition,
        RequestError::Client(ClientError::TimedOut { .. }) => Code::DeadlineExceeded,
        RequestError::Client(ClientError::Fault(fault)) => match fault.code {
            FaultCode::LoginRequired => Code::Unauthenticated,
            FaultCode::NotAllowed => Code::PermissionDenied,
            FaultCode::UnknownAccount | FaultCode::Misconfigured => Code::FailedPrecondition,
            FaultCode::Paced | FaultCode::TooBusy => Code::ResourceExhausted,
            _ => Code::Unavailable,
        },
        RequestError::Client(_) => Code::Unavailable,
    };
    let mut status = Status::new(code, error.to_string());
    status.set_source(Arc::new(error));
    status
}
