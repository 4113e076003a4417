//! A configuration that is ready to be put in force, and the result of putting it in force.

use std::collections::HashMap;
use std::sync::Arc;

use tokend_config::Account;
use tokend_engine::{HostUsed, LoginUsed};
use tokend_policy::Policy;
use tokend_record::{RecordKey, RestoredRecord};
use tokio::sync::oneshot;

/// A configuration that is ready to be put in force.
#[derive(Debug)]
pub(crate) struct ConfigChange {
    pub(crate) accounts: Vec<Joining>,
    pub(crate) admin: Arc<Policy>,
    /// How far hosts are used up, if all records were asked.
    pub(crate) hosts_used: Option<HostsUsed>,
    /// How far logins are used up under any name, where an account was not in force.
    pub(crate) logins_used: Used,
    /// The result: the changes, or the accounts that have to be read again.
    pub(crate) reply: oneshot::Sender<Result<Summary, Vec<RecordKey>>>,
}

/// An account of a configuration that is about to be in force.
#[derive(Debug)]
pub(crate) struct Joining {
    pub(crate) account: Arc<Account>,
    pub(crate) id: RecordKey,
    pub(crate) stored: FoundRecord,
    /// The fingerprint that the account was blocked for, if its inputs have changed since.
    pub(crate) cured_of: Option<Box<str>>,
}

/// The store's knowledge of an account.
#[derive(Debug)]
pub(crate) enum FoundRecord {
    /// Nothing was read: the engine knows the account.
    Live,
    /// There is no record.
    Blank,
    /// A record.
    Record(Box<RestoredRecord>),
    /// A record that cannot be opened.
    Quarantined(Box<str>),
}

/// The differences to the configuration before.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Summary {
    pub(crate) accounts: usize,
    pub(crate) added: usize,
    pub(crate) removed: usize,
    pub(crate) quarantined: usize,
    pub(crate) with_token: usize,
    /// Accounts whose held token came from another token request, and is no longer served.
    pub(crate) outdated: usize,
}

/// The result of the last reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reloaded {
    /// The configuration of this number is in force.
    InForce(u64),
    /// It was refused, and the one before is in force.
    Refused,
}

/// How far the rate limits of provider hosts are used up, by host name.
pub(crate) type HostsUsed = HashMap<String, HostUsed>;

/// How far logins are used up under any name, by their identity.
pub(crate) type Used = HashMap<Box<str>, LoginUsed>;
