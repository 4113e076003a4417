//! Names in rules that were unknown when the configuration was read.
//!
//! Owns reporting them, and retrying: a directory service that was down when the machine started must not need a person. Must never put an
//! edit on disk in force that was not asked for.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use tokend_config::Unresolved;
use tokend_policy::NameKind;

/// The unknown names, in words. Each has the time it was first found unknown, and the time of its next retry, in milliseconds of the wall
/// clock.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<Times>);

#[derive(Debug, Default)]
struct Times {
    since: HashMap<(NameKind, Box<str>), i64>,
    next: Option<i64>,
}

impl Waiting {
    pub(super) fn note(&self, unresolved: &[Unresolved], now_ms: i64) {
        let mut times = self.times();
        let since = |name: &Unresolved| {
            let key = name.key();
            let since = times.since.get(&key).copied().unwrap_or(now_ms);
            (key, since)
        };
        times.since = unresolved.iter().map(since).collect();
    }

    pub(super) fn planned(&self, next_ms: i64) {
        self.times().next = Some(next_ms);
    }

    /// Since when the name is unknown, and when it is retried.
    pub(super) fn when(&self, name: &Unresolved) -> String {
        let times = self.times();
        let since = times.since.get(&name.key()).copied().and_then(time);
        let next = times.next.and_then(time);
        match (since, next) {
            (Some(since), Some(next)) => format!("so since {since}, tried again at {next}"),
            (Some(since), None) => format!("so since {since}, tried again every minute"),
            (None, _) => "tried again every minute".to_owned(),
        }
    }

    fn times(&self) -> std::sync::MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn time(wall_ms: i64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(wall_ms).ok()?;
    Some(at.round(jiff::Unit::Second).unwrap_or(at).to_string())
}

/// Logs which rules match nobody.
pub(super) fn log(unresolved: &[Unresolved]) {
    let (shown, more) = Unresolved::listed(unresolved);
    for name in shown {
        tracing::warn!("a rule matches nobody yet: {name}");
    }
    if more > 0 {
        tracing::warn!("rules match nobody yet: {more} more names are not known");
    }
}

/// Refuses a configuration with a name that the directory does not answer for: users whom that name let in before would lose access. An
/// exception is a name that the rules in force also have as unknown: then no access is lost, and the other changes may remove a permission.
///
/// # Errors
/// The first of these names.
pub(super) fn must_be_answered(now: &[Unresolved], in_force: &[Unresolved]) -> Result<(), String> {
    let known: HashSet<_> = in_force.iter().map(Unresolved::key).collect();
    let mut unanswered = now.iter().filter(|name| name.is_unanswered());
    let lost = unanswered.find(|name| !known.contains(&name.key()));
    lost.map_or(Ok(()), |name| Err(name.to_string()))
}

#[cfg(test)]
mod tests {
    use tokend_config::{Config, Environment, Files, Overrides};

    use tokend_policy::Directory;

    use super::*;

    #[test]
    fn since_when_a_name_is_not_known_outlives_reloads_and_not_the_name() {
        let read = |text: &str| {
            let read = Config::load_from(
                &Files::fixed([("/t.toml".into(), text.into())]),
                Directory::fixed(Vec::new(), Vec::new()),
                "/t.toml".as_ref(),
                &Overrides::default(),
                &Environment::default(),
            );
            read.expect("no mistake").unresolved
        };
        let (both, one) = (
            read("admin = [{ user = \"ann\" }, { group = \"ann\" }]\n"),
            read("\n\nadmin = [{ group = \"ann\" }]\n"),
        );
        let waiting = Waiting::default();
        waiting.note(&one, 0);
        waiting.note(&both, 60_000);
        let times: Vec<_> = both.iter().map(|name| waiting.when(name)).collect();
        assert_eq!(
            times,
            [
                "so since 1970-01-01T00:01:00Z, tried again every minute",
                "so since 1970-01-01T00:00:00Z, tried again every minute"
            ]
        );
        waiting.planned(120_000);
        waiting.note(&[], 90_000);
        waiting.note(&one, 100_000);
        assert_eq!(
            waiting.when(&one[0]),
            "so since 1970-01-01T00:01:40Z, tried again at 1970-01-01T00:02:00Z"
        );
    }

    #[test]
    fn a_new_name_that_nobody_answers_for_is_found_among_any_number_of_others() {
        let unresolved = |names: &[String]| {
            let rules: Vec<_> = names
                .iter()
                .map(|name| format!("{{ user = \"{name}\" }}"))
                .collect();
            let text = format!("admin = [{}]\n", rules.join(", "));
            let read = Config::load_from(
                &Files::fixed([("/t.toml".into(), text.into())]),
                Directory::silent(),
                "/t.toml".as_ref(),
                &Overrides::default(),
                &Environment::default(),
            );
            read.expect("no mistake").unresolved
        };
        let old: Vec<_> = (0..120).map(|number| format!("old-{number}")).collect();
        let in_force = unresolved(&old);
        assert_eq!(in_force.len(), old.len());
        assert_eq!(must_be_answered(&in_force, &in_force), Ok(()));
        let turned: Vec<_> = old.iter().rev().cloned().collect();
        let turned = unresolved(&turned);
        assert_eq!(must_be_answered(&turned, &in_force), Ok(()), "none is new");
        for place in [0, 49, 50, 51, 119, 120] {
            let mut names = old.clone();
            names.insert(place, "new".to_owned());
            // A name that was there before, once more behind the new one.
            names.push("old-0".to_owned());
            let error = must_be_answered(&unresolved(&names), &in_force).unwrap_err();
            assert!(error.contains("who the user `new` is"), "{place}: {error}");
            assert!(error.starts_with("/t.toml:"), "{place}: {error}");
        }
    }

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
        let error = must_be_answered(&silent, &[]).unwrap_err();
        assert_eq!(
            error,
            "/t.toml:1:19: nobody answers who the user `remote-one` is: repair the service that knows names, or write the number"
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
