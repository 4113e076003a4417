//! The meaning of a provider's response.
//!
//! Owns turning a response into a `ProviderReply`: a grant, or a failure of one of six kinds. It reads only the places that the dialect
//! names, and never fails or panics, whatever the bytes. No text of a reply leaves it unredacted.

pub(crate) mod classify;
pub(crate) mod grant;
mod lenient;
pub(crate) mod lifetime;
pub(crate) mod parsed;
pub(crate) mod plan;
pub(crate) mod provider_message;
pub(crate) mod redact;
pub(crate) mod retry_after;
pub(crate) mod verdict;

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::Response;
use serde_json::Value;
use zeroize::Zeroizing;

use self::{
    classify::{Class, Processed, Rule, Silence, SpentTokens},
    grant::{Flaw, Grant, Refresh, Renewal},
    lifetime::LifetimeSource,
    parsed::Parsed,
    plan::ReplyPlan,
    provider_message::{ProviderMessage, TEXT_LIMIT, clean},
    redact::Secrets,
    retry_after::RetryAfter,
};
use crate::fields::ExchangeKind;

/// The meaning of a provider's response.
#[derive(Debug)]
pub enum ProviderReply {
    /// A grant.
    Granted(Grant),
    /// A success with a refresh token to keep, but without an access token that can be handed out.
    Renewed {
        /// The refresh token.
        renewal: Renewal,
        /// The problem with the access token.
        message: ProviderMessage,
        /// Whether only a change of the configuration or dialect helps; otherwise the next reply may be better.
        misconfigured: bool,
    },
    /// The provider asks for a later attempt.
    Busy {
        /// The time of that attempt, if the provider stated it.
        retry_after: Option<RetryAfter>,
        /// The provider's message.
        message: ProviderMessage,
    },
    /// The password or client secret was rejected: do not retry automatically.
    CredentialRejected(ProviderMessage),
    /// The refresh token was rejected: log in again, if there is a credential for that.
    RefreshRejected(ProviderMessage),
    /// The request does not fit the provider: only a change of the configuration or dialect helps.
    Misconfigured(ProviderMessage),
    /// The provider failed, or its answer is unreadable.
    Misbehaved {
        /// The provider's message.
        message: ProviderMessage,
        /// Whether it may have acted on the request.
        processed: Processed,
    },
    /// As far as the dialect knows, not an answer of the provider: something in front of the provider may have answered. It is no verdict
    /// about a credential, and nothing was processed.
    Unrecognised(ProviderMessage),
}

impl ReplyPlan {
    /// `sent` are the secrets of the request, which the reply may echo.
    pub(crate) fn read<'s>(
        &self,
        kind: ExchangeKind,
        response: &Response<Bytes>,
        sent: impl Iterator<Item = &'s str>,
    ) -> ProviderReply {
        let reply = Parsed::new(response);
        let mut secrets = Secrets::new(sent);
        // A value at a token's place is a token, whatever the status.
        let places = self.access_token.iter().chain(&self.refresh_token);
        for value in places.filter_map(|place| place.find(&reply)) {
            if let Value::String(token) = value {
                secrets.add_token(Zeroizing::new(token));
            }
        }
        let reader = Reader {
            plan: self,
            kind,
            reply: &reply,
            secrets,
        };
        reader.read()
    }

    /// The meaning of a missing answer, if a rule covers it. A missing answer does not show that the refresh token is unused. Only a rule
    /// that says so explicitly (`processed = "no"`), or that gives up the token, removes that doubt.
    pub(crate) fn silent(&self, kind: ExchangeKind, silence: Silence) -> Option<ProviderReply> {
        let rule = self.rules.iter().find(|it| it.claims_silence(silence))?;
        let text = rule.say.as_deref().unwrap_or("no answer came");
        let message = ProviderMessage {
            about: rule.secret.clone(),
            ..ProviderMessage::new(0, text.to_owned())
        };
        let settles = matches!(rule.class, Class::Misbehaved | Class::RefreshRejected)
            || rule.processed == Some(Processed::No);
        let class = match kind == ExchangeKind::Refresh && !settles {
            true => Class::Misbehaved,
            false => rule.class,
        };
        let processed = rule.processed.unwrap_or(Processed::Maybe);
        let retry_after = || rule.retry_after.map(RetryAfter::Delay);
        Some(ProviderReply::of(class, message, processed, retry_after))
    }
}

/// One reply that is being read.
struct Reader<'a> {
    plan: &'a ReplyPlan,
    kind: ExchangeKind,
    reply: &'a Parsed<'a>,
    secrets: Secrets,
}

impl Reader<'_> {
    fn read(&self) -> ProviderReply {
        let success = self.reply.response.status().is_success();
        let claimed = |rule: &&Rule| rule.claims(self.reply, &self.plan.error_code);
        // Before a 2xx reply is read, only a rule that names the status may match it; other rules match only if there is no token.
        let named = |rule: &&Rule| !success || !rule.matcher.status.is_empty();
        if let Some(rule) = self.plan.rules.iter().filter(named).find(claimed) {
            return self.claimed(rule);
        }
        if !success {
            return self.by_status();
        }
        // Read first and independently: if anything else is wrong, the refresh token that was sent may still be spent.
        let refresh = self.plan.refresh_token(self.reply);
        let flaw = match self.plan.grant(self.reply, &refresh) {
            Ok(grant) => return ProviderReply::Granted(grant),
            Err(flaw) => flaw,
        };
        if let Flaw::Absent = flaw
            && let Some(rule) = self.plan.rules.iter().find(claimed)
        {
            return self.claimed(rule);
        }
        if let (Flaw::Absent, Refresh::Absent) = (&flaw, &refresh)
            && let Some(verdict) = self.coded()
        {
            return verdict;
        }
        let misconfigured = matches!(flaw, Flaw::Type(_));
        let mut message = self.flawed(&flaw);
        // The provider processed the request, even if the result is unusable.
        message.spent = match (self.kind, &refresh) {
            (ExchangeKind::Login, _) => SpentTokens::Nothing,
            (ExchangeKind::Refresh, Refresh::Lost(_)) => SpentTokens::RefreshToken,
            (ExchangeKind::Refresh, Refresh::Absent | Refresh::Fresh(_)) => {
                SpentTokens::AccessToken
            }
        };
        if let (ExchangeKind::Login, Refresh::Absent) = (self.kind, &refresh)
            && self.is_foreign(&flaw)
        {
            return ProviderReply::Unrecognised(message);
        }
        match self.plan.renewal(self.reply, refresh) {
            Some(renewal) => ProviderReply::Renewed {
                renewal,
                message,
                misconfigured,
            },
            None if misconfigured => ProviderReply::Misconfigured(message),
            None => ProviderReply::Misbehaved {
                message,
                processed: Processed::Maybe,
            },
        }
    }

    fn claimed(&self, rule: &Rule) -> ProviderReply {
        let mut message = self.describe(rule.say.as_deref());
        message.about.clone_from(&rule.secret);
        let processed = rule.processed(self.reply.status());
        if (self.kind, processed) == (ExchangeKind::Refresh, Processed::Maybe) {
            // An intermediary that answered does not know what the provider did.
            match rule.class {
                Class::Unrecognised => return ProviderReply::Misbehaved { message, processed },
                Class::Busy | Class::CredentialRejected | Class::Misconfigured => {
                    message.spent = SpentTokens::RefreshToken;
                }
                Class::Misbehaved | Class::RefreshRejected => {}
            }
        }
        self.verdict(rule.class, message, processed, rule.retry_after)
    }

    /// Whether a success at login may come from an intermediary, or may be a refusal written for people: a login is retried soon only if
    /// the provider itself answered. For a refresh it is always unknown whether the token was used up.
    fn is_foreign(&self, flaw: &Flaw) -> bool {
        match flaw {
            Flaw::Absent => verdict::is_foreign(self.reply),
            Flaw::Broken(_) => verdict::is_page(self.reply),
            Flaw::Type(_) => false,
        }
    }

    /// The verdict of a 2xx reply without a token: some servers report an error this way. Only a standard error code makes it a verdict.
    fn coded(&self) -> Option<ProviderReply> {
        let class = verdict::by_codes(self.kind, self.reply, &self.plan.error_code);
        let class = class.filter(|it| it.is_verdict())?;
        let message = self.describe(None);
        Some(self.verdict(class, message, Processed::No, None))
    }

    fn by_status(&self) -> ProviderReply {
        let reply = self.reply;
        let (class, own) = verdict::judge(self.kind, reply, &self.plan.error_code);
        let is_redirect = reply.response.status().is_redirection();
        let location = provider_message::location(reply).filter(|_| is_redirect);
        let redirect = location.map(|location| {
            format!("redirects to {location}, which is never followed with a credential; correct base_url or the path")
        });
        let own = redirect.as_deref().or(own);
        let mut message = self.describe(own);
        let processed = classify::processed_by_status(reply.status());
        // A reply that states a time asks for a retry: a lock-out or limit reported with a refusal status.
        let later = processed == Processed::No && !is_redirect;
        if later && retry_after::is_in_header(reply) {
            return self.verdict(Class::Busy, message, processed, None);
        }
        if let Some(redirect) = redirect {
            message.text = clean(&redirect, TEXT_LIMIT, &self.secrets);
        }
        self.verdict(class, message, processed, None)
    }

    fn verdict(
        &self,
        class: Class,
        message: ProviderMessage,
        processed: Processed,
        assumed: Option<Duration>,
    ) -> ProviderReply {
        let retry_after = || retry_after::find(self.reply, &self.plan.retry_after, assumed);
        ProviderReply::of(class, message, processed, retry_after)
    }

    fn describe(&self, own: Option<&str>) -> ProviderMessage {
        let (codes, texts) = (&self.plan.error_code, &self.plan.error_text);
        provider_message::describe(self.reply, codes, texts, &self.secrets, own)
    }

    /// The message about a flawed access token in a success.
    fn flawed(&self, flaw: &Flaw) -> ProviderMessage {
        let packed = self.reply.packed();
        let sentence = match flaw {
            Flaw::Absent if let Some(coding) = &packed => &format!(
                "the reply is encoded ({coding}) in a way that cannot be read; gzip and deflate can"
            ),
            Flaw::Absent => "no access token where the dialect looks for one",
            Flaw::Broken(sentence) => sentence,
            Flaw::Type(sentence) => sentence,
        };
        let codes = match flaw {
            Flaw::Absent | Flaw::Broken(_) => &*self.plan.error_code,
            Flaw::Type(_) => &[],
        };
        let mut message = provider_message::describe(self.reply, codes, &[], &self.secrets, None);
        message.text = clean(sentence, TEXT_LIMIT, &self.secrets);
        message
    }
}

impl ProviderReply {
    /// The reply to a request that no dialect describes.
    pub(crate) fn unreadable(status: u16) -> Self {
        let text = "the dialect describes no such request".to_owned();
        Self::Misbehaved {
            message: ProviderMessage::new(status, text),
            processed: Processed::Maybe,
        }
    }

    /// A reply that is not a grant.
    fn of(
        class: Class,
        message: ProviderMessage,
        processed: Processed,
        retry_after: impl FnOnce() -> Option<RetryAfter>,
    ) -> Self {
        match class {
            Class::Busy => Self::Busy {
                retry_after: retry_after(),
                message,
            },
            Class::CredentialRejected => Self::CredentialRejected(message),
            Class::RefreshRejected => Self::RefreshRejected(message),
            Class::Misconfigured => Self::Misconfigured(message),
            Class::Misbehaved => Self::Misbehaved { message, processed },
            Class::Unrecognised => Self::Unrecognised(message),
        }
    }

    /// The reply with an assumed lifetime if it states none: the account's assumption comes before the dialect's.
    #[must_use]
    pub fn assuming(self, assumed: Option<Duration>) -> Self {
        match (self, assumed) {
            (Self::Granted(grant), Some(assumed)) => Self::Granted(grant.assuming(assumed)),
            (other, _) => other,
        }
    }

    /// The reply, for a dialect whose refresh presents the access token. The access token is then the refresh token, and if it cannot be
    /// handed out, it cannot be presented either.
    #[must_use]
    pub fn renews_itself(self) -> Self {
        match self {
            Self::Granted(grant) => Self::Granted(grant.renews_itself()),
            Self::Renewed {
                message,
                misconfigured: true,
                ..
            }
            | Self::Misconfigured(message) => {
                // The token that was ended is the one that was presented.
                let spent = match message.spent {
                    SpentTokens::AccessToken => SpentTokens::RefreshToken,
                    known => known,
                };
                Self::Misconfigured(ProviderMessage { spent, ..message })
            }
            Self::Renewed { message, .. } => Self::Misbehaved {
                message,
                processed: Processed::Maybe,
            },
            other => other,
        }
    }

    /// The provider's message, unless the reply is a grant.
    #[must_use]
    pub fn provider_message(&self) -> Option<&ProviderMessage> {
        match self {
            Self::Granted(_) => None,
            Self::CredentialRejected(message)
            | Self::RefreshRejected(message)
            | Self::Misconfigured(message)
            | Self::Unrecognised(message) => Some(message),
            Self::Busy { message, .. }
            | Self::Misbehaved { message, .. }
            | Self::Renewed { message, .. } => Some(message),
        }
    }

    /// The name of this kind of reply: `granted`, `busy`, `credential-rejected`, …
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Granted(_) => "granted",
            Self::Busy { .. } => "busy",
            Self::CredentialRejected(_) => "credential-rejected",
            Self::RefreshRejected(_) => "refresh-token-rejected",
            Self::Misconfigured(_)
            | Self::Renewed {
                misconfigured: true,
                ..
            } => "misconfigured",
            Self::Misbehaved { .. } | Self::Renewed { .. } => "misbehaved",
            Self::Unrecognised(_) => "unrecognised",
        }
    }
}

impl fmt::Display for LifetimeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stated => "given by the reply",
            Self::StatedTime => "from a time in the reply",
            Self::Jwt => "from the JWT, unverified",
            Self::Assumed => "assumed by the dialect",
            Self::Unknown => "unknown",
        })
    }
}
