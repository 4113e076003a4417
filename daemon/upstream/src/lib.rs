//! The only place in the daemon that opens network connections.
//!
//! Owns one HTTP exchange with a token endpoint: the secrets it needs, the request, the bounded reply, and its meaning for the engine.
//! Never follows a redirect, never repeats a request, never reuses a connection: whether a request may have been sent must always be
//! known.

mod bridge;
mod certificate;
mod client_error;
mod exchange;
mod granted;
mod hop;
mod prepare_error;
mod probe;
mod relay;
mod relay_words;
pub mod secrets;
mod unpack;
mod ways;
mod whole;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use tokend_config::{Account, Http, Parts, Proxy};
use tokend_dialect::{Fields, Processed, ProviderReply, RetryAfter, SpentTokens, UsedBy};
use tokend_engine::{AttemptKind, ProviderAnswer};
use tokend_proto::LoginSecret;
use tokend_store::Credential;

use self::secrets::{SecretSource, resolve};
use tokend_process::clock::Clock;
use tokend_process::escaping::Escaped;
use tokend_process::panics::ending;
use tokend_process::stack::{self, Conversation};

use exchange::{Exchange, Failure, wipe};
use ways::Way;

pub use certificate::certificate_advice;
pub use client_error::ClientError;
pub use granted::{AccessToken, Granted};
pub use prepare_error::PrepareError;
pub use probe::Prober;
pub use relay_words::where_to_look;

/// The HTTP client for the providers.
#[derive(Debug)]
pub struct Upstream {
    exchange: ArcSwap<Exchange>,
    clock: Clock,
}

/// A request that is ready to send.
pub struct Prepared {
    account: Arc<Account>,
    kind: AttemptKind,
    request: http::Request<Bytes>,
    fields: Fields,
    fingerprint: Box<str>,
    exchange: Arc<Exchange>,
    way: Arc<Way>,
}

impl Prepared {
    /// Fingerprint of the inputs of the request.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// Hides the request: its secrets may be in the body and anywhere a dialect puts them.
impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("account", &self.account.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The result of a request.
#[derive(Debug)]
pub struct Outcome {
    /// Its meaning for the engine.
    pub answer: ProviderAnswer,
    /// The part of it to store.
    pub brought: Option<Granted>,
    /// The provider's message or the error, safe to show.
    pub told: Option<Box<str>>,
    /// Fingerprint of the configuration and secrets that the request was built from.
    pub fingerprint: Box<str>,
    /// What the request may have used up, if the answer does not imply it.
    pub spent: SpentTokens,
}

impl Upstream {
    /// A client for the providers with these settings.
    pub fn new(http: &Http, secrets: SecretSource, clock: Clock) -> Result<Self, ClientError> {
        Ok(Self {
            exchange: ArcSwap::from_pointee(Exchange::new(http, secrets)?),
            clock,
        })
    }

    /// Checks new settings and returns a value that applies them.
    pub fn compile(
        http: &Http,
        secrets: SecretSource,
    ) -> Result<impl FnOnce(&Self) + Send + use<>, ClientError> {
        let exchange = Arc::new(Exchange::new(http, secrets)?);
        Ok(move |upstream: &Self| upstream.exchange.store(exchange))
    }

    /// The source of secrets, with the settings in force.
    pub fn secrets(&self) -> SecretSource {
        self.exchange.load().secrets.clone()
    }

    /// The proxy that requests of an account for `url` go through, with the settings in force.
    pub fn proxy_for(&self, account: &Account, url: &str) -> Option<Arc<Proxy>> {
        let url = url::Url::parse(url).ok()?;
        let exchange = self.exchange.load();
        exchange.http.proxy_for(&account.proxy, &url).cloned()
    }

    /// A prober that checks whether providers can be reached, with the settings in force.
    ///
    /// # Errors
    /// Why it cannot be built.
    pub async fn prober(&self) -> Result<Prober, String> {
        let exchange = self.exchange.load_full();
        exchange.ways.fetch(&exchange.secrets).await;
        let made = stack::wiped_off_the_runtime(move || Prober::new(&exchange));
        let made = made
            .await
            .map_err(|error| format!("looking failed inside tokend: {}", ending(&error)))?;
        made.map_err(|error| error.to_string())
    }

    /// Fetches the secrets and builds the request. Nothing leaves the machine, unless a command for a secret sends something. A credential
    /// that a person entered comes before a stored or configured one.
    pub async fn prepare(
        &self,
        account: Arc<Account>,
        kind: AttemptKind,
        credential: &Credential,
        entered: Option<&LoginSecret>,
        access_token: Option<SecretString>,
    ) -> Result<Prepared, PrepareError> {
        let exchange = self.exchange.load_full();
        let (fields, fingerprint) = exchange
            .fields(&account, kind, credential, entered, access_token)
            .await?;
        let request = account
            .dialect
            .request(dialect_kind(kind), &account.endpoint, &fields)
            .map_err(|source| PrepareError::of_request(&account, source))?;
        let way = exchange.way(&account, &request).await?;
        Ok(Prepared {
            account,
            kind,
            request,
            fields,
            fingerprint,
            exchange,
            way,
        })
    }

    /// The fingerprint that a request like the one with this fingerprint would have now, to tell whether the cause of a block has changed.
    /// `None` if a secret cannot be read.
    pub async fn fingerprint(
        &self,
        account: &Account,
        credential: &Credential,
        before: &str,
    ) -> Option<Box<str>> {
        // A refresh uses other secrets than a login, so only requests of one kind can be compared.
        let kind = if before.starts_with(mark(AttemptKind::Refresh)) {
            AttemptKind::Refresh
        } else {
            AttemptKind::Login
        };
        let exchange = self.exchange.load_full();
        exchange
            .fields(account, kind, credential, None, None)
            .await
            .ok()
            .map(|(_, fingerprint)| fingerprint)
    }

    /// Sends a request and reads its result. Always ends within the configured time.
    pub async fn send(&self, prepared: Prepared) -> Outcome {
        let Prepared {
            account,
            kind,
            request,
            fields,
            fingerprint,
            exchange,
            way,
        } = prepared;
        let conversation = Conversation::begin();
        let exchanged = exchange.exchange(&way, request).await;
        drop(conversation);
        let mut spent = SpentTokens::Nothing;
        let (answer, brought, told) = match exchanged {
            Ok(response) => {
                let reply = account
                    .dialect
                    .read_reply(dialect_kind(kind), &response, &fields);
                wipe(response.into_body());
                let renews_itself = account.dialect.renews_itself_at(&account.endpoint);
                let reply = reply.assuming(account.assumed_lifetime());
                let reply = match renews_itself {
                    true => reply.renews_itself(),
                    false => reply,
                };
                spent = reply.provider_message().map_or(spent, |told| told.spent);
                self.understand(reply)
            }
            Err(Failure::Silent(silence, why)) => {
                let why = Failure::Silent(silence, why).to_string();
                match account.dialect.read_silence(dialect_kind(kind), silence) {
                    Some(reply) => {
                        let (answer, brought, told) = self.understand(reply);
                        (answer, brought, told.map(|told| format!("{why}; {told}")))
                    }
                    None => (ProviderAnswer::MaybeSent, None, Some(why)),
                }
            }
            Err(failure) => {
                let answer = match failure {
                    Failure::NotSent(_) => ProviderAnswer::NotSent,
                    Failure::MaybeSent(_) | Failure::Silent(..) => ProviderAnswer::MaybeSent,
                    Failure::TooLarge(_) => ProviderAnswer::Misbehaved {
                        maybe_processed: true,
                    },
                };
                (answer, None, Some(failure.to_string()))
            }
        };
        Outcome {
            answer,
            brought,
            told: told.map(|told| Escaped(&told).to_string().into()),
            fingerprint,
            spent,
        }
    }

    fn understand(
        &self,
        reply: ProviderReply,
    ) -> (ProviderAnswer, Option<Granted>, Option<String>) {
        match reply {
            ProviderReply::Granted(grant) => {
                let told = (!grant.remarks.is_empty()).then(|| grant.remarks.join("; "));
                match Granted::of_grant(grant) {
                    Some(granted) => (granted.answer(), Some(granted), told),
                    None => {
                        let maybe_processed = true;
                        (ProviderAnswer::Misbehaved { maybe_processed }, None, told)
                    }
                }
            }
            ProviderReply::Renewed {
                renewal,
                told,
                misconfigured,
            } => {
                let granted = Granted::of_renewal(renewal, misconfigured);
                let told = format!("{told}; the refresh token that came with it is kept");
                (granted.answer(), Some(granted), Some(told))
            }
            ProviderReply::Busy { retry_after, told } => {
                let retry_after = retry_after.map(|after| self.wait(after));
                (
                    ProviderAnswer::Busy { retry_after },
                    None,
                    Some(told.to_string()),
                )
            }
            ProviderReply::CredentialRejected(told) => (
                ProviderAnswer::CredentialRejected,
                None,
                Some(told.to_string()),
            ),
            ProviderReply::RefreshRejected(told) => (
                ProviderAnswer::RefreshRejected,
                None,
                Some(told.to_string()),
            ),
            ProviderReply::Misconfigured(told) => {
                (ProviderAnswer::Misconfigured, None, Some(told.to_string()))
            }
            ProviderReply::Unrecognised(told) => {
                (ProviderAnswer::Unrecognised, None, Some(told.to_string()))
            }
            ProviderReply::Misbehaved { told, processed } => {
                let maybe_processed = processed == Processed::Maybe;
                (
                    ProviderAnswer::Misbehaved { maybe_processed },
                    None,
                    Some(told.to_string()),
                )
            }
        }
    }

    fn wait(&self, after: RetryAfter) -> Duration {
        match after {
            RetryAfter::Delay(delay) => delay,
            RetryAfter::Later(delay, unix) => delay.max(self.wait(RetryAfter::At(unix))),
            // The reply had no `Date` to subtract, so only our own clock is left. The engine clamps the result.
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

/// Builds the inputs of a request.
impl Exchange {
    async fn fields(
        &self,
        account: &Account,
        kind: AttemptKind,
        credential: &Credential,
        entered: Option<&LoginSecret>,
        access_token: Option<SecretString>,
    ) -> Result<(Fields, Box<str>), PrepareError> {
        let mut fields = Fields::new();
        let mut parts = Parts::default();
        parts.add(&account.fingerprint.to_string());
        let renews_itself = account.dialect.renews_itself_at(&account.endpoint);
        for field in account.dialect.fields_at(&account.endpoint) {
            let needed = matches!(
                (field.used_by, kind),
                (UsedBy::Both, _)
                    | (UsedBy::Login, AttemptKind::Login)
                    | (UsedBy::Refresh, AttemptKind::Refresh)
            );
            if !needed {
                continue;
            }
            let name = field.name.as_str();
            let typed = entered.and_then(|it| typed(it, name, renews_itself));
            if let Some(value) = account.field(name).filter(|_| typed.is_none()) {
                fields.set(name, value);
                continue;
            }
            let stored = match name {
                "password" => credential.password.clone(),
                "client_secret" => credential.client_secret.clone(),
                tokend_dialect::REFRESH_TOKEN => credential.refresh_token.clone(),
                tokend_dialect::ACCESS_TOKEN if renews_itself => credential.refresh_token.clone(),
                tokend_dialect::ACCESS_TOKEN => access_token.clone(),
                _ => None,
            };
            let value = match account.secret(name) {
                _ if typed.is_some() => typed,
                Some(reference) => {
                    Some(resolve(reference, &self.secrets).await.map_err(|source| {
                        PrepareError::Secret {
                            account: account.name.as_str().into(),
                            field: name.into(),
                            source,
                        }
                    })?)
                }
                None => stored,
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

    /// The route of a request, with everything it needs.
    async fn way(
        &self,
        account: &Account,
        request: &http::Request<Bytes>,
    ) -> Result<Arc<Way>, PrepareError> {
        // If this is not a URL, the HTTP client rejects it too and reports it when the request is sent.
        let url = url::Url::parse(&request.uri().to_string()).ok();
        let way = self.ways.choose(&self.http, &account.proxy, url.as_ref());
        if let Some(hop) = &way.hop {
            let fetched = hop.fetch(&self.secrets).await;
            fetched.map_err(|source| PrepareError::Proxy {
                proxy: hop.proxy.to_string().into(),
                source,
            })?;
        }
        Ok(way)
    }
}

/// The value a person entered for this field, if there is one.
fn typed(entered: &LoginSecret, field: &str, renews_itself: bool) -> Option<SecretString> {
    let (name, text) = match entered {
        LoginSecret::Password(text) => ("password", text),
        LoginSecret::ClientSecret(text) => ("client_secret", text),
        LoginSecret::RefreshToken(text) if renews_itself => (tokend_dialect::ACCESS_TOKEN, text),
        LoginSecret::RefreshToken(text) => (tokend_dialect::REFRESH_TOKEN, text),
    };
    (name == field).then(|| SecretString::from(text.expose().to_owned()))
}

/// The prefix of a fingerprint, by the kind of request.
fn mark(kind: AttemptKind) -> &'static str {
    match kind {
        AttemptKind::Login => "login-",
        AttemptKind::Refresh => "refresh-",
    }
}

/// The request kind in the terms of the dialect.
pub fn dialect_kind(kind: AttemptKind) -> tokend_dialect::ExchangeKind {
    match kind {
        AttemptKind::Login => tokend_dialect::ExchangeKind::Login,
        AttemptKind::Refresh => tokend_dialect::ExchangeKind::Refresh,
    }
}

impl Outcome {
    /// The outcome of a request whose task died: the request may have been sent.
    pub fn unknown() -> Self {
        Self {
            answer: ProviderAnswer::MaybeSent,
            brought: None,
            told: Some("sending the request failed inside tokend; please report this".into()),
            fingerprint: Box::default(),
            spent: SpentTokens::Nothing,
        }
    }
}

#[cfg(test)]
mod tests;
