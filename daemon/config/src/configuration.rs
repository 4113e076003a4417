//! What a configuration holds once it was read and found right.

use std::path::PathBuf;
use std::sync::Arc;

use tokend_policy::{Names, Policy};

use crate::account::Account;
use crate::audit::Audit;
use crate::metrics::Metrics;
use crate::settings::{Http, Limits, Log};
use crate::stamps::Stamps;
use crate::unresolved::Unresolved;

/// Everything that was configured.
#[derive(Debug)]
pub struct Config {
    /// Where to listen, unless a socket is inherited.
    pub socket: PathBuf,
    /// Permission bits of the socket.
    pub socket_mode: u32,
    /// Where the store and its key are.
    pub state_dir: PathBuf,
    /// Who may administer: reload, and refresh, log in and forget any account.
    pub admin: Arc<Policy>,
    /// Bounds on what peers can take up.
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
    /// The files this was read from; the first is the one that was named.
    pub files: Vec<PathBuf>,
    /// What these, the dialects and their directories were like before they were read.
    pub stamps: Stamps,
    /// Names in rules that nobody has now, which match nobody; the first fifty.
    pub unresolved: Vec<Unresolved>,
    /// Names in rules, with the ids they have.
    pub names: Names,
}

/// What the command line says; it comes before the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Where to listen.
    pub socket: Option<PathBuf>,
    /// Where the store is.
    pub state_dir: Option<PathBuf>,
}
