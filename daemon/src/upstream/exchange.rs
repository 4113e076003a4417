//! One HTTP exchange, from the request to the whole answer or to what went wrong.
//!
//! Owns how connections are made and whether a request may have left. Understands nothing of what is asked or answered.

use bytes::Bytes;
use tokend_config::Http;
use zeroize::{Zeroize as _, Zeroizing};

use super::ClientError;
use super::relay::{self, Relay};
use crate::causes::causes;
use crate::secrets::SecretSource;

/// How providers are spoken to, as configured.
#[derive(Debug)]
pub(super) struct Exchange {
    client: reqwest::Client,
    /// What all connections go through, if they do.
    relay: Option<Relay>,
    /// What it was made of, for a [`super::Prober`] that is made the same way.
    pub(super) http: Http,
    max_body: usize,
    pub(super) secrets: SecretSource,
}

/// Why no reply came.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    NotSent(String),
    #[error("the request was sent and no whole answer came: {0}")]
    MaybeSent(String),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl Exchange {
    pub(super) fn new(http: &Http, secrets: SecretSource) -> Result<Self, ClientError> {
        let relay = Relay::of(secrets.egress, http)?;
        let client = builder(http, relay.as_ref())?
            .build()
            .map_err(|error| client_error(&error))?;
        Ok(Self {
            client,
            relay,
            http: http.clone(),
            max_body: http.max_body,
            secrets,
        })
    }

    pub(super) async fn exchange(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, Failure> {
        let request =
            reqwest::Request::try_from(request).map_err(|error| Failure::NotSent(chain(&error)))?;
        let target = relay::target(request.url());
        let is_plain = request.url().scheme() == "http";
        let mut response = match self.client.execute(request).await {
            Ok(response) => response,
            Err(error) => return Err(self.failed(&error, target).await),
        };
        if self.relay.is_some()
            && is_plain
            && let Some(kind) = relay::told_by(&response)
        {
            let said = relay::said(response).await;
            return Err(match kind.is_before_sending() {
                true => Failure::NotSent(said),
                false => Failure::MaybeSent(said),
            });
        }
        let mut parts = http::Response::builder().status(response.status());
        if let Some(headers) = parts.headers_mut() {
            *headers = std::mem::take(response.headers_mut());
        }
        let mut body = Zeroizing::new(Vec::new());
        while let Some(mut chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + chunk.len() > self.max_body {
                return Err(Failure::TooLarge(self.max_body));
            }
            body.extend_from_slice(&chunk);
            wipe(std::mem::take(&mut chunk));
        }
        parts
            .body(Bytes::from(std::mem::take(&mut *body)))
            .map_err(|error| Failure::MaybeSent(error.to_string()))
    }

    /// The same, in the words of the relay where the connection was its to make.
    async fn failed(&self, error: &reqwest::Error, target: Option<String>) -> Failure {
        match (&self.relay, target) {
            (Some(relay), Some(target)) if error.is_connect() => {
                Failure::NotSent(relay.explain(&target, error).await)
            }
            _ => failed(error),
        }
    }
}

/// How every connection to a provider is made.
pub(super) fn builder(
    http: &Http,
    relay: Option<&Relay>,
) -> Result<reqwest::ClientBuilder, ClientError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("tokend/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only()
        // A connection kept from an earlier attempt may be closed by now, and then nobody knows whether the request left.
        .pool_max_idle_per_host(0)
        .connect_timeout(http.connect_timeout)
        .timeout(http.timeout);
    builder = match (relay, &http.proxy) {
        // Which goes through the configured proxy in its turn.
        (Some(relay), _) => builder.proxy(relay.proxy()?),
        (None, Some(proxy)) => builder
            .proxy(reqwest::Proxy::all(proxy.as_str()).map_err(|error| client_error(&error))?),
        (None, None) => builder.no_proxy(),
    };
    if let Some(path) = &http.extra_ca {
        let bad = |reason: String| ClientError::ExtraCa {
            path: path.display().to_string(),
            reason,
        };
        let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
        let certificates =
            reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| bad(chain(&error)))?;
        if certificates.is_empty() {
            return Err(bad("holds no certificate in PEM form".into()));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    Ok(builder)
}

/// Before the connection stood nothing was sent; at any later point the provider may have acted.
fn failed(error: &reqwest::Error) -> Failure {
    if error.is_connect() || error.is_builder() {
        return Failure::NotSent(chain(error));
    }
    Failure::MaybeSent(chain(error))
}

/// Overwrites a body that held tokens, if nobody else still reads it.
pub(super) fn wipe(body: Bytes) {
    if let Ok(mut body) = body.try_into_mut() {
        body.as_mut().zeroize();
    }
}

pub(super) fn client_error(error: &reqwest::Error) -> ClientError {
    ClientError::Client(chain(error))
}

/// The causes of an error, without the URL, whose query may hold a secret.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let text = std::error::Error::source(error).map_or_else(String::new, causes);
    if error.is_timeout() && !text.contains("timed out") {
        return format!("timed out: {text}")
            .trim_end_matches(": ")
            .to_owned();
    }
    if text.is_empty() {
        "the connection ended".to_owned()
    } else {
        text
    }
}
