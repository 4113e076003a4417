//! One request to an API, and the beginning of its answer.
//!
//! Owns the HTTP client: its certificates, its limits, and the sentences about what fails on the way. It follows no redirect and keeps no
//! connection. Must never repeat what the client says about a URL: a token may be a part of it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokend_client::{Presentation, Token};
use ureq::http::{Method, Request, Response, Version, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, Error, Proxy, SendBody};
use url::Url;

use super::body::Body;
use super::headers::Headers;
use super::progress::Progress;
use super::proxy;
use super::target::Target;
use super::upload::{Early, Sending};
use crate::failure::{Exit, Failure};
use crate::{clock, output, words};

/// How long a connection may take, names and TLS included.
const CONNECT: Duration = Duration::from_secs(30);
/// How long an API may be silent.
const SILENCE: Duration = Duration::from_secs(5 * 60);
/// How large the head of an answer may be.
const HEAD: usize = 64 * 1024;
/// A body of this size is announced first, so that a refused token costs no transfer.
const ANNOUNCED: u64 = 1024 * 1024;

pub(crate) type Answer = Response<ureq::Body>;

/// How requests of one command line are made.
pub(crate) struct Exchange<'r> {
    target: &'r Target,
    method: Method,
    headers: Headers,
    tls: TlsConfig,
    proxy: Option<Proxy>,
    /// When all of it has to be over.
    until: Option<Instant>,
    /// Whether progress may be shown.
    shows: bool,
}

impl<'r> Exchange<'r> {
    pub(crate) fn new(
        target: &'r Target,
        method: Method,
        headers: Headers,
        max_time: Option<Duration>,
        shows: bool,
    ) -> Result<Self, Failure> {
        // In plain text nothing goes further than this machine.
        let (tls, proxy) = match target.is_plain() {
            true => (TlsConfig::default(), None),
            false => (tls()?, proxy::of_environment(target)?),
        };
        Ok(Self {
            target,
            method,
            headers,
            tls,
            proxy,
            until: max_time.map(|time| clock::steady() + time),
            shows,
        })
    }

    /// Sends it once. The answer's body is still to come.
    pub(crate) fn send(&self, token: &Token, body: &mut Body) -> Result<Answer, Failure> {
        let url = with_token(self.target.url(), token);
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(url.as_str());
        for (name, value) in self.headers.all().chain(self.headers.presented(token)?) {
            request = request.header(name, value);
        }
        let opened = body.open(self.until)?;
        let length = opened.as_ref().map(|opened| opened.length);
        match length {
            Some(Some(length)) => request = request.header(header::CONTENT_LENGTH, length),
            None if [Method::POST, Method::PUT, Method::PATCH].contains(&self.method) => {
                request = request.header(header::CONTENT_LENGTH, 0);
            }
            _ => {}
        }
        if length.is_some_and(|length| length.is_none_or(|length| length > ANNOUNCED)) {
            request = request.header(header::EXPECT, "100-continue");
        }
        let unusable = |_| {
            Failure::usage(
                "the URL has characters that cannot be sent",
                "write them as % and their number",
            )
        };
        let early = Arc::new(Early::default());
        let mut failed = None;
        let sent = match opened {
            None => self.agent(&early).run(request.body(()).map_err(unusable)?),
            Some(opened) => {
                let mut sending = Sending {
                    source: opened.source,
                    left: opened.length,
                    progress: Progress::new("sent", opened.length, self.shows),
                    failed: &mut failed,
                    early: &early,
                };
                let body = SendBody::from_reader(&mut sending);
                self.agent(&early)
                    .run(request.body(body).map_err(unusable)?)
            }
        };
        self.outcome(sent, failed, &early)
    }

    fn outcome(
        &self,
        sent: Result<Answer, Error>,
        failed: Option<(io::ErrorKind, String)>,
        early: &Early,
    ) -> Result<Answer, Failure> {
        match (sent, failed) {
            (Ok(answer), _) => {
                if early.is_there() {
                    output::note("the API closed the connection before it had the whole body");
                }
                Ok(answer)
            }
            (Err(Error::Io(_)), None) if let Some(error) = early.broken_by() => {
                Err(self.failure(Error::Io(error.into())))
            }
            (Err(_), Some((kind, error))) => Err(Failure::new(
                match kind {
                    io::ErrorKind::TimedOut => Exit::TryLater,
                    _ => Exit::Io,
                },
                format!("the body cannot be read to its end: {error}"),
                "the request was broken off, and the API may have seen a part of it",
            )),
            (Err(error), None) => Err(self.failure(error)),
        }
    }

    fn agent(&self, early: &Arc<Early>) -> Agent {
        let left = (self.until).map(|until| until.saturating_duration_since(clock::steady()));
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            .tls_config(self.tls.clone())
            .proxy(self.proxy.clone())
            .user_agent(concat!("tokenctl/", env!("CARGO_PKG_VERSION")))
            .max_response_header_size(HEAD)
            .max_idle_connections(0)
            .timeout_global(left)
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE))
            .build();
        Agent::with_parts(config, early.connector(), DefaultResolver::default())
    }

    /// What failed on the way. An error of the answer's body comes wrapped.
    pub(crate) fn failure(&self, error: Error) -> Failure {
        let host = self.target.shown();
        let advice = match self.proxy.is_some() {
            true => {
                "try again in a moment; check HTTPS_PROXY and NO_PROXY, and that the proxy is there"
            }
            false => "try again in a moment",
        };
        let later = |what: String| Failure::new(Exit::TryLater, what, advice);
        match error {
            Error::Timeout(_) => Failure::new(
                Exit::TryLater,
                format!("{host} took too long"),
                "try again, or allow more with --max-time",
            ),
            Error::HostNotFound => later(format!("the name {} is not found", self.target.host())),
            Error::ConnectionFailed => later(format!("{host} cannot be reached")),
            Error::ConnectProxyFailed(_) => Failure::new(
                Exit::TryLater,
                format!("the proxy makes no connection to {host}"),
                "check HTTPS_PROXY and NO_PROXY, and what the proxy allows",
            ),
            Error::Rustls(error) => self.broken_tls(&error),
            Error::Tls(error) => self.not_trusted(error),
            Error::TlsRequired => self.not_trusted("it does not speak TLS"),
            Error::Io(error) => {
                let inner = error.get_ref();
                match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                    Some(tls) => self.broken_tls(tls),
                    None => later(format!(
                        "the connection to {host} failed: {}",
                        plain(&error)
                    )),
                }
            }
            _ => Failure::new(
                Exit::Software,
                format!("what {host} answers is not HTTP, or its head is larger than 64 KiB"),
                "check the URL",
            ),
        }
    }

    /// A certificate is looked at before anything of the request is sent; whatever else TLS complains of may come later.
    fn broken_tls(&self, error: &rustls::Error) -> Failure {
        match error {
            rustls::Error::InvalidCertificate(_) => self.not_trusted(&error.to_string()),
            _ => Failure::new(
                Exit::TryLater,
                format!(
                    "the TLS connection to {} broke: {}",
                    self.target.shown(),
                    words::plain(&error.to_string())
                ),
                "try again; check the URL, and what the API wants of its clients",
            ),
        }
    }

    fn not_trusted(&self, why: &str) -> Failure {
        Failure::new(
            Exit::Config,
            format!(
                "no TLS connection to {}: {}",
                self.target.shown(),
                words::plain(why)
            ),
            "no token was sent; a certificate authority that the system does not know is named in SSL_CERT_FILE",
        )
    }
}

/// The URL as it is sent: with the token in it, if its API takes it there.
fn with_token(url: &Url, token: &Token) -> Url {
    let mut url = url.clone();
    if let Presentation::Query { name } = token.presentation() {
        url.query_pairs_mut()
            .append_pair(name, token.access_token.expose());
    }
    url
}

/// An error of the system in its words; what a library wrapped is left out.
fn plain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => error.to_string(),
        None => error.kind().to_string(),
    }
}

/// The certificate authorities of the system, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
fn tls() -> Result<TlsConfig, Failure> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(Failure::new(
            Exit::Config,
            "no certificate authorities are found on this machine",
            "install ca-certificates, or name a file with them in SSL_CERT_FILE",
        ));
    }
    let roots: Vec<_> = found
        .certs
        .iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect();
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build())
}

/// The first line of an answer and its headers, as they came.
pub(crate) fn head(answer: &Answer) -> Vec<u8> {
    let version = match answer.version() {
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    };
    let mut head = format!("{version} {}\r\n", answer.status()).into_bytes();
    for (name, value) in answer.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}
