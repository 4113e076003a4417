//! The places of rules, for explaining a decision.
//!
//! Kept only on request: a hundred thousand accounts share their rules, but not the places of them.

use std::collections::HashMap;

use tokend_document::Value;
use tokend_proto::AccountName;

/// The places of rules, as `path:line:column`, list by list in their order.
#[derive(Debug, Default)]
pub struct RuleOrigins {
    on: bool,
    /// The places in the list that is being read.
    current: Vec<String>,
    admin: Option<Vec<String>>,
    defaults: Option<Vec<String>>,
    groups: HashMap<AccountName, Vec<String>>,
    accounts: HashMap<AccountName, Vec<String>>,
    member_of: HashMap<AccountName, Vec<AccountName>>,
}

/// The owner of the list that was read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner<'a> {
    Admin,
    Defaults,
    Group(&'a AccountName),
    Account(&'a AccountName),
    /// No decision about these rules is explained.
    Metrics,
}

/// Where a rule comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleOrigin {
    /// The rule is written here, in `allow` of this list.
    Written {
        /// `path:line:column`
        place: String,
        /// Which list: `admin`, `[defaults]`, `[group.NAME]`, `[account.NAME]`.
        list: String,
    },
    /// The rule is not written anywhere: it is the default.
    Implied,
}

impl RuleOrigins {
    pub(super) fn kept() -> Self {
        Self {
            on: true,
            ..Self::default()
        }
    }

    /// Notes the place of the next rule of the list that is being read.
    pub(super) fn note(&mut self, rule: Value<'_>) {
        if self.on {
            self.current.push(rule.position());
        }
    }

    /// Ends the list that is being read and assigns it to `owner`.
    pub(super) fn end(&mut self, owner: Owner<'_>) {
        if !self.on || self.current.is_empty() {
            return;
        }
        let places = std::mem::take(&mut self.current);
        match owner {
            Owner::Admin => self.admin = Some(places),
            Owner::Defaults => self.defaults = Some(places),
            Owner::Group(name) => drop(self.groups.insert(name.clone(), places)),
            Owner::Account(name) => drop(self.accounts.insert(name.clone(), places)),
            Owner::Metrics => {}
        }
    }

    /// Notes that an account got the rules of a group after its own.
    pub(super) fn member(&mut self, account: &AccountName, group: &AccountName) {
        if self.on {
            let groups = self.member_of.entry(account.clone()).or_default();
            groups.push(group.clone());
        }
    }

    /// Where the rule of `admin` with this number, from 0, comes from.
    pub fn of_admin(&self, number: usize) -> RuleOrigin {
        written(self.admin.as_ref(), number, || "`admin`".to_owned())
    }

    /// Where the rule of an account with this number, from 0, comes from.
    pub fn of_account(&self, account: &AccountName, number: usize) -> RuleOrigin {
        let (own, list) = match self.accounts.get(account) {
            Some(places) => (Some(places), format!("[account.{}]", account.toml_key())),
            None => (self.defaults.as_ref(), "[defaults]".to_owned()),
        };
        // Without a list there is one rule.
        let own_count = own.map_or(1, Vec::len);
        let Some(mut number) = number.checked_sub(own_count) else {
            return written(own, number, || format!("`allow` of {list}"));
        };
        for group in self.member_of.get(account).into_iter().flatten() {
            let places = self.groups.get(group);
            match number.checked_sub(places.map_or(0, Vec::len)) {
                Some(rest) => number = rest,
                None => {
                    return written(places, number, || {
                        format!("`allow` of [group.{}]", group.toml_key())
                    });
                }
            }
        }
        RuleOrigin::Implied
    }
}

fn written(places: Option<&Vec<String>>, number: usize, list: impl Fn() -> String) -> RuleOrigin {
    let place = places.and_then(|places| places.get(number)).cloned();
    place.map_or(RuleOrigin::Implied, |place| {
        let list = list();
        RuleOrigin::Written { place, list }
    })
}
