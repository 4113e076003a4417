//! Records, claims and stores for the tests of this crate.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop")]
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test file uses its own part"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokend_store::{
    AccountId, Anchor, Claim, Credential, EnteredSecret, Entry, OpenError, Record, RecordCommit,
    RedbStore, SealingKey, StateDir, Store, StoreError, StoredGrant, Version,
};

/// Secrets that every record has, to look for where they must not be.
pub(crate) const SECRETS: [&str; 4] = [
    "s3cret-password",
    "s3cret-client",
    "s3cret-refresh",
    "s3cret-access",
];

pub(crate) fn id(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

/// A record of about the size real ones have; `last_begun` tells two apart.
pub(crate) fn record(last_begun: u64) -> Record {
    let [password, client, refresh, access] = SECRETS;
    let anchor = Anchor {
        wall_ms: 1_795_000_000_000,
        boot_ms: 1000,
        boot_id: "0f0e0d0c".to_owned(),
    };
    Record {
        last_begun,
        credential: Credential {
            secrets: [("password", password), ("client_secret", client)]
                .map(|(name, secret)| {
                    (
                        name.into(),
                        EnteredSecret::new(secret.into(), Entry::default()),
                    )
                })
                .into(),
            refresh_token: Some(refresh.into()),
            ..Credential::default()
        },
        grant: Some(StoredGrant {
            id: 1,
            access_token: format!("{access}{}", ".".repeat(600)).into(),
            token_type: "Bearer".to_owned(),
            scope: None,
            issued_at: 1_795_000_000_000,
            expires_at: Some(1_795_000_003_600),
            overtaken: false,
        }),
        ..Record::new(anchor, "9b2f")
    }
}

pub(crate) fn claim(store: &dyn Store, name: &str) -> Claim {
    store.claim(&id(name), Duration::from_secs(60)).unwrap()
}

pub(crate) fn put(
    store: &dyn Store,
    claim: &Claim,
    expected: Version,
    record: Option<&Record>,
) -> Result<Version, StoreError> {
    store
        .commit(&[RecordCommit {
            claim,
            expected,
            record,
        }])
        .remove(0)
}

/// The last_begun of the record that is there.
pub(crate) fn last_begun(store: &dyn Store, name: &str) -> Option<u64> {
    let found = store.read(&id(name)).unwrap();
    found.map(|(_, record)| record.last_begun)
}

/// A state directory and a key beside it.
pub(crate) struct Home(pub(crate) TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.0.path().join("state")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    pub(crate) fn key_path(&self) -> PathBuf {
        self.0.path().join("key")
    }

    pub(crate) fn open(&self) -> RedbStore {
        self.try_open().unwrap()
    }

    pub(crate) fn try_open(&self) -> Result<RedbStore, OpenError> {
        let state = StateDir::acquire(&self.dir())?;
        let key = SealingKey::load_or_create(&self.key_path(), &state).unwrap();
        RedbStore::open(state, key)
    }

    /// Makes a store with these accounts at version 1, and closes it.
    pub(crate) fn fill(&self, names: &[&str]) {
        let store = self.open();
        for name in names {
            let claim = claim(&store, name);
            put(&store, &claim, Version::NONE, Some(&record(1))).unwrap();
            store.release(claim);
        }
    }
}

/// Where `needle` stands in a file.
pub(crate) fn find(path: &Path, needle: &[u8]) -> Option<usize> {
    std::fs::read(path)
        .unwrap()
        .windows(needle.len())
        .position(|window| window == needle)
}
