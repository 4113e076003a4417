//! Names of users and groups that nobody has yet.
//!
//! A rule with such a name matches nobody, and everything else works: when a machine starts, the service that knows the name may not answer
//! yet. Owns what is said of it, and whether it is known by now. All of them are kept, since whether one is new decides about a reload; how
//! many there can be is bounded by the files they stand in.

use std::collections::HashSet;
use std::fmt;

use tokend_policy::{Directory, NameAnswer};

/// How many are told one by one; of the rest only the number is. So many have a line and a column too, which take time to count.
const MOST_TOLD: usize = 50;

/// What a name is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// A user.
    User,
    /// A group.
    Group,
}

/// A name that nobody has, and where it stands first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    pub(super) kind: NameKind,
    pub(super) name: Box<str>,
    /// Whether that nobody has it is an answer, and not the lack of one.
    pub(super) answered: bool,
    pub(super) position: Box<str>,
}

impl Unresolved {
    /// Whether it is not known because nobody answers.
    pub fn is_unanswered(&self) -> bool {
        !self.answered
    }

    /// What tells it from others: not where it stands.
    pub fn key(&self) -> (NameKind, Box<str>) {
        (self.kind, self.name.clone())
    }

    /// Those of `all` that are told one by one, and how many there are beyond them.
    pub fn told(all: &[Self]) -> (&[Self], usize) {
        all.split_at_checked(MOST_TOLD)
            .map_or((all, 0), |(told, rest)| (told, rest.len()))
    }

    /// Whether somebody has it by now. May wait, for seconds, for a service that knows names.
    pub fn is_known_to(&self, directory: &mut Directory) -> bool {
        match self.kind {
            NameKind::User => directory.user(&self.name).is_some(),
            NameKind::Group => directory.group(&self.name).is_some(),
        }
    }
}

/// The users and groups of this machine, and the names in rules that none of them has.
#[derive(Debug)]
pub(super) struct Principals {
    pub(super) directory: Directory,
    unresolved: All,
}

impl Principals {
    /// Before any rule was read.
    pub(super) fn new(directory: Directory) -> Self {
        let unresolved = All::default();
        Self {
            directory,
            unresolved,
        }
    }

    /// Whose name it is.
    pub(super) fn ask(&mut self, kind: NameKind, name: &str) -> NameAnswer {
        match kind {
            NameKind::User => self.directory.ask_user(name),
            NameKind::Group => self.directory.ask_group(name),
        }
    }

    /// Notes a name that nobody has where it stands first. `position` is asked for line and column, or for the file alone.
    pub(super) fn nobody(
        &mut self,
        kind: NameKind,
        name: &str,
        answered: bool,
        position: impl FnOnce(bool) -> String,
    ) {
        self.unresolved.note(kind, name, answered, position);
    }

    /// The names that nobody has.
    pub(super) fn into_unresolved(self) -> Vec<Unresolved> {
        self.unresolved.list
    }
}

/// Those of one configuration, each once.
#[derive(Debug, Default)]
struct All {
    list: Vec<Unresolved>,
    keys: HashSet<(NameKind, Box<str>)>,
}

impl All {
    fn note(
        &mut self,
        kind: NameKind,
        name: &str,
        answered: bool,
        position: impl FnOnce(bool) -> String,
    ) {
        if self.keys.insert((kind, name.into())) {
            let exactly = self.list.len() < MOST_TOLD;
            self.list.push(Unresolved {
                kind,
                name: name.into(),
                answered,
                position: position(exactly).into(),
            });
        }
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

impl NameKind {
    /// The word for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }

    /// Whether something can be a name of one at all: anything else is a mistake, which time does not mend.
    pub(super) fn allows(name: &str) -> bool {
        let digits = name.bytes().all(|byte| byte.is_ascii_digit());
        let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | '/' | ',');
        !digits && !name.starts_with(['-', '+']) && !name.contains(odd)
    }
}
