//! Credentials that people enter, and what an account is known to have of them.
//!
//! Owns the shape of both. What is told of a credential never holds a secret.

use serde::{Deserialize, Serialize};

use crate::numbered::numbered;
use crate::{AccountName, SecretText};

/// A credential a person gives to an account. Append-only: the position of a variant is its tag on the wire.
///
/// Only a client sends it, and only a daemon matches it, which has to know where each kind is kept and what it is
/// sent as: not `#[non_exhaustive]`. It gets no more variants: everything else is entered by the name of its field
/// with [`Request::Enter`](crate::Request::Enter), which an older daemon refuses without ending the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a new kind of secret is a new kind of request"
)]
pub enum LoginSecret {
    /// The password of its user name: the field `password`.
    Password(SecretText),
    /// A refresh token obtained elsewhere.
    RefreshToken(SecretText),
    /// The secret of its client id: the field `client_secret`.
    ClientSecret(SecretText),
}

impl LoginSecret {
    /// The name of the dialect's field and the secret for it; `None` for a refresh token, which is no field.
    ///
    /// # Errors
    /// The refresh token.
    pub fn into_named(self) -> Result<NamedSecret, SecretText> {
        let (field, secret) = match self {
            Self::Password(secret) => ("password", secret),
            Self::ClientSecret(secret) => ("client_secret", secret),
            Self::RefreshToken(token) => return Err(token),
        };
        Ok(NamedSecret {
            field: field.to_owned(),
            secret,
        })
    }
}

/// A secret for one field of an account's dialect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedSecret {
    /// The name of the field.
    pub field: String,
    /// The secret.
    pub secret: SecretText,
}

/// What an account logs in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialStatus {
    /// Whose credential.
    pub account: AccountName,
    /// The secrets that a login of its dialect sends, in the order in which a person enters them.
    pub fields: Vec<CredentialField>,
    /// Whether it can make use of a refresh token.
    pub can_refresh: bool,
    /// Whether it holds one.
    pub has_refresh_token: bool,
    /// When a person entered the refresh token, or the one that it came from, in Unix milliseconds.
    pub refresh_entered_at_ms: Option<u64>,
    /// The user who did.
    pub refresh_entered_by: Option<u32>,
}

/// A secret that a login sends, without the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialField {
    /// The name of the dialect's field.
    pub field: String,
    /// What it is, by the dialect; may be empty.
    pub description: String,
    /// Whether no login is possible without it.
    pub required: bool,
    /// Whether it may have several lines.
    pub multiline: bool,
    /// Where it comes from.
    pub origin: SecretOrigin,
    /// When a person entered it, in Unix milliseconds, where that is known.
    pub entered_at_ms: Option<u64>,
    /// The user who did, where that is known.
    pub entered_by: Option<u32>,
}

numbered! {
    /// Where a secret of an account comes from.
    pub enum SecretOrigin, others nearest Configured {
        /// From nowhere yet: a person can enter it.
        Missing = 0, "missing";
        /// From the place that the configuration names.
        Configured = 1, "configured";
        /// A person entered it.
        Entered = 2, "entered";
    }
}
