//! Names in rules that nobody had when the configuration was read.
//!
//! Owns telling them, and trying again: a directory service that was not up when the machine started must not need a person. Must never
//! put anything in force that is on disk by an edit nobody asked to load.

use std::sync::Arc;
use std::time::Duration;

use tokend_config::Unresolved;
use tokend_policy::Directory;

use super::Reloader;
use crate::audit::Event;

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

/// Refuses a configuration with a name that nobody answers for: it would let nobody in by it, who was let in before. Not where the rules
/// in force have the name as one that nobody has: then nothing is lost, and what else is changed may be to take a right away.
///
/// # Errors
/// The first of them.
pub(super) fn must_be_answered(now: &[Unresolved], in_force: &[Unresolved]) -> Result<(), String> {
    let known = |name: &Unresolved| in_force.iter().any(|it| it.is_about_the_same(name));
    let lost = now.iter().find(|name| name.is_unanswered() && !known(name));
    lost.map_or(Ok(()), |name| Err(name.to_string()))
}

/// Tries the names again, for as long as the daemon runs.
pub(crate) async fn keep_trying(reloader: Arc<Reloader>) {
    let mut told = false;
    loop {
        tokio::time::sleep(EVERY).await;
        let stuck = Directory::is_stuck();
        if stuck && !told {
            tracing::warn!(
                "the service that knows names has not answered: names that /etc/passwd and /etc/group do not have are not asked for until it does; restart it, and tokend if that does not help"
            );
        }
        told = stuck;
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
            // What went wrong is in the log too.
            let fault = reloader.reload().await.err();
            let event = Event::of_reload("names", fault.as_deref());
            reloader.audit.note(event);
        }
        Ok((true, false)) => tracing::info!(
            "a name of a rule is known now, and the configuration on disk is another one: load it with tokenctl reload"
        ),
    }
}

#[cfg(test)]
mod tests {
    use tokend_config::{Config, Environment, Files, Overrides};

    use super::*;

    #[test]
    fn a_reload_is_refused_where_nobody_answers_for_a_name_that_is_new() {
        let text = "admin = [{ user = \"remote-one\" }, { group = \"root\" }]\n";
        let unresolved = |directory| {
            let read = Config::load_from(
                &Files::fixed([("/t.toml".into(), text.into())]),
                directory,
                "/t.toml".as_ref(),
                &Overrides::default(),
                &Environment::default(),
            );
            read.expect("no mistake").unresolved
        };
        let silent = unresolved(Directory::silent());
        assert_eq!(silent.len(), 1, "the local name is known");
        let told = must_be_answered(&silent, &[]).unwrap_err();
        assert_eq!(
            told,
            "/t.toml:1:19: nobody answers who the user `remote-one` is: see to the service that knows names, or write the number"
        );
        assert_eq!(must_be_answered(&silent, &silent), Ok(()));
        let nobody = unresolved(Directory::fixed(Vec::new(), vec![("root", 0)]));
        assert_eq!(must_be_answered(&nobody, &[]), Ok(()), "that is an answer");
        let mut before = Directory::fixed(vec![("remote-one", 7000)], Vec::new());
        before.user("remote-one");
        let kept = unresolved(Directory::silent().remembering(before.names()));
        assert!(kept.is_empty(), "it keeps the id it has in force");
    }
}
