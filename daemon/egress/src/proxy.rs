//! Asks an HTTP proxy for a tunnel: an egress relay, or the proxy of a configuration.

use std::error::Error;

use http::header::{HOST, HeaderMap};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// The tunnel to `target`, or the answer with which the proxy at the other end of `stream` refuses it.
///
/// # Errors
/// The connection to the proxy broke.
pub async fn tunnel(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    target: &str,
    headers: HeaderMap,
) -> Result<Result<TokioIo<Upgraded>, Response<Incoming>>, Box<dyn Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    drop(tokio::spawn(connection.with_upgrades()));
    let mut request = Request::connect(target)
        .header(HOST, target)
        .body(String::new())?;
    request.headers_mut().extend(headers);
    let answer = sender.send_request(request).await?;
    if !answer.status().is_success() {
        return Ok(Err(answer));
    }
    Ok(Ok(TokioIo::new(hyper::upgrade::on(answer).await?)))
}
