//! Requests for `http://` addresses, passed on once and unchanged.
//!
//! Owns which headers a proxy removes. Never repeats a request, never follows a redirect, keeps no connection, and keeps and logs nothing
//! of the traffic: it may be a secret on its way to a provider on a loopback address.

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::body::Relayed;
use super::connect::Connect;
use super::failure::Failure;
use super::protocol::{CONNECT_TIMEOUT, PROXY, TIMEOUT};
use super::target::Target;

/// Headers that concern one connection only (RFC 9110, 7.6.1), and headers between daemon and relay.
const OURS: [HeaderName; 10] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-status"),
    HeaderName::from_static(CONNECT_TIMEOUT),
    HeaderName::from_static(TIMEOUT),
    HeaderName::from_static(PROXY),
];
/// How much of the body of a refused request is read, so that the answer arrives, and how long that may take.
const DISCARDED: usize = 1 << 20;
const DISCARDING: Duration = Duration::from_secs(1);

/// Passes a request on and returns the answer, whose body follows.
pub(super) async fn forward(
    request: Request<Incoming>,
    target: &Target,
    how: &Connect,
) -> Result<Response<Relayed>, Failure> {
    let (mut head, mut body) = request.into_parts();
    let stream = match how.connect(target).await {
        Ok(stream) => stream,
        Err(failure) => {
            discard(&mut body).await;
            return Err(failure);
        }
    };
    clean(&mut head.headers);
    head.uri = origin_form(&head.uri);
    if let Ok(host) = HeaderValue::from_str(&target.host_header()) {
        head.headers.insert(header::HOST, host);
    }
    head.version = Version::HTTP_11;
    head.extensions = http::Extensions::new();
    let incomplete = |error: hyper::Error| Failure::of_exchange(&error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(incomplete)?;
    // The task ends with the answer's body, or when its reader goes away. Errors are reported to that reader.
    drop(tokio::spawn(connection));
    let request = Request::from_parts(head, Relayed::Left(body));
    let answer = sender.send_request(request).await.map_err(incomplete)?;
    let (mut head, body) = answer.into_parts();
    clean(&mut head.headers);
    head.extensions = http::Extensions::new();
    Ok(Response::from_parts(head, Relayed::Left(body)))
}

/// Removes headers that are not passed on, including those that `Connection` names.
fn clean(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OURS) {
        headers.remove(name);
    }
}

fn origin_form(uri: &Uri) -> Uri {
    let path = uri.path_and_query().cloned();
    path.map(Uri::from).unwrap_or_default()
}

/// Reads the rest of a request: if bytes stay unread, the kernel discards the answer.
pub(super) async fn discard(body: &mut Incoming) {
    let reading = async {
        let mut read = 0;
        while read < DISCARDED {
            match body.frame().await {
                Some(Ok(frame)) => read += frame.data_ref().map_or(0, bytes::Bytes::len),
                Some(Err(_)) | None => return,
            }
        }
    };
    let _enough = tokio::time::timeout(DISCARDING, reading).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_one_connection_goes_no_further() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("proxy-status", "tokend-egress; error=connection_refused"),
            ("proxy-authorization", "Basic x"),
            ("tokend-proxy", "http://p"),
            ("tokend-connect-timeout", "1"),
            ("tokend-timeout", "1"),
            ("authorization", "Basic y"),
            ("content-length", "3"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        clean(&mut headers);
        let left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["authorization", "content-length"]);
    }

    #[test]
    fn a_provider_is_asked_for_a_path() {
        let of = |text: &'static str| origin_form(&Uri::from_static(text)).to_string();
        assert_eq!(of("http://127.0.0.1:1/token?a=b"), "/token?a=b");
        assert_eq!(of("http://127.0.0.1:1"), "/");
    }
}
