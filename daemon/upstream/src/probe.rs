//! Checks whether a provider can be reached, without sending it a request.
//!
//! Owns a connection that is made like those of attempts (name, proxy, TCP, TLS and its certificate) and closed as soon as it is
//! established. Must never send a request: a probe is not an attempt, is not paced, and no token endpoint ever sees one.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokend_config::{Http, Route};
use tower::{Layer, Service};
use url::Url;

use super::client_error::ClientError;
use super::client_error::chain;
use super::clients::{self, HttpClients};
use super::exchange::Exchange;
use super::relay_words;

/// The longest a probe takes, whatever is configured for attempts: a person waits for the result.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes connections and closes them once they are established.
#[derive(Debug, Clone)]
pub struct Prober {
    clients: Arc<HttpClients>,
    http: Arc<Http>,
}

impl Prober {
    /// A prober with these settings. Reads the system's certificate authorities, so it blocks.
    pub(super) fn new(exchange: &Exchange) -> Result<Self, ClientError> {
        let http = Http {
            connect_timeout: exchange.http.connect_timeout.min(PATIENCE),
            timeout: PATIENCE,
            ..exchange.http.clone()
        };
        let ends = |builder: reqwest::ClientBuilder| builder.connector_layer(EndWhenConnected);
        Ok(Self {
            clients: Arc::new(
                exchange
                    .clients
                    .with(&http, exchange.secrets.egress, ends)?,
            ),
            http: Arc::new(http),
        })
    }

    /// Whether a connection to the host of `url` can be made on an account's route; if not, why.
    pub async fn probe(&self, route: &Route, url: &str) -> Result<(), String> {
        let parsed = Url::parse(url).map_err(|error| error.to_string())?;
        clients::may_leave(&parsed)?;
        let client = self.clients.choose(&self.http, route, Some(&parsed));
        let relayed = client.relay.as_ref().zip(relay_words::target(&parsed));
        if let Some((relay, target)) = &relayed
            && parsed.scheme() == "http"
        {
            // Without TLS a connection made here would end at the relay.
            return relay.reach(target).await;
        }
        let request = reqwest::Request::new(reqwest::Method::HEAD, parsed);
        let words = match client.execute(request).await {
            Err(error) if is_connected(&error) => return Ok(()),
            Err(error) => match relayed {
                Some((relay, target)) => relay.explain(&target, &error).await,
                None => chain(&error),
            },
            // No request is sent, so an answer is impossible.
            Ok(_) => "a request was sent by mistake; please report this".to_owned(),
        };
        Err(match &client.hop {
            Some(hop) => hop.blame(&words),
            None => words,
        })
    }
}

/// Returned instead of an established connection.
#[derive(Debug, thiserror::Error)]
#[error("connected")]
struct Connected;

fn is_connected(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<Connected>() {
            return true;
        }
        cause = error.source();
    }
    false
}

type BoxError = Box<dyn Error + Send + Sync>;

/// Wraps a connector.
#[derive(Debug, Clone, Copy)]
struct EndWhenConnected;

impl<S> Layer<S> for EndWhenConnected {
    type Service = Ending<S>;

    fn layer(&self, connector: S) -> Ending<S> {
        Ending(connector)
    }
}

/// A connector that never returns a connection.
#[derive(Debug, Clone)]
struct Ending<S>(S);

impl<S, To> Service<To> for Ending<S>
where
    S: Service<To, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, to: To) -> Self::Future {
        let connecting = self.0.call(to);
        Box::pin(async move {
            drop(connecting.await?);
            Err(Connected.into())
        })
    }
}
