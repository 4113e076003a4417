//! Reads `[group.NAME]` tables: accounts that are allowed to the same peers.
//!
//! Owns which accounts get the rules of which groups after their own. A group only ever adds rules.

use std::collections::{BTreeMap, HashMap};

use tokend_document::{Diagnostics, Section, Value, nearest};
use tokend_policy::Rule;
use tokend_proto::{AccountName, NameError};

use super::allow::{ALLOW, rules};
use super::reading::Reading;
use super::rule_origins::{Owner, RuleOrigins};

/// The groups of a configuration, and the places that name their accounts.
#[derive(Debug, Default)]
pub(super) struct Groups {
    rules: Vec<(AccountName, Vec<Rule>)>,
    /// The numbers of the groups an account is in, in the order of the groups' names.
    of: HashMap<AccountName, Vec<usize>>,
}

/// The places that name accounts in groups, kept until all accounts are known.
#[derive(Debug, Default)]
pub(super) struct Members<'p>(Vec<(AccountName, Value<'p>)>);

impl Groups {
    /// Reads `group`, if it is there.
    pub(super) fn read<'p>(
        value: Option<Value<'p>>,
        reading: &mut Reading<'_>,
    ) -> (Self, Members<'p>) {
        let (mut groups, mut members) = (Self::default(), Members::default());
        let tables = value.and_then(|value| value.section(&mut reading.diagnostics));
        // Sorted by name, so that the parser's order does not matter.
        let tables: BTreeMap<_, _> = tables
            .into_iter()
            .flat_map(Section::entries)
            .map(|(key, value)| (&key.name, (key, value)))
            .collect();
        for (key, value) in tables.into_values() {
            let diagnostics = &mut reading.diagnostics;
            let name = account_name(&key.name, |why| {
                let why = why.replace("account name", "group name");
                key.note(diagnostics, why, None);
            });
            let Some(name) = name else { continue };
            let Some(section) = value.section(diagnostics) else {
                continue;
            };
            let mut section = section.named(key);
            let what = "the accounts in it, such as `[\"ads\", \"s3\"]`";
            let accounts = section.require("accounts", what, diagnostics);
            let what = "who may have them, such as `[{ unit = \"backup.service\" }]`";
            let rules = section.require("allow", what, diagnostics);
            let rules = rules.and_then(|value| self::rules(value, ALLOW, reading));
            reading.origins.end(Owner::Group(&name));
            section.finish(&mut reading.diagnostics);
            let number = groups.rules.len();
            groups.rules.push((name, rules.unwrap_or_default()));
            if let Some(accounts) = accounts {
                groups.add(number, accounts, &mut members, &mut reading.diagnostics);
            }
        }
        (groups, members)
    }

    fn add<'p>(
        &mut self,
        number: usize,
        accounts: Value<'p>,
        members: &mut Members<'p>,
        diagnostics: &mut Diagnostics,
    ) {
        let mut count = 0;
        for value in accounts.array(diagnostics).into_iter().flatten() {
            count += 1;
            let Some(text) = value.text(diagnostics) else {
                continue;
            };
            let note = |why| value.note(diagnostics, why, None);
            let Some(name) = account_name(text, note) else {
                continue;
            };
            let of = self.of.entry(name.clone()).or_default();
            if of.contains(&number) {
                let twice = format!("account {name} is listed twice in this group");
                value.note(diagnostics, twice, None);
                continue;
            }
            of.push(number);
            members.0.push((name, value));
        }
        if count == 0 && accounts.is_array() {
            let help = "name its accounts, or take the group out".to_owned();
            accounts.note(diagnostics, "a group without accounts allows nothing", help);
        }
    }

    /// `own`, and behind them the rules of the groups `account` is in. `None` when it is in none.
    pub(super) fn with(
        &self,
        account: &AccountName,
        own: &[Rule],
        origins: &mut RuleOrigins,
    ) -> Option<Vec<Rule>> {
        let mut rules = own.to_vec();
        let groups = self.of.get(account)?.iter();
        for (name, more) in groups.filter_map(|at| self.rules.get(*at)) {
            origins.member(account, name);
            rules.extend_from_slice(more);
        }
        Some(rules)
    }
}

/// The name that `text` is; if it cannot be an account's, `note` gets the reason.
pub(super) fn account_name(text: &str, note: impl FnOnce(String)) -> Option<AccountName> {
    let name: Result<_, NameError> = text.parse();
    name.map_err(|error| note(error.to_string())).ok()
}

impl Members<'_> {
    /// Notes every unknown account that a group names.
    pub(super) fn check<'a>(
        self,
        is_known: impl Fn(&AccountName) -> bool,
        known: impl Fn() -> Vec<&'a str>,
        diagnostics: &mut Diagnostics,
    ) {
        for (name, value) in self.0 {
            if is_known(&name) {
                continue;
            }
            // When no more mistakes are shown, a suggestion is wasted work.
            let mut names = match diagnostics.is_full() {
                true => Vec::new(),
                false => known(),
            };
            names.sort_unstable();
            let help = match nearest(name.as_str(), &names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    "a group names accounts of this configuration and its `include_dir`".to_owned()
                }
            };
            value.note(diagnostics, format!("there is no account `{name}`"), help);
        }
    }
}
