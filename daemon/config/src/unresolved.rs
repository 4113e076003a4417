//! Names in rules that belong to no user or group yet.
//!
//! A rule with such a name matches no peer, and everything else works: when a machine starts, the service that resolves the name may not
//! answer yet. Owns the messages about such a name, and the check for whether it resolves by now. All names are kept, since a new one
//! matters to a reload. The size of the files bounds their number.

use std::collections::HashSet;
use std::fmt;

use tokend_policy::{Directory, NameKind};

/// How many names are reported one by one; of the rest only the number is reported. Only these get a line and a column, which take time to
/// count.
const MOST_LISTED: usize = 50;

/// A name that does not resolve, and the first place that uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    pub(super) kind: NameKind,
    pub(super) name: Box<str>,
    /// Whether the name service answered that the name does not exist. False when it did not answer.
    pub(super) answered: bool,
    pub(super) position: Box<str>,
}

impl Unresolved {
    /// Whether the name is unresolved because the name service does not answer.
    pub fn is_unanswered(&self) -> bool {
        !self.answered
    }

    /// The kind and the name, without the place.
    pub fn key(&self) -> (NameKind, Box<str>) {
        (self.kind, self.name.clone())
    }

    /// The names of `all` that are reported one by one, and the number of the others.
    pub fn listed(all: &[Self]) -> (&[Self], usize) {
        all.split_at_checked(MOST_LISTED)
            .map_or((all, 0), |(listed, rest)| (listed, rest.len()))
    }

    /// Whether the name resolves by now. May block for seconds on a name service.
    pub fn is_known_to(&self, directory: &mut Directory) -> bool {
        directory.ask(self.kind, &self.name).id().is_some()
    }
}

/// The users and groups of this machine, and the names in rules that do not resolve.
#[derive(Debug)]
pub(super) struct Principals {
    pub(super) directory: Directory,
    unresolved: Vec<Unresolved>,
    /// Each once.
    keys: HashSet<(NameKind, Box<str>)>,
}

impl Principals {
    /// Before any rule was read.
    pub(super) fn new(directory: Directory) -> Self {
        Self {
            directory,
            unresolved: Vec::new(),
            keys: HashSet::new(),
        }
    }

    /// Notes the first use of a name that does not resolve. `position` gives line and column, or the file alone.
    pub(super) fn nobody(
        &mut self,
        kind: NameKind,
        name: &str,
        answered: bool,
        position: impl FnOnce(bool) -> String,
    ) {
        if self.keys.insert((kind, name.into())) {
            let exactly = self.unresolved.len() < MOST_LISTED;
            self.unresolved.push(Unresolved {
                kind,
                name: name.into(),
                answered,
                position: position(exactly).into(),
            });
        }
    }

    /// The names that do not resolve.
    pub(super) fn into_unresolved(self) -> Vec<Unresolved> {
        self.unresolved
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            name,
            answered,
            position,
        } = self;
        let kind = kind.as_str();
        if !answered {
            return write!(
                f,
                "{position}: nobody answers who the {kind} `{name}` is: repair the service that knows names, or write the number"
            );
        }
        write!(
            f,
            "{position}: there is no {kind} `{name}` on this machine now, so the rule matches nobody until there is"
        )
    }
}

/// Whether the text can be the name of a user or group at all. If not, it is a mistake that waiting does not cure.
pub(super) fn can_be_name(name: &str) -> bool {
    let digits = name.bytes().all(|byte| byte.is_ascii_digit());
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | '/' | ',');
    !digits && !name.starts_with(['-', '+']) && !name.contains(odd)
}
