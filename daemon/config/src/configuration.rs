//! The contents of a configuration that was read without a mistake.

use std::path::PathBuf;
use std::sync::Arc;

use tokend_policy::{Names, Policy};

use crate::account::Account;
use crate::audit::Audit;
use crate::listen::Listen;
use crate::metrics::Metrics;
use crate::settings::{Http, Limits, Log};
use crate::stamps::Stamps;
use crate::unresolved::Unresolved;

/// A whole configuration.
#[derive(Debug)]
pub struct Config {
    /// Where to listen, unless a socket is inherited.
    pub socket: PathBuf,
    /// Permission bits of the socket.
    pub socket_mode: u32,
    /// Where outlets listen, unless their sockets are inherited.
    pub listen: Listen,
    /// Where the store and its key are.
    pub state_dir: PathBuf,
    /// Who may administer: reload, and refresh, log in and forget any account.
    pub admin: Arc<Policy>,
    /// Bounds on the resources that peers can use.
    pub limits: Limits,
    /// What is logged and how.
    pub log: Log,
    /// What is recorded, and where.
    pub audit: Audit,
    /// Who may read metrics, and where.
    pub metrics: Metrics,
    /// How providers are reached.
    pub http: Http,
    /// All accounts, in the order of their names.
    pub accounts: Vec<Arc<Account>>,
    /// The files this was read from; the first is the one the caller named.
    pub files: Vec<PathBuf>,
    /// The state of these files, the dialects and their directories just before they were read.
    pub stamps: Stamps,
    /// Names in rules that belong to no user or group now, so their rules match no peer; the first fifty.
    pub unresolved: Vec<Unresolved>,
    /// Names in rules, with their ids.
    pub names: Names,
}

/// Settings from the command line, which override the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Where to listen.
    pub socket: Option<PathBuf>,
    /// Where the store is.
    pub state_dir: Option<PathBuf>,
    /// A file that is read as one of `include_dir`, whatever its name in that directory.
    pub included: Option<PathBuf>,
}
