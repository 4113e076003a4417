//! Who may have which account.
//!
//! Owns what the kernel says of a peer, rules, the decision, and the look-up of user and group names. Names are resolved when a configuration is loaded; a
//! decision costs no system call and no allocation. Nobody is excepted: root needs a rule like everybody else.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use uzers::os::unix::GroupExt as _;

/// The kernel's word on who connected (SO_PEERCRED, unix(7)).
///
/// The ids are those of the moment of connect(2). A process that gives its connection away gives its rights away with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Effective user id. In a user namespace without a mapping for it this is the overflow id, usually 65534.
    pub uid: u32,
    /// Effective group id. Supplementary groups are not told; `policy` knows the members of the groups it was given.
    pub gid: u32,
    /// Process id, for logs only: it may be somebody else's by now.
    pub pid: u32,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {} gid {} pid {}", self.uid, self.gid, self.pid)
    }
}

/// One line of an allow list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A peer with this effective user id.
    User(u32),
    /// A peer of this group.
    Group(Arc<GroupRule>),
}

/// A group as it was when the configuration was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupRule {
    gid: u32,
    members: Box<[u32]>,
}

/// The answer of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Some rule matches.
    Allowed,
    /// No rule matches.
    Denied,
}

impl Decision {
    /// Whether this is [`Decision::Allowed`].
    pub fn is_allowed(self) -> bool {
        self == Self::Allowed
    }
}

/// Whether any of `rules` matches `peer`. An empty list allows nobody.
pub fn decide(peer: &Peer, rules: &[Rule]) -> Decision {
    if rules.iter().any(|rule| rule.matches(peer)) {
        Decision::Allowed
    } else {
        Decision::Denied
    }
}

impl Rule {
    /// Whether `peer` is the user, or has the group as its effective group, or is listed as its member.
    ///
    /// The kernel does not tell a peer's supplementary groups, so membership is what the group database said when the
    /// configuration was loaded; reload after changing a group.
    pub fn matches(&self, peer: &Peer) -> bool {
        match self {
            Self::User(uid) => peer.uid == *uid,
            Self::Group(group) => {
                peer.gid == group.gid || group.members.binary_search(&peer.uid).is_ok()
            }
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "user {uid}"),
            Self::Group(group) => write!(f, "group {}", group.gid),
        }
    }
}

impl GroupRule {
    /// A group and the user ids of its members, in any order.
    pub fn new(gid: u32, mut members: Vec<u32>) -> Self {
        members.sort_unstable();
        members.dedup();
        Self {
            gid,
            members: members.into(),
        }
    }
}

/// The user and group databases of the system, asked once for each name.
///
/// Lives as long as one loading of the configuration: a hundred thousand accounts that name the same group share one rule.
#[derive(Debug)]
pub struct Directory {
    source: Source,
    users: HashMap<Box<str>, Option<u32>>,
    groups: HashMap<Box<str>, Option<Arc<GroupRule>>>,
}

#[derive(Debug)]
enum Source {
    System,
    Fixed(Vec<(&'static str, u32)>, Vec<(&'static str, GroupRule)>),
}

impl Directory {
    /// The databases behind getpwnam(3) and getgrnam(3).
    pub fn system() -> Self {
        Self::new(Source::System)
    }

    /// Databases with only these entries, for whoever must not depend on the machine.
    pub fn fixed(users: Vec<(&'static str, u32)>, groups: Vec<(&'static str, GroupRule)>) -> Self {
        Self::new(Source::Fixed(users, groups))
    }

    /// The rule for a user told by name or number. `None` when there is no such name; a number need not have one.
    pub fn user(&mut self, user: &str) -> Option<Rule> {
        if let Some(known) = self.users.get(user) {
            return known.map(Rule::User);
        }
        let uid = number(user).or_else(|| self.source.uid(user));
        self.users.insert(user.into(), uid);
        uid.map(Rule::User)
    }

    /// The rule for a group told by name or number. `None` when there is no such name; a number need not have one.
    pub fn group(&mut self, group: &str) -> Option<Rule> {
        if let Some(known) = self.groups.get(group) {
            return known.clone().map(Rule::Group);
        }
        let found = match number(group) {
            Some(gid) => Some(self.source.members_of(gid)),
            None => self.source.group(group),
        };
        let found = found.map(Arc::new);
        self.groups.insert(group.into(), found.clone());
        found.map(Rule::Group)
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            users: HashMap::new(),
            groups: HashMap::new(),
        }
    }
}

impl Source {
    fn uid(&self, name: &str) -> Option<u32> {
        match self {
            Self::System => uzers::get_user_by_name(name).map(|user| user.uid()),
            Self::Fixed(users, _) => users.iter().find(|(n, _)| *n == name).map(|(_, uid)| *uid),
        }
    }

    fn group(&self, name: &str) -> Option<GroupRule> {
        match self {
            Self::System => uzers::get_group_by_name(name).map(|group| rule(&group)),
            Self::Fixed(_, groups) => groups
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, rule)| rule.clone()),
        }
    }

    fn members_of(&self, gid: u32) -> GroupRule {
        let known = match self {
            Self::System => uzers::get_group_by_gid(gid).map(|group| rule(&group)),
            Self::Fixed(_, groups) => groups
                .iter()
                .find(|(_, rule)| rule.gid == gid)
                .map(|(_, rule)| rule.clone()),
        };
        known.unwrap_or_else(|| GroupRule::new(gid, Vec::new()))
    }
}

fn rule(group: &uzers::Group) -> GroupRule {
    let members = group
        .members()
        .iter()
        .filter_map(uzers::get_user_by_name)
        .map(|user| user.uid());
    GroupRule::new(group.gid(), members.collect())
}

/// `u32::MAX` is "no id" to the kernel: chown(2).
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .filter(|id| *id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(uid: u32, gid: u32) -> Peer {
        Peer { uid, gid, pid: 1 }
    }

    fn ci() -> Rule {
        Rule::Group(Arc::new(GroupRule::new(50, vec![12, 10, 11, 10])))
    }

    #[test]
    fn the_policy_table() {
        let table: &[(&[Rule], Peer, bool)] = &[
            (&[], peer(0, 0), false),
            (&[Rule::User(7)], peer(7, 1), true),
            (&[Rule::User(7)], peer(8, 7), false),
            (&[Rule::User(7)], peer(0, 0), false),
            (&[Rule::User(0)], peer(0, 5), true),
            (&[ci()], peer(99, 50), true),
            (&[ci()], peer(10, 1), true),
            (&[ci()], peer(12, 1), true),
            (&[ci()], peer(13, 1), false),
            (&[ci()], peer(50, 1), false),
            (&[ci()], peer(0, 0), false),
            (&[Rule::User(7), ci()], peer(11, 1), true),
            (&[Rule::User(7), ci()], peer(7, 1), true),
            (&[Rule::User(7), ci()], peer(6, 6), false),
        ];
        for (rules, peer, allowed) in table {
            assert_eq!(
                decide(peer, rules).is_allowed(),
                *allowed,
                "{rules:?} {peer}"
            );
        }
    }

    #[test]
    fn names_and_numbers_resolve_alike() {
        let mut directory = Directory::fixed(
            vec![("deploy", 1000)],
            vec![("ci", GroupRule::new(50, vec![1000]))],
        );
        assert_eq!(directory.user("deploy"), Some(Rule::User(1000)));
        assert_eq!(directory.user("1000"), Some(Rule::User(1000)));
        assert_eq!(
            directory.user("4242"),
            Some(Rule::User(4242)),
            "a number needs no name"
        );
        assert_eq!(directory.group("ci"), directory.group("50"));
        let nobody = Rule::Group(Arc::new(GroupRule::new(51, Vec::new())));
        assert_eq!(directory.group("51"), Some(nobody));
    }

    #[test]
    fn unknown_names_and_impossible_numbers_are_told() {
        let mut directory = Directory::fixed(Vec::new(), Vec::new());
        for user in ["ghost", "", "-1", "+1", "4294967295", "4294967296", "0x10"] {
            assert_eq!(directory.user(user), None, "{user}");
            assert_eq!(directory.user(user), None, "{user}, asked again");
            assert_eq!(directory.group(user), None, "{user}");
        }
    }

    #[test]
    fn one_group_is_one_rule_however_often_it_is_named() {
        let mut directory = Directory::fixed(Vec::new(), vec![("ci", GroupRule::new(50, vec![]))]);
        let (Some(Rule::Group(a)), Some(Rule::Group(b))) =
            (directory.group("ci"), directory.group("ci"))
        else {
            panic!("the group is known");
        };
        assert!(Arc::ptr_eq(&a, &b));
    }

    #[test]
    fn the_system_knows_root() {
        let mut directory = Directory::system();
        assert_eq!(directory.user("root"), Some(Rule::User(0)));
        let Some(Rule::Group(root)) = directory.group("root") else {
            panic!("every system has the group root");
        };
        assert_eq!(root.gid, 0);
        assert_eq!(directory.user("no-such-user-anywhere"), None);
        assert_eq!(directory.group("no-such-group-anywhere"), None);
    }

    #[test]
    fn rules_are_shown_by_number() {
        assert_eq!(Rule::User(7).to_string(), "user 7");
        assert_eq!(ci().to_string(), "group 50");
    }
}
