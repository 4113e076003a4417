//! The configuration: from TOML files to checked, compact values.
//!
//! Owns [`Config`] and [`Account`]. A configuration that exists is right as far as this machine can tell without asking a
//! provider; one that is not is told with every mistake, its place and what to write instead. It never holds a secret, only
//! where secrets are.

mod account;
mod allow;
mod audit;
mod dialects;
mod excerpt;
mod files;
mod fingerprint;
mod given;
mod group;
mod head;
mod load;
mod locations;
mod log;
mod marks;
mod metrics;
mod mistake;
mod pacing;
mod proxy;
pub mod report;
mod secret_ref;
mod section;
mod settings;
mod shared;
mod split;
mod stamps;
#[cfg(test)]
mod tests;
mod unchanged;
mod unresolved;
mod value;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use account::Account;
pub use audit::{Audit, AuditEvent, AuditEvents, AuditFile};
pub use files::{Files, is_shortage, read_regular, toml_files};
pub use fingerprint::{Fingerprint, Parts};
pub use locations::Environment;
pub use log::{BadLevel, Format, LEVEL_VARIABLE, Level};
pub use marks::{Marks, Origin};
pub use metrics::{Metrics, MetricsListen};
pub use mistake::{ConfigError, Report, nearest};
pub use pacing::Pacing;
pub use proxy::{NoProxy, Proxy, Route, is_this_machine};
pub use secret_ref::{COMMAND_TIMEOUT, FileMode, SecretPlace, SecretRef};
pub use settings::{Http, Limits, Log};
pub use stamps::Stamps;
pub use unresolved::{NameKind, Unresolved};

use tokend_policy::{Directory, Names, Policy};
use tokend_proto::AccountName;

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

impl Config {
    /// Reads and checks the configuration at `path`. Contacts nobody and fetches no secret.
    ///
    /// # Errors
    ///
    /// All mistakes that were found, up to a bound.
    pub fn load(
        path: &Path,
        overrides: &Overrides,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        Self::load_from(
            &Files::system(),
            Directory::system(),
            path,
            overrides,
            environment,
        )
    }

    /// The same, from other files and with other users and groups than this machine has.
    ///
    /// # Errors
    ///
    /// All mistakes that were found, up to a bound.
    pub fn load_from(
        files: &Files,
        directory: Directory,
        path: &Path,
        overrides: &Overrides,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let marks = &mut Marks::default();
        let loaded = load::load(path, overrides, environment, files, directory, marks);
        loaded.map_err(|error| error.with_shortage(files.met_a_shortage()))
    }

    /// Keeps of what is in force the accounts that are the same as those here, as the very same values: then a reload leaves no holes in
    /// the memory, and who compares finds them the same at a glance.
    pub fn keep_unchanged(&mut self, in_force: impl Fn(&AccountName) -> Option<Arc<Account>>) {
        unchanged::keep(&mut self.accounts, in_force);
    }

    /// The same as [`Config::load`], and where each rule stands.
    ///
    /// # Errors
    ///
    /// All mistakes that were found, up to a bound.
    pub fn load_with_marks(
        path: &Path,
        overrides: &Overrides,
        environment: &Environment,
    ) -> Result<(Self, Marks), ConfigError> {
        let mut marks = Marks::kept();
        let (files, directory) = (Files::system(), Directory::system());
        let loaded = load::load(path, overrides, environment, &files, directory, &mut marks);
        match loaded {
            Ok(config) => Ok((config, marks)),
            Err(error) => Err(error.with_shortage(files.met_a_shortage())),
        }
    }
}
