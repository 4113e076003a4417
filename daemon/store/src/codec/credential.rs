//! The plaintext of credentials: secrets by the names of fields, and the two names that older versions wrote in places of their own.
//!
//! Owns how records of older versions are read. Must never write what they wrote: one form is enough.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::de::{Deserializer, Error as _};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::{Plain, is_false, optional};
use crate::record::{
    Credential, EnteredCredential, EnteredSecret, EnteredSecrets, Entry, StoredCandidate,
};

/// The two secrets that could be entered when a record had a place for each.
const PASSWORD: &str = "password";
const CLIENT_SECRET: &str = "client_secret";

/// A text that is plaintext only here.
struct Text(SecretString);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.write(to)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        SecretString::read(from).map(Self)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialForm {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    secrets: BTreeMap<Box<str>, SecretForm>,
    #[serde(default, skip_serializing, with = "optional")]
    password: Option<SecretString>,
    #[serde(default, skip_serializing, with = "optional")]
    client_secret: Option<SecretString>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional")]
    refresh_token: Option<SecretString>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_expires_at: Option<i64>,
    #[serde(default, skip_serializing_if = "is_false")]
    refresh_in_doubt: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    refresh_refused: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_entered: Option<Entry>,
    /// Written by older versions: when a person entered a part of the credential.
    #[serde(default, skip_serializing)]
    entered_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional")]
    spare_refresh_token: Option<SecretString>,
    #[serde(default, skip_serializing_if = "is_false")]
    spare_unsent: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretForm {
    secret: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<u32>,
}

pub(super) fn serialize<S: Serializer>(it: &Credential, to: S) -> Result<S::Ok, S::Error> {
    let secrets = it.secrets.iter().map(|(name, entered)| {
        let form = SecretForm {
            secret: Text(entered.secret.clone()),
            at: entered.entry.at,
            by: entered.entry.by,
        };
        (name.clone(), form)
    });
    let form = CredentialForm {
        secrets: secrets.collect(),
        password: None,
        client_secret: None,
        refresh_token: it.refresh_token.clone(),
        refresh_expires_at: it.refresh_expires_at,
        refresh_in_doubt: it.refresh_in_doubt,
        refresh_refused: it.refresh_refused,
        refresh_entered: it.refresh_entered,
        entered_at: None,
        spare_refresh_token: it.spare_refresh_token.clone(),
        spare_unsent: it.spare_unsent,
    };
    form.serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Credential, D::Error> {
    let form = CredentialForm::deserialize(from)?;
    let older = Entry {
        at: form.entered_at,
        by: None,
    };
    let named = form.secrets.into_iter().map(|(name, it)| {
        let entry = Entry {
            at: it.at,
            by: it.by,
        };
        (name, EnteredSecret::new(it.secret.0, entry))
    });
    let places = [
        (PASSWORD, form.password),
        (CLIENT_SECRET, form.client_secret),
    ];
    let placed = places
        .into_iter()
        .filter_map(|(name, secret)| Some((name.into(), EnteredSecret::new(secret?, older))));
    let secrets: BTreeMap<Box<str>, _> = placed.chain(named).collect();
    // The one time was that of the last thing that was entered: without another secret, of the refresh token.
    let only =
        (secrets.is_empty() && older.at.is_some() && form.refresh_token.is_some()).then_some(older);
    Ok(Credential {
        secrets,
        refresh_token: form.refresh_token,
        refresh_expires_at: form.refresh_expires_at,
        refresh_in_doubt: form.refresh_in_doubt,
        refresh_refused: form.refresh_refused,
        refresh_entered: form.refresh_entered.or(only),
        spare_refresh_token: form.spare_refresh_token,
        spare_unsent: form.spare_unsent,
    })
}

/// A candidate is either secrets by their fields, or one secret of a kind: of a refresh token, or of what older versions could enter.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CandidateForm {
    attempt: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<CandidateKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<Text>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    fields: BTreeMap<Box<str>, Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CandidateKind {
    Password,
    ClientSecret,
    RefreshToken,
}

impl Plain for StoredCandidate {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let EnteredCredential { secrets, entry } = &self.entered;
        let (secret, fields) = match secrets {
            EnteredSecrets::RefreshToken(token) => (Some(Text(token.clone())), BTreeMap::new()),
            EnteredSecrets::Fields(fields) => {
                let fields = fields.iter();
                let fields = fields.map(|(name, secret)| (name.clone(), Text(secret.clone())));
                (None, fields.collect())
            }
        };
        let form = CandidateForm {
            attempt: self.attempt,
            kind: secret.is_some().then_some(CandidateKind::RefreshToken),
            secret,
            fields,
            at: entry.at,
            by: entry.by,
        };
        form.serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let form = CandidateForm::deserialize(from)?;
        let one = |name, Text(secret)| EnteredSecrets::one(name, secret);
        let secrets = match (form.kind, form.secret) {
            (None, None) => {
                let fields = form.fields.into_iter();
                EnteredSecrets::Fields(fields.map(|(name, Text(secret))| (name, secret)).collect())
            }
            (Some(CandidateKind::Password), Some(secret)) => one(PASSWORD, secret),
            (Some(CandidateKind::ClientSecret), Some(secret)) => one(CLIENT_SECRET, secret),
            (Some(CandidateKind::RefreshToken), Some(Text(token))) => {
                EnteredSecrets::RefreshToken(token)
            }
            _ => {
                return Err(D::Error::custom(
                    "a candidate has a kind and a secret, or neither",
                ));
            }
        };
        Ok(Self {
            attempt: form.attempt,
            entered: EnteredCredential {
                secrets,
                entry: Entry {
                    at: form.at,
                    by: form.by,
                },
            },
        })
    }
}
