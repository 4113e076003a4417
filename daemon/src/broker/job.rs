//! Jobs for the store thread, and their results.

use std::sync::Arc;

use tokend_engine::{AccountKey, AttemptId, Durable, Fate};
use tokend_record::{Entered, Leftovers, Notes, RecordKey};
use tokend_store::{Credential, EnteredCredential, StoreError, Strayed};
use tokio::sync::oneshot;

use tokend_upstream::Granted;

/// A job for the store thread.
#[derive(Debug)]
pub(crate) enum StoreJob {
    /// Obtain the right to attempt.
    Claim(AccountKey, AttemptId, RecordKey),
    /// Write facts, and the secrets that go with them.
    Write(Box<Write>),
    /// Release the claim.
    Release(AccountKey),
    /// Drop a record that cannot be opened.
    Discard(AccountKey, RecordKey),
    /// Report when all earlier jobs are done.
    Reached(oneshot::Sender<()>),
    /// Drop the records under a name for identities that are not configured.
    Purge {
        leftovers: Leftovers,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Restore records that were found under a damaged name; report their accounts.
    PutBack {
        strayed: Vec<Strayed>,
        reply: oneshot::Sender<Result<Vec<RecordKey>, StoreError>>,
    },
}

/// Facts to write.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) account: AccountKey,
    pub(crate) id: RecordKey,
    /// The attempt whose intent this is; otherwise the facts are an outcome or a change.
    pub(crate) intent_of: Option<AttemptId>,
    pub(crate) durable: Durable,
    /// The name of the account's provider host.
    pub(crate) host: Arc<str>,
    pub(crate) notes: Notes,
    pub(crate) secrets: SecretChanges,
}

impl Write {
    /// What the driver learns of this write: with the entered secrets that the record now has, unless it failed.
    pub(crate) fn result(&self, done: Option<Entered>) -> Stored {
        match self.intent_of {
            Some(attempt) => Stored::Recorded(self.account, attempt, done.is_some()),
            None => Stored::Committed(self.account, done),
        }
    }
}

/// The effect of a write on the stored secrets.
#[derive(Debug, Default)]
pub(crate) struct SecretChanges {
    pub(crate) granted: Option<(AttemptId, Granted)>,
    /// The entered credential that the attempt of `intent_of` tries.
    pub(crate) entered: Option<Box<EnteredCredential>>,
    pub(crate) fate: Option<Fate>,
    pub(crate) forget: bool,
}

/// The result of a job.
#[derive(Debug)]
pub(crate) enum Stored {
    /// Claimed, with the secrets of the record; or refused.
    Claimed(AccountKey, AttemptId, Option<Box<Credential>>),
    /// Whether an intent is durable.
    Recorded(AccountKey, AttemptId, bool),
    /// An outcome is durable, and the record now has these entered secrets; or the write failed.
    Committed(AccountKey, Option<Entered>),
    /// Whether a record that could not be opened is gone.
    Discarded(AccountKey, bool),
}
