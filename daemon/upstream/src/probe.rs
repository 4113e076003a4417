//! Checks whether a provider can be reached, without sending it a request.
//!
//! Owns a connection that is made like those of attempts (name, proxy, TCP, TLS and its certificate) and closed as soon as it is
//! established. Must never send a request: a probe is not an attempt, is not paced, and no token endpoint ever sees one.

use std::sync::Arc;
use std::time::Duration;

use tokend_config::{Http, Route};
use tokend_egress::causes;
use tower::BoxError;
use tower::util::MapResultLayer;
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
        let hops = exchange.clients.hops().cloned();
        let clients = HttpClients::new(hops, &http, exchange.secrets.egress, |builder| {
            builder.connector_layer(MapResultLayer::new(end))
        })?;
        Ok(Self {
            clients: Arc::new(clients),
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
    causes::chain(error).any(|error| error.is::<Connected>())
}

/// Closes a connection that was just established.
fn end<C>(connection: Result<C, BoxError>) -> Result<C, BoxError> {
    drop(connection?);
    Err(Connected.into())
}
