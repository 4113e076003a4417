//! Whether an HTTP answer refuses the token.
//!
//! Owns how much of an answer is read for that: nothing of a success, and the beginning of a failure.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body::Body;

use super::authorizer::Authorizer;
use super::request_error::RequestError;
use super::rest::Rest;
use crate::Token;

/// How much of an answer decides. The daemon reads no more of it.
const DECIDING: usize = 16 * 1024;

/// The same answer, and the newer token if it refuses the one that was used.
pub(super) async fn refused<B: Body<Data = Bytes>>(
    response: Response<B>,
    authorizer: &Authorizer,
    used: &Token,
) -> Result<(Response<Rest<B>>, Option<Arc<Token>>), RequestError> {
    let mut response = response.map(Rest::of);
    let status = response.status().as_u16();
    if status < 400 {
        return Ok((response, None));
    }
    let body = response.body_mut();
    while body.ahead() < DECIDING && poll_fn(|cx| body.poll_ahead(cx)).await {}
    let beginning = body.beginning(DECIDING);
    let newer = authorizer.newer(status, &beginning, used).await?;
    Ok((response, newer))
}
