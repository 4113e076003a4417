//! What is left of a record once its account is forgotten, and the records of a name whose identities are gone.
//!
//! Must drop every secret, and keep what the paces of provider and account are bounded by.

use std::time::Duration;

use tokend_proto::AccountName;
use tokend_store::{AccountId, Commit, Credential, Record, Store, StoreError};

use crate::broker::record_key::RecordKey;

/// How long a claim holds. A purge has it for one write.
const CLAIM_TTL: Duration = Duration::from_secs(60);

/// Drops every secret. The paces stay, the account's and its host's: forgetting an account must not make its provider be asked more
/// often.
pub(crate) fn forget(record: &mut Record) {
    record.credential = Credential::default();
    record.candidate = None;
    record.grant = None;
}

/// Drops the secrets of all records of an account of this name, but one. The pace stays, except where a record does not open.
pub(crate) fn purge(
    store: &dyn Store,
    name: &AccountName,
    keep: Option<&RecordKey>,
) -> Result<usize, StoreError> {
    let mut found = Vec::new();
    let mut note = |id: AccountId, _, record: Record| {
        let key = RecordKey::from(id);
        let credential = &record.credential;
        let empty = record.grant.is_none()
            && credential.refresh_token.is_none()
            && credential.password.is_none()
            && credential.client_secret.is_none()
            && credential.spare_refresh_token.is_none()
            && record.candidate.is_none();
        if key.is_of(name) && keep != Some(&key) && !empty {
            found.push(key);
        }
    };
    let mut set_aside = store.for_each(&mut note)?;
    set_aside.retain(|it| {
        RecordKey::is_text_of(&it.account, name)
            && keep.is_none_or(|keep| keep.as_str() != it.account)
    });
    for it in &set_aside {
        store.discard_quarantined(&it.account)?;
    }
    for id in &found {
        let claim = store.claim(id, CLAIM_TTL)?;
        let purged = store.read(id).and_then(|read| {
            let Some((version, mut record)) = read else {
                return Ok(());
            };
            forget(&mut record);
            let commit = Commit {
                claim: &claim,
                expected: version,
                record: Some(&record),
            };
            store
                .commit(&[commit])
                .into_iter()
                .collect::<Result<Vec<_>, _>>()
                .map(drop)
        });
        store.release(claim);
        purged?;
    }
    Ok(found.len() + set_aside.len())
}
