//! What the store's thread is given to do, and what comes of it.

use std::sync::Arc;

use tokend_engine::{AccountKey, AttemptId, Durable, Fate};
use tokend_proto::LoginSecret;
use tokend_record::RecordKey;
use tokend_store::{Credential, StoreError, Strayed};
use tokio::sync::oneshot;

use tokend_record::{Entered, Leftovers, Notes};
use tokend_upstream::Granted;

/// Something to do with the store.
#[derive(Debug)]
pub(crate) enum StoreJob {
    /// Obtain the right to attempt.
    Claim {
        account: AccountKey,
        attempt: AttemptId,
        id: RecordKey,
    },
    /// Write facts, and the secrets that go with them.
    Write(Box<Write>),
    /// Give the right back.
    Release { account: AccountKey },
    /// Drop a record that does not open.
    Discard { account: AccountKey, id: RecordKey },
    /// Say when all that was given before is done.
    Reached(oneshot::Sender<()>),
    /// Drop what is stored under a name for identities that are not configured.
    Purge {
        leftovers: Leftovers,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Put records back that were found under a damaged name, and say whose were.
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
    /// The attempt whose intent this is; otherwise it is an outcome or a change.
    pub(crate) intent_of: Option<AttemptId>,
    pub(crate) durable: Durable,
    /// The name of the account's provider host.
    pub(crate) host: Arc<str>,
    pub(crate) notes: Notes,
    pub(crate) brought: Option<(AttemptId, Granted)>,
    /// What a person entered and the attempt of `intent_of` tries.
    pub(crate) entered: Option<LoginSecret>,
    pub(crate) fate: Option<Fate>,
    pub(crate) forget: bool,
}

/// What came of a job.
#[derive(Debug)]
pub(crate) enum Stored {
    /// Claimed, with the secrets of the record; or refused.
    Claimed {
        account: AccountKey,
        attempt: AttemptId,
        credential: Option<Box<Credential>>,
    },
    /// An intent is durable, or not.
    Recorded {
        account: AccountKey,
        attempt: AttemptId,
        done: bool,
    },
    /// An outcome is durable, or not; with the secrets a person entered that the record now has.
    Committed {
        account: AccountKey,
        done: Option<Entered>,
    },
    /// A record that does not open is gone, or not.
    Discarded { account: AccountKey, done: bool },
}
