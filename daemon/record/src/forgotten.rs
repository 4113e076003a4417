//! The rest of a record after its account is forgotten, and the records of a name whose identities are no longer configured.
//!
//! Must drop every secret, and keep everything that bounds the rate of attempts at the provider and for the account.

use std::time::Duration;

use tokend_proto::AccountName;
use tokend_store::{AccountId, Credential, Record, RecordCommit, Store, StoreError};

use crate::key::RecordKey;
use crate::store_reader::StoreReader;

/// How long a claim holds. A purge needs it for one write.
const CLAIM_TTL: Duration = Duration::from_secs(60);

/// Drops every secret. The rate limits of the account and its host stay: forgetting an account must not let its provider be asked more
/// often.
pub fn forget(record: &mut Record) {
    record.credential = Credential::default();
    record.candidate = None;
    record.grant = None;
}

/// The records under a name for identities that are not configured.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// Records that hold secrets.
    records: Vec<RecordKey>,
    /// Records that cannot be opened, by the text in place of their key.
    set_aside: Vec<String>,
}

impl Leftovers {
    /// Finds these records: all of an account of this name, except one.
    pub fn find(
        store: &StoreReader,
        name: &AccountName,
        keep: Option<&RecordKey>,
    ) -> Result<Self, StoreError> {
        let mut records = Vec::new();
        let mut note = |id: AccountId, _, record: Record| {
            let key = RecordKey::from(id);
            if key.is_of(name) && keep != Some(&key) && !is_empty(&record) {
                records.push(key);
            }
        };
        let mut set_aside = store.for_each(&mut note)?;
        set_aside.retain(|it| {
            RecordKey::is_text_of(&it.account, name)
                && keep.is_none_or(|keep| keep.as_str() != it.account)
        });
        Ok(Self {
            records,
            set_aside: set_aside.into_iter().map(|it| it.account).collect(),
        })
    }

    /// The number of these records.
    pub fn count(&self) -> usize {
        self.records.len() + self.set_aside.len()
    }
}

fn is_empty(record: &Record) -> bool {
    let credential = &record.credential;
    record.grant.is_none()
        && credential.refresh_token.is_none()
        && credential.secrets.is_empty()
        && credential.spare_refresh_token.is_none()
        && record.candidate.is_none()
}

/// Drops the secrets of these records. The rate limits stay, except those of a record that cannot be opened. Only the store thread calls
/// this.
pub fn purge(store: &dyn Store, leftovers: &Leftovers) -> Result<(), StoreError> {
    for account in &leftovers.set_aside {
        store.discard_quarantined(account)?;
    }
    for id in &leftovers.records {
        let claim = store.claim(id, CLAIM_TTL)?;
        let purged = store.read(id).and_then(|read| {
            let Some((version, mut record)) = read else {
                return Ok(());
            };
            forget(&mut record);
            let commit = RecordCommit {
                claim: &claim,
                expected: version,
                record: Some(&record),
            };
            let mut results = store.commit(&[commit]).into_iter();
            results.try_for_each(|result| result.map(drop))
        });
        store.release(claim);
        purged?;
    }
    Ok(())
}
