//! One HTTP exchange, from the request to the whole answer or an error.
//!
//! Owns the decision whether a request may have been sent. Does not interpret requests or answers.

use bytes::Bytes;
use tokend_config::Http;
use tokend_dialect::Silence;
use zeroize::{Zeroize as _, Zeroizing};

use super::client_error::{ClientError, chain};
use super::clients::{self, HttpClient, HttpClients};
use super::hop::Hop;
use super::relay;
use super::relay_words;
use super::unpack::unpack;
use super::whole;
use crate::secrets::SecretSource;
use tokend_egress::FailureKind;
use tokend_egress::silence::is_silence;

#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) clients: HttpClients,
    /// The settings it was built from, for a [`super::Prober`] with the same settings.
    pub(super) http: Http,
    max_body: usize,
    pub(super) secrets: SecretSource,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    NotSent(String),
    #[error("the request was sent and no whole answer came: {0}")]
    MaybeSent(String),
    /// The request may have been sent, and no part of an answer came.
    #[error("the request was sent and no whole answer came: {1}")]
    Silent(Silence, String),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl Exchange {
    pub(super) fn new(http: &Http, secrets: SecretSource) -> Result<Self, ClientError> {
        Ok(Self {
            clients: HttpClients::new(
                http.proxies.iter().map(Hop::new),
                http,
                secrets.egress,
                |it| it,
            )?,
            http: http.clone(),
            max_body: http.max_body,
            secrets,
        })
    }

    pub(super) async fn exchange(
        &self,
        client: &HttpClient,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, Failure> {
        let request =
            reqwest::Request::try_from(request).map_err(|error| Failure::NotSent(chain(&error)))?;
        clients::may_leave(request.url()).map_err(Failure::NotSent)?;
        let target = relay_words::target(request.url());
        let relay = client.relay.as_ref();
        let is_forwarded = relay.is_some_and(|relay| relay.forwards(request.url()));
        let hides_ends = relay.is_some_and(|relay| relay.hides_ends(request.url()));
        if let (Some(relay), Some(target), true) = (relay, &target, is_forwarded) {
            relay.must_answer(target).await.map_err(Failure::NotSent)?;
        }
        let mut response = match client.execute(request).await {
            Ok(response) => response,
            Err(error) => return Err(client.failed(&error, target.as_deref(), is_forwarded).await),
        };
        // The relay never passes on its own header from a provider.
        let kind = FailureKind::from_headers(response.headers()).filter(|_| is_forwarded);
        if let Some(kind) = kind {
            let text = relay_words::text_of(http::Response::from(response).into_body()).await;
            return Err(match kind {
                FailureKind::Incomplete => Failure::Silent(Silence::Closed, text),
                kind if kind.is_before_sending() => Failure::NotSent(text),
                _ => Failure::MaybeSent(text),
            });
        }
        let is_open = hides_ends && !relay::tells_its_end(response.status(), response.headers());
        let status = response.status();
        let mut headers = std::mem::take(response.headers_mut());
        let body = self.body(response).await?;
        let mut body = unpack(&mut headers, body, self.max_body)
            .map_err(|_| Failure::TooLarge(self.max_body))?;
        // The relay's answer covers all connections to the target, so it is asked only if the answer itself does not show that it is
        // whole.
        if let (Some(relay), Some(target), true) = (relay, &target, is_open)
            && !whole::is_seen_whole(&body)
        {
            let seen = relay.confirms_end(target).await;
            seen.map_err(Failure::MaybeSent)?;
        }
        let mut whole = http::Response::new(Bytes::from(std::mem::take(&mut *body)));
        *whole.status_mut() = status;
        *whole.headers_mut() = headers;
        Ok(whole)
    }

    /// All that follows the head.
    async fn body(&self, mut response: reqwest::Response) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let mut body = Zeroizing::new(Vec::new());
        while let Some(mut chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + chunk.len() > self.max_body {
                return Err(Failure::TooLarge(self.max_body));
            }
            body.extend_from_slice(&chunk);
            wipe(std::mem::take(&mut chunk));
        }
        Ok(body)
    }
}

impl HttpClient {
    /// The meaning of a failure, in the words of the relay if the relay makes the connection, and with the proxy's name if there is one.
    async fn failed(
        &self,
        error: &reqwest::Error,
        target: Option<&str>,
        is_forwarded: bool,
    ) -> Failure {
        let failure = match (&self.relay, target) {
            (Some(relay), Some(target)) if error.is_connect() => {
                Failure::NotSent(relay.explain(target, error).await)
            }
            (Some(relay), Some(target)) if self.hop.is_none() => match unanswered(error) {
                // No rule covers a relay that gave no answer.
                Failure::Silent(silence, why) => {
                    match relay.confirms_silence(target, silence, is_forwarded).await {
                        Ok(()) => Failure::Silent(silence, why),
                        Err(relay) => Failure::MaybeSent(format!("{why}; {relay}")),
                    }
                }
                other => other,
            },
            _ => unanswered(error),
        };
        match (failure, &self.hop) {
            (Failure::NotSent(words), Some(hop)) => Failure::NotSent(hop.blame(&words)),
            // No rule covers a proxy that gave no answer, and such a proxy looks the same as a silent provider.
            (Failure::Silent(_, why), Some(hop)) => Failure::MaybeSent(hop.shares(&why)),
            (failure, _) => failure,
        }
    }
}

/// The failure of a request without any part of an answer. A network error on the connection is not an answer of the provider.
fn unanswered(error: &reqwest::Error) -> Failure {
    let silence = match error.is_timeout() {
        true => Silence::TimedOut,
        false => Silence::Closed,
    };
    match failed(error) {
        Failure::MaybeSent(why) if is_silence(error) => Failure::Silent(silence, why),
        other => other,
    }
}

/// Before the connection was established nothing was sent; at any later point the provider may have acted.
fn failed(error: &reqwest::Error) -> Failure {
    if error.is_connect() || error.is_builder() {
        return Failure::NotSent(chain(error));
    }
    Failure::MaybeSent(chain(error))
}

/// Overwrites a body that held tokens, if it has no other reader.
pub(super) fn wipe(body: Bytes) {
    if let Ok(mut body) = body.try_into_mut() {
        body.as_mut().zeroize();
    }
}
