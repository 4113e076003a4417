//! What a provider's response means.
//!
//! Owns turning a response into a `Reply`: a grant, or a failure of one of five kinds. It reads only what the dialect names,
//! never fails and never panics, whatever the bytes; and no text of a reply leaves it unredacted.

pub(crate) mod classify;
pub(crate) mod lifetime;
pub(crate) mod parsed;
pub(crate) mod redact;
pub(crate) mod retry_after;
pub(crate) mod told;

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::Response;
use secrecy::SecretString;
use serde_json::Value;
use zeroize::Zeroizing;

use self::{
    classify::{Class, Processed, Rule},
    lifetime::{LifetimePlan, LifetimeSource},
    parsed::{Parsed, Place},
    redact::Secrets,
    retry_after::RetryAfter,
    told::Told,
};
use crate::fields::{Kind, VALUE_LIMIT};

/// What a provider's response means.
#[derive(Debug)]
pub enum Reply {
    /// A grant.
    Granted(Grant),
    /// The provider wants to be asked later.
    Busy {
        /// When, if it said so.
        retry_after: Option<RetryAfter>,
        /// What it said.
        told: Told,
    },
    /// The password or client secret was refused: do not try it again by yourself.
    CredentialRejected(Told),
    /// The refresh token was refused: log in anew, if there is a credential for that.
    RefreshRejected(Told),
    /// The request does not fit the provider: nothing helps but a change of the configuration or dialect.
    Misconfigured(Told),
    /// The provider failed, or its answer cannot be read.
    Misbehaved {
        /// What it said.
        told: Told,
        /// Whether it may have acted on the request.
        processed: Processed,
    },
}

/// A successful token response.
#[derive(Debug)]
pub struct Grant {
    /// The access token: opaque, printable ASCII, at most 32 KiB.
    pub access_token: SecretString,
    /// How to present it; `Bearer` when the reply says so in any case, or nothing.
    pub token_type: String,
    /// How long it lives from the reply on; `None` when nothing is known. May be zero.
    pub lifetime: Option<Duration>,
    /// Where the lifetime comes from.
    pub lifetime_source: LifetimeSource,
    /// The new refresh token; `None` keeps the one held. It may be the same as before.
    pub refresh_token: Option<SecretString>,
    /// How long the refresh token lives from the reply on, where that is known.
    pub refresh_lifetime: Option<Duration>,
    /// The scope that was granted, which may be narrower than what was asked for.
    pub scope: Option<String>,
}

/// Where values stand in the replies to one request, and what they mean.
#[derive(Clone, Debug)]
pub(crate) struct ReplyPlan {
    pub(crate) access_token: Vec<Place>,
    pub(crate) refresh_token: Vec<Place>,
    pub(crate) token_type: Vec<Place>,
    pub(crate) scope: Vec<Place>,
    /// Token types that are handed out, in lower case.
    pub(crate) token_types: Vec<String>,
    pub(crate) lifetime: LifetimePlan,
    pub(crate) refresh_lifetime: LifetimePlan,
    pub(crate) error_code: Vec<Place>,
    pub(crate) error_text: Vec<Place>,
    pub(crate) retry_after: Vec<lifetime::Told>,
    pub(crate) rules: Vec<Rule>,
}

/// Why a 2xx reply is no grant.
enum Unreadable {
    /// Nothing at the places of the access token.
    Absent,
    /// Something that cannot be used.
    Broken(&'static str),
    /// A token that must not be handed out as it is.
    Type(String),
}

impl ReplyPlan {
    /// `sent` are the secrets of the request, which the reply may echo.
    pub(crate) fn read<'s>(
        &self,
        kind: Kind,
        response: &Response<Bytes>,
        sent: impl Iterator<Item = &'s str>,
    ) -> Reply {
        let reply = Parsed::new(response);
        let mut secrets = Secrets::new(sent);
        // What stands where tokens stand is a token, whatever the status says.
        let places = self.access_token.iter().chain(&self.refresh_token);
        for value in places.filter_map(|place| place.find(&reply)) {
            if let Value::String(token) = value {
                secrets.add_token(Zeroizing::new(token));
            }
        }
        let secrets = &secrets;
        let success = response.status().is_success();
        let claimed = |rule: &&Rule| rule.matcher.matches(&reply, &self.error_code);
        // A rule claims a 2xx reply before it is read only if it names the status; others only when there is no token.
        let named = |rule: &&Rule| !success || !rule.matcher.status.is_empty();
        if let Some(rule) = self.rules.iter().filter(named).find(claimed) {
            return self.claimed(rule, &reply, secrets);
        }
        if !success {
            return self.by_status(kind, &reply, secrets);
        }
        match self.grant(&reply) {
            Ok(grant) => Reply::Granted(grant),
            Err(Unreadable::Absent) => match self.rules.iter().find(claimed) {
                Some(rule) => self.claimed(rule, &reply, secrets),
                None => self.misbehaved(
                    "no access token where the dialect looks for one",
                    &reply,
                    secrets,
                ),
            },
            Err(Unreadable::Broken(sentence)) => self.misbehaved(sentence, &reply, secrets),
            Err(Unreadable::Type(name)) => {
                let text = format!(
                    "the provider issues tokens of type {name}, which cannot be handed out as a bearer token"
                );
                Reply::Misconfigured(Told {
                    status: reply.status(),
                    code: None,
                    text: told::clean(&text, told::TEXT_LIMIT, secrets),
                })
            }
        }
    }

    fn claimed(&self, rule: &Rule, reply: &Parsed<'_>, secrets: &Secrets) -> Reply {
        let told = told::tell(
            reply,
            &self.error_code,
            &self.error_text,
            secrets,
            rule.say.as_deref(),
        );
        let processed = rule
            .processed
            .unwrap_or_else(|| classify::processed_by_status(reply.status()));
        self.reply(rule.class, told, processed, reply, rule.retry_after)
    }

    fn by_status(&self, kind: Kind, reply: &Parsed<'_>, secrets: &Secrets) -> Reply {
        let (class, own) = classify::by_status(kind, reply.status());
        let redirect = told::location(reply).filter(|_| reply.response.status().is_redirection()).map(|location| {
            format!("redirects to {location}, which is never followed with a credential; correct base_url or the path")
        });
        let own = redirect.as_deref().or(own);
        let mut told = told::tell(reply, &self.error_code, &self.error_text, secrets, own);
        let processed = classify::processed_by_status(reply.status());
        // Whoever names a time wants to be asked again: a lock-out or limit told with a status of refusal.
        let later = processed == Processed::No && !reply.response.status().is_redirection();
        if later && retry_after::in_header(reply).is_some() {
            return self.reply(Class::Busy, told, processed, reply, None);
        }
        if let Some(redirect) = redirect {
            told.text = told::clean(&redirect, told::TEXT_LIMIT, secrets);
        }
        self.reply(class, told, processed, reply, None)
    }

    fn reply(
        &self,
        class: Class,
        told: Told,
        processed: Processed,
        reply: &Parsed<'_>,
        assumed: Option<Duration>,
    ) -> Reply {
        match class {
            Class::Busy => Reply::Busy {
                retry_after: retry_after::find(reply, &self.retry_after, assumed),
                told,
            },
            Class::CredentialRejected => Reply::CredentialRejected(told),
            Class::RefreshRejected => Reply::RefreshRejected(told),
            Class::Misconfigured => Reply::Misconfigured(told),
            Class::Misbehaved => Reply::Misbehaved { told, processed },
        }
    }

    fn misbehaved(&self, sentence: &str, reply: &Parsed<'_>, secrets: &Secrets) -> Reply {
        let mut told = told::tell(reply, &self.error_code, &[], secrets, None);
        told.text = told::clean(sentence, told::TEXT_LIMIT, secrets);
        Reply::Misbehaved {
            told,
            processed: Processed::Maybe,
        }
    }

    fn grant(&self, reply: &Parsed<'_>) -> Result<Grant, Unreadable> {
        let access = match reply.first(&self.access_token) {
            Some((_, Value::String(text))) => text,
            None => return Err(Unreadable::Absent),
            Some(_) => return Err(Unreadable::Broken("the access token is not a string")),
        };
        if access.len() > VALUE_LIMIT {
            return Err(Unreadable::Broken("the access token is longer than 32 KiB"));
        }
        if !access.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Unreadable::Broken(
                "the access token has characters that cannot stand in a header",
            ));
        }
        let token_type = self.token_type(reply)?;
        let refresh = self.refresh_token(reply)?;
        let (lifetime, lifetime_source) = self.lifetime.find(reply, &access, refresh.as_deref());
        let (refresh_lifetime, _) = match &refresh {
            Some(token) => self.refresh_lifetime.find(reply, &access, Some(token)),
            None => (None, LifetimeSource::Unknown),
        };
        let scope = reply.first(&self.scope).and_then(|(_, value)| scope(value));
        Ok(Grant {
            access_token: access.into(),
            token_type,
            lifetime,
            lifetime_source,
            refresh_token: refresh.map(SecretString::from),
            // Servers write 0 for a refresh token that does not expire.
            refresh_lifetime: refresh_lifetime.filter(|lifetime| !lifetime.is_zero()),
            scope: scope
                .filter(|scope| scope.len() <= VALUE_LIMIT && !scope.chars().any(char::is_control)),
        })
    }

    fn token_type(&self, reply: &Parsed<'_>) -> Result<String, Unreadable> {
        let Some((_, Value::String(name))) = reply.first(&self.token_type) else {
            return Ok("Bearer".to_owned());
        };
        let lower = name.trim().to_ascii_lowercase();
        match lower.as_str() {
            "" | "bearer" => Ok("Bearer".to_owned()),
            _ if self.token_types.contains(&lower) => Ok(name.trim().to_owned()),
            "dpop" => Err(Unreadable::Type(
                "DPoP (RFC 9449: each use needs a proof signed by the holder's key)".to_owned(),
            )),
            _ => Err(Unreadable::Type(format!(
                "`{}`",
                name.chars().take(40).collect::<String>()
            ))),
        }
    }

    /// `null`, missing, `false` and empty mean: keep the one held.
    fn refresh_token(&self, reply: &Parsed<'_>) -> Result<Option<String>, Unreadable> {
        let places = self
            .refresh_token
            .iter()
            .filter_map(|place| place.find(reply));
        for value in places {
            match value {
                Value::String(text) if text.len() > VALUE_LIMIT => {
                    return Err(Unreadable::Broken(
                        "the refresh token is longer than 32 KiB",
                    ));
                }
                Value::String(text) if !text.is_empty() => return Ok(Some(text)),
                Value::Number(number) => return Ok(Some(number.to_string())),
                Value::String(_) | Value::Null | Value::Bool(false) => {}
                Value::Bool(true) | Value::Array(_) | Value::Object(_) => {
                    return Err(Unreadable::Broken("the refresh token is not a string"));
                }
            }
        }
        Ok(None)
    }
}

/// A scope is a string or, on some servers, a list of them.
fn scope(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Array(items) => {
            let names: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            Some(names.join(" "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

impl Reply {
    /// The reply to a request that no dialect describes.
    pub(crate) fn unreadable(status: u16) -> Self {
        let text = "the dialect describes no such request".to_owned();
        Self::Misbehaved {
            told: Told {
                status,
                code: None,
                text,
            },
            processed: Processed::Maybe,
        }
    }

    /// What the provider said, unless it granted.
    #[must_use]
    pub fn told(&self) -> Option<&Told> {
        match self {
            Self::Granted(_) => None,
            Self::CredentialRejected(told)
            | Self::RefreshRejected(told)
            | Self::Misconfigured(told) => Some(told),
            Self::Busy { told, .. } | Self::Misbehaved { told, .. } => Some(told),
        }
    }

    /// The word for this kind of reply: `granted`, `busy`, `credential-rejected`, …
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Granted(_) => "granted",
            Self::Busy { .. } => "busy",
            Self::CredentialRejected(_) => "credential-rejected",
            Self::RefreshRejected(_) => "refresh-token-rejected",
            Self::Misconfigured(_) => "misconfigured",
            Self::Misbehaved { .. } => "misbehaved",
        }
    }
}

impl fmt::Display for LifetimeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Told => "told by the reply",
            Self::ToldTime => "from a time the reply tells",
            Self::Jwt => "from the JWT, unverified",
            Self::Assumed => "assumed by the dialect",
            Self::Unknown => "unknown",
        })
    }
}
