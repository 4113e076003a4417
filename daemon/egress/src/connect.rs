//! Connections to the network: names, addresses, time limits, and the daemon's configured proxy.
//!
//! Owns how a connection is made, with the same library and settings as in a daemon with a network of its own. Sends nothing but CONNECT
//! to a proxy, and never asks a resolver for `localhost`.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Uri, header};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tower::Service as _;

use super::failure::{Failure, FailureKind};
use super::places::USUALLY_QUIET;
use super::protocol::{CONNECT_TIMEOUT, PROXY, TIMEOUT};
use super::proxy;
use super::target::Target;
use crate::causes::causes;

/// The default and the maximum of the time for a connection; and the maximum of the time for an answer, which bounds a connection whose
/// peer announces a false limit.
const USUAL: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(3600);
/// Added to the daemon's limit, so that the daemon's own timeout comes first and is reported in its own words.
const MARGIN: Duration = Duration::from_secs(1);
/// How much longer than the exchange's limit a connection may be quiet: the daemon ends it earlier.
const AFTERWARDS: Duration = Duration::from_secs(2);
/// The same as in the daemon's own connections.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVES: u32 = 3;
const UNANSWERED: Duration = Duration::from_secs(30);

/// How to reach a target.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Connect {
    pub(super) proxy: Option<Target>,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) patience: Duration,
    /// How long the connection may be quiet: an answer may take as long.
    pub(super) quiet: Duration,
    /// Whether the daemon stated that limit, and so will not wait longer.
    pub(super) is_stated: bool,
}

/// Bytes to and from a target.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Connect {
    /// The settings in a request's headers, or the mistake in them.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, &'static str> {
        let limit = |name, usual: Duration| match headers.get(name) {
            None => Ok::<_, &'static str>(usual),
            Some(value) => {
                let ms = value.to_str().ok().and_then(|text| text.parse().ok());
                let ms = ms.ok_or("the time limit is not a number of milliseconds")?;
                Ok(Duration::from_millis(ms).min(LONGEST))
            }
        };
        let patience = limit(CONNECT_TIMEOUT, USUAL)?;
        let quiet = limit(TIMEOUT, USUALLY_QUIET)?.max(patience) + AFTERWARDS;
        let proxy = headers.get(PROXY).map(|value| {
            let target = proxy_target(value.as_bytes());
            target.ok_or("the proxy is not an http:// address")
        });
        let proxy = proxy.transpose()?;
        let authorization = headers.get(header::PROXY_AUTHORIZATION).cloned();
        let authorization = authorization.filter(|_| proxy.is_some()).map(|mut value| {
            value.set_sensitive(true);
            value
        });
        Ok(Self {
            proxy,
            authorization,
            patience,
            quiet,
            is_stated: headers.contains_key(TIMEOUT),
        })
    }

    /// A connection to the proxy if there is one, else to the target.
    pub(super) async fn connect(&self, target: &Target) -> Result<TcpStream, Failure> {
        let first = self.proxy.as_ref().unwrap_or(target);
        let connecting = tcp(first, self.patience);
        match tokio::time::timeout(self.patience + MARGIN, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(Failure::timed_out()),
        }
    }

    /// A connection that ends at the target itself.
    pub(super) async fn tunnel(&self, target: &Target) -> Result<Box<dyn Stream>, Failure> {
        let stream = self.connect(target).await?;
        if self.proxy.is_none() {
            return Ok(Box::new(stream));
        }
        let tunnel = through(stream, target, self.authorization.clone());
        match tokio::time::timeout(self.patience + MARGIN, tunnel).await {
            Ok(tunnel) => tunnel,
            Err(_) => Err(Failure::new(FailureKind::TimedOut, "the proxy timed out")),
        }
    }

    /// The target, and the proxy on the way to it, for the log.
    pub(super) fn named(&self, target: &Target) -> String {
        match &self.proxy {
            Some(proxy) => format!("{target} through the proxy {proxy}"),
            None => target.to_string(),
        }
    }
}

fn proxy_target(value: &[u8]) -> Option<Target> {
    let uri = Uri::try_from(value).ok()?;
    if uri.scheme_str() != Some("http") {
        return None;
    }
    Target::of(uri.authority()?, Some(80))
}

async fn tcp(target: &Target, patience: Duration) -> Result<TcpStream, Failure> {
    let Some(uri) = target.uri() else {
        return Err(Failure::new(
            FailureKind::Name,
            "this is not the name of a host",
        ));
    };
    let mut connector = HttpConnector::new_with_resolver(tower::service_fn(addresses));
    connector.set_connect_timeout(Some(patience));
    connector.set_nodelay(true);
    connector.set_keepalive(Some(KEEPALIVE));
    connector.set_keepalive_interval(Some(KEEPALIVE));
    connector.set_keepalive_retries(Some(KEEPALIVES));
    connector.set_tcp_user_timeout(Some(UNANSWERED));
    let connected = match poll_fn(|context| connector.poll_ready(context)).await {
        Ok(()) => connector.call(uri).await,
        Err(error) => Err(error),
    };
    connected
        .map(TokioIo::into_inner)
        .map_err(|error| Failure::of_connecting(&error))
}

/// The addresses of a name. Unencrypted requests to `localhost` must not depend on a resolver's answer.
async fn addresses(name: Name) -> io::Result<std::vec::IntoIter<SocketAddr>> {
    let found = match name.as_str() {
        "localhost" => vec![
            (Ipv4Addr::LOCALHOST, 0).into(),
            (Ipv6Addr::LOCALHOST, 0).into(),
        ],
        _ => GaiResolver::new().call(name).await?.collect(),
    };
    Ok(found.into_iter())
}

async fn through(
    stream: TcpStream,
    target: &Target,
    authorization: Option<HeaderValue>,
) -> Result<Box<dyn Stream>, Failure> {
    let authorization = authorization.map(|value| (header::PROXY_AUTHORIZATION, value));
    let headers = HeaderMap::from_iter(authorization);
    let denied = |words: String| Failure::new(FailureKind::Denied, &words);
    match proxy::tunnel(stream, &target.to_string(), headers).await {
        Ok(Ok(tunnel)) => Ok(Box::new(tunnel)),
        Ok(Err(answer)) => Err(denied(format!(
            "the proxy answered {} to CONNECT",
            answer.status()
        ))),
        Err(error) => Err(denied(format!("the proxy failed: {}", causes(&*error)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &'static str, value: &'static str) -> Result<Connect, &'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        Connect::of(&headers)
    }

    #[test]
    fn the_daemon_says_how_and_how_long() {
        let usual = Connect::of(&HeaderMap::new()).unwrap();
        assert_eq!((usual.proxy, usual.patience), (None, USUAL));
        let short = of(CONNECT_TIMEOUT, "250").unwrap();
        assert_eq!(short.patience, Duration::from_millis(250));
        assert_eq!(
            of(CONNECT_TIMEOUT, "99999999999").unwrap().patience,
            LONGEST
        );
        for wrong in ["", "-1", "1s"] {
            assert!(of(CONNECT_TIMEOUT, wrong).is_err(), "{wrong}");
        }
        let quiet = |it: Result<Connect, _>| it.unwrap().quiet;
        assert_eq!(
            quiet(Connect::of(&HeaderMap::new())),
            USUALLY_QUIET + AFTERWARDS
        );
        let limit = Duration::from_secs(40);
        assert_eq!(quiet(of(TIMEOUT, "40000")), limit + AFTERWARDS);
        assert_eq!(quiet(of(TIMEOUT, "1")), USUAL + AFTERWARDS);
        assert_eq!(quiet(of(TIMEOUT, "99999999999")), LONGEST + AFTERWARDS);
        let is_stated = |name| of(name, "40000").unwrap().is_stated;
        assert_eq!(
            (is_stated(TIMEOUT), is_stated(CONNECT_TIMEOUT)),
            (true, false)
        );
        let proxied = of(PROXY, "http://proxy.example.com:3128/").unwrap();
        assert_eq!(proxied.proxy.unwrap().to_string(), "proxy.example.com:3128");
        assert_eq!(
            of(PROXY, "http://p").unwrap().proxy.unwrap().to_string(),
            "p:80"
        );
        for wrong in ["https://p:1", "p:1", "http://u:pw@p:1", ""] {
            assert!(of(PROXY, wrong).is_err(), "{wrong}");
        }
    }
}
