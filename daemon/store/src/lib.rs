//! Sealed, durable records of accounts.
//!
//! [`Store`] is the contract. [`RedbStore`] keeps it in one file of a state directory. Everything here blocks and reads no
//! clock: the daemon calls it from a store thread. The feature `testing` adds a store in memory with scripted faults.
//!
//! # The state directory
//!
//! Owned by the daemon's user, mode 0700. [`StateDir::acquire`] checks that, and holds its lock.
//!
//! | file | holds |
//! |---|---|
//! | `tokend.redb` | the database, written with two-phase commits; tables `meta` and `accounts` |
//! | `tokend.marker` | the store's id in hex, written after the database: a missing database beside it is a loss, not a first start |
//! | `tokend.lock` | the pid of the daemon that holds its `flock` |
//! | `tokend.redb.new` | a database being made; removed when found |
//!
//! The sealing key is 32 random bytes in a file of mode 0600, or a systemd credential. It is never made anew while
//! there is a database. While it is replaced, the new one stands beside it as `….next`; see [`rotate_key_file`].
//!
//! # The database, layout 1
//!
//! Table `meta`, text to bytes: `layout` (u32), `store-id` (16 random bytes), `key-check` (a sealed known text), `epoch`
//! (u64, how often the store was opened), `floor` (u64, the highest version of any removed record). Numbers are big-endian.
//!
//! Table `accounts`, account name to:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | version, u64 |
//! | 12 | nonce, random |
//! | n | ciphertext: JSON `{"schema":2,"record":{…}}` |
//! | 16 | tag |
//!
//! AES-256-GCM-SIV (RFC 8452). Its additional data is three parts, each behind its length as u32: the schema tag
//! `tokend record 1`, the account's name, the version. So a record opens only under its own name and version. The key check
//! has the tag `tokend key check 1`, the store id, and nothing.
//!
//! # What sealing does not do
//!
//! A writer of the file can restore a whole earlier file or remove records; sealing only keeps records from being read,
//! altered or moved. A reader of both the key and the file can read everything.

mod account;
mod claims;
mod codec;
mod error;
mod inspect;
mod key_file;
mod key_names;
mod named_key;
mod record;
mod redb_store;
mod rotation;
mod seal;
mod sizes;
mod state_dir;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod watch;

pub use account::{AccountId, AccountIdError, MAX_ACCOUNT_ID_BYTES, Version};
pub use claims::Claim;
pub use error::{
    IoFailure, KeyError, OpenError, QuarantineReason, Quarantined, RotateError, StoreError,
    StoreFailure,
};
pub use inspect::{Refusal, inspect, is_held};
pub use key_file::make_key_file;
pub use key_names::{KEY_CREDENTIAL, KEY_FILE};
pub use named_key::{NamedKey, must_be_elsewhere};
pub use record::{
    Anchor, BlockReason, Credential, EnteredCredential, EnteredSecret, EnteredSecrets, Entry,
    PaceState, Record, StoredAttempt, StoredAttemptKind, StoredBlock, StoredCandidate, StoredGrant,
    StoredIntent, StoredNoVerdict,
};
pub use redb_store::RedbStore;
pub use rotation::{Rotated, Settled, rotate_key_file, rotate_to, rotate_to_named, settle};
pub use seal::SealingKey;
pub use sizes::{KEY_BYTES, MAX_RECORD_BYTES};
pub use state_dir::StateDir;
pub use store::{RecordCommit, Store, Strayed};
#[cfg(any(test, feature = "testing"))]
pub use testing::{MemoryStore, ScriptedFault};
pub use watch::{RecordChange, Reporter, Watch};
