//! What an account logs in with, as a client sees it.
//!
//! Owns the translation of fields and notes into what is told of a credential. Must never look at a secret.

use tokend_proto::{CredentialField, CredentialStatus, SecretOrigin};
use tokend_store::Entry;

use crate::broker::accounts::AccountEntry;
use crate::broker::login_means::secrets_of_logins;

/// What an account logs in with.
pub(crate) fn of(entry: &AccountEntry, has_refresh_token: bool) -> CredentialStatus {
    let (account, entered) = (&entry.served.account, &entry.notes.entered);
    let fields = secrets_of_logins(account).map(|field| {
        let own = entered.field(&field.name);
        let configured = account.secret(&field.name).is_some();
        // A configured secret comes before one that was entered.
        let used = own.filter(|_| !configured).unwrap_or_default();
        CredentialField {
            origin: match (configured, own.is_some()) {
                (true, _) => SecretOrigin::Configured,
                (false, true) => SecretOrigin::Entered,
                (false, false) => SecretOrigin::Missing,
            },
            field: field.name,
            description: field.description,
            required: field.required,
            multiline: field.multiline,
            entered_at_ms: time(used),
            entered_by: used.by,
        }
    });
    let refresh = entered.refresh_token();
    CredentialStatus {
        account: account.name.clone(),
        fields: fields.collect(),
        can_refresh: account.dialect.can_refresh_at(&account.endpoint),
        refresh_entered_at_ms: refresh.and_then(time),
        refresh_entered_by: refresh.and_then(|entry| entry.by),
        has_refresh_token,
    }
}

fn time(entry: Entry) -> Option<u64> {
    u64::try_from(entry.at?).ok()
}
