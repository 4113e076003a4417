//! The contents of a success: the refresh token, and then the access token.
//!
//! Owns reading the two tokens independently: if one is unusable, the other still counts. It must never treat an unreadable refresh token
//! as absent: the token that was sent may be spent.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

use super::{
    lifetime::LifetimeSource,
    parsed::{Parsed, is_nothing},
    plan::ReplyPlan,
};
use crate::fields::VALUE_LIMIT;

/// The longest name of a token type in a message, in characters: with the text around it, it fits into the limit of a message.
const TYPE_LIMIT: usize = 32;

/// A successful token response.
#[derive(Debug)]
pub struct Grant {
    /// The access token: opaque, printable ASCII, at most 32 KiB.
    pub access_token: SecretString,
    /// How to present it; `Bearer` when the reply says so in any case, or states no type.
    pub token_type: String,
    /// The lifetime from the reply on; `None` when unknown. May be zero.
    pub lifetime: Option<Duration>,
    /// Where the lifetime comes from.
    pub lifetime_source: LifetimeSource,
    /// The new refresh token; `None` keeps the one held. It may be the same as before.
    pub refresh_token: Option<SecretString>,
    /// Whether the reply had an unusable refresh token. The one that was sent may be spent.
    pub refresh_token_lost: bool,
    /// The refresh token's lifetime from the reply on, if known.
    pub refresh_lifetime: Option<Duration>,
    /// The scope that was granted, which may be narrower than the requested one.
    pub scope: Option<String>,
    /// Problems with parts of the reply, in our own words, safe to show.
    pub remarks: Vec<String>,
}

/// The refresh token of a success whose access token cannot be handed out.
#[derive(Debug)]
pub struct Renewal {
    /// Replaces the refresh token that is held.
    pub refresh_token: SecretString,
    /// Its lifetime from the reply on, if known.
    pub refresh_lifetime: Option<Duration>,
}

impl Grant {
    pub(super) fn assuming(mut self, assumed: Duration) -> Self {
        if matches!(
            self.lifetime_source,
            LifetimeSource::Assumed | LifetimeSource::Unknown
        ) {
            self.lifetime = Some(assumed);
            self.lifetime_source = LifetimeSource::Assumed;
        }
        self
    }

    /// Makes the access token the refresh token of the grant, for dialects whose refresh presents the access token. Both have the same
    /// lifetime, and a separate refresh token in the reply is ignored.
    pub(super) fn renews_itself(mut self) -> Self {
        self.refresh_token = Some(self.access_token.clone());
        self.refresh_lifetime = self.lifetime;
        self.refresh_token_lost = false;
        self
    }
}

/// The refresh token of a reply.
pub(super) enum Refresh {
    /// None: the one held stays valid (RFC 6749 section 6).
    Absent,
    /// A new one.
    Fresh(String),
    /// One that cannot be used, and why.
    Lost(&'static str),
}

/// Why the access token of a success cannot be handed out.
pub(super) enum Flaw {
    /// There is none at its places.
    Absent,
    /// Something that cannot be used.
    Broken(&'static str),
    /// A token of a type that must not be handed out, and the message about it.
    Type(String),
}

impl ReplyPlan {
    /// Reads the access token and what belongs to it.
    pub(super) fn grant(&self, reply: &Parsed<'_>, refresh: &Refresh) -> Result<Grant, Flaw> {
        let access = self.access_token(reply)?;
        let token_type = self.token_type(reply)?;
        let (fresh, lost) = match refresh {
            Refresh::Absent => (None, None),
            Refresh::Fresh(token) => (Some(token.as_str()), None),
            Refresh::Lost(why) => {
                let consequence = "so it cannot be kept, and the one that was sent may be spent";
                (None, Some(format!("{why}, {consequence}")))
            }
        };
        let found = self.lifetime.find(reply, &access, fresh);
        let scope = reply.first(&self.scope).and_then(scope);
        let fits = |it: &String| it.len() <= VALUE_LIMIT && !it.chars().any(char::is_control);
        let refresh_lifetime =
            fresh.and_then(|token| self.refresh_token_lifetime(reply, &access, token));
        let effect = match found.lifetime.is_some_and(|it| it.is_zero()) {
            true => "the token is not handed out",
            false => "the token's expiry is not known",
        };
        let unusable = found.unusable.map(|why| format!("{effect}: {why}"));
        Ok(Grant {
            access_token: access.into(),
            token_type,
            lifetime: found.lifetime,
            lifetime_source: found.source,
            refresh_token: fresh.map(SecretString::from),
            refresh_token_lost: lost.is_some(),
            refresh_lifetime,
            scope: scope.filter(fits),
            remarks: lost.into_iter().chain(unusable).collect(),
        })
    }

    /// The refresh token of a success without an access token that can be handed out.
    pub(super) fn renewal(&self, reply: &Parsed<'_>, refresh: Refresh) -> Option<Renewal> {
        let Refresh::Fresh(token) = refresh else {
            return None;
        };
        Some(Renewal {
            refresh_lifetime: self.refresh_token_lifetime(reply, "", &token),
            refresh_token: token.into(),
        })
    }

    /// The lifetime of a refresh token. Servers write 0 for a token that does not expire.
    fn refresh_token_lifetime(
        &self,
        reply: &Parsed<'_>,
        access: &str,
        refresh: &str,
    ) -> Option<Duration> {
        let found = self.refresh_lifetime.find(reply, access, Some(refresh));
        found.lifetime.filter(|lifetime| !lifetime.is_zero())
    }

    fn access_token(&self, reply: &Parsed<'_>) -> Result<String, Flaw> {
        let access = match reply.first(&self.access_token) {
            Some(Value::String(text)) => text,
            None => return Err(Flaw::Absent),
            Some(_) => return Err(Flaw::Broken("the access token is not a string")),
        };
        let access = access.trim();
        if access.len() > VALUE_LIMIT {
            return Err(Flaw::Broken("the access token is longer than 32 KiB"));
        }
        if !access.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Flaw::Broken(
                "the access token has characters that cannot stand in a header",
            ));
        }
        Ok(access.to_owned())
    }

    /// How the token is presented. A vendor's name for bearer tokens that a dialect allows is presented as `Bearer`.
    fn token_type(&self, reply: &Parsed<'_>) -> Result<String, Flaw> {
        let Some(Value::String(name)) = reply.first(&self.token_type) else {
            return Ok("Bearer".to_owned());
        };
        let name = name.trim();
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "bearer" => Ok("Bearer".to_owned()),
            _ if self.token_types.contains(&lower) => Ok(match lower.contains("bearer") {
                true => "Bearer".to_owned(),
                false => name.to_owned(),
            }),
            _ => Err(Flaw::Type(foreign_type(name))),
        }
    }

    /// `null`, a missing value, `false`, blanks and a word for nothing mean: keep the refresh token that is held.
    pub(super) fn refresh_token(&self, reply: &Parsed<'_>) -> Refresh {
        let places = self.refresh_token.iter();
        for value in places.filter_map(|place| place.find(reply)) {
            match value {
                Value::String(text) if is_nothing(&text) => {}
                Value::String(text) if text.len() > VALUE_LIMIT => {
                    return Refresh::Lost("the new refresh token is longer than 32 KiB");
                }
                Value::String(text) if text.contains(char::REPLACEMENT_CHARACTER) => {
                    return Refresh::Lost("the new refresh token is not valid UTF-8");
                }
                Value::String(text) => return Refresh::Fresh(text),
                Value::Number(number) => return Refresh::Fresh(number.to_string()),
                Value::Null | Value::Bool(false) => {}
                Value::Bool(true) | Value::Array(_) | Value::Object(_) => {
                    return Refresh::Lost("the new refresh token is not a string");
                }
            }
        }
        Refresh::Absent
    }
}

/// The message about a token type that no dialect allows.
fn foreign_type(name: &str) -> String {
    if name.eq_ignore_ascii_case("dpop") {
        return "the provider issues tokens of type DPoP, which cannot be handed out (RFC 9449: each use needs a proof signed by the holder's key)".to_owned();
    }
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | ':' | '/');
    if name.len() <= TYPE_LIMIT && name.chars().all(plain) {
        return format!(
            "the provider issues tokens of type `{name}`; if they are presented like bearer tokens, write token_types = [\"{name}\"] below [reply] of the dialect"
        );
    }
    let name: String = name.chars().take(TYPE_LIMIT).collect();
    format!("the provider issues tokens of type `{name}`, which cannot be handed out")
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
