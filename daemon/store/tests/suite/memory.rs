//! The faults that can be scripted, and what a restart keeps.

use std::time::Duration;

use crate::common::{claim, id, last_begun, put, record};
use tokend_store::testing::Load as _;
use tokend_store::{
    MemoryStore, QuarantineReason, RecordChange, ScriptedFault, Store, StoreError, StoreFailure,
    Version,
};

fn cause(answer: Result<Version, StoreError>) -> StoreFailure {
    match answer {
        Err(StoreError::Unavailable { cause, .. }) => cause,
        other => panic!("expected it to be unavailable: {other:?}"),
    }
}

#[test]
fn the_nth_commit_fails_as_scripted_and_can_be_tried_again() {
    let faults = [
        (ScriptedFault::DISK_FULL, StoreFailure::DiskFull),
        (ScriptedFault::DISK_FULL_AFTER, StoreFailure::DiskFull),
        (ScriptedFault::READ_ONLY, StoreFailure::ReadOnly),
        (ScriptedFault::IO, StoreFailure::Io),
        (ScriptedFault::LOST_ANSWER, StoreFailure::Io),
    ];
    for (fault, expected) in faults {
        let store = MemoryStore::new();
        let claim = claim(&store, "ads");
        store.fail_commit(2, fault);
        let first = put(&store, &claim, Version::NONE, Some(&record(1))).unwrap();
        assert_eq!(
            cause(put(&store, &claim, first, Some(&record(2)))),
            expected
        );
        let there = if fault.applied { 2 } else { 1 };
        assert_eq!(last_begun(&store, "ads"), Some(there), "{fault:?}");

        let again = put(&store, &claim, first, Some(&record(2))).unwrap();
        assert!(again > first);
        assert_eq!(last_begun(&store, "ads"), Some(2));
        assert_eq!(store.commits(), 3);
    }
}

#[test]
fn an_outage_lasts_until_it_is_ended() {
    let store = MemoryStore::new();
    let claim = claim(&store, "ads");
    store.set_outage(Some(StoreFailure::DiskFull));
    for _ in 0..3 {
        let answer = put(&store, &claim, Version::NONE, Some(&record(1)));
        assert_eq!(cause(answer), StoreFailure::DiskFull);
    }
    assert!(
        store.read(&id("ads")).unwrap().is_none(),
        "a full disk can be read"
    );
    store.set_outage(Some(StoreFailure::Io));
    assert!(store.load().is_err() && store.read(&id("ads")).is_err());
    store.set_outage(None);
    put(&store, &claim, Version::NONE, Some(&record(1))).unwrap();
}

#[test]
fn a_restart_keeps_records_and_ends_claims() {
    let store = MemoryStore::new();
    let before = claim(&store, "ads");
    let version = put(&store, &before, Version::NONE, Some(&record(1))).unwrap();

    let again = store.clone();
    again.restart();
    assert!(matches!(
        put(&again, &before, version, Some(&record(2))),
        Err(StoreError::Fenced { .. })
    ));
    let after = claim(&again, "ads");
    assert!(after.fence() > before.fence());
    assert_eq!(last_begun(&again, "ads"), Some(1));
    again.release(before);
    put(&again, &after, version, Some(&record(2))).unwrap();
}

#[test]
fn what_another_daemon_writes_is_a_conflict_and_is_reported() {
    let store = MemoryStore::new();
    let mut watch = store.watch();
    let claim = claim(&store, "ads");
    let mine = put(&store, &claim, Version::NONE, Some(&record(1))).unwrap();
    assert_eq!(watch.wait(Duration::ZERO), None, "my own change is no news");

    let theirs = store.write_elsewhere(&id("ads"), Some(&record(5))).unwrap();
    let written = RecordChange::Written {
        account: id("ads"),
        version: theirs,
    };
    assert_eq!(watch.wait(Duration::ZERO), Some(written));
    assert!(matches!(
        put(&store, &claim, mine, Some(&record(2))),
        Err(StoreError::Conflict { actual, .. }) if actual == theirs
    ));
    store.expire_claim(&id("ads"));
    assert!(matches!(
        put(&store, &claim, theirs, Some(&record(2))),
        Err(StoreError::Fenced { .. })
    ));
    store.write_elsewhere(&id("ads"), None).unwrap();
    let removed = RecordChange::Removed { account: id("ads") };
    assert_eq!(watch.wait(Duration::ZERO), Some(removed));
}

#[test]
fn a_record_set_aside_is_kept_until_it_is_discarded() {
    let store = MemoryStore::new();
    let claim = claim(&store, "ads");
    let version = put(&store, &claim, Version::NONE, Some(&record(1))).unwrap();
    store.quarantine(&id("ads"), QuarantineReason::DoesNotOpen);
    assert!(matches!(
        store.read(&id("ads")),
        Err(StoreError::Quarantined(_))
    ));
    assert!(matches!(
        put(&store, &claim, version, Some(&record(2))),
        Err(StoreError::Quarantined(_))
    ));
    let loaded = store.load().unwrap();
    assert_eq!((loaded.records.len(), loaded.quarantined.len()), (0, 1));
    store.discard_quarantined("ads").unwrap();
    assert!(store.load().unwrap().quarantined.is_empty());
    put(&store, &claim, Version::NONE, Some(&record(2))).unwrap();
}

#[test]
fn debug_shows_no_secret() {
    let store = MemoryStore::new();
    let claim = claim(&store, "ads");
    put(&store, &claim, Version::NONE, Some(&record(1))).unwrap();
    let shown = format!("{store:?}");
    assert!(shown.contains("records: 1"), "{shown}");
    assert!(
        !shown.contains("s3cret") && !shown.contains("[1"),
        "{shown}"
    );
}
