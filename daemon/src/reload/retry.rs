//! Retries of names in rules that were unknown.

use std::sync::Arc;
use std::time::Duration;

use tokend_policy::Directory;

use super::Reloader;
use super::lookups;
use tokend_audit::{Event, Trigger};

const EVERY: Duration = Duration::from_secs(60);
/// The time limit of a retry: its own time, one more name, which takes at most 5 seconds, and the files of the configuration.
const LIMIT: Duration = Duration::from_secs(30);

/// Retries the names for as long as the daemon runs.
pub(crate) async fn keep_trying(reloader: Arc<Reloader>) {
    let mut warned = false;
    let every = i64::try_from(EVERY.as_millis()).unwrap_or(i64::MAX);
    loop {
        let next_ms = reloader.parts.clock.wall_ms().saturating_add(every);
        reloader.parts.in_force.planned(next_ms);
        tokio::time::sleep(EVERY).await;
        let stuck = Directory::is_stuck();
        if stuck && !warned {
            tracing::warn!(
                "the service that knows names has not answered: names that /etc/passwd and /etc/group do not have are not asked for until it does; restart it, and tokend if that does not help"
            );
        }
        warned = stuck;
        try_again(&reloader).await;
    }
}

/// Puts the configuration in force again if one of its unknown names is known by now.
pub(crate) async fn try_again(reloader: &Reloader) {
    let names = reloader.parts.in_force.unresolved();
    if names.is_empty() {
        return;
    }
    let Some(mut lookup) = reloader.lookups.begin() else {
        return;
    };
    let clock = reloader.parts.clock.clone();
    let stamps = reloader.parts.in_force.stamps();
    let expected = Arc::clone(&stamps);
    let lookup_done = reloader.parts.files.run(LIMIT, move || {
        let mut directory = Directory::system();
        let began = clock.since_boot();
        let is_known = |index: usize| {
            let name = names.get(index);
            name.is_some_and(|name| name.is_known_to(&mut directory))
        };
        let known = lookup.at(names.len(), is_known, || {
            clock.since_boot().saturating_sub(began) >= lookups::LIMIT
        });
        (known, stamps.are_as_they_were())
    });
    match lookup_done.await {
        // The next retry or reload reports the error again.
        Err(_) | Ok((false, _)) => {}
        Ok((true, true)) => {
            // The error is in the log as well. An edit that began meanwhile must not be loaded unasked.
            let fault = reloader.reload_if(Some(expected)).await.err();
            let event = Event::of_reload(Trigger::Names, fault.as_deref());
            reloader.parts.audit.note(event);
        }
        Ok((true, false)) => tracing::info!(
            "a name of a rule is known now, and the configuration on disk is another one: load it with tokenctl reload"
        ),
    }
}
