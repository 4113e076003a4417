//! A layer of `tower`.
//!
//! Owns when the service below is called a second time.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::authorizer::{Authorizer, put};
use super::refused::refused;
use super::rest::Rest;
use crate::TokenSource;

type BoxError = Box<dyn Error + Send + Sync>;

/// Adds an account's token to the requests that go to its API.
///
/// Only a request whose URI is whole, with scheme and host, and belongs to the account gets it: `urls` in the account's
/// `[api]`. Every other passes as it is. An answer that refuses the token is reported, and the request repeated once with
/// the newer token; of an answer below 400 nothing is read. Where there is no token the request is not sent, and the
/// service's error is a boxed [`RequestError`](crate::RequestError).
///
/// If another layer follows redirects, it has to be outside this one: then each step is looked at.
pub struct TokenLayer<B> {
    authorizer: Authorizer,
    again: Again<B>,
}

/// A second request like the first, where its body can be sent twice.
type Again<B> = fn(&Request<B>) -> Option<Request<B>>;

impl<B: Clone> TokenLayer<B> {
    /// With the tokens of this source, such as an [`Account`](crate::Account) or a [`Subscription`](crate::Subscription).
    pub fn new(source: impl TokenSource + 'static) -> Self {
        Self {
            authorizer: Authorizer::new(source),
            again: |request| Some(request.clone()),
        }
    }
}

impl<B> TokenLayer<B> {
    /// The same for bodies that cannot be cloned: no request is repeated. The API's refusal is the answer, and the next
    /// request has the newer token.
    pub fn once(source: impl TokenSource + 'static) -> Self {
        Self {
            authorizer: Authorizer::new(source),
            again: |_| None,
        }
    }
}

impl<B> Clone for TokenLayer<B> {
    fn clone(&self) -> Self {
        Self {
            authorizer: self.authorizer.clone(),
            again: self.again,
        }
    }
}

impl<B> fmt::Debug for TokenLayer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenLayer").finish_non_exhaustive()
    }
}

impl<S, B> Layer<S> for TokenLayer<B> {
    type Service = WithToken<S, B>;

    fn layer(&self, inner: S) -> Self::Service {
        WithToken {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service whose requests have the token; see [`TokenLayer`].
pub struct WithToken<S, B> {
    inner: S,
    layer: TokenLayer<B>,
}

impl<S: Clone, B> Clone for WithToken<S, B> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S, B> fmt::Debug for WithToken<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithToken").finish_non_exhaustive()
    }
}

impl<S, B, R> Service<Request<B>> for WithToken<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Send,
{
    type Response = Response<Rest<R>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // What was made ready is used; its clone is not.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(call(inner, self.layer.clone(), request))
    }
}

async fn call<S, B, R>(
    mut inner: S,
    layer: TokenLayer<B>,
    mut request: Request<B>,
) -> Result<Response<Rest<R>>, BoxError>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    R: Body<Data = Bytes>,
{
    let Some(used) = layer.authorizer.token(&[request.uri()]).await? else {
        let response = inner.call(request).await.map_err(Into::into)?;
        return Ok(response.map(Rest::of));
    };
    let again = (layer.again)(&request);
    put(request.headers_mut(), &used).map_err(crate::RequestError::from)?;
    let response = inner.call(request).await.map_err(Into::into)?;
    let (response, newer) = refused(response, &layer.authorizer, &used).await?;
    let (Some(newer), Some(mut again)) = (newer, again) else {
        return Ok(response);
    };
    drop(response);
    put(again.headers_mut(), &newer).map_err(crate::RequestError::from)?;
    poll_fn(|cx| inner.poll_ready(cx))
        .await
        .map_err(Into::into)?;
    let response = inner.call(again).await.map_err(Into::into)?;
    Ok(response.map(Rest::of))
}
