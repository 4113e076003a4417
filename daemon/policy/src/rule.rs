//! Rules and the decision.
//!
//! A rule matches a peer if every condition of the rule holds. A condition on a fact that could not be read
//! does not hold.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::directory::NOT_KNOWN;
use crate::facts::{Digest, Fact, Needs};
use crate::peer::Peer;
use crate::permission::{Permission, Permissions};
use crate::unit::UnitPattern;

/// One rule: if all its conditions hold for a peer, the peer has the permissions it gives. A rule without
/// conditions matches nobody.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Rule {
    /// The permissions it gives.
    pub may: Permissions,
    /// The effective user id.
    pub user: Option<u32>,
    /// The effective group id, or one of the supplementary groups.
    pub group: Option<u32>,
    /// The unit of the system's manager.
    pub unit: Option<UnitPattern>,
    /// The unit of the peer's own user's manager.
    pub user_unit: Option<UnitPattern>,
    /// The path of the executable, and that the file there is the one that runs.
    pub exe: Option<Arc<Path>>,
    /// The digest of the executable.
    pub sha256: Option<Digest>,
}

/// Whether a rule matches a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// Every condition holds.
    Yes,
    /// A condition does not hold.
    No,
    /// No condition is known to fail, but these facts are not known. The rule does not match.
    Unread(Needs),
}

/// The answer of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The rule with this number, from 0, allows it.
    Allowed(usize),
    /// No rule allows it. Rules that need these facts might, if they could be read.
    Denied(Needs),
}

impl Decision {
    /// Whether this is [`Decision::Allowed`].
    pub fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// Rules in the order in which they were written. Without a rule that gives it, nobody has a permission.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Policy {
    rules: Box<[Rule]>,
    needs: Needs,
}

impl Policy {
    /// A policy of these rules.
    pub fn new(rules: Vec<Rule>) -> Self {
        let needs = rules
            .iter()
            .fold(Needs::NONE, |needs, rule| needs | rule.needs());
        Self {
            rules: rules.into(),
            needs,
        }
    }

    /// Its rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Which facts its rules need.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Whether some rule gives `peer` the permission. The first one that does is named.
    pub fn decide(&self, peer: &Peer, permission: Permission) -> Decision {
        let mut unread = Needs::NONE;
        for (number, rule) in self.rules.iter().enumerate() {
            if !rule.may.has(permission) {
                continue;
            }
            match rule.matches(peer) {
                Match::Yes => return Decision::Allowed(number),
                Match::No => {}
                Match::Unread(needs) => unread = unread | needs,
            }
        }
        Decision::Denied(unread)
    }

    /// Which facts, not yet asked for, could still make a rule match that gives any of these permissions.
    pub fn lacks(&self, peer: &Peer, wanted: Permissions) -> Needs {
        let asked = peer.asked();
        if self.needs.without(asked).is_empty() {
            return Needs::NONE;
        }
        self.rules
            .iter()
            .filter(|rule| rule.may.has_any(wanted))
            .fold(Needs::NONE, |all, rule| all | rule.lacks(peer))
    }

    /// Everything the rules give `peer`.
    pub fn permissions(&self, peer: &Peer) -> Permissions {
        self.rules
            .iter()
            .filter(|rule| rule.matches(peer) == Match::Yes)
            .fold(Permissions::NONE, |all, rule| all | rule.may)
    }
}

impl Rule {
    /// A rule for a user.
    pub fn user(uid: u32, may: Permissions) -> Self {
        Self {
            may,
            user: Some(uid),
            ..Self::default()
        }
    }

    /// Which facts, not yet asked for, decide whether the rule matches: none if a condition is known to fail.
    pub fn lacks(&self, peer: &Peer) -> Needs {
        match self.matches(peer) {
            Match::Unread(needs) => needs.without(peer.asked()),
            Match::Yes | Match::No => Needs::NONE,
        }
    }

    /// The part of the rule that takes looking at files, and for which peers: the same for all rules that
    /// differ only in their permissions or the digest. `None` if no part does.
    pub fn of_files(&self) -> Option<Self> {
        self.needs().has(Needs::FILES).then(|| Self {
            may: Permissions::NONE,
            sha256: self.sha256.map(|_| Digest([0; 32])),
            ..self.clone()
        })
    }

    /// Which facts have to be known to see whether it matches.
    pub fn needs(&self) -> Needs {
        let one = |there: bool, need| if there { need } else { Needs::NONE };
        one(self.group.is_some(), Needs::GROUPS)
            | one(
                self.unit.is_some() || self.user_unit.is_some(),
                Needs::UNITS,
            )
            | one(self.exe.is_some(), Needs::EXECUTABLE)
            | one(self.sha256.is_some(), Needs::SHA256)
    }

    /// Whether every condition holds for `peer`.
    pub fn matches(&self, peer: &Peer) -> Match {
        let facts = peer.facts();
        let says = [
            self.user.map(|uid| so(peer.uid == uid && uid != NOT_KNOWN)),
            self.group.map(|gid| {
                let own = peer.gid == gid;
                if gid == NOT_KNOWN {
                    Match::No
                } else if own {
                    Match::Yes
                } else {
                    fact(&facts.groups, Needs::GROUPS, |groups| groups.contains(&gid))
                }
            }),
            self.unit.as_ref().map(|unit| {
                fact(&facts.units, Needs::UNITS, |units| {
                    units.system.as_deref().is_some_and(|own| unit.matches(own))
                })
            }),
            self.user_unit.as_ref().map(|unit| {
                fact(&facts.units, Needs::UNITS, |units| {
                    // A process in another user's manager, such as one that changed its user, does not count as
                    // that user's unit.
                    let own = units.user.as_ref().filter(|own| own.owner == peer.uid);
                    own.is_some_and(|own| unit.matches(&own.name))
                })
            }),
            self.exe.as_ref().map(|path| {
                fact(&facts.executable, Needs::EXECUTABLE, |own| {
                    own.is_there && *own.path == **path
                })
            }),
            self.sha256
                .map(|digest| fact(&facts.sha256, Needs::SHA256, |own| *own == digest)),
        ];
        let mut found = Match::No;
        for one in says.into_iter().flatten() {
            found = match (found, one) {
                (_, Match::No) => return Match::No,
                (Match::Unread(all), Match::Unread(more)) => Match::Unread(all | more),
                (Match::Unread(all), Match::Yes) => Match::Unread(all),
                (_, other) => other,
            };
        }
        found
    }
}

fn so(truth: bool) -> Match {
    if truth { Match::Yes } else { Match::No }
}

fn fact<T>(fact: &Fact<T>, need: Needs, holds: impl FnOnce(&T) -> bool) -> Match {
    match fact {
        Fact::Known(value) => so(holds(value)),
        Fact::Unasked | Fact::Unread(_) => Match::Unread(need),
    }
}

/// As it is written in the configuration, with numbers in place of names.
fn id(id: u32) -> String {
    match id {
        NOT_KNOWN => "(not known)".to_owned(),
        id => id.to_string(),
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &dyn fmt::Display| format!("\"{value}\"");
        let says = [
            ("user", self.user.map(id)),
            ("group", self.group.map(id)),
            ("unit", self.unit.as_ref().map(|unit| text(unit))),
            ("user_unit", self.user_unit.as_ref().map(|unit| text(unit))),
            ("exe", self.exe.as_ref().map(|path| text(&path.display()))),
            ("sha256", self.sha256.as_ref().map(|digest| text(digest))),
        ];
        let says: Vec<_> = says
            .into_iter()
            .filter_map(|(key, value)| Some(format!("{key} = {}", value?)))
            .collect();
        write!(f, "{{ {} }}", says.join(", "))
    }
}

#[cfg(test)]
mod tests;
