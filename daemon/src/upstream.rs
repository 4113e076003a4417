//! The only place that opens network connections.
//!
//! Owns one HTTP exchange with a token endpoint: the secrets it needs, the request, the bounded reply, and what that means to the
//! engine. Never follows a redirect, never repeats a request, never keeps a connection for the next one: whether a request may
//! have left must always be known.

mod probe;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use tokend_config::{Account, Http, Parts};
use tokend_dialect::{Fields, Grant, Processed, Reply, RequestError, RetryAfter, UsedBy};
use tokend_engine::{Answer, GrantFacts, Kind};
use tokend_store::Credential;
use zeroize::{Zeroize as _, Zeroizing};

use crate::clock::Clock;
use crate::escape::Escaped;
use crate::secrets::{SecretError, SecretSource, resolve};

pub(crate) use probe::Prober;

/// The way to the providers.
#[derive(Debug)]
pub(crate) struct Upstream {
    exchange: ArcSwap<Exchange>,
    clock: Clock,
}

/// How providers are spoken to, as configured.
#[derive(Debug)]
struct Exchange {
    client: reqwest::Client,
    /// What it was made of, for a [`Prober`] that is made the same way.
    http: Http,
    max_body: usize,
    secrets: SecretSource,
}

/// A request that is ready to leave.
pub(crate) struct Prepared {
    account: Arc<Account>,
    kind: Kind,
    request: http::Request<Bytes>,
    fields: Fields,
    fingerprint: Box<str>,
}

/// The request is full of secrets, in its body and anywhere a dialect puts them.
impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("account", &self.account.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Why a request cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    /// A secret cannot be had.
    #[error("{field} of account {account} cannot be had: {source}")]
    Secret {
        account: Box<str>,
        field: Box<str>,
        source: SecretError,
    },
    /// The dialect makes no request of what there is.
    #[error("account {account}: {source}")]
    Request {
        account: Box<str>,
        source: RequestError,
    },
    /// The task that prepared it died.
    #[error("preparing the request failed inside tokend; please report this")]
    Broken,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    pub(crate) grant: Option<Box<Grant>>,
    /// What was said, or went wrong, in words that may be shown.
    pub(crate) told: Option<Box<str>>,
    /// Fingerprint of the configuration and secrets the request was made of.
    pub(crate) fingerprint: Box<str>,
}

/// The HTTP client cannot be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("extra_ca: {path}: {reason}")]
    ExtraCa { path: String, reason: String },
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
}

impl Upstream {
    /// A way to the providers with these settings.
    pub(crate) fn new(
        http: &Http,
        secrets: SecretSource,
        clock: Clock,
    ) -> Result<Self, ClientError> {
        Ok(Self {
            exchange: ArcSwap::from_pointee(Exchange::new(http, secrets)?),
            clock,
        })
    }

    /// Checks other settings and gives what puts them in force.
    pub(crate) fn compile(
        http: &Http,
        secrets: SecretSource,
    ) -> Result<impl FnOnce(&Self) + Send + use<>, ClientError> {
        let exchange = Arc::new(Exchange::new(http, secrets)?);
        Ok(move |upstream: &Self| upstream.exchange.store(exchange))
    }

    /// What looks whether providers can be reached, with the settings in force.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub(crate) async fn prober(&self) -> Result<Prober, String> {
        let exchange = self.exchange.load_full();
        let made = tokio::task::spawn_blocking(move || Prober::new(&exchange.http));
        let made = made.await.map_err(|error| error.to_string())?;
        made.map_err(|error| error.to_string())
    }

    /// Gets the secrets and builds the request. Nothing leaves the machine, unless a command that gives a secret does so.
    pub(crate) async fn prepare(
        &self,
        account: Arc<Account>,
        kind: Kind,
        credential: &Credential,
        access_token: Option<SecretString>,
    ) -> Result<Prepared, PrepareError> {
        let (fields, fingerprint) = self
            .fields(&account, kind, credential, access_token)
            .await?;
        let request = account
            .dialect
            .request(dialect_kind(kind), &account.endpoint, &fields)
            .map_err(|source| PrepareError::Request {
                account: account.name.as_str().into(),
                source,
            })?;
        Ok(Prepared {
            account,
            kind,
            request,
            fields,
            fingerprint,
        })
    }

    /// The fingerprint that a request like the one with this fingerprint would have now: whether what an account was blocked for has
    /// changed. `None` when a secret cannot be had.
    pub(crate) async fn fingerprint(
        &self,
        account: &Account,
        credential: &Credential,
        before: &str,
    ) -> Option<Box<str>> {
        // A refresh is made of other secrets than a login, so only requests of one kind can be compared.
        let kind = if before.starts_with(mark(Kind::Refresh)) {
            Kind::Refresh
        } else {
            Kind::Login
        };
        self.fields(account, kind, credential, None)
            .await
            .ok()
            .map(|(_, fingerprint)| fingerprint)
    }

    async fn fields(
        &self,
        account: &Account,
        kind: Kind,
        credential: &Credential,
        access_token: Option<SecretString>,
    ) -> Result<(Fields, Box<str>), PrepareError> {
        let exchange = self.exchange.load_full();
        let mut fields = Fields::new();
        let mut parts = Parts::default();
        parts.add(&account.fingerprint.to_string());
        for field in account.dialect.fields_at(&account.endpoint) {
            let needed = matches!(
                (field.used_by, kind),
                (UsedBy::Both, _) | (UsedBy::Login, Kind::Login) | (UsedBy::Refresh, Kind::Refresh)
            );
            if !needed {
                continue;
            }
            let name = field.name.as_str();
            if let Some(value) = account.field(name) {
                fields.set(name, value);
                continue;
            }
            let entered = match name {
                "password" => credential.password.clone(),
                "client_secret" => credential.client_secret.clone(),
                tokend_dialect::REFRESH_TOKEN => credential.refresh_token.clone(),
                tokend_dialect::ACCESS_TOKEN => access_token.clone(),
                _ => None,
            };
            let value = match account.secret(name) {
                Some(reference) => Some(resolve(reference, &exchange.secrets).await.map_err(
                    |source| PrepareError::Secret {
                        account: account.name.as_str().into(),
                        field: name.into(),
                        source,
                    },
                )?),
                None => entered,
            };
            if let Some(value) = value {
                if !field.internal {
                    parts.add(name);
                    parts.add(value.expose_secret());
                }
                fields.set_secret(name, value);
            }
        }
        Ok((fields, format!("{}{}", mark(kind), parts.finish()).into()))
    }

    /// Sends a request and reads what comes of it. Ends always, within the configured time.
    pub(crate) async fn send(&self, prepared: Prepared) -> Outcome {
        let Prepared {
            account,
            kind,
            request,
            fields,
            fingerprint,
        } = prepared;
        let exchange = self.exchange.load_full();
        let (answer, grant, told) = match exchange.exchange(request).await {
            Ok(response) => {
                let reply = account
                    .dialect
                    .read_reply(dialect_kind(kind), &response, &fields);
                wipe(response.into_body());
                self.understand(reply)
            }
            Err(failure) => {
                let answer = match failure {
                    Failure::NotSent(_) => Answer::NotSent,
                    Failure::MaybeSent(_) => Answer::MaybeSent,
                    Failure::TooLarge(_) => Answer::Misbehaved {
                        maybe_processed: true,
                    },
                };
                (answer, None, Some(failure.to_string()))
            }
        };
        Outcome {
            answer,
            grant,
            told: told.map(|told| Escaped(&told).to_string().into()),
            fingerprint,
        }
    }

    fn understand(&self, reply: Reply) -> (Answer, Option<Box<Grant>>, Option<String>) {
        match reply {
            Reply::Granted(grant) => {
                let facts = GrantFacts {
                    lifetime: grant.lifetime,
                    refresh_token: grant.refresh_token.is_some(),
                    refresh_lifetime: grant.refresh_lifetime,
                };
                (Answer::Granted(facts), Some(Box::new(grant)), None)
            }
            Reply::Busy { retry_after, told } => {
                let retry_after = retry_after.map(|after| self.wait(after));
                (Answer::Busy { retry_after }, None, Some(told.to_string()))
            }
            Reply::CredentialRejected(told) => {
                (Answer::CredentialRejected, None, Some(told.to_string()))
            }
            Reply::RefreshRejected(told) => (Answer::RefreshRejected, None, Some(told.to_string())),
            Reply::Misconfigured(told) => (Answer::Misconfigured, None, Some(told.to_string())),
            Reply::Misbehaved { told, processed } => {
                let maybe_processed = processed == Processed::Maybe;
                (
                    Answer::Misbehaved { maybe_processed },
                    None,
                    Some(told.to_string()),
                )
            }
        }
    }

    fn wait(&self, after: RetryAfter) -> Duration {
        match after {
            RetryAfter::Delay(delay) => delay,
            // The reply had no Date to subtract: our own clock is the only one left. The engine clamps what comes of it.
            RetryAfter::At(unix) => {
                let wait = i64::try_from(unix)
                    .unwrap_or(i64::MAX)
                    .saturating_mul(1000)
                    .saturating_sub(self.clock.wall_ms());
                Duration::from_millis(u64::try_from(wait).unwrap_or(0))
            }
        }
    }
}

/// Why no reply came.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    NotSent(String),
    #[error("the request was sent and no whole answer came: {0}")]
    MaybeSent(String),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl Exchange {
    fn new(http: &Http, secrets: SecretSource) -> Result<Self, ClientError> {
        let client = builder(http)?
            .build()
            .map_err(|error| client_error(&error))?;
        Ok(Self {
            client,
            http: http.clone(),
            max_body: http.max_body,
            secrets,
        })
    }

    async fn exchange(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, Failure> {
        let request =
            reqwest::Request::try_from(request).map_err(|error| Failure::NotSent(chain(&error)))?;
        let mut response = self
            .client
            .execute(request)
            .await
            .map_err(|error| failed(&error))?;
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
}

/// How every connection to a provider is made.
fn builder(http: &Http) -> Result<reqwest::ClientBuilder, ClientError> {
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
    builder = match &http.proxy {
        Some(proxy) => builder
            .proxy(reqwest::Proxy::all(proxy.as_str()).map_err(|error| client_error(&error))?),
        None => builder.no_proxy(),
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
fn wipe(body: Bytes) {
    if let Ok(mut body) = body.try_into_mut() {
        body.as_mut().zeroize();
    }
}

fn client_error(error: &reqwest::Error) -> ClientError {
    ClientError::Client(chain(error))
}

/// The causes of an error, without the URL, whose query may hold a secret.
fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let part = error.to_string();
        // Several layers say the same again in front of their own cause, and one says only which layer it is.
        if !text.ends_with(&part) && !part.starts_with("client error (") {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&part);
        }
        cause = error.source();
    }
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

/// What a fingerprint begins with.
fn mark(kind: Kind) -> &'static str {
    match kind {
        Kind::Login => "login-",
        Kind::Refresh => "refresh-",
    }
}

fn dialect_kind(kind: Kind) -> tokend_dialect::Kind {
    match kind {
        Kind::Login => tokend_dialect::Kind::Login,
        Kind::Refresh => tokend_dialect::Kind::Refresh,
    }
}

impl Outcome {
    /// Of a request whose task died: it may have left.
    pub(crate) fn unknown() -> Self {
        Self {
            answer: Answer::MaybeSent,
            grant: None,
            told: Some("sending the request failed inside tokend; please report this".into()),
            fingerprint: Box::default(),
        }
    }
}

#[cfg(test)]
mod tests;
