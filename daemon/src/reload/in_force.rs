//! The remembered facts about the configuration in force, beside the accounts that sessions read in the registry.
//!
//! Owns the values that files on disk and known names are compared with. Changes only when another configuration is put in force.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokend_config::{Config, Stamps, Unresolved};
use tokend_policy::Names;

use super::from_start::{FromStart, Passed};
use super::names::{self, Waiting};

/// The remembered facts about the configuration in force.
#[derive(Debug)]
pub(crate) struct InForce {
    stamps: ArcSwap<Stamps>,
    /// Names in its rules that were unknown.
    unresolved: ArcSwap<Vec<Unresolved>>,
    /// Names in its rules, with their ids there.
    names: ArcSwap<Names>,
    /// Since when names are retried, and when the next retry is.
    waiting: Waiting,
    /// In milliseconds.
    longest_attempt: AtomicU64,
    from_start: FromStart,
    /// Settings that are otherwise in the configuration than at the start, and hold as they were.
    held_back: ArcSwap<Vec<String>>,
}

impl InForce {
    /// The facts about the first configuration. The time is on the wall clock.
    pub(crate) fn new(config: &Config, passed: Passed, now_ms: i64) -> Self {
        let first = Self {
            stamps: ArcSwap::from_pointee(config.stamps.clone()),
            unresolved: ArcSwap::from_pointee(config.unresolved.clone()),
            names: ArcSwap::from_pointee(config.names.clone()),
            waiting: Waiting::default(),
            longest_attempt: limit_of_attempts(config).into(),
            from_start: FromStart::new(config, passed),
            held_back: ArcSwap::default(),
        };
        first.waiting.note(&config.unresolved, now_ms);
        first
    }

    /// Another configuration is in force. Logs which of its names are unknown, and which of its settings only a restart applies.
    pub(super) fn note(&self, config: &Config, now_ms: i64) {
        self.stamps.store(Arc::new(config.stamps.clone()));
        names::log(&config.unresolved);
        self.waiting.note(&config.unresolved, now_ms);
        self.unresolved.store(Arc::new(config.unresolved.clone()));
        self.names.store(Arc::new(config.names.clone()));
        self.longest_attempt
            .fetch_max(limit_of_attempts(config), Relaxed);
        let held_back = self.from_start.differing(config);
        self.held_back.store(Arc::new(held_back));
        if let Some(remedy) = self.remedy() {
            tracing::warn!("some settings hold from the daemon's start: {remedy}");
        }
    }

    /// The time limit of the longest attempt that may be under way: one that began under an earlier configuration has the limits of that.
    pub(crate) fn longest_attempt(&self) -> Duration {
        Duration::from_millis(self.longest_attempt.load(Relaxed))
    }

    /// What to do about settings that a reload does not apply, if there are any.
    pub(crate) fn remedy(&self) -> Option<String> {
        let held_back = self.held_back.load();
        let changes = match held_back.len() {
            0 => return None,
            1 => "change",
            _ => "changes",
        };
        let named = held_back.join(", ");
        Some(format!("restart tokend to apply the {changes} of {named}"))
    }

    /// Where the store is, whatever the configuration says by now.
    pub(crate) fn state_dir(&self) -> &Path {
        self.from_start.state_dir()
    }

    pub(crate) fn log_unresolved(&self) {
        names::log(&self.unresolved.load());
    }

    pub(crate) fn stamps(&self) -> Arc<Stamps> {
        self.stamps.load_full()
    }

    pub(crate) fn unresolved(&self) -> Arc<Vec<Unresolved>> {
        self.unresolved.load_full()
    }

    pub(super) fn names(&self) -> Arc<Names> {
        self.names.load_full()
    }

    /// Since when the name is unknown, and when it is retried.
    pub(crate) fn when(&self, name: &Unresolved) -> String {
        self.waiting.when(name)
    }

    /// Names are retried at this time on the wall clock.
    pub(super) fn planned(&self, next_ms: i64) {
        self.waiting.planned(next_ms);
    }

    #[cfg(test)]
    pub(crate) fn forget_names(&self, unresolved: Vec<Unresolved>) {
        self.unresolved.store(Arc::new(unresolved));
    }
}

/// How long an attempt may take: its secrets are fetched, and one exchange is made.
fn limit_of_attempts(config: &Config) -> u64 {
    let limit = config.http.timeout + config.limits.command_timeout;
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Site;

    #[test]
    fn an_attempt_has_its_time_at_the_end_under_whichever_configuration_it_began() {
        let config = |text| Site::new(text).config();
        let short = config("[http]\ntimeout = \"10s\"\n[limits]\ncommand_timeout = \"5s\"\n");
        let long = config("[http]\ntimeout = \"80s\"\n[limits]\ncommand_timeout = \"5s\"\n");
        let in_force = InForce::new(&short, Passed::default(), 0);
        assert_eq!(in_force.longest_attempt(), Duration::from_secs(15));
        in_force.note(&long, 0);
        assert_eq!(in_force.longest_attempt(), Duration::from_secs(85));
        in_force.note(&short, 0);
        assert_eq!(in_force.longest_attempt(), Duration::from_secs(85));
    }

    #[test]
    fn what_only_a_restart_applies_is_told_for_as_long_as_it_differs() {
        let config =
            |text| Site::new(&format!("socket = \"/t/s\"\nstate_dir = \"/t/d\"\n{text}")).config();
        let first = config("");
        let in_force = InForce::new(&first, Passed::default(), 0);
        assert_eq!(in_force.remedy(), None);
        let changed = config("socket_mode = \"0660\"\n[listen]\nhttp = \"/t/h\"\n");
        let remedy = "restart tokend to apply the changes of `http` in [listen], `socket_mode`";
        for _ in 0..2 {
            in_force.note(&changed, 0);
            assert_eq!(in_force.remedy().as_deref(), Some(remedy));
        }
        in_force.note(&first, 0);
        assert_eq!(in_force.remedy(), None);
    }
}
