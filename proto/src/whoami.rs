//! What the daemon sees of the peer that asks.
//!
//! Owns the shape of the answer to `whoami`. Everything in it is the kernel's word; what could not be read carries the reason.

use serde::{Deserialize, Serialize};

/// Something the daemon tried to read, or why it could not: a lower-case fragment.
pub type Seen<T> = Result<T, String>;

/// A peer as the daemon sees it, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whoami {
    /// The effective user.
    pub user: Id,
    /// The effective group.
    pub group: Id,
    /// The process id; 0 where the daemon's PID namespace does not show it.
    pub pid: u32,
    /// The supplementary groups; of very many only the first.
    pub groups: Seen<Vec<Id>>,
    /// How many more groups there are than [`Whoami::groups`] holds.
    pub more_groups: u32,
    /// The unit of the system's manager, if it is in one.
    pub unit: Seen<Option<String>>,
    /// The unit of a user's manager, if it is in one.
    pub user_unit: Seen<Option<UserUnit>>,
    /// The program it runs.
    pub executable: Seen<Executable>,
    /// SHA-256 of that program's file, in hexadecimal.
    pub sha256: Seen<String>,
    /// How its namespaces compare with the daemon's.
    pub namespaces: Seen<Namespaces>,
    /// What it may do with every account and with the daemon itself, as an administrator.
    pub administrator: Vec<String>,
    /// What it may do, and with how many accounts.
    pub accounts: Vec<Permitted>,
}

/// A user or group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Id {
    /// Its number.
    pub id: u32,
    /// Its name on the daemon's machine, where it has one.
    pub name: Option<String>,
}

/// A unit of a user's manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserUnit {
    /// Whose manager.
    pub owner: u32,
    /// The unit.
    pub unit: String,
}

/// A program that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executable {
    /// The path the kernel gives it.
    pub path: String,
    /// Whether the daemon finds that very file there. If not, no rule by path matches.
    pub is_there: bool,
}

/// How namespaces compare with the daemon's; `None` where that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// Whether its PID namespace lies below the daemon's.
    pub nested_pid: Option<bool>,
    /// Whether its user namespace maps ids in another way.
    pub other_user: Option<bool>,
}

/// A permission for some accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permitted {
    /// Which, as the configuration names it.
    pub permission: String,
    /// How many accounts.
    pub accounts: u32,
}
