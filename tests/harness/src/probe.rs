//! A blocking HTTP request for tests that talk to a provider themselves, without a broker in between.
//!
//! One connection per request, no redirects, no retries, nothing decoded: a test sees exactly what the server did.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// An answer, complete.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, as text; bytes that are not UTF-8 are replaced.
    pub body: String,
}

impl Reply {
    /// The string under `key` at the top of a JSON body.
    ///
    /// # Errors
    /// When the body is not a JSON object with such a string.
    pub fn text(&self, key: &str) -> anyhow::Result<String> {
        let value: serde_json::Value =
            serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))?;
        let text = value.get(key).and_then(serde_json::Value::as_str);
        Ok(text
            .with_context(|| format!("no `{key}` in {}", self.body))?
            .to_owned())
    }
}

/// A request under construction.
#[derive(Clone, Debug)]
pub struct Probe {
    method: &'static str,
    url: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    limit: Duration,
}

/// A POST without a body.
#[must_use]
pub fn post(url: String) -> Probe {
    Probe {
        method: "POST",
        ..get(url)
    }
}

/// A GET.
#[must_use]
pub fn get(url: String) -> Probe {
    let limit = Duration::from_secs(30);
    Probe {
        method: "GET",
        url,
        headers: Vec::new(),
        body: Vec::new(),
        limit,
    }
}

impl Probe {
    /// Another method.
    #[must_use]
    pub fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The access token to present.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// A form body.
    #[must_use]
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let mut encoder = form_urlencoded::Serializer::new(String::new());
        let body = encoder.extend_pairs(fields).finish();
        self.body("application/x-www-form-urlencoded", &body)
    }

    /// A JSON body.
    #[must_use]
    pub fn json(self, body: &serde_json::Value) -> Self {
        self.body("application/json", &body.to_string())
    }

    /// A body of any type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: &str) -> Self {
        body.as_bytes().clone_into(&mut self.body);
        self.header("content-type", content_type)
    }

    /// How long the whole exchange may take; 30 s by default.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Errors
    /// When the connection fails, breaks off, or the limit passes.
    pub fn send(self) -> anyhow::Result<Reply> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let limit = self.limit;
        runtime
            .block_on(async { timeout(limit, self.exchange()).await })
            .context("no answer")?
    }

    async fn exchange(self) -> anyhow::Result<Reply> {
        let uri: Uri = self.url.parse()?;
        let authority = uri.authority().context("the URL names no host")?.clone();
        let path = uri.path_and_query().context("the URL has no path")?.clone();
        let mut request = Request::builder().method(self.method).uri(path.as_str());
        request = request.header(header::HOST, authority.as_str());
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(self.body)))?;

        let stream = TcpStream::connect(authority.as_str())
            .await
            .context("not reachable")?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        drop(sender);
        connection.abort();
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    }
}
