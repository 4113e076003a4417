//! Whatever interrupts a rotation, the store opens with the key that is in its place.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use tempfile::TempDir;

use std::path::PathBuf;

use super::*;
use crate::account::{AccountId, Version};
use crate::error::KeyError;
use crate::record::{Anchor, Record};
use crate::redb_store::RedbStore;
use crate::store::{RecordCommit, Store as _};

/// More than one batch.
const ACCOUNTS: usize = 600;

struct Place(TempDir);

impl Place {
    /// A state directory with a key and a store with records in it.
    fn filled() -> Self {
        let place = Self::empty();
        let store = place.open().expect("a first start");
        let anchor = Anchor {
            wall_ms: 1_795_000_000_000,
            boot_ms: 1000,
            boot_id: "0f0e0d0c".to_owned(),
        };
        for batch in place.names().chunks(100) {
            let claims: Vec<_> = batch
                .iter()
                .map(|name| store.claim(name, Duration::ZERO).expect("claim"))
                .collect();
            let record = Record::new(anchor.clone(), "9b2f");
            let commits: Vec<_> = claims
                .iter()
                .map(|claim| RecordCommit {
                    claim,
                    expected: Version::NONE,
                    record: Some(&record),
                })
                .collect();
            assert!(store.commit(&commits).iter().all(Result::is_ok));
        }
        place
    }

    fn empty() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("chmod");
        Self(dir)
    }

    fn names(&self) -> Vec<AccountId> {
        (0..ACCOUNTS)
            .map(|number| AccountId::new(&format!("account-{number:04}")).expect("a good name"))
            .collect()
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("tokend.key")
    }

    /// The key in its place, and one that is made at this path.
    fn keys(&self, made_at: &Path) -> (SealingKey, SealingKey) {
        make_key_file(made_at).expect("made");
        let old = must_load(&self.key()).expect("old");
        (old, must_load(made_at).expect("new"))
    }

    fn state(&self) -> StateDir {
        StateDir::acquire(self.0.path()).expect("nobody else holds it")
    }

    /// What a start does.
    fn open(&self) -> Result<RedbStore, RotateError> {
        let state = self.state();
        settle(&state, &self.key())?;
        let key = SealingKey::load_or_create(&self.key(), &state)?;
        Ok(RedbStore::open(state, key)?)
    }

    fn records(&self) -> usize {
        let store = self.open().expect("the store opens");
        let mut count = 0;
        let set_aside = store.for_each(&mut |_, _, _| count += 1).expect("readable");
        assert_eq!(set_aside, []);
        assert!(!next_to(&self.key()).exists(), "a rotation was left open");
        count
    }
}

#[test]
fn a_new_key_takes_the_place_of_the_old_one_and_opens_everything() {
    let place = Place::filled();
    let before = fs::read(place.key()).expect("the key");
    let rotated = rotate_key_file(&place.state(), &place.key()).expect("rotated");
    assert_eq!(rotated, Rotated::Resealed(ACCOUNTS));
    assert_ne!(fs::read(place.key()).expect("the key"), before);
    assert_eq!(place.records(), ACCOUNTS);
    // The old key opens nothing any more.
    fs::write(place.key(), before).expect("write");
    let refused = place.open().map(drop);
    assert!(
        matches!(refused, Err(RotateError::Open(OpenError::WrongKey { .. }))),
        "{refused:?}"
    );
}

#[test]
fn a_rotation_that_was_interrupted_is_finished_or_undone() {
    // Before the new key was used.
    let place = Place::filled();
    let before = fs::read(place.key()).expect("the key");
    make_key_file(&next_to(&place.key())).expect("made");
    assert_eq!(place.records(), ACCOUNTS);
    assert_eq!(fs::read(place.key()).expect("the key"), before);

    // After the store was sealed, before the new key took its place; once with the old key still there, once without.
    for old_key_left in [true, false] {
        let (old, new) = place.keys(&next_to(&place.key()));
        let state = place.state();
        assert_eq!(reseal(&state, &old, &new).expect("sealed"), ACCOUNTS);
        drop(state);
        if !old_key_left {
            fs::remove_file(place.key()).expect("remove");
        }
        assert_eq!(place.records(), ACCOUNTS);
    }
    // And another rotation goes on from there.
    rotate_key_file(&place.state(), &place.key()).expect("rotated");
    assert_eq!(place.records(), ACCOUNTS);
}

#[test]
fn a_key_kept_elsewhere_is_changed_by_the_same_call_made_again() {
    let place = Place::filled();
    let (old, new) = place.keys(&place.0.path().join("new.key"));
    let state = place.state();
    let first = rotate_to(&state, &old, &new).expect("rotated");
    assert_eq!(first, Rotated::Resealed(ACCOUNTS));
    assert_eq!(
        rotate_to(&state, &old, &new).expect("again"),
        Rotated::Already
    );
    let stranger = SealingKey::from_bytes(&zeroize::Zeroizing::new([9; 32])).expect("a key");
    let refused = rotate_to(&state, &old, &stranger);
    assert!(
        matches!(refused, Err(RotateError::Open(OpenError::WrongKey { .. }))),
        "{refused:?}"
    );
    RedbStore::open(state, new).expect("opens with the new key");
}

#[test]
fn nothing_is_changed_while_a_record_does_not_open() {
    let place = Place::filled();
    damage_one(&place);
    let before = fs::read(place.key()).expect("the key");
    let refused = rotate_key_file(&place.state(), &place.key()).expect_err("must be refused");
    assert!(
        refused.to_string().contains("account-0007") && refused.to_string().contains("discard"),
        "{refused}"
    );
    assert_eq!(fs::read(place.key()).expect("the key"), before);
    assert!(!next_to(&place.key()).exists());
    let store = place.open().expect("opens as before");
    let set_aside = store.for_each(&mut |_, _, _| {}).expect("readable");
    assert_eq!(set_aside.len(), 1);
}

#[test]
fn a_directory_without_a_store_or_a_key_is_told() {
    let place = Place::empty();
    let refused = rotate_key_file(&place.state(), &place.key());
    assert!(
        matches!(refused, Err(RotateError::NoStore { .. })),
        "{refused:?}"
    );
    let place = Place::filled();
    fs::remove_file(place.key()).expect("remove");
    let refused = rotate_key_file(&place.state(), &place.key());
    assert!(
        matches!(refused, Err(RotateError::NoKey { .. })),
        "{refused:?}"
    );
    let there = place.0.path().join("tokend.redb");
    let refused = make_key_file(&there);
    assert!(
        matches!(refused, Err(KeyError::Exists { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_rotation_in_doubt_writes_every_record_again_before_the_old_key_goes() {
    for damaged in [false, true] {
        let place = Place::filled();
        let (old, new) = place.keys(&next_to(&place.key()));
        let state = place.state();
        reseal(&state, &old, &new).expect("sealed");
        if damaged {
            damage_one(&place);
        }
        // The commit said that it failed: what is read now may be pages that never reached the disk.
        let before = sealed(&place);
        assert_eq!(
            settle(&state, &place.key()).expect("settled"),
            Settled::Finished
        );
        assert_as_new(&before, &sealed(&place), damaged);
        drop(state);
        let store = place.open().expect("opens with the new key");
        let set_aside = store.for_each(&mut |_, _, _| {}).expect("readable");
        assert_eq!(set_aside.len(), usize::from(damaged));
    }
}

#[test]
fn a_key_kept_elsewhere_that_opens_already_writes_every_record_again() {
    let place = Place::filled();
    let (old, new) = place.keys(&place.0.path().join("new.key"));
    let state = place.state();
    rotate_to(&state, &old, &new).expect("rotated");
    let before = sealed(&place);
    let again = rotate_to(&state, &old, &new).expect("again");
    assert_eq!(again, Rotated::Already);
    assert_as_new(&before, &sealed(&place), false);
}

#[test]
fn nothing_is_sealed_with_a_named_key_that_is_not_in_its_file_any_more() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 5] = [
        ("removed", |path| fs::remove_file(path).expect("remove")),
        ("replaced", |path| {
            fs::remove_file(path).expect("remove");
            make_key_file(path).expect("made");
        }),
        ("another put over it", |path| {
            let other = path.with_extension("other");
            make_key_file(&other).expect("made");
            fs::rename(other, path).expect("rename");
        }),
        ("written over", |path| {
            fs::write(path, [7; 32]).expect("write");
        }),
        ("grown", |path| fs::write(path, [7; 33]).expect("write")),
    ];
    let place = Place::filled();
    let elsewhere = place.0.path().join("new.key");
    for (what, change) in changes {
        let _old = fs::remove_file(&elsewhere);
        make_key_file(&elsewhere).expect("made");
        let named = NamedKey::read(&elsewhere, None).expect("a key");
        change(&elsewhere);
        let refused = rotate_to_named(&place.state(), &place.key(), None, &named);
        assert!(
            matches!(refused, Err(RotateError::Key(KeyError::Changed { .. }))),
            "{what}: {refused:?}"
        );
        assert_eq!(place.records(), ACCOUNTS, "{what}");
    }
}

#[test]
fn nothing_is_sealed_with_a_named_key_that_settling_takes_away() {
    for committed in [false, true] {
        let place = Place::filled();
        let next = next_to(&place.key());
        make_key_file(&next).expect("made");
        let state = place.state();
        let named = match committed {
            false => &next,
            true => {
                let (old, new) = (must_load(&place.key()), must_load(&next));
                reseal(&state, &old.expect("old"), &new.expect("new")).expect("sealed");
                &place.key()
            }
        };
        let named = NamedKey::read(named, None).expect("a key");
        let refused = rotate_to_named(&state, &place.key(), None, &named);
        assert!(
            matches!(refused, Err(RotateError::Key(KeyError::Changed { .. }))),
            "{committed}: {refused:?}"
        );
        drop(state);
        assert_eq!(place.records(), ACCOUNTS, "{committed}");
    }
}

/// Whether every record was sealed and written again, but for the one that does not open.
#[track_caller]
fn assert_as_new(
    before: &BTreeMap<Vec<u8>, Vec<u8>>,
    after: &BTreeMap<Vec<u8>, Vec<u8>>,
    damaged: bool,
) {
    assert!(before.keys().eq(after.keys()));
    for (name, sealed) in before {
        let stays = damaged && name == b"account-0007";
        assert_eq!(after.get(name) == Some(sealed), stays, "{name:?}");
    }
}

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("accounts");

/// What is stored for each account.
fn sealed(place: &Place) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let db = Database::open(place.0.path().join("tokend.redb")).expect("open");
    let table = db.begin_read().expect("begin").open_table(TABLE);
    let table = table.expect("table");
    let entries = table.iter().expect("iterate").map(|entry| {
        let (name, sealed) = entry.expect("readable");
        (name.value().to_vec(), sealed.value().to_vec())
    });
    entries.collect()
}

/// Flips a bit in what is stored for one account.
fn damage_one(place: &Place) {
    let db = Database::open(place.0.path().join("tokend.redb")).expect("open");
    let txn = db.begin_write().expect("begin");
    {
        let mut table = txn.open_table(TABLE).expect("table");
        let name: &[u8] = b"account-0007";
        let mut sealed = table
            .get(name)
            .expect("get")
            .expect("the record")
            .value()
            .to_vec();
        *sealed.last_mut().expect("not empty") ^= 1;
        table.insert(name, sealed.as_slice()).expect("insert");
    }
    txn.commit().expect("commit");
}
