//! Facts about a peer beyond those its connection shows.
//!
//! Owns the shape of the facts and which of them were asked for. A fact that was not read is never guessed: a
//! rule that needs it does not match.

use std::fmt;
use std::ops::BitOr;
use std::path::Path;
use std::str::FromStr;

/// Facts of a process, as they were when they were read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Its supplementary groups.
    pub groups: Fact<Box<[u32]>>,
    /// The units its control group belongs to.
    pub units: Fact<Units>,
    /// The program it runs.
    pub executable: Fact<Executable>,
    /// SHA-256 of that program's file.
    pub sha256: Fact<Digest>,
    /// How its namespaces compare with the daemon's.
    pub namespaces: Fact<Namespaces>,
}

/// Something about a peer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fact<T> {
    /// Nobody asked yet.
    #[default]
    Unasked,
    /// The value that was read.
    Known(T),
    /// It could not be read, and why: a lower-case fragment.
    Unread(Box<str>),
}

impl<T> Fact<T> {
    /// The value, where it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unasked | Self::Unread(_) => None,
        }
    }

    /// Why it could not be read, where it was tried.
    pub fn why_unread(&self) -> Option<&str> {
        match self {
            Self::Unread(why) => Some(why),
            Self::Unasked | Self::Known(_) => None,
        }
    }

    /// Whether nobody asked yet.
    pub fn is_unasked(&self) -> bool {
        matches!(self, Self::Unasked)
    }
}

/// The units a process belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Units {
    /// The unit of the system's manager, such as `backup.service`.
    pub system: Option<Box<str>>,
    /// The unit of a user's manager.
    pub user: Option<UserUnit>,
}

/// A unit of a user's manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserUnit {
    /// Whose manager.
    pub owner: u32,
    /// The unit.
    pub name: Box<str>,
}

/// The program a process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executable {
    /// The path the kernel gives it.
    pub path: Box<Path>,
    /// Whether the file that runs is the one the daemon finds at that path: it may have been replaced, or the process may have a file
    /// system of its own.
    pub is_there: bool,
}

/// How the namespaces of a process compare with the daemon's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Namespaces {
    /// Whether its PID namespace lies below the daemon's; `None` where that is not known.
    pub nested_pid: Option<bool>,
    /// Whether its user namespace maps ids in another way than the daemon's; `None` where that is not known.
    pub other_user: Option<bool>,
}

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl FromStr for Digest {
    type Err = ();

    /// 64 hexadecimal digits, as sha256sum(1) prints them.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return Err(());
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digit = |at: usize| pair.get(at).and_then(|c| char::from(*c).to_digit(16));
            let value = digit(0).zip(digit(1)).ok_or(())?;
            *byte = u8::try_from(value.0 * 16 + value.1).map_err(|_| ())?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which facts something needs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Needs(u8);

impl Needs {
    /// No fact: the connection shows enough.
    pub const NONE: Self = Self(0);
    /// Supplementary groups.
    pub const GROUPS: Self = Self(1);
    /// Units.
    pub const UNITS: Self = Self(2);
    /// The path of the executable.
    pub const EXECUTABLE: Self = Self(4);
    /// The digest of the executable.
    pub const SHA256: Self = Self(8);
    /// Namespaces.
    pub const NAMESPACES: Self = Self(16);
    /// Facts that take looking at a file.
    pub const FILES: Self = Self(4 | 8);
    /// Every fact.
    pub const ALL: Self = Self(31);

    const NAMES: [(Self, &'static str); 5] = [
        (Self::GROUPS, "supplementary groups"),
        (Self::UNITS, "unit"),
        (Self::EXECUTABLE, "executable"),
        (Self::SHA256, "hash of the executable"),
        (Self::NAMESPACES, "namespaces"),
    ];

    /// Whether nothing is needed.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether any of `other` is among these.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The facts to be read first: those that the kernel gives, then the name of a file, then its content. Each
    /// step may make the next one needless.
    #[must_use]
    pub const fn first(self) -> Self {
        let kernel = self.without(Self::FILES);
        if !kernel.is_empty() {
            return kernel;
        }
        if self.has(Self::EXECUTABLE) {
            return Self::EXECUTABLE;
        }
        self
    }

    /// These without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Needs {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// `unit and executable`.
impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = Self::NAMES.iter().filter(|(need, _)| self.has(*need));
        write_list(f, all.map(|(_, name)| *name))
    }
}

/// Writes `one, two and three`.
pub(crate) fn write_list<'n>(
    f: &mut fmt::Formatter<'_>,
    names: impl Iterator<Item = &'n str>,
) -> fmt::Result {
    let names: Vec<&str> = names.collect();
    match &*names {
        [all @ .., before, last] => {
            all.iter().try_for_each(|name| write!(f, "{name}, "))?;
            write!(f, "{before} and {last}")
        }
        _ => f.write_str(&names.concat()),
    }
}

impl fmt::Debug for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Needs({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_shown() {
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let digest: Digest = text.parse().unwrap();
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(digest));
        for bad in [
            "",
            "e3",
            &text[1..],
            &format!("{text}0"),
            &text.replace('e', "g"),
            &"é".repeat(32),
        ] {
            assert_eq!(bad.parse::<Digest>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn what_is_cheap_is_read_first() {
        assert_eq!(Needs::ALL.first(), Needs::ALL.without(Needs::FILES));
        assert_eq!(Needs::FILES.first(), Needs::EXECUTABLE);
        assert_eq!(Needs::SHA256.first(), Needs::SHA256);
        assert_eq!(Needs::NONE.first(), Needs::NONE);
    }

    #[test]
    fn needs_are_told_in_words() {
        assert_eq!(Needs::NONE.to_string(), "");
        assert_eq!(Needs::UNITS.to_string(), "unit");
        assert_eq!(
            (Needs::UNITS | Needs::SHA256).to_string(),
            "unit and hash of the executable"
        );
        assert_eq!(
            Needs::ALL
                .without(Needs::NAMESPACES | Needs::SHA256)
                .to_string(),
            "supplementary groups, unit and executable"
        );
    }
}
