//! A configuration that is ready to be put in force, and what that changed.

use std::collections::HashMap;
use std::sync::Arc;

use tokend_config::Account;
use tokend_engine::{HostUsed, LoginUsed};
use tokend_policy::Policy;
use tokend_record::RecordKey;
use tokio::sync::oneshot;

use tokend_record::Restored;

/// A configuration that is ready to be put in force.
#[derive(Debug)]
pub(crate) struct ConfigChange {
    pub(crate) accounts: Vec<Joining>,
    pub(crate) admin: Arc<Policy>,
    /// How far hosts are used up, if every record was asked.
    pub(crate) hosts_used: Option<HostsUsed>,
    /// What logins have used up under whatever name, where an account was not in force.
    pub(crate) logins_used: Used,
    /// What was changed, or the accounts that have to be read again.
    pub(crate) reply: oneshot::Sender<Result<Summary, Vec<RecordKey>>>,
}

/// An account of a configuration that is about to be in force.
#[derive(Debug)]
pub(crate) struct Joining {
    pub(crate) account: Arc<Account>,
    pub(crate) id: RecordKey,
    pub(crate) stored: FoundRecord,
    /// The fingerprint the account was blocked for, if what it was taken of has changed since.
    pub(crate) cured_of: Option<Box<str>>,
}

/// What the store has of an account.
#[derive(Debug)]
pub(crate) enum FoundRecord {
    /// Nothing has to be read: the engine knows the account.
    Live,
    /// Nothing.
    Blank,
    /// A record.
    Record(Box<Restored>),
    /// A record that does not open.
    Quarantined(Box<str>),
}

/// What a change changed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Summary {
    pub(crate) accounts: usize,
    pub(crate) added: usize,
    pub(crate) removed: usize,
    pub(crate) quarantined: usize,
    pub(crate) with_token: usize,
    /// Accounts whose token was asked for otherwise, and is not served any more.
    pub(crate) outdated: usize,
}

/// How the last reload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reloaded {
    /// The configuration of this number is in force.
    InForce(u64),
    /// It was refused, and the one before is in force.
    Refused,
}

/// How far the paces of provider hosts are used up, by name.
pub(crate) type HostsUsed = HashMap<String, HostUsed>;

/// What logins have used up under whatever name, by their identity.
pub(crate) type Used = HashMap<Box<str>, LoginUsed>;
