//! What every store does, shown on both.

use std::time::Duration;

use crate::common::{Home, SECRETS, claim, id, last_begun, put, record};
use tokend_store::testing::Load as _;
use tokend_store::{MAX_RECORD_BYTES, MemoryStore, RecordCommit, Store, StoreError, Version};

/// Runs a test on each store.
fn on_each(test: fn(&dyn Store)) {
    test(&MemoryStore::new());
    let home = Home::new();
    test(&home.open());
}

#[test]
fn what_is_committed_is_read_and_loaded() {
    on_each(|store| {
        assert!(store.read(&id("ads")).unwrap().is_none());
        for name in ["jwt", "ads"] {
            let claim = claim(store, name);
            let first = put(store, &claim, Version::NONE, Some(&record(1))).unwrap();
            let second = put(store, &claim, first, Some(&record(2))).unwrap();
            assert!(second > first && first > Version::NONE);
            assert_eq!(store.read(&id(name)).unwrap().unwrap().0, second);
            store.release(claim);
        }
        let loaded = store.load().unwrap();
        let found: Vec<_> = loaded
            .records
            .iter()
            .map(|(account, version, record)| {
                (account.as_str(), u64::from(*version), record.last_begun)
            })
            .collect();
        assert_eq!(found, [("ads", 2, 2), ("jwt", 2, 2)]);
        assert!(loaded.quarantined.is_empty());
        let shown = format!("{loaded:?}");
        assert!(SECRETS.iter().all(|secret| !shown.contains(secret)));
    });
}

#[test]
fn a_commit_over_another_version_is_a_conflict_and_changes_nothing() {
    on_each(|store| {
        let claim = claim(store, "ads");
        let first = put(store, &claim, Version::NONE, Some(&record(1))).unwrap();
        let second = put(store, &claim, first, Some(&record(2))).unwrap();
        for expected in [Version::NONE, first, Version::from(99)] {
            let conflict = StoreError::Conflict {
                account: id("ads"),
                expected,
                actual: second,
            };
            assert_eq!(
                put(store, &claim, expected, Some(&record(3))),
                Err(conflict.clone())
            );
            assert_eq!(put(store, &claim, expected, None), Err(conflict));
        }
        assert_eq!(last_begun(store, "ads"), Some(2));
        let absent = crate::common::claim(store, "jwt");
        assert!(matches!(
            put(store, &absent, first, Some(&record(1))),
            Err(StoreError::Conflict {
                actual: Version::NONE,
                ..
            })
        ));
    });
}

#[test]
fn a_commit_that_landed_may_be_made_again() {
    on_each(|store| {
        let claim = claim(store, "ads");
        let first = put(store, &claim, Version::NONE, Some(&record(1))).unwrap();
        let again = put(store, &claim, Version::NONE, Some(&record(1))).unwrap();
        assert!(again > first, "it is written once more");
        let second = put(store, &claim, again, Some(&record(2))).unwrap();
        assert!(put(store, &claim, again, Some(&record(2))).unwrap() > second);

        let now = store.read(&id("ads")).unwrap().unwrap().0;
        assert_eq!(put(store, &claim, now, None), Ok(Version::NONE));
        assert_eq!(put(store, &claim, now, None), Ok(Version::NONE));
    });
}

#[test]
fn versions_rise_across_removal() {
    on_each(|store| {
        let claim = claim(store, "ads");
        let first = put(store, &claim, Version::NONE, Some(&record(1))).unwrap();
        let second = put(store, &claim, first, Some(&record(2))).unwrap();
        put(store, &claim, second, None).unwrap();
        assert_eq!(last_begun(store, "ads"), None);
        assert!(store.load().unwrap().records.is_empty());
        let third = put(store, &claim, Version::NONE, Some(&record(3))).unwrap();
        assert!(
            third > second,
            "an old sealed record never fits a new version"
        );
    });
}

#[test]
fn a_batch_is_answered_in_order_and_one_refusal_spoils_nothing() {
    on_each(|store| {
        let [ads, jwt, fire] = ["ads", "jwt", "fire"].map(|name| claim(store, name));
        let absent = claim(store, "absent");
        let (one, two) = (record(1), record(2));
        let mut large = record(1);
        large.credential.refresh_token = Some("x".repeat(MAX_RECORD_BYTES).into());
        let none = Version::NONE;
        let commit = |claim, expected, record| RecordCommit {
            claim,
            expected,
            record,
        };
        let foreign = claim(&MemoryStore::new(), "foreign");
        let answers = store.commit(&[
            commit(&ads, none, Some(&one)),
            commit(&foreign, none, Some(&one)),
            commit(&jwt, Version::from(7), Some(&one)),
            commit(&fire, none, Some(&large)),
            commit(&ads, Version::from(1), Some(&two)),
            commit(&absent, none, None),
        ]);
        assert_eq!(answers[0], Ok(Version::from(1)));
        assert!(matches!(&answers[1], Err(StoreError::Fenced { .. })));
        assert!(matches!(&answers[2], Err(StoreError::Conflict { .. })));
        assert!(matches!(&answers[3], Err(StoreError::TooLarge { .. })));
        assert_eq!(
            answers[4],
            Ok(Version::from(2)),
            "it sees what the first one wrote"
        );
        assert_eq!(
            answers[5],
            Ok(Version::NONE),
            "removing nothing is no error"
        );
        assert_eq!(last_begun(store, "ads"), Some(2));
        assert_eq!(last_begun(store, "jwt"), None);
        assert_eq!(last_begun(store, "fire"), None);
        assert!(store.commit(&[]).is_empty());
    });
}

#[test]
fn one_claim_lives_per_account() {
    on_each(|store| {
        let first = claim(store, "ads");
        assert!(matches!(
            store.claim(&id("ads"), Duration::ZERO),
            Err(StoreError::Claimed { fence, .. }) if fence == first.fence()
        ));
        let other = claim(store, "jwt");
        assert_ne!(other.fence(), first.fence());
        let fence = first.fence();
        store.release(first);
        let second = claim(store, "ads");
        assert!(second.fence() > fence);
        assert_eq!(second.account(), &id("ads"));
    });
}

#[test]
fn there_is_nothing_to_discard_but_what_does_not_open() {
    on_each(|store| {
        let claim = claim(store, "ads");
        put(store, &claim, Version::NONE, Some(&record(1))).unwrap();
        for name in ["ads", "nobody", ""] {
            assert_eq!(
                store.discard_quarantined(name),
                Err(StoreError::NotQuarantined(name.to_owned()))
            );
        }
        assert_eq!(last_begun(store, "ads"), Some(1));
    });
}
