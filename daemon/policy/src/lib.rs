//! Decides which peer may do what with which account.
//!
//! Owns the facts about a peer, rules, permissions, the decision, the reading of units from a control group,
//! and the look-up of user and group names. Names are resolved when a configuration is loaded; a decision costs
//! no system call and no allocation. There are no exceptions: root needs a rule like every other user. This
//! crate reads nothing about processes itself: the caller asks the kernel and hands over the facts.

mod directory;
mod facts;
mod outlet;
mod peer;
mod permission;
mod rule;
mod unit;

pub use directory::{Directory, NOT_KNOWN, NameAnswer, NameKind, Names};
pub use facts::{Digest, Executable, Fact, Facts, Namespaces, Needs, Units, UserUnit};
pub use outlet::Outlet;
pub use peer::Peer;
pub use permission::{Permission, Permissions};
pub use rule::{Decision, Match, Policy, Rule};
pub use unit::{UnitError, UnitPattern, units};
