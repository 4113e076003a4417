//! A middleware of `reqwest-middleware`.
//!
//! Owns when a request is sent a second time. What follows redirects is below it, in reqwest, and has to be turned off there.

use async_trait::async_trait;
use http::Extensions;
use reqwest::redirect::Policy;
use reqwest::{Body, Request, Response, ResponseBuilderExt as _, Url};
use reqwest_middleware::{ClientBuilder, Error, Middleware, Next, Result};

use super::authorizer::{Authorizer, put};
use super::refused::refused;
use super::request_error::RequestError;
use super::rest::Rest;
use crate::TokenSource;

/// Adds an account's token to the requests that go to its API.
///
/// Only a request whose URL belongs to the account gets it: `urls` in the account's `[api]`. Every other passes as it is.
/// An answer that refuses the token is reported, and the request repeated once with the newer token, unless its body is a
/// stream. Where there is no token the request is not sent, and the error holds a [`RequestError`](crate::RequestError).
#[derive(Debug, Clone)]
pub struct TokenMiddleware {
    authorizer: Authorizer,
}

impl TokenMiddleware {
    /// With the tokens of this source, such as an [`Account`](crate::Account) or a [`Subscription`](crate::Subscription).
    ///
    /// Give it to a client that follows no redirects, as that of [`client`](Self::client): reqwest asks no middleware
    /// about them, and takes some headers with it to another host.
    pub fn new(source: impl TokenSource + 'static) -> Self {
        Self {
            authorizer: Authorizer::new(source),
        }
    }

    /// A client with this middleware, that follows no redirects. More middleware can be added to it.
    ///
    /// # Errors
    /// Whatever [`reqwest::ClientBuilder::build`] says.
    pub fn client(self, builder: reqwest::ClientBuilder) -> reqwest::Result<ClientBuilder> {
        let client = builder.redirect(Policy::none()).build()?;
        Ok(ClientBuilder::new(client).with(self))
    }
}

#[async_trait]
impl Middleware for TokenMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        // A URL that cannot be sent is for reqwest to tell.
        let Ok(uri) = request.url().as_str().parse() else {
            return next.run(request, extensions).await;
        };
        let used = self.authorizer.token(&[&uri]).await;
        let Some(used) = used.map_err(Error::middleware)? else {
            return next.run(request, extensions).await;
        };
        let url = request.url().clone();
        let again = request.try_clone();
        put(request.headers_mut(), &used).map_err(unfit)?;
        let response = next.clone().run(request, extensions).await?;
        // What another address says after a redirect is no word about the token.
        if response.status().as_u16() < 400 || *response.url() != url {
            return Ok(response);
        }
        let response = http::Response::<Body>::from(response);
        let refused = refused(response, &self.authorizer, &used).await;
        let (response, newer) = refused.map_err(Error::middleware)?;
        let (Some(newer), Some(mut again)) = (newer, again) else {
            return Ok(whole(response, url));
        };
        drop(response);
        put(again.headers_mut(), &newer).map_err(unfit)?;
        next.run(again, extensions).await
    }
}

fn unfit(error: crate::HeaderError) -> Error {
    Error::middleware(RequestError::from(error))
}

/// The answer as reqwest has it. The URL is lost on the way to the types of `http`.
fn whole(response: http::Response<Rest<Body>>, url: Url) -> Response {
    let (parts, body) = response.into_parts();
    let mut response = http::Response::new(Body::wrap(body));
    if let Ok(with_url) = http::Response::builder().url(url).body(()) {
        *response.extensions_mut() = with_url.into_parts().0.extensions;
    }
    *response.status_mut() = parts.status;
    *response.version_mut() = parts.version;
    *response.headers_mut() = parts.headers;
    response.extensions_mut().extend(parts.extensions);
    response.into()
}
