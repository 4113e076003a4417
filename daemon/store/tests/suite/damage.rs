//! Damage to the database: reported for what it is, and confined to where it is.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot look at its files should stop"
)]

use std::fs;
use std::panic::catch_unwind;

use redb::ReadableDatabase as _;
use tokend_store::testing::Load as _;
use tokend_store::{OpenError, QuarantineReason, RecordCommit, Store, StoreError, Version};

use crate::common::{Home, claim, find, id, last_begun, put, record};

const ACCOUNTS: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("accounts");

#[test]
fn a_damaged_database_is_told_as_damaged() {
    let home = Home::new();
    home.fill(&["ads", "jwt"]);
    let whole = fs::read(home.file("tokend.redb")).unwrap();
    let cut = whole[..whole.len() / 2].to_vec();
    let mut header = whole.clone();
    header[..512].fill(0xa5);
    for (bytes, what) in [
        (
            b"not a database, but a text that somebody put here".to_vec(),
            "text",
        ),
        (vec![0; 1 << 20], "zeros"),
        (cut, "cut"),
        (header, "header"),
    ] {
        fs::write(home.file("tokend.redb"), bytes).unwrap();
        let error = home.try_open().unwrap_err();
        assert!(
            matches!(error, OpenError::Damaged { .. }),
            "{what}: {error}"
        );
        assert!(error.to_string().contains("restore it from a backup"));
    }
}

/// How many places of a database are damaged in turn, one bit at each.
const FLIPS: usize = 400;

#[test]
fn a_flipped_bit_anywhere_is_told_or_harmless_and_never_a_panic() {
    let home = Home::new();
    home.fill(&["ads", "jwt", "fire"]);
    let whole = fs::read(home.file("tokend.redb")).unwrap();
    // Where something is: zeros are pages nobody uses. A number without a factor in common with pages walks over all of them.
    let used: Vec<_> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let places = (0..FLIPS).map(|n| (used[n * 7919 % used.len()], n % 8));
    let (mut refused, mut panicked, mut set_aside, mut unharmed) = (0, 0, 0, 0);
    for (at, bit) in places {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        fs::write(home.file("tokend.redb"), &bytes).unwrap();
        let outcome = catch_unwind(|| used_anyway(&home));
        let outcome = outcome.unwrap_or_else(|_| panic!("byte {at}, bit {bit}: the store panics"));
        match outcome {
            Ok(3) => unharmed += 1,
            Ok(_) => set_aside += 1,
            Err(error) => {
                let advised = error.contains("tokend.redb") && error.contains("restore");
                // A bit of what tells databases, keys and versions apart makes it one of those that are not ours.
                let others = [
                    "newer tokend",
                    "key is not the one",
                    "is not the database that",
                    // A page's own index can hide a record from a look-up that a walk over all finds: the write is refused.
                    "another writer changed it",
                ];
                let other = others.iter().any(|words| error.contains(words));
                assert!(advised || other, "byte {at}, bit {bit}: {error}");
                panicked += usize::from(error.contains("panic"));
                refused += 1;
            }
        }
    }
    println!(
        "{refused} refused, {panicked} of them by a panic, {set_aside} set aside, {unharmed} unharmed"
    );
    assert!(
        refused > 0 && unharmed > 0,
        "{refused} refused, {unharmed} unharmed"
    );
}

/// Opens, reads and writes what is there. How many of its records open, or what was said against it.
fn used_anyway(home: &Home) -> Result<usize, String> {
    let store = home.try_open().map_err(|error| error.to_string())?;
    let loaded = store.load().map_err(|error| error.to_string())?;
    for (id, version, _) in &loaded.records {
        let claim = claim(&store, id.as_str());
        match put(&store, &claim, *version, Some(&record(2))) {
            Ok(_) | Err(StoreError::Quarantined(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(loaded.records.len())
}

#[test]
fn a_right_key_is_not_called_wrong_because_its_check_is_damaged() {
    let home = Home::new();
    home.fill(&["ads"]);
    let db = redb::Database::open(home.file("tokend.redb")).unwrap();
    let meta = redb::TableDefinition::<&str, &[u8]>::new("meta");
    let txn = db.begin_write().unwrap();
    txn.open_table(meta)
        .unwrap()
        .insert("key-check", [0; 64].as_slice())
        .unwrap();
    txn.commit().unwrap();
    drop(db);
    let error = home.try_open().unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("the key is right"));
}

#[test]
fn one_damaged_record_is_set_aside_and_the_others_live() {
    let home = Home::new();
    home.fill(&["ads", "jwt", "fire"]);
    // The file may hold older copies of the page, so damage each.
    let sealed = sealed_bytes(&home, "jwt");
    while let Some(at) = find(&home.file("tokend.redb"), &sealed) {
        flip(&home, "tokend.redb", at + sealed.len() / 2);
    }

    let store = home.open();
    let loaded = store.load().unwrap();
    let names: Vec<_> = loaded.records.iter().map(|(id, ..)| id.as_str()).collect();
    assert_eq!(names, ["ads", "fire"]);
    let [set_aside] = loaded.quarantined.as_slice() else {
        panic!("expected one: {:?}", loaded.quarantined);
    };
    assert_eq!(
        (set_aside.account.as_str(), set_aside.reason),
        ("jwt", QuarantineReason::DoesNotOpen)
    );
    assert!(
        set_aside
            .to_string()
            .contains("restore a backup, or discard it")
    );

    let refused = Err(StoreError::Quarantined(set_aside.clone()));
    let [ads, jwt] = ["ads", "jwt"].map(|name| claim(&store, name));
    let next = record(2);
    let batch = [&jwt, &ads].map(|claim| RecordCommit {
        claim,
        expected: Version::from(1),
        record: Some(&next),
    });
    assert_eq!(
        store.commit(&batch),
        [refused.clone(), Ok(Version::from(2))]
    );
    assert_eq!(put(&store, &jwt, Version::NONE, Some(&next)), refused);
    assert_eq!(put(&store, &jwt, Version::from(1), None), refused);
    assert_eq!(store.read(&id("jwt")).map(|_| Version::NONE), refused);
    drop(store);

    let store = home.open();
    assert_eq!(
        store.load().unwrap().quarantined,
        std::slice::from_ref(set_aside),
        "it is kept"
    );
    store.discard_quarantined("jwt").unwrap();
    let jwt = claim(&store, "jwt");
    put(&store, &jwt, Version::NONE, Some(&next)).unwrap();
    assert_eq!(last_begun(&store, "jwt"), Some(2));
}

#[test]
fn a_record_moved_to_another_account_does_not_open() {
    let home = Home::new();
    home.fill(&["ads", "jwt"]);
    let stolen = sealed_bytes(&home, "ads");
    let db = redb::Database::open(home.file("tokend.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(ACCOUNTS)
        .unwrap()
        .insert(b"jwt".as_slice(), stolen.as_slice())
        .unwrap();
    txn.commit().unwrap();
    drop(db);
    let store = home.open();
    assert!(matches!(
        store.read(&id("jwt")),
        Err(StoreError::Quarantined(_))
    ));
    assert_eq!(last_begun(&store, "ads"), Some(1));
}

/// Changes one byte of a file.
fn flip(home: &Home, name: &str, at: usize) {
    let mut bytes = fs::read(home.file(name)).unwrap();
    bytes[at] ^= 1;
    fs::write(home.file(name), bytes).unwrap();
}

/// The value stored for an account, as it stands in the file.
fn sealed_bytes(home: &Home, name: &str) -> Vec<u8> {
    let db = redb::Database::open(home.file("tokend.redb")).unwrap();
    let table = db.begin_read().unwrap().open_table(ACCOUNTS).unwrap();
    let value = table.get(name.as_bytes()).unwrap().unwrap();
    value.value().to_vec()
}

#[test]
fn a_record_under_a_damaged_name_goes_back_to_its_account_and_to_no_other() {
    let home = Home::new();
    home.fill(&["ads"]);
    let db = redb::Database::open(home.file("tokend.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let mut accounts = txn.open_table(ACCOUNTS).unwrap();
        let removed = accounts.remove(b"ads".as_slice()).unwrap();
        let sealed = removed.unwrap().value().to_vec();
        accounts
            .insert(b"adz".as_slice(), sealed.as_slice())
            .unwrap();
    }
    txn.commit().unwrap();
    drop(db);
    let store = home.open();
    assert!(store.read(&id("ads")).unwrap().is_none());
    let set_aside = store.load().unwrap().quarantined;
    let found = |accounts: &[tokend_store::AccountId]| store.strayed(accounts, &set_aside).unwrap();
    assert_eq!(found(&[id("jwt")]), [], "it is sealed for ads");
    let strayed = found(&[id("jwt"), id("ads")]);
    assert_eq!(store.strayed(&[id("ads")], &[]).unwrap(), [], "not asked");
    assert!(store.read(&id("ads")).unwrap().is_none(), "only looked for");
    assert_eq!(store.put_back(&strayed).unwrap(), [id("ads")]);
    assert_eq!(last_begun(&store, "ads"), Some(1));
    assert_eq!(store.put_back(&strayed).unwrap(), [], "it is put back");
    assert!(store.load().unwrap().quarantined.is_empty());
}

#[test]
fn of_records_under_damaged_names_only_those_of_accounts_without_one_are_put_back() {
    let home = Home::new();
    home.fill(&["ads", "jwt", "own"]);
    let db = redb::Database::open(home.file("tokend.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let mut accounts = txn.open_table(ACCOUNTS).unwrap();
        for (name, damaged) in [("ads", b"\xffads"), ("jwt", b"xjwt"), ("own", b"xown")] {
            let removed = accounts.remove(name.as_bytes()).unwrap();
            let sealed = removed.unwrap().value().to_vec();
            accounts.insert(damaged.as_slice(), &*sealed).unwrap();
            if name == "own" {
                accounts.insert(b"own".as_slice(), &*sealed).unwrap();
            }
        }
    }
    txn.commit().unwrap();
    drop(db);
    let store = home.open();
    let set_aside = store.load().unwrap().quarantined;
    assert_eq!(set_aside.len(), 3);
    let all = [id("jwt"), id("ads"), id("own")];
    let strayed = store.strayed(&all, &set_aside).unwrap();
    assert_eq!(strayed.len(), 3);
    // One of them is given up in between.
    store.discard_quarantined("xjwt").unwrap();
    assert_eq!(store.put_back(&strayed).unwrap(), [id("ads")]);
    assert_eq!(last_begun(&store, "ads"), Some(1));
    let left = store.load().unwrap().quarantined;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].account, "xown");
}
