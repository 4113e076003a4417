//! The plaintext of a record: versioned JSON, so that it can evolve.
//!
//! Owns the schema. The serde forms of what holds secrets are private, so that nobody serialises a [`Record`] by accident. Must never
//! leave plaintext in memory that is not wiped, nor put any of it into an error.

mod credential;

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
    Anchor, Credential, PaceState, Record, StoredAttempt, StoredBlock, StoredCandidate,
    StoredGrant, StoredIntent, StoredNoVerdict,
};
use crate::sizes::MAX_RECORD_BYTES;

/// The schema this build writes, and the newest it reads. Raise it when an older build would misread the records: it then says that they
/// are newer. A field that most records lack needs no new schema: a build that does not know it sets only those records aside that have
/// it. Schema 2 has `host`; without it, a record of schema 1 is one of schema 2.
pub(crate) const SCHEMA: u32 = 2;
/// The oldest schema this build reads.
const OLDEST: u32 = 1;

/// Encodes a record after `front` zero bytes, with room for `back` more, so that it can be sealed in place.
///
/// # Errors
/// When the text would exceed [`MAX_RECORD_BYTES`], or the serialiser fails.
pub(crate) fn encode(
    record: &Record,
    front: usize,
    back: usize,
) -> Result<Zeroizing<Vec<u8>>, EncodeError> {
    let stored = Storing {
        schema: SCHEMA,
        record,
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

/// Why a record could not be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EncodeError {
    TooLarge { bytes: usize },
    Serializer,
}

impl EncodeError {
    /// The error, with the account.
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
    let problem = match serde_json::from_slice::<Stored>(text) {
        Ok(stored) if (OLDEST..=SCHEMA).contains(&stored.schema) => {
            return Ok(stored.record);
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    schema: u32,
    #[serde(with = "RecordForm")]
    record: Record,
}

#[derive(Serialize)]
struct Storing<'a> {
    schema: u32,
    #[serde(with = "RecordForm")]
    record: &'a Record,
}

#[derive(Deserialize)]
struct SchemaNumber {
    schema: u32,
    #[serde(rename = "record", default)]
    _record: IgnoredAny,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Record", deny_unknown_fields)]
struct RecordForm {
    anchor: Anchor,
    identity: String,
    last_begun: u64,
    #[serde(with = "credential")]
    credential: Credential,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional")]
    candidate: Option<StoredCandidate>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional")]
    grant: Option<StoredGrant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asks: Option<String>,
    pace: PaceState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intent: Option<StoredIntent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    block: Option<StoredBlock>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(rename = "told", default, skip_serializing_if = "Option::is_none")]
    provider_message: Option<String>,
    failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deferred_until: Option<i64>,
    #[serde(rename = "deferral_told", default, skip_serializing_if = "is_false")]
    deferred_by_provider: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_attempt: Option<StoredAttempt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    no_verdict: Option<StoredNoVerdict>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StoredGrant", deny_unknown_fields)]
struct GrantForm {
    id: u64,
    #[serde(serialize_with = "Plain::write", deserialize_with = "Plain::read")]
    access_token: SecretString,
    token_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    issued_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    #[serde(default, skip_serializing_if = "is_false")]
    overtaken: bool,
}

fn is_false(it: &bool) -> bool {
    !it
}

/// What can be written as plaintext here and nowhere else.
trait Plain: Sized {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error>;
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;
}

impl Plain for StoredGrant {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        GrantForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        GrantForm::deserialize(from)
    }
}

impl Plain for SecretString {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.expose_secret())
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
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
        from.deserialize_str(Text)
    }
}

/// The serde functions for an optional part that is plaintext only here.
mod optional {
    use super::*;

    struct Part<T>(T);

    impl<T: Plain> Serialize for Part<&T> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            self.0.write(to)
        }
    }

    impl<'de, T: Plain> Deserialize<'de> for Part<T> {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            T::read(from).map(Self)
        }
    }

    pub(super) fn serialize<T: Plain, S: Serializer>(
        part: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        part.as_ref().map(Part).serialize(to)
    }

    pub(super) fn deserialize<'de, T: Plain, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        Ok(Option::<Part<T>>::deserialize(from)?.map(|Part(part)| part))
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
