//! The daemon's side of the egress relay: if there is a relay, every connection goes through it.
//!
//! Owns the relay's address, the headers it gets, and the messages for failures behind it or of the relay itself. Those messages are the
//! same as without a relay. Must never take an answer of a provider for one of the relay. The HTTP library uses a relay at a TCP address
//! as a proxy; for a relay at a Unix socket `bridge` makes the tunnels, for http:// addresses too.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use tokend_config::Http;
use tokend_dialect::Silence;
use tower::layer::layer_fn;
use url::Url;

use super::bridge::{self, Bridge, Bridged};
use super::client_error::{ClientError, chain, client_error};
use super::hop::Hop;
use super::relay_words::{absent, full, text_of};
use tokend_egress::{
    CONNECT_TIMEOUT, ENDED, Egress, FAILURE, FailureKind, ORDERLY, PROXY, REACH, TARGET, TIMEOUT,
};
use tokend_process::clock::millis;

/// How long the relay may take for an answer that it already has.
const QUESTION: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub(super) struct Relay {
    at: Egress,
    /// Sends questions to the relay itself.
    client: reqwest::Client,
    /// The headers with the settings that the relay needs.
    settings: HeaderMap,
    /// How long connecting may take.
    patience: Duration,
    /// Makes tunnels through a Unix socket.
    bridge: Option<Arc<Bridge>>,
}

impl Relay {
    pub(super) fn new(at: Egress, http: &Http, hop: Option<&Hop>) -> Result<Self, ClientError> {
        let mut settings = HeaderMap::new();
        settings.insert(
            CONNECT_TIMEOUT,
            HeaderValue::from(millis(http.connect_timeout)),
        );
        settings.insert(TIMEOUT, HeaderValue::from(millis(http.timeout)));
        if let Some(hop) = hop {
            let url = &hop.proxy.url;
            let value = HeaderValue::from_str(url.as_str()).ok();
            let value = value.filter(|_| url.scheme() == "http");
            settings.insert(PROXY, value.ok_or(ClientError::ProxyBehindRelay)?);
        }
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .pool_max_idle_per_host(0)
            .no_proxy();
        let bridge = match at {
            Egress::Tcp(_) => None,
            Egress::Unix(path) => {
                builder = builder.unix_socket(path);
                let bridge = Bridge::new(path, settings.clone(), hop.cloned());
                Some(Arc::new(bridge.map_err(|why| ClientError::Bridge {
                    directory: env::temp_dir().display().to_string(),
                    why,
                })?))
            }
        };
        let client = builder.build().map_err(|error| client_error(&error))?;
        Ok(Self {
            at,
            client,
            settings,
            patience: http.connect_timeout,
            bridge,
        })
    }

    /// Routes every connection to the relay, with the credentials for the configured proxy behind it.
    pub(super) fn route(
        &self,
        builder: reqwest::ClientBuilder,
        hop: Option<&Hop>,
    ) -> Result<reqwest::ClientBuilder, ClientError> {
        if let Some(bridge) = &self.bridge {
            let builder = builder.no_proxy().unix_socket(bridge.path());
            let bridge = Arc::clone(bridge);
            return Ok(builder.connector_layer(layer_fn(move |next| Bridged {
                bridge: Arc::clone(&bridge),
                next,
            })));
        }
        let url = Url::parse(&self.at.base());
        let url = url.map_err(|error| ClientError::Client(error.to_string()))?;
        let hop = hop.cloned();
        let proxy = reqwest::Proxy::custom(move |_| {
            Some(
                hop.as_ref()
                    .map_or_else(|| url.clone(), |hop| hop.signed(&url)),
            )
        });
        Ok(builder.proxy(proxy.headers(self.settings.clone())))
    }

    /// Whether a request for this address is handed to the relay itself. Otherwise it goes through a tunnel, and an answer comes from the
    /// provider.
    pub(super) fn forwards(&self, url: &Url) -> bool {
        self.bridge.is_none() && url.scheme() == "http"
    }

    /// Whether the relay answers at all. A request for an `http://` address is handed to the relay whole, so this is checked first:
    /// otherwise a relay that hangs would leave every such attempt in doubt.
    pub(super) async fn must_answer(&self, target: &str) -> Result<(), String> {
        self.ask(FAILURE, target, QUESTION).await.map(|_| ())
    }

    /// Why a connection to a target failed. The relay is asked, since the HTTP library only knows that there is no tunnel.
    pub(super) async fn explain(&self, target: &str, error: &reqwest::Error) -> String {
        if let Some(words) = bridge::no_tunnel(error) {
            return words.to_owned();
        }
        match self.ask(FAILURE, target, QUESTION).await {
            Ok(Answer {
                is_good: true,
                text,
            }) => text,
            Ok(_) => chain(error),
            Err(absent) => absent,
        }
    }

    /// Whether the provider, and not the relay on the way, gave no answer; if not, what is known about the relay. `is_forwarded` means that
    /// the relay had the request itself, and would have reported that the provider closed the connection.
    pub(super) async fn confirms_silence(
        &self,
        target: &str,
        silence: Silence,
        is_forwarded: bool,
    ) -> Result<(), String> {
        let answer = self.ask(ENDED, target, QUESTION).await?;
        match silence {
            // The relay answers, and has waited as well.
            Silence::TimedOut => Ok(()),
            Silence::Closed if answer.is_good && !is_forwarded => Ok(()),
            Silence::Closed => Err(format!(
                "the egress relay at {} does not confirm that the provider ended the connection",
                self.at
            )),
        }
    }

    /// Whether the end of a connection for this address does not tell who ended it, and so whether an answer without a length is whole: a
    /// Unix socket has no reset, and a relay that dies ends the connection like any other. TLS marks its own end, and the relay frames
    /// anew the answers to requests handed to it.
    pub(super) fn hides_ends(&self, url: &Url) -> bool {
        self.bridge.is_some() && url.scheme() == "http"
    }

    /// Whether the provider ended the connection, and in an orderly way.
    pub(super) async fn confirms_end(&self, target: &str) -> Result<(), String> {
        let answer = self.ask(ENDED, target, QUESTION).await?;
        match answer.is_good && answer.text == ORDERLY {
            true => Ok(()),
            false => Err(format!(
                "the answer ends where the connection does, and the egress relay at {} does not confirm that the provider ended it",
                self.at
            )),
        }
    }

    /// Whether a connection to a target can be made; if not, why.
    pub(super) async fn reach(&self, target: &str) -> Result<(), String> {
        match self.ask(REACH, target, self.patience + QUESTION).await? {
            Answer { is_good: true, .. } => Ok(()),
            Answer { text, .. } => Err(text),
        }
    }

    /// The relay's answer; or why there is none, or why the relay refuses.
    async fn ask(&self, what: &str, target: &str, patience: Duration) -> Result<Answer, String> {
        let asking = self
            .client
            .get(format!("{}{what}", self.at.base()))
            .headers(self.settings.clone())
            .header(TARGET, target)
            .timeout(patience)
            .send();
        match asking.await {
            Ok(response) => {
                let is_good = response.status().is_success();
                let is_full =
                    FailureKind::from_headers(response.headers()) == Some(FailureKind::Full);
                let text = text_of(http::Response::from(response).into_body()).await;
                match is_full {
                    true => Err(full(&self.at, &text)),
                    false => Ok(Answer { is_good, text }),
                }
            }
            Err(error) => {
                let how = match error.is_timeout() {
                    true => "does not answer",
                    false => "cannot be reached",
                };
                Err(absent(self.at, how, &chain(&error)))
            }
        }
    }
}

struct Answer {
    is_good: bool,
    text: String,
}

/// Whether an answer marks its own end. One without a body ends with its head (RFC 9112, section 6.3).
pub(super) fn tells_its_end(status: StatusCode, headers: &HeaderMap) -> bool {
    let is_head_only = status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    is_head_only || headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING)
}

#[cfg(test)]
mod tests;
