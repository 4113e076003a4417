//! A disk that fails at any single operation loses nothing, and the store recovers when the disk does.

use std::io;
use std::ops::Bound as RangeBound;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::error::StoreFailure;
use crate::testing::Load as _;

/// Lets so many writing operations through, then fails them all until it is healed.
#[derive(Debug, Default)]
struct Disk {
    left: Option<u32>,
    /// Whether what fails panics, as redb does on some damage.
    panics: bool,
    kind: Option<io::ErrorKind>,
    /// A file whose removal makes room.
    ballast: Option<PathBuf>,
    failed: u32,
}

impl Disk {
    fn has_room(&self) -> bool {
        self.ballast.as_ref().is_some_and(|path| !path.exists())
    }
}

type SharedDisk = Arc<Mutex<Disk>>;

#[derive(Debug)]
struct Faulty {
    file: FileBackend,
    disk: SharedDisk,
}

impl Faulty {
    fn spend(&self) -> io::Result<()> {
        let mut disk = self.disk.lock().unwrap();
        match disk.left {
            None => Ok(()),
            Some(0) if disk.has_room() => Ok(()),
            Some(0) => {
                disk.failed += 1;
                let (kind, panics) = (disk.kind, disk.panics);
                drop(disk);
                assert!(!panics, "a scripted panic");
                Err(kind.unwrap_or(io::ErrorKind::Other).into())
            }
            Some(left) => {
                disk.left = Some(left - 1);
                Ok(())
            }
        }
    }
}

impl StorageBackend for Faulty {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.spend()?;
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.spend()?;
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.spend()?;
        self.file.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
    fn try_lock_range(&self, start: Edge, end: Edge) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }
    fn unlock_range(&self, start: Edge, end: Edge) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
}

type Edge = RangeBound<u64>;

struct Bench {
    dir: TempDir,
    disk: SharedDisk,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
            disk: SharedDisk::default(),
        }
    }

    fn open(&self) -> RedbStore {
        let dir = self.dir.path().join("state");
        let state = StateDir::acquire(&dir).unwrap();
        let key = SealingKey::from_bytes(&Zeroizing::new([7; 32])).unwrap();
        let (path, disk) = (state.layout.database(), Arc::clone(&self.disk));
        let opener = move || {
            let file = std::fs::File::options()
                .read(true)
                .write(true)
                .open(&path)?;
            redb::Builder::new().create_with_backend(Faulty {
                file: FileBackend::new(file)?,
                disk: Arc::clone(&disk),
            })
        };
        RedbStore::open_with(state, key, Box::new(opener)).unwrap()
    }

    fn fail_after(&self, operations: u32, kind: io::ErrorKind) {
        *self.disk.lock().unwrap() = Disk {
            left: Some(operations),
            panics: false,
            kind: Some(kind),
            ballast: None,
            failed: 0,
        };
    }

    fn panic_after(&self, operations: u32) {
        self.fail_after(operations, io::ErrorKind::Other);
        self.disk.lock().unwrap().panics = true;
    }

    /// Full, but for the room that is kept.
    fn fill(&self) -> PathBuf {
        let reserve = self.dir.path().join("state/tokend.reserve");
        self.fail_after(0, io::ErrorKind::StorageFull);
        self.disk.lock().unwrap().ballast = Some(reserve.clone());
        reserve
    }

    /// Whether anything failed.
    fn heal(&self) -> bool {
        std::mem::take(&mut *self.disk.lock().unwrap()).failed > 0
    }
}

fn record(last_begun: u64) -> Record {
    let text = include_bytes!("../../tests/golden/record-v1.json");
    let mut record = codec::decode(text).unwrap();
    record.last_begun = last_begun;
    record
}

fn id(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

fn last_begun(store: &RedbStore, name: &str) -> Option<u64> {
    let found = store.read(&id(name)).unwrap();
    found.map(|(_, record)| record.last_begun)
}

/// A store with two records of last_begun 1, and claims on both.
fn filled(bench: &Bench) -> (RedbStore, [Claim; 2], Version) {
    let store = bench.open();
    let claims = ["ads", "jwt"].map(|name| store.claim(&id(name), Duration::ZERO).unwrap());
    let first = record(1);
    let batch = claims.each_ref().map(|claim| RecordCommit {
        claim,
        expected: Version::NONE,
        record: Some(&first),
    });
    let answers = store.commit(&batch);
    let version = Version::from(1);
    assert_eq!(answers, [Ok(version), Ok(version)]);
    (store, claims, version)
}

#[test]
fn a_commit_tried_again_lands_after_a_failure_at_any_operation() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
        let mut operations = 0;
        loop {
            let bench = Bench::new();
            let (store, [ads, _jwt], expected) = filled(&bench);
            let second = record(2);
            let commit = RecordCommit {
                claim: &ads,
                expected,
                record: Some(&second),
            };
            bench.fail_after(operations, kind);
            let answer = store.commit(&[commit]).remove(0);
            if !bench.heal() {
                assert!(operations > 3, "a commit takes writes and two syncs");
                assert!(answer.is_ok());
                break;
            }
            let retried = store.commit(&[commit]).remove(0);
            assert!(
                retried.clone().unwrap() > expected,
                "after {operations}: {answer:?}, {retried:?}"
            );
            assert_eq!(last_begun(&store, "ads"), Some(2));
            assert_eq!(last_begun(&store, "jwt"), Some(1));
            if let Err(error) = answer {
                let StoreError::Unavailable { cause, .. } = &error else {
                    panic!("after {operations}: {error}");
                };
                let expected = match kind {
                    io::ErrorKind::StorageFull => StoreFailure::DiskFull,
                    _ => StoreFailure::Io,
                };
                assert_eq!(*cause, expected, "after {operations}: {error}");
            }
            operations += 1;
        }
    }
}

#[test]
fn on_a_full_disk_the_room_that_is_kept_is_for_outcomes_and_not_for_intents() {
    let bench = Bench::new();
    let (store, [ads, jwt], expected) = filled(&bench);
    let reserve = bench.fill();
    let (intent, mut outcome) = (record(2), record(2));
    assert!(intent.intent.is_some());
    outcome.intent = None;
    let of = |claim, record| RecordCommit {
        claim,
        expected,
        record: Some(record),
    };
    let refused = store.commit(&[of(&ads, &intent)]);
    assert!(refused.iter().all(is_full), "{refused:?}");
    assert!(reserve.exists(), "an intent can wait");
    let answers = store.commit(&[of(&ads, &intent), of(&jwt, &outcome)]);
    assert!(answers.first().is_some_and(is_full), "{answers:?}");
    assert_eq!(answers.get(1), Some(&Ok(Version::from(2))));
    assert!(!reserve.exists(), "it was given away");
    assert_eq!(last_begun(&store, "jwt"), Some(2));
    assert_eq!(last_begun(&store, "ads"), Some(1));
    // No attempt begins before it is there again.
    store.release(jwt);
    let claim = store.claim(&id("jwt"), Duration::ZERO).unwrap();
    assert!(reserve.exists());
    store.release(claim);
}

#[test]
fn a_panic_of_redb_at_any_operation_is_a_refusal_and_loses_nothing() {
    let mut operations = 0;
    loop {
        let bench = Bench::new();
        let (store, [ads, _jwt], expected) = filled(&bench);
        let second = record(2);
        let commit = RecordCommit {
            claim: &ads,
            expected,
            record: Some(&second),
        };
        bench.panic_after(operations);
        let answer = store.commit(&[commit]).remove(0);
        if !bench.heal() {
            assert!(operations > 3 && answer.is_ok());
            break;
        }
        let error = answer.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        let message = error.to_string();
        assert!(
            message.contains("panic") && message.contains("restore"),
            "{message}"
        );
        let retried = store.commit(&[commit]).remove(0);
        assert!(
            retried.clone().unwrap() > expected,
            "after {operations}: {retried:?}"
        );
        assert_eq!(last_begun(&store, "ads"), Some(2));
        assert_eq!(last_begun(&store, "jwt"), Some(1));
        operations += 1;
    }
}

#[test]
fn a_forgotten_record_stays_forgotten_when_its_removal_is_tried_again() {
    let mut operations = 0;
    loop {
        let bench = Bench::new();
        let (store, [ads, _jwt], expected) = filled(&bench);
        let commit = RecordCommit {
            claim: &ads,
            expected,
            record: None,
        };
        bench.fail_after(operations, io::ErrorKind::StorageFull);
        let _first_answer = store.commit(&[commit]);
        if !bench.heal() {
            break;
        }
        assert_eq!(
            store.commit(&[commit]),
            [Ok(Version::NONE)],
            "after {operations}"
        );
        assert_eq!(last_begun(&store, "ads"), None);
        operations += 1;
    }
}

#[test]
fn a_daemon_that_dies_on_a_failing_disk_leaves_the_old_record_or_the_new_one() {
    let mut seen = [false; 2];
    let mut operations = 0;
    loop {
        let bench = Bench::new();
        let (store, [ads, _jwt], expected) = filled(&bench);
        let second = record(2);
        bench.fail_after(operations, io::ErrorKind::Other);
        let answer = store
            .commit(&[RecordCommit {
                claim: &ads,
                expected,
                record: Some(&second),
            }])
            .remove(0);
        drop(store);
        if !bench.heal() {
            break;
        }
        let store = bench.open();
        let now = last_begun(&store, "ads").unwrap();
        assert!(matches!(now, 1 | 2), "after {operations}: {now}");
        assert!(answer.is_err() || now == 2, "what was answered is kept");
        assert_eq!(last_begun(&store, "jwt"), Some(1));
        seen[usize::try_from(now).unwrap() - 1] = true;
        operations += 1;
    }
    assert_eq!(seen, [true, true], "both outcomes were met");
}

#[test]
fn a_read_only_disk_refuses_the_whole_batch_until_it_heals() {
    let bench = Bench::new();
    let (store, [ads, jwt], expected) = filled(&bench);
    let second = record(2);
    bench.fail_after(0, io::ErrorKind::ReadOnlyFilesystem);
    let batch = [&ads, &jwt].map(|claim| RecordCommit {
        claim,
        expected,
        record: Some(&second),
    });
    for answer in store.commit(&batch) {
        let error = answer.unwrap_err();
        assert!(
            matches!(
                &error,
                StoreError::Unavailable {
                    cause: StoreFailure::ReadOnly,
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.to_string().contains("tokend.redb"));
    }
    // Opening anew needs to write as well, so reads wait for the disk too, but nothing needs a restart.
    assert!(store.read(&id("ads")).is_err());
    assert!(bench.heal());
    assert_eq!(last_begun(&store, "ads"), Some(1));
    assert_eq!(
        store.commit(&batch),
        [Ok(Version::from(2)), Ok(Version::from(2))]
    );
}

#[test]
fn another_database_put_in_place_is_not_taken_for_ours() {
    let (bench, other) = (Bench::new(), Bench::new());
    drop(filled(&other));
    let (store, [ads, _jwt], expected) = filled(&bench);
    let second = record(2);
    let commit = RecordCommit {
        claim: &ads,
        expected,
        record: Some(&second),
    };
    bench.fail_after(0, io::ErrorKind::Other);
    assert!(store.commit(&[commit]).remove(0).is_err());
    let file = |bench: &Bench| bench.dir.path().join("state").join("tokend.redb");
    std::fs::rename(file(&other), file(&bench)).unwrap();
    bench.heal();
    let error = store.commit(&[commit]).remove(0).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[test]
fn a_key_in_the_table_that_is_no_name_is_set_aside_and_can_be_discarded() {
    let bench = Bench::new();
    let (store, _claims, _) = filled(&bench);
    store
        .handle
        .with(|db| {
            let txn = database::begin_write(db)?;
            txn.open_table(ACCOUNTS)?
                .insert(b"a\xff\n".as_slice(), b"x".as_slice())?;
            Ok(txn.commit()?)
        })
        .unwrap();
    let loaded = store.load().unwrap();
    assert_eq!(loaded.records.len(), 2);
    let expected = Quarantined {
        account: r"a\xff\n".to_owned(),
        reason: QuarantineReason::BadName,
    };
    assert_eq!(loaded.quarantined, [expected]);
    store.discard_quarantined(r"a\xff\n").unwrap();
    assert_eq!(store.load().unwrap().quarantined, []);
}

#[test]
fn a_record_of_a_newer_schema_is_kept_as_it_is() {
    let bench = Bench::new();
    let (store, [ads, _jwt], expected) = filled(&bench);
    let mut newer = Zeroizing::new(vec![0; seal::FRONT]);
    newer.extend_from_slice(br#"{"schema":3,"record":"more than this build knows"}"#);
    let account = &id("ads");
    let version = expected;
    let sealed = store
        .key
        .seal(Bound::Record { account, version }, newer)
        .unwrap();
    let put = |sealed: &[u8]| {
        store.handle.with(|db| {
            let txn = database::begin_write(db)?;
            txn.open_table(ACCOUNTS)?
                .insert(b"ads".as_slice(), sealed)?;
            Ok(txn.commit()?)
        })
    };
    put(&sealed).unwrap();
    let reason = QuarantineReason::Newer { schema: 3 };
    let refused = StoreError::Quarantined(Quarantined::new(&"ads", reason));
    assert_eq!(store.read(account).unwrap_err(), refused);
    assert!(refused.to_string().contains("newer tokend"));
    let second = record(2);
    for record in [Some(&second), None] {
        let commit = RecordCommit {
            claim: &ads,
            expected,
            record,
        };
        assert_eq!(store.commit(&[commit]), [Err(refused.clone())]);
    }
    let kept = store.handle.with(|db| {
        let accounts = db.begin_read()?.open_table(ACCOUNTS)?;
        Ok(accounts
            .get(b"ads".as_slice())?
            .map(|kept| kept.value().to_vec()))
    });
    assert_eq!(kept.unwrap(), Some(sealed));
}

#[test]
fn a_file_of_a_newer_layout_is_refused() {
    let bench = Bench::new();
    let (store, ..) = filled(&bench);
    store
        .handle
        .with(|db| {
            let txn = database::begin_write(db)?;
            txn.open_table(META)?
                .insert("layout", 2_u32.to_be_bytes().as_slice())?;
            Ok(txn.commit()?)
        })
        .unwrap();
    drop(store);
    let state = StateDir::acquire(&bench.dir.path().join("state")).unwrap();
    let key = SealingKey::from_bytes(&Zeroizing::new([7; 32])).unwrap();
    let error = RedbStore::open(state, key).unwrap_err();
    assert!(
        matches!(error, OpenError::Newer { layout: 2, .. }),
        "{error}"
    );
}
