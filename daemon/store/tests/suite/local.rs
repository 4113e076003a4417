//! The local store on a real file system: opening, keys, locks, damage.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot look at its files should stop"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Duration;

use crate::common::{Home, SECRETS, claim, find, last_begun, put, record};
use tokend_store::testing::Load as _;
use tokend_store::{
    KeyError, OpenError, RecordCommit, SealingKey, StateDir, Store, StoreError, Version,
};

fn names(home: &Home) -> Vec<String> {
    let entries = fs::read_dir(home.dir()).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let home = Home::new();
    let store = home.open();
    let ads = claim(&store, "ads");
    let first = put(&store, &ads, Version::NONE, Some(&record(1))).unwrap();
    assert_eq!(store.watch().wait(Duration::MAX), None, "it never waits");
    drop(store);

    let store = home.open();
    assert_eq!(last_begun(&store, "ads"), Some(1));
    assert!(
        matches!(
            put(&store, &ads, first, Some(&record(2))),
            Err(StoreError::Fenced { .. })
        ),
        "a claim ends with the store"
    );
    let again = claim(&store, "ads");
    assert!(again.fence() > ads.fence());
    assert!(put(&store, &again, first, Some(&record(2))).unwrap() > first);
}

#[test]
fn everything_is_private_and_nothing_is_left_over() {
    let home = Home::new();
    home.fill(&["ads"]);
    assert_eq!(
        names(&home),
        [
            "tokend.lock",
            "tokend.marker",
            "tokend.redb",
            "tokend.reserve"
        ]
    );
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(home.dir()), 0o700);
    assert_eq!(mode(home.file("tokend.redb")), 0o600);
    assert_eq!(mode(home.file("tokend.lock")), 0o600);
}

#[test]
fn no_secret_is_in_any_file() {
    let home = Home::new();
    home.fill(&["ads"]);
    assert!(
        find(&home.file("tokend.redb"), b"ads").is_some(),
        "names are not sealed"
    );
    for name in names(&home) {
        for secret in SECRETS {
            assert_eq!(
                find(&home.file(&name), secret.as_bytes()),
                None,
                "{secret} in {name}"
            );
        }
    }
    let store = home.open();
    let shown = format!("{store:?}");
    let key = fs::read(home.key_path()).unwrap();
    assert!(
        !shown.contains(&format!("{key:?}")) && shown.contains("REDACTED"),
        "{shown}"
    );
}

#[test]
fn a_second_daemon_is_refused_and_told_the_pid() {
    let home = Home::new();
    let store = home.open();
    let error = home.try_open().unwrap_err();
    assert!(
        matches!(error, OpenError::InUse { pid: Some(pid), .. } if pid == std::process::id()),
        "{error}"
    );
    assert!(error.to_string().contains("in use by another tokend (pid "));
    drop(store);
    home.open();
}

#[test]
fn a_state_directory_others_can_enter_is_refused() {
    let home = Home::new();
    home.fill(&[]);
    fs::set_permissions(home.dir(), Permissions::from_mode(0o750)).unwrap();
    let error = home.try_open().unwrap_err();
    assert!(
        matches!(error, OpenError::TooOpen { mode: 0o750, .. }),
        "{error}"
    );
}

#[test]
fn a_state_directory_may_be_a_link_but_not_a_file() {
    let home = Home::new();
    fs::create_dir(home.0.path().join("private")).unwrap();
    fs::set_permissions(home.0.path().join("private"), Permissions::from_mode(0o700)).unwrap();
    // As systemd makes it for DynamicUser= (systemd.exec(5)).
    symlink("private", home.dir()).unwrap();
    home.fill(&["ads"]);

    let home = Home::new();
    fs::write(home.dir(), "").unwrap();
    assert!(matches!(
        home.try_open(),
        Err(OpenError::NotADirectory { .. })
    ));
}

#[test]
fn a_wrong_key_is_told_as_a_wrong_key_and_changes_nothing() {
    let home = Home::new();
    home.fill(&["ads"]);
    let right = fs::read(home.key_path()).unwrap();
    fs::write(home.key_path(), [1; 32]).unwrap();
    let error = home.try_open().unwrap_err();
    assert!(matches!(error, OpenError::WrongKey { .. }), "{error}");

    fs::write(home.key_path(), right).unwrap();
    assert_eq!(last_begun(&home.open(), "ads"), Some(1));
}

#[test]
fn a_lost_key_is_not_replaced() {
    let home = Home::new();
    home.fill(&["ads"]);
    fs::remove_file(home.key_path()).unwrap();
    for gone in ["", "tokend.redb"] {
        if !gone.is_empty() {
            fs::remove_file(home.file(gone)).unwrap();
        }
        let state = StateDir::acquire(&home.dir()).unwrap();
        let error = SealingKey::load_or_create(&home.key_path(), &state).unwrap_err();
        assert!(matches!(error, KeyError::Missing { .. }), "{error}");
        assert!(!home.key_path().exists());
    }
}

#[test]
fn a_missing_or_emptied_database_is_no_first_start() {
    for emptied in [false, true] {
        let home = Home::new();
        home.fill(&["ads"]);
        if emptied {
            fs::write(home.file("tokend.redb"), "").unwrap();
        } else {
            fs::remove_file(home.file("tokend.redb")).unwrap();
        }
        let error = home.try_open().unwrap_err();
        assert!(matches!(error, OpenError::Missing { .. }), "{error}");
        assert!(error.to_string().contains("remove tokend.marker"));
        assert_eq!(
            home.file("tokend.redb").exists(),
            emptied,
            "nothing was made"
        );

        fs::remove_file(home.file("tokend.marker")).unwrap();
        let error = home.try_open().unwrap_err();
        assert!(error.to_string().contains("tokend.reserve says"), "{error}");
        fs::remove_file(home.file("tokend.reserve")).unwrap();
        assert!(home.open().load().unwrap().records.is_empty());
    }
}

#[test]
fn a_database_without_marker_is_taken_and_marked() {
    let home = Home::new();
    home.fill(&["ads"]);
    let marker = fs::read(home.file("tokend.marker")).unwrap();
    fs::remove_file(home.file("tokend.marker")).unwrap();
    // As after a power cut between making the database and the marker.
    fs::write(home.file("tokend.redb.new"), "half made").unwrap();
    assert_eq!(last_begun(&home.open(), "ads"), Some(1));
    assert_eq!(fs::read(home.file("tokend.marker")).unwrap(), marker);
}

#[test]
fn a_database_half_made_by_an_earlier_start_is_made_anew() {
    let home = Home::new();
    drop(StateDir::acquire(&home.dir()).unwrap());
    fs::write(home.file("tokend.redb.new"), "half made").unwrap();
    home.fill(&["ads"]);
    assert!(!home.file("tokend.redb.new").exists());
}

#[test]
fn a_marker_of_another_store_or_of_nothing_is_refused() {
    let (home, other) = (Home::new(), Home::new());
    home.fill(&["ads"]);
    other.fill(&["ads"]);
    fs::copy(other.file("tokend.marker"), home.file("tokend.marker")).unwrap();
    assert!(matches!(home.try_open(), Err(OpenError::OtherStore { .. })));
    fs::write(home.file("tokend.marker"), [0xff; 9000]).unwrap();
    assert!(matches!(home.try_open(), Err(OpenError::BadMarker { .. })));
}

#[test]
fn a_hundred_thousand_records_load_in_order() {
    const COUNT: usize = 100_000;
    let home = Home::new();
    let store = home.open();
    let mut record = record(1);
    record.grant = None;
    let claims: Vec<_> = (0..COUNT)
        .map(|number| claim(&store, &format!("account-{number:06}")))
        .collect();
    for chunk in claims.chunks(20_000) {
        let batch: Vec<_> = chunk
            .iter()
            .map(|claim| RecordCommit {
                claim,
                expected: Version::NONE,
                record: Some(&record),
            })
            .collect();
        assert!(store.commit(&batch).iter().all(Result::is_ok));
    }
    drop(store);

    let store = home.open();
    let mut seen = 0;
    let set_aside = store
        .for_each(&mut |account, version, record| {
            assert_eq!(account.as_str(), format!("account-{seen:06}"));
            assert_eq!((version, record.last_begun), (Version::from(1), 1));
            seen += 1;
        })
        .unwrap();
    assert_eq!((seen, set_aside.len()), (COUNT, 0));
}

#[test]
fn a_store_serves_many_threads() {
    let home = Home::new();
    let store: std::sync::Arc<dyn Store> = std::sync::Arc::new(home.open());
    std::thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let store = &store;
            scope.spawn(move || {
                let claim = claim(&**store, name);
                let mut version = Version::NONE;
                for number in 1..=20 {
                    version = put(&**store, &claim, version, Some(&record(number))).unwrap();
                    assert_eq!(last_begun(&**store, name), Some(number));
                }
            });
        }
    });
    assert_eq!(store.load().unwrap().records.len(), 4);
}
