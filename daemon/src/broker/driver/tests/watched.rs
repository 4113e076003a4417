//! What the service manager receives from a running driver.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokend_store::MemoryStore;

use super::{force, site};
use crate::testing::{Daemon, OWNER, Provider, peer, soon, token_of};
use tokend_process::systemd::Manager;

type Notes = Arc<Mutex<Vec<String>>>;

fn count(notes: &Notes, word: &str) -> usize {
    let notes = notes.lock().unwrap();
    notes.iter().filter(|note| note.contains(word)).count()
}

/// Waits until the manager got a notification that contains this `times` more often than now.
async fn notified(notes: &Notes, word: &str, times: usize) {
    let wanted = count(notes, word) + times;
    soon(async {
        while count(notes, word) < wanted {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_driver_that_turns_is_fed_also_while_the_disk_hangs_and_no_longer_than_it_turns() {
    let provider = Provider::start().await;
    let site = site(&provider);
    let (manager, notes) = Manager::noting(Some(Duration::from_millis(20)));
    let (daemon, mut jobs) = Daemon::hanging(&site, manager).await;
    notified(&notes, "WATCHDOG=1", 3).await;
    drop(daemon.requests.handle(&peer(OWNER), force("ads")));
    assert!(
        soon(jobs.recv()).await.is_some(),
        "the store's thread has a job"
    );
    notified(&notes, "WATCHDOG=1", 3).await;
    daemon.stop().await;
    let fed = count(&notes, "WATCHDOG=1");
    // Another one is fed five times meanwhile.
    let other = Manager::noting(Some(Duration::from_millis(20)));
    let (daemon, _jobs) = Daemon::hanging(&site, other.0).await;
    notified(&other.1, "WATCHDOG=1", 5).await;
    daemon.stop().await;
    assert_eq!(count(&notes, "WATCHDOG=1"), fed);
}

#[tokio::test]
async fn the_status_says_how_the_accounts_are_and_how_the_last_reload_ended() {
    let provider = Provider::start().await;
    let site = site(&provider);
    let (manager, notes) = Manager::noting(None);
    let daemon = Daemon::watched(&site, &MemoryStore::new(), manager).await;
    let first = "STATUS=serving 1 account: none has a token, none needs attention";
    assert_eq!(count(&notes, first), 1, "{notes:?}");
    assert_eq!(token_of(daemon.ask(force("ads")).await).unwrap(), "token-1");
    notified(&notes, "1 has a token", 1).await;
    site.write("nonsense");
    drop(daemon.ask(tokend_proto::Request::Reload).await);
    notified(&notes, "the last reload was refused", 1).await;
    let notes = notes.lock().unwrap();
    let reloading = notes.iter().position(|note| note == "RELOADING=1").unwrap();
    assert!(
        notes[reloading + 1].starts_with("MONOTONIC_USEC="),
        "{notes:?}"
    );
    assert!(
        notes[reloading..].contains(&"READY=1".to_owned()),
        "{notes:?}"
    );
}
