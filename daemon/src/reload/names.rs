//! Names in rules that nobody had when the configuration was read.
//!
//! Owns telling them, and trying again: a directory service that was not up when the machine started must not need a person. Must never
//! put anything in force that is on disk by an edit nobody asked to load.

use std::sync::Arc;
use std::time::Duration;

use tokend_config::Unresolved;
use tokend_policy::Directory;

use super::Reloader;

/// How long until the names are tried again.
const EVERY: Duration = Duration::from_secs(60);

/// How long that may take: a few names, of which the first that is not answered takes seconds.
const LIMIT: Duration = Duration::from_secs(30);

/// Says which rules match nobody.
pub(crate) fn tell(unresolved: &[Unresolved]) {
    for name in unresolved {
        tracing::warn!("a rule matches nobody yet: {name}");
    }
}

/// Tries the names again, for as long as the daemon runs.
pub(crate) async fn keep_trying(reloader: Arc<Reloader>) {
    loop {
        tokio::time::sleep(EVERY).await;
        try_again(&reloader).await;
    }
}

/// Puts the configuration in force anew where somebody has one of the names by now.
pub(crate) async fn try_again(reloader: &Reloader) {
    let names = reloader.unresolved.load_full();
    if names.is_empty() {
        return;
    }
    let stamps = reloader.stamps.load_full();
    let looked = reloader.files.run(LIMIT, move || {
        let mut directory = Directory::system();
        let known = names.iter().any(|name| name.is_known_to(&mut directory));
        (known, stamps.are_as_they_were())
    });
    match looked.await {
        // Said again by the next look, or by whoever loads the configuration.
        Err(_) | Ok((false, _)) => {}
        Ok((true, true)) => {
            // What went wrong is in the log.
            let _told = reloader.reload().await;
        }
        Ok((true, false)) => tracing::info!(
            "a name of a rule is known now, and the configuration on disk is another one: load it with tokenctl reload"
        ),
    }
}
