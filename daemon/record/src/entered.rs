//! What a person entered: which secrets, when, and by whom.
//!
//! Owns the places of entered secrets in a record: beside those in use while an attempt tries them, and in use once their fate is settled.
//! Knows secrets by the names of their fields only.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokend_engine::{AttemptId, Fate};
use tokend_store::{
    EnteredCredential, EnteredSecret, EnteredSecrets, Entry, Record, StoredCandidate,
};

/// Which stored secrets of an account a person entered. Most accounts have none: that takes one word of memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entered(Option<Arc<EnteredFacts>>);

/// Who entered what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnteredFacts {
    /// Secrets of a login, by the names of their fields.
    pub fields: BTreeMap<Box<str>, Entry>,
    /// The refresh token, or one before it that it came from.
    pub refresh_token: Option<Entry>,
}

impl Entered {
    /// Whether a person entered the secret of this field.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        self.field(field).is_some()
    }

    /// Who entered the secret of this field.
    #[must_use]
    pub fn field(&self, field: &str) -> Option<Entry> {
        self.0.as_ref()?.fields.get(field).copied()
    }

    /// Who entered the refresh token.
    #[must_use]
    pub fn refresh_token(&self) -> Option<Entry> {
        self.0.as_ref()?.refresh_token
    }

    /// The same, once this credential is in use too.
    #[must_use]
    pub fn with(&self, credential: &EnteredCredential) -> Self {
        let EnteredSecrets::Fields(fields) = &credential.secrets else {
            return self.clone();
        };
        let mut facts = self.0.as_deref().cloned().unwrap_or_default();
        let names = fields.keys().cloned();
        facts
            .fields
            .extend(names.map(|name| (name, credential.entry)));
        Self(Some(Arc::new(facts)))
    }
}

/// Which secrets of the record a person entered.
pub fn entered(record: &Record) -> Entered {
    let credential = &record.credential;
    let fields = credential.secrets.iter();
    let facts = EnteredFacts {
        fields: fields.map(|(name, it)| (name.clone(), it.entry)).collect(),
        refresh_token: credential.refresh_entered,
    };
    Entered((facts != EnteredFacts::default()).then(|| Arc::new(facts)))
}

/// Puts an entered credential into the record, beside the one in use: the attempt tries it.
pub fn take_candidate(record: &mut Record, attempt: AttemptId, entered: &EnteredCredential) {
    record.candidate = Some(StoredCandidate {
        attempt: attempt.0,
        entered: entered.clone(),
    });
}

/// Moves a credential that is stored and not in use to its place in use. Calling this twice has the effect of one call.
pub fn settle_fate(record: &mut Record, fate: Fate) {
    let credential = &mut record.credential;
    let entered = record.candidate.take().map(|it| it.entered);
    match (fate, entered) {
        (Fate::SpareTakes, _) => {
            let spare = credential.spare_refresh_token.take();
            if spare.is_some() {
                credential.refresh_token = spare;
                credential.refresh_entered = None;
            }
        }
        (_, None) => {}
        (Fate::Spared, Some(it)) => {
            if let EnteredSecrets::RefreshToken(token) = it.secrets {
                credential.spare_refresh_token = Some(token);
            }
        }
        (Fate::Takes, Some(it)) => match it.secrets {
            EnteredSecrets::RefreshToken(token) => {
                credential.refresh_token = Some(token);
                credential.refresh_entered = Some(it.entry);
            }
            EnteredSecrets::Fields(fields) => {
                let fields = fields.into_iter();
                let entered = fields.map(|(name, own)| (name, EnteredSecret::new(own, it.entry)));
                credential.secrets.extend(entered);
            }
        },
    }
}
