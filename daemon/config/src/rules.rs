//! Reads allow lists and pacing: the two settings that accounts share by the thousand.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use tokend_engine::{LARGEST_BURST, LONGEST_PERIOD, Rate};
use tokend_policy::{Directory, Rule};

use super::mistake::{Mistakes, choose_from};
use super::value::Value;

/// Limits on how often a provider is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pacing {
    /// All attempts of the account.
    pub attempts: Rate,
    /// Its logins, which also count as attempts.
    pub logins: Rate,
    /// All attempts at the provider's host. Where accounts on one host differ, the strictest counts.
    pub host: Rate,
    /// How many attempts may be in flight at the provider's host at once.
    pub host_in_flight: u32,
}

/// What a `pacing` table says; what it leaves out is told by the next: account, defaults, dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct PacingTable {
    attempts: Option<Rate>,
    logins: Option<Rate>,
    host: Option<Rate>,
    host_in_flight: Option<u32>,
}

impl PacingTable {
    /// Reads `pacing`, if it is there.
    pub(super) fn read(value: Option<Value<'_>>, mistakes: &mut Mistakes) -> Self {
        let Some(mut section) = value.and_then(|value| value.section(mistakes)) else {
            return Self::default();
        };
        let mut rate = |key| section.take(key).and_then(|value| rate(value, mistakes));
        let (attempts, logins, host) = (rate("attempts"), rate("logins"), rate("host"));
        let host_in_flight = section
            .take("host_in_flight")
            .and_then(|value| value.integer(1..=10_000, mistakes));
        section.finish(mistakes);
        Self {
            attempts,
            logins,
            host,
            host_in_flight,
        }
    }

    /// This, and for what it leaves out, `other`.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            attempts: self.attempts.or(other.attempts),
            logins: self.logins.or(other.logins),
            host: self.host.or(other.host),
            host_in_flight: self.host_in_flight.or(other.host_in_flight),
        }
    }

    /// This, and for what it leaves out, the dialect's.
    pub(super) fn over(self, dialect: Pacing) -> Pacing {
        Pacing {
            attempts: self.attempts.unwrap_or(dialect.attempts),
            logins: self.logins.unwrap_or(dialect.logins),
            host: self.host.unwrap_or(dialect.host),
            host_in_flight: self.host_in_flight.unwrap_or(dialect.host_in_flight),
        }
    }
}

/// `{ burst = 5, every = "1m" }`
fn rate(value: Value<'_>, mistakes: &mut Mistakes) -> Option<Rate> {
    let whole = value.clone();
    if !value.is_table() {
        let help =
            "write `{ burst = 5, every = \"1m\" }`: five at once, then one a minute".to_owned();
        return value.wrong(
            mistakes,
            format!("expected a rate, found {}", value.kind()),
            help,
        );
    }
    let mut section = value.section(mistakes)?;
    let burst = section.require("burst", "how many may happen at once", mistakes);
    let burst = burst.and_then(|value| value.integer(1..=LARGEST_BURST, mistakes));
    let every = section.require(
        "every",
        "how long one takes to come back, such as \"1m\"",
        mistakes,
    );
    let every =
        every.and_then(|value| value.duration(Duration::from_millis(1)..=LONGEST_PERIOD, mistakes));
    section.finish(mistakes);
    let (burst, every) = (burst?, every?);
    Rate::new(burst, every).or_else(|| {
        let help = "make the burst smaller or the period shorter".to_owned();
        whole.wrong(
            mistakes,
            "a full burst would take longer than ten years to come back",
            help,
        )
    })
}

/// Reads a list of rules: `[{ user = "deploy" }, { group = 50 }]`.
pub(super) fn rules(
    value: &Value<'_>,
    directory: &mut Directory,
    mistakes: &mut Mistakes,
) -> Option<Vec<Rule>> {
    let before = mistakes.count();
    let rules: Vec<Rule> = value
        .array(mistakes)?
        .filter_map(|value| rule(value, directory, mistakes))
        .collect();
    if mistakes.count() > before {
        return None;
    }
    if rules.is_empty() {
        let help =
            "name somebody, or leave the key out: then only the daemon's own user is allowed"
                .to_owned();
        return value.wrong(mistakes, "an empty list would allow nobody", help);
    }
    Some(rules)
}

const RULE_KEYS: [&str; 2] = ["user", "group"];

fn rule(value: Value<'_>, directory: &mut Directory, mistakes: &mut Mistakes) -> Option<Rule> {
    let example = || "write `{ user = \"deploy\" }` or `{ group = \"ci\" }`".to_owned();
    if !value.is_table() {
        return value.wrong(
            mistakes,
            format!("expected a rule, found {}", value.kind()),
            example(),
        );
    }
    let section = value.clone().section(mistakes)?;
    let mut entries = section.entries();
    let (Some((key, who)), None) = (entries.next(), entries.next()) else {
        return value.wrong(mistakes, "a rule has one key", example());
    };
    if !RULE_KEYS.contains(&key.name) {
        let help = match key.name {
            "unit" => "there are no rules for units yet; name the user the unit runs as".to_owned(),
            other => choose_from(other, &RULE_KEYS),
        };
        key.wrong(mistakes, format!("unknown key `{}`", key.name), help);
        return None;
    }
    let name = who.name_or_number(mistakes)?;
    let rule = if key.name == "user" {
        directory.user(&name)
    } else {
        directory.group(&name)
    };
    rule.or_else(|| {
        let help = format!(
            "create the {} first, or correct its name; reload after changes",
            key.name
        );
        who.wrong(
            mistakes,
            format!("there is no {} `{name}` on this machine", key.name),
            help,
        )
    })
}

/// Values that many accounts have in common, kept once.
#[derive(Debug)]
pub(super) struct Shared<K, V: ?Sized>(HashMap<K, Arc<V>>);

impl<K: Eq + Hash, V: ?Sized> Shared<K, V> {
    /// Nothing kept yet.
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// The value kept for `key`, or the one `make` makes.
    pub(super) fn get_or<E>(
        &mut self,
        key: K,
        make: impl FnOnce() -> Result<Arc<V>, E>,
    ) -> Result<Arc<V>, E> {
        match self.0.entry(key) {
            Entry::Occupied(kept) => Ok(Arc::clone(kept.get())),
            Entry::Vacant(free) => Ok(Arc::clone(free.insert(make()?))),
        }
    }
}

impl Shared<Pacing, Pacing> {
    /// The one pacing equal to `pacing`.
    pub(super) fn keep(&mut self, pacing: Pacing) -> Arc<Pacing> {
        Arc::clone(self.0.entry(pacing).or_insert_with(|| Arc::new(pacing)))
    }
}

impl Shared<Arc<[Rule]>, [Rule]> {
    /// The one list equal to `rules`.
    pub(super) fn rules(&mut self, rules: Vec<Rule>) -> Arc<[Rule]> {
        let rules: Arc<[Rule]> = rules.into();
        Arc::clone(self.0.entry(Arc::clone(&rules)).or_insert(rules))
    }
}

impl Shared<Box<str>, str> {
    /// The one text equal to `text`.
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(kept) = self.0.get(text) {
            return Arc::clone(kept);
        }
        let kept: Arc<str> = text.into();
        self.0.insert(text.into(), Arc::clone(&kept));
        kept
    }
}
