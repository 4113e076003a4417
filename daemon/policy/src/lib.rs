//! Who may do what with which account.
//!
//! Owns what is known of a peer, rules, permissions, the decision, what a control group says of units, and the look-up of user and
//! group names. Names are resolved when a configuration is loaded; a decision costs no system call and no allocation. Nobody is
//! excepted: root needs a rule like everybody else. It reads nothing about processes itself: whoever asks the kernel hands it the facts.

mod directory;
mod facts;
mod peer;
mod permission;
mod rule;
mod unit;

pub use directory::{Answer, Directory, NOT_KNOWN, Names};
pub use facts::{Digest, Executable, Fact, Facts, Namespaces, Needs, Units, UserUnit};
pub use peer::Peer;
pub use permission::{Permission, Permissions};
pub use rule::{Decision, Match, Policy, Rule};
pub use unit::{UnitError, UnitPattern, units};
