//! The values an account has for its dialect's fields, and the fields that a dialect uses.
//!
//! Owns the credential while a request is built from it. It must never show a secret: `Debug` and every error name
//! fields, not values.

use std::{collections::BTreeMap, fmt};

use secrecy::{ExposeSecret, SecretString};

/// The longest value of a field, in bytes; also the longest token accepted from a provider.
pub const VALUE_LIMIT: usize = 32 * 1024;

/// Fields every dialect knows. A secret one is never shown.
pub(crate) const STANDARD: &[(&str, bool)] = &[
    ("username", false),
    ("password", true),
    ("client_id", false),
    ("client_secret", true),
    ("scope", false),
    (REFRESH_TOKEN, true),
    (ACCESS_TOKEN, true),
];

/// The standard field that the provider knows the client by; a refusal of the client is about it.
const CLIENT_SECRET: &str = "client_secret";

/// The longest secret of several lines, in bytes: a key file or a chain of certificates has less, and three of them fit one frame.
pub const MULTILINE_LIMIT: usize = 16 * 1024;

/// The standard fields that an account may give, each with whether it is secret. Tokens are missing because only the daemon holds them.
pub fn standard_fields() -> impl Iterator<Item = (&'static str, bool)> {
    let held = [REFRESH_TOKEN, ACCESS_TOKEN];
    let all = STANDARD.iter().copied();
    all.filter(move |(name, _)| !held.contains(name))
}

/// Field with the refresh token that the daemon holds; never written in a configuration.
pub const REFRESH_TOKEN: &str = "refresh_token";
/// Field with the access token that the daemon holds, for providers that require it in a refresh.
pub const ACCESS_TOKEN: &str = "access_token";

/// The values of one account's fields, for one attempt.
#[derive(Default)]
pub struct Fields {
    values: BTreeMap<String, FieldValue>,
}

struct FieldValue {
    text: SecretString,
    secret: bool,
}

impl Fields {
    /// No values yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value that may be shown: a user name, a client id, a scope.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        let text: String = value.into();
        self.insert(name.into(), text.into(), false)
    }

    /// Sets a value that is never shown: a password, a client secret, a token.
    pub fn set_secret(&mut self, name: impl Into<String>, value: SecretString) -> &mut Self {
        self.insert(name.into(), value, true)
    }

    fn insert(&mut self, name: String, text: SecretString, secret: bool) -> &mut Self {
        let _previous = self.values.insert(name, FieldValue { text, secret });
        self
    }

    /// Whether a field has a value that is not empty.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.expose(name).is_some()
    }

    /// The value of a field; an empty one counts as absent, as in form decoders.
    pub(crate) fn expose(&self, name: &str) -> Option<&str> {
        let value = self.values.get(name)?.text.expose_secret();
        (!value.is_empty()).then_some(value)
    }

    /// Whether the field must not be shown: it was set as a secret, or its name is that of a secret.
    pub(crate) fn is_secret(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| value.secret) || STANDARD.contains(&(name, true))
    }

    /// Every secret value, to be redacted from messages about a reply. `declared` names the dialect's own secrets.
    pub(crate) fn secrets(&self, declared: impl Fn(&str) -> bool) -> impl Iterator<Item = &str> {
        let secret = move |name: &&String| self.is_secret(name) || declared(name);
        self.values
            .keys()
            .filter(secret)
            .filter_map(|name| self.expose(name))
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for name in self.values.keys() {
            let shown = match self.is_secret(name) {
                true => "[redacted]",
                false => self.expose(name).unwrap_or_default(),
            };
            map.entry(name, &shown);
        }
        map.finish()
    }
}

/// One field that a dialect uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldUse {
    /// Name of the field, which is the account's key in the configuration.
    pub name: String,
    /// Whether it must come from a secret reference and is never shown.
    pub secret: bool,
    /// Whether an account must have it for a request that uses it.
    pub required: bool,
    /// Whether the daemon fills it in itself (`refresh_token`, `access_token`).
    pub internal: bool,
    /// Which requests use it.
    pub used_by: UsedBy,
    /// The dialect's description of its own field; empty for the standard ones.
    pub description: String,
    /// Whether the value may have several lines, as a key in PEM form has.
    pub multiline: bool,
}

impl FieldUse {
    /// Whether a person may enter the field: it is a secret that a login sends.
    #[must_use]
    pub fn is_enterable(&self) -> bool {
        self.secret && !self.internal && self.used_by != UsedBy::Refresh
    }

    /// Whether it is what the client itself is known by.
    #[must_use]
    pub fn is_of_client(&self) -> bool {
        self.name == CLIENT_SECRET
    }

    /// Its name in a sentence.
    #[must_use]
    pub fn label(&self) -> String {
        label_of(&self.name)
    }
}

/// The name of a field in a sentence: `client secret`.
#[must_use]
pub fn label_of(field: &str) -> String {
    field.replace('_', " ")
}

/// Which requests use a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedBy {
    /// Only the login.
    Login,
    /// Only the refresh.
    Refresh,
    /// Both requests.
    Both,
}

/// A request that cannot be built from what the account has. No variant carries a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A required field has no value.
    #[error("the {kind} needs `{field}`; set `{field}` for the account")]
    Missing {
        /// The field, which is also the account's key.
        field: String,
        /// The request that needs it.
        kind: ExchangeKind,
    },
    /// A value has a character that would break the part of the request that holds it.
    #[error(
        "`{field}` has {what}, which cannot stand in {place}; correct `{field}` of the account"
    )]
    Forbidden {
        /// The field, which is also the account's key.
        field: String,
        /// The kind of character.
        what: &'static str,
        /// The place in the request.
        place: &'static str,
    },
    /// A value is longer than [`VALUE_LIMIT`].
    #[error("`{field}` is longer than {VALUE_LIMIT} bytes; correct `{field}` of the account")]
    TooLong {
        /// The field, which is also the account's key.
        field: String,
    },
    /// The dialect, with the account's options, has no such request.
    #[error("dialect `{dialect}` has no {kind} with the options of this account")]
    Unavailable {
        /// Name of the dialect.
        dialect: String,
        /// The request that was asked for.
        kind: ExchangeKind,
    },
    /// The parts do not form a valid HTTP request.
    #[error(
        "the {kind} cannot be written as an HTTP request: {reason}; correct `{key}` of the account"
    )]
    Invalid {
        /// The request.
        kind: ExchangeKind,
        /// What is not valid, without any value.
        reason: &'static str,
        /// The account's key to look at.
        key: &'static str,
    },
}

/// The two requests a dialect describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExchangeKind {
    /// A grant from the long-lived credential.
    Login,
    /// A grant from a refresh token.
    Refresh,
}

impl ExchangeKind {
    /// Its name in messages, and its table in a dialect.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Refresh => "refresh",
        }
    }
}

impl fmt::Display for ExchangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
