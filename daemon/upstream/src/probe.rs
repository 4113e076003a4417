//! Looks whether a provider could be reached, without asking it for anything.
//!
//! Owns a connection that is made as those of attempts are made (name, proxy, TCP, TLS and its certificate) and ends the moment it
//! stands. Must never send a request: a probe is no attempt, is not paced, and no token endpoint ever sees one.

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
use super::exchange::Exchange;
use super::relay_words;
use super::ways::{self, Ways};

/// The longest a probe takes, whatever is configured for attempts: somebody waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes connections that end when they stand.
#[derive(Debug, Clone)]
pub struct Prober {
    ways: Arc<Ways>,
    http: Arc<Http>,
}

impl Prober {
    /// With these settings. Reads the system's certificate authorities, so it blocks.
    pub(super) fn new(exchange: &Exchange) -> Result<Self, ClientError> {
        let http = Http {
            connect_timeout: exchange.http.connect_timeout.min(PATIENCE),
            timeout: PATIENCE,
            ..exchange.http.clone()
        };
        let ends = |builder: reqwest::ClientBuilder| builder.connector_layer(EndWhenConnected);
        Ok(Self {
            ways: Arc::new(exchange.ways.with(&http, exchange.secrets.egress, ends)?),
            http: Arc::new(http),
        })
    }

    /// Whether a connection to the host of `url` can be made, the way an account goes; else why not.
    pub async fn probe(&self, route: &Route, url: &str) -> Result<(), String> {
        let parsed = Url::parse(url).map_err(|error| error.to_string())?;
        ways::may_leave(&parsed)?;
        let way = self.ways.choose(&self.http, route, Some(&parsed));
        let relayed = way.relay.as_ref().zip(relay_words::target(&parsed));
        if let Some((relay, target)) = &relayed
            && parsed.scheme() == "http"
        {
            // Without TLS what is made here would end at the relay.
            return relay.reach(target).await;
        }
        let request = reqwest::Request::new(reqwest::Method::HEAD, parsed);
        let words = match way.execute(request).await {
            Err(error) if is_connected(&error) => return Ok(()),
            Err(error) => match relayed {
                Some((relay, target)) => relay.explain(&target, &error).await,
                None => chain(&error),
            },
            // Nothing can be answered to what was not sent.
            Ok(_) => "a request was sent by mistake; please report this".to_owned(),
        };
        Err(match &way.hop {
            Some(hop) => hop.blame(&words),
            None => words,
        })
    }
}

/// What is told instead of handing out a connection that stands.
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

/// Around what makes connections.
#[derive(Debug, Clone, Copy)]
struct EndWhenConnected;

impl<S> Layer<S> for EndWhenConnected {
    type Service = Ending<S>;

    fn layer(&self, connector: S) -> Ending<S> {
        Ending(connector)
    }
}

/// A maker of connections that hands out none.
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
