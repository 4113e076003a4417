//! The plaintext of a record: versioned JSON, so that it can evolve.
//!
//! Owns the schema. The serde forms of what holds secrets are private here, so that nobody serialises a [`Record`] by
//! accident. Must never leave plaintext in memory that is not wiped, nor put any of it into an error.

use std::borrow::Cow;
use std::fmt;
use std::io;

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{Deserializer, IgnoredAny, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::account::AccountId;
use crate::error::{QuarantineReason, StoreError};
use crate::record::{
    Anchor, CandidateKind, Credential, PaceState, Record, StoredAttempt, StoredBlock,
    StoredCandidate, StoredGrant, StoredIntent, StoredNoVerdict,
};
use crate::sizes::MAX_RECORD_BYTES;

/// The schema this build writes, and the newest it reads. Raise it when an older build would misread the records: it then says that
/// they are newer. A field that is absent in most records needs no new schema, because a build that does not know it sets a record
/// that has it aside and reads all others. Schema 2 has `host`; without it, a record of schema 1 is one of schema 2.
pub(crate) const SCHEMA: u32 = 2;
/// The oldest it reads.
const OLDEST: u32 = 1;

/// Encodes a record behind `front` zero bytes, with room for `back` more, so that it can be sealed where it lies.
///
/// # Errors
/// When the text would exceed [`MAX_RECORD_BYTES`], or the serialiser fails.
pub(crate) fn encode(
    record: &Record,
    front: usize,
    back: usize,
) -> Result<Zeroizing<Vec<u8>>, EncodeError> {
    let stored = Stored {
        schema: SCHEMA,
        record: Form::from(record),
    };
    // Measured first: a vector that grows leaves copies of secrets behind in freed memory.
    let mut length = Counter(0);
    serde_json::to_writer(&mut length, &stored).map_err(|_| EncodeError::Serializer)?;
    if length.0 > MAX_RECORD_BYTES {
        return Err(EncodeError::TooLarge { bytes: length.0 });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(front + length.0 + back));
    bytes.resize(front, 0);
    serde_json::to_writer(&mut *bytes, &stored).map_err(|_| EncodeError::Serializer)?;
    Ok(bytes)
}

/// Why a record has no encoded form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EncodeError {
    TooLarge { bytes: usize },
    Serializer,
}

impl EncodeError {
    /// Says whose record it is about.
    pub(crate) fn of(self, account: &AccountId) -> StoreError {
        let account = account.clone();
        match self {
            Self::TooLarge { bytes } => StoreError::TooLarge { account, bytes },
            Self::Serializer => StoreError::NotSealed(account),
        }
    }
}

/// Decodes a record.
///
/// # Errors
/// A newer schema, or text that is no record. Never quotes the text.
pub(crate) fn decode(text: &[u8]) -> Result<Record, QuarantineReason> {
    let problem = match serde_json::from_slice::<Stored<'static>>(text) {
        Ok(stored) if (OLDEST..=SCHEMA).contains(&stored.schema) => {
            return Ok(stored.record.into());
        }
        Ok(_) => None,
        Err(problem) => Some(problem),
    };
    // Only now, so that the usual case is parsed once.
    match serde_json::from_slice::<SchemaNumber>(text) {
        Ok(newer) if newer.schema > SCHEMA => Err(QuarantineReason::Newer {
            schema: newer.schema,
        }),
        // serde's own message may quote a value, so only its place is reported.
        _ => Err(QuarantineReason::Malformed {
            column: problem.map_or(0, |problem| problem.column()),
        }),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    schema: u32,
    record: Form<'a>,
}

#[derive(Deserialize)]
struct SchemaNumber {
    schema: u32,
    #[serde(rename = "record", default)]
    _record: IgnoredAny,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form<'a> {
    anchor: Cow<'a, Anchor>,
    identity: Cow<'a, str>,
    last_begun: u64,
    credential: CredentialForm<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    candidate: Option<CandidateForm<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grant: Option<GrantForm<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asks: Option<Cow<'a, str>>,
    pace: PaceState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intent: Option<Cow<'a, StoredIntent>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    block: Option<Cow<'a, StoredBlock>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    problem: Option<Cow<'a, str>>,
    #[serde(rename = "told", default, skip_serializing_if = "Option::is_none")]
    provider_message: Option<Cow<'a, str>>,
    failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deferred_until: Option<i64>,
    #[serde(rename = "deferral_told", default, skip_serializing_if = "is_false")]
    deferred_by_provider: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_attempt: Option<Cow<'a, StoredAttempt>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    no_verdict: Option<Cow<'a, StoredNoVerdict>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialForm<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<Secret<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_secret: Option<Secret<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<Secret<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_expires_at: Option<i64>,
    #[serde(default, skip_serializing_if = "is_false")]
    refresh_in_doubt: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    refresh_refused: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entered_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spare_refresh_token: Option<Secret<'a>>,
    #[serde(default, skip_serializing_if = "is_false")]
    spare_unsent: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CandidateForm<'a> {
    attempt: u64,
    kind: CandidateKind,
    secret: Secret<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantForm<'a> {
    id: u64,
    access_token: Secret<'a>,
    token_type: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<Cow<'a, str>>,
    issued_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    #[serde(default, skip_serializing_if = "is_false")]
    overtaken: bool,
}

impl<'a> From<&'a Record> for Form<'a> {
    fn from(record: &'a Record) -> Self {
        Self {
            anchor: Cow::Borrowed(&record.anchor),
            identity: Cow::Borrowed(&record.identity),
            last_begun: record.last_begun,
            credential: CredentialForm {
                password: record.credential.password.as_ref().map(Secret::from),
                client_secret: record.credential.client_secret.as_ref().map(Secret::from),
                refresh_token: record.credential.refresh_token.as_ref().map(Secret::from),
                refresh_expires_at: record.credential.refresh_expires_at,
                refresh_in_doubt: record.credential.refresh_in_doubt,
                refresh_refused: record.credential.refresh_refused,
                entered_at: record.credential.entered_at,
                spare_refresh_token: (record.credential.spare_refresh_token.as_ref())
                    .map(Secret::from),
                spare_unsent: record.credential.spare_unsent,
            },
            candidate: record.candidate.as_ref().map(|candidate| CandidateForm {
                attempt: candidate.attempt,
                kind: candidate.kind,
                secret: Secret::from(&candidate.secret),
            }),
            grant: record.grant.as_ref().map(|grant| GrantForm {
                id: grant.id,
                access_token: Secret::from(&grant.access_token),
                token_type: Cow::Borrowed(&grant.token_type),
                scope: grant.scope.as_deref().map(Cow::Borrowed),
                issued_at: grant.issued_at,
                expires_at: grant.expires_at,
                overtaken: grant.overtaken,
            }),
            host: record.host.as_deref().map(Cow::Borrowed),
            asks: record.asks.as_deref().map(Cow::Borrowed),
            pace: record.pace,
            intent: record.intent.as_ref().map(Cow::Borrowed),
            block: record.block.as_ref().map(Cow::Borrowed),
            problem: record.problem.as_deref().map(Cow::Borrowed),
            provider_message: record.provider_message.as_deref().map(Cow::Borrowed),
            failures: record.failures,
            deferred_until: record.deferred_until,
            deferred_by_provider: record.deferred_by_provider,
            last_attempt: record.last_attempt.as_ref().map(Cow::Borrowed),
            no_verdict: record.no_verdict.as_ref().map(Cow::Borrowed),
        }
    }
}

impl From<Form<'_>> for Record {
    fn from(form: Form<'_>) -> Self {
        Self {
            anchor: form.anchor.into_owned(),
            identity: form.identity.into_owned(),
            last_begun: form.last_begun,
            credential: Credential {
                password: form.credential.password.map(Secret::into_owned),
                client_secret: form.credential.client_secret.map(Secret::into_owned),
                refresh_token: form.credential.refresh_token.map(Secret::into_owned),
                refresh_expires_at: form.credential.refresh_expires_at,
                refresh_in_doubt: form.credential.refresh_in_doubt,
                refresh_refused: form.credential.refresh_refused,
                entered_at: form.credential.entered_at,
                spare_refresh_token: form.credential.spare_refresh_token.map(Secret::into_owned),
                spare_unsent: form.credential.spare_unsent,
            },
            candidate: form.candidate.map(|candidate| StoredCandidate {
                attempt: candidate.attempt,
                kind: candidate.kind,
                secret: candidate.secret.into_owned(),
            }),
            grant: form.grant.map(|grant| StoredGrant {
                id: grant.id,
                access_token: grant.access_token.into_owned(),
                token_type: grant.token_type.into_owned(),
                scope: grant.scope.map(Cow::into_owned),
                issued_at: grant.issued_at,
                expires_at: grant.expires_at,
                overtaken: grant.overtaken,
            }),
            host: form.host.map(Cow::into_owned),
            asks: form.asks.map(Cow::into_owned),
            pace: form.pace,
            intent: form.intent.map(Cow::into_owned),
            block: form.block.map(Cow::into_owned),
            problem: form.problem.map(Cow::into_owned),
            provider_message: form.provider_message.map(Cow::into_owned),
            failures: form.failures,
            deferred_until: form.deferred_until,
            deferred_by_provider: form.deferred_by_provider,
            last_attempt: form.last_attempt.map(Cow::into_owned),
            no_verdict: form.no_verdict.map(Cow::into_owned),
        }
    }
}

fn is_false(it: &bool) -> bool {
    !it
}

/// A secret on its way into or out of plaintext.
struct Secret<'a>(Cow<'a, SecretString>);

impl<'a> From<&'a SecretString> for Secret<'a> {
    fn from(secret: &'a SecretString) -> Self {
        Self(Cow::Borrowed(secret))
    }
}

impl Secret<'_> {
    fn into_owned(self) -> SecretString {
        self.0.into_owned()
    }
}

impl Serialize for Secret<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

impl<'de> Deserialize<'de> for Secret<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = SecretString;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E>(self, text: &str) -> Result<SecretString, E> {
                Ok(SecretString::from(text))
            }
        }
        deserializer
            .deserialize_str(Text)
            .map(|secret| Self(Cow::Owned(secret)))
    }
}

/// Counts bytes and keeps none.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
