//! The only place in the daemon that opens network connections.
//!
//! Owns one HTTP exchange with a token endpoint: the secrets it needs, the request, the bounded reply, and its meaning for the engine.
//! Never follows a redirect, never repeats a request, never reuses a connection: whether a request may have been sent must always be
//! known.

mod bridge;
mod certificate;
mod client_error;
mod clients;
mod exchange;
mod granted;
mod hop;
mod prepare_error;
mod probe;
mod relay;
mod relay_words;
pub mod secrets;
mod unpack;
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
use tokend_store::{Credential, EnteredSecrets};

use self::secrets::{SecretSource, resolve};
use tokend_process::clock::Clock;
use tokend_process::escaping::Escaped;
use tokend_process::panics::ending;
use tokend_process::stack::{self, Conversation};

use clients::HttpClient;
use exchange::{Exchange, Failure, wipe};

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
    client: Arc<HttpClient>,
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
    pub granted: Option<Granted>,
    /// The provider's message or the error, safe to show.
    pub message: Option<Box<str>>,
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
    pub async fn prober(&self) -> Result<Prober, String> {
        let exchange = self.exchange.load_full();
        exchange.clients.fetch(&exchange.secrets).await;
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
        entered: Option<&EnteredSecrets>,
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
        let client = exchange.client(&account, &request).await?;
        Ok(Prepared {
            account,
            kind,
            request,
            fields,
            fingerprint,
            exchange,
            client,
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
        let kind = if before.starts_with(prefix(AttemptKind::Refresh)) {
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
        let (account, kind) = (&prepared.account, dialect_kind(prepared.kind));
        let conversation = Conversation::begin();
        let exchanged = prepared
            .exchange
            .exchange(&prepared.client, prepared.request)
            .await;
        drop(conversation);
        let mut spent = SpentTokens::Nothing;
        let (answer, granted, message) = match exchanged {
            Ok(response) => {
                let reply = account
                    .dialect
                    .read_reply(kind, &response, &prepared.fields);
                wipe(response.into_body());
                let mut reply = reply.assuming(account.assumed_lifetime());
                if account.dialect.renews_itself_at(&account.endpoint) {
                    reply = reply.renews_itself();
                }
                spent = reply.provider_message().map_or(spent, |it| it.spent);
                self.interpret(reply)
            }
            Err(failure) => {
                let why = failure.to_string();
                let (answer, reply) = match failure {
                    Failure::NotSent(_) => (ProviderAnswer::NotSent, None),
                    Failure::MaybeSent(_) => (ProviderAnswer::MaybeSent, None),
                    Failure::Silent(silence, _) => (
                        ProviderAnswer::MaybeSent,
                        account.dialect.read_silence(kind, silence),
                    ),
                    Failure::TooLarge(_) => {
                        let maybe_processed = true;
                        (ProviderAnswer::Misbehaved { maybe_processed }, None)
                    }
                };
                match reply.map(|reply| self.interpret(reply)) {
                    Some((answer, granted, message)) => {
                        let message = message.map(|message| format!("{why}; {message}"));
                        (answer, granted, message)
                    }
                    None => (answer, None, Some(why)),
                }
            }
        };
        Outcome {
            answer,
            granted,
            message: message.map(|message| Escaped(&message).to_string().into()),
            fingerprint: prepared.fingerprint,
            spent,
        }
    }

    /// The meaning of a reply for the engine, the part to store, and the message.
    fn interpret(&self, reply: ProviderReply) -> (ProviderAnswer, Option<Granted>, Option<String>) {
        let message = reply.provider_message().map(ToString::to_string);
        let answer = match reply {
            ProviderReply::Granted(grant) => {
                let remarks = (!grant.remarks.is_empty()).then(|| grant.remarks.join("; "));
                let granted = Granted::of_grant(grant);
                let maybe_processed = true;
                let answer = granted.as_ref().map_or(
                    ProviderAnswer::Misbehaved { maybe_processed },
                    Granted::answer,
                );
                return (answer, granted, remarks);
            }
            ProviderReply::Renewed {
                renewal,
                misconfigured,
                ..
            } => {
                let granted = Granted::of_renewal(renewal, misconfigured);
                let message =
                    message.map(|it| format!("{it}; the refresh token that came with it is kept"));
                return (granted.answer(), Some(granted), message);
            }
            ProviderReply::Busy { retry_after, .. } => {
                let retry_after = retry_after.map(|after| self.wait(after));
                ProviderAnswer::Busy { retry_after }
            }
            ProviderReply::CredentialRejected(_) => ProviderAnswer::CredentialRejected,
            ProviderReply::RefreshRejected(_) => ProviderAnswer::RefreshRejected,
            ProviderReply::Misconfigured(_) => ProviderAnswer::Misconfigured,
            ProviderReply::Unrecognised(_) => ProviderAnswer::Unrecognised,
            ProviderReply::Misbehaved { processed, .. } => {
                let maybe_processed = processed == Processed::Maybe;
                ProviderAnswer::Misbehaved { maybe_processed }
            }
        };
        (answer, None, message)
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

impl Exchange {
    async fn fields(
        &self,
        account: &Account,
        kind: AttemptKind,
        credential: &Credential,
        entered: Option<&EnteredSecrets>,
        access_token: Option<SecretString>,
    ) -> Result<(Fields, Box<str>), PrepareError> {
        let mut fields = Fields::new();
        let mut parts = Parts::default();
        parts.add(&account.fingerprint.to_string());
        let renews_itself = account.dialect.renews_itself_at(&account.endpoint);
        for field in account.dialect.fields_at(&account.endpoint) {
            let is_of_other_kind = matches!(
                (field.used_by, kind),
                (UsedBy::Login, AttemptKind::Refresh) | (UsedBy::Refresh, AttemptKind::Login)
            );
            if is_of_other_kind {
                continue;
            }
            let name = field.name.as_str();
            let entered_value = entered.and_then(|it| entered_value(it, name, renews_itself));
            if let Some(value) = account.field(name).filter(|_| entered_value.is_none()) {
                fields.set(name, value);
                continue;
            }
            let stored = match name {
                tokend_dialect::REFRESH_TOKEN => credential.refresh_token.clone(),
                tokend_dialect::ACCESS_TOKEN if renews_itself => credential.refresh_token.clone(),
                tokend_dialect::ACCESS_TOKEN => access_token.clone(),
                name => credential.secret(name).cloned(),
            };
            let value = match account.secret(name) {
                _ if entered_value.is_some() => entered_value,
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
        Ok((fields, format!("{}{}", prefix(kind), parts.finish()).into()))
    }

    /// The route of a request, with everything it needs.
    async fn client(
        &self,
        account: &Account,
        request: &http::Request<Bytes>,
    ) -> Result<Arc<HttpClient>, PrepareError> {
        // If this is not a URL, the HTTP client rejects it too and reports it when the request is sent.
        let url = url::Url::parse(&request.uri().to_string()).ok();
        let client = self
            .clients
            .choose(&self.http, &account.proxy, url.as_ref());
        if let Some(hop) = &client.hop {
            let fetched = hop.fetch(&self.secrets).await;
            fetched.map_err(|source| PrepareError::Proxy {
                proxy: hop.proxy.to_string().into(),
                source,
            })?;
        }
        Ok(client)
    }
}

/// The value a person entered for this field, if there is one.
fn entered_value(
    entered: &EnteredSecrets,
    field: &str,
    renews_itself: bool,
) -> Option<SecretString> {
    let of_token = match renews_itself {
        true => tokend_dialect::ACCESS_TOKEN,
        false => tokend_dialect::REFRESH_TOKEN,
    };
    let token = entered.refresh_token().filter(|_| field == of_token);
    token.or_else(|| entered.field(field)).cloned()
}

fn prefix(kind: AttemptKind) -> &'static str {
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
            granted: None,
            message: Some("sending the request failed inside tokend; please report this".into()),
            fingerprint: Box::default(),
            spent: SpentTokens::Nothing,
        }
    }
}

#[cfg(test)]
mod tests;
