//! The configuration: from TOML files to checked, compact values.
//!
//! Owns [`Config`] and [`Account`]. A configuration that exists is right as far as this machine can tell without asking a
//! provider; one that is not is told with every mistake, its place and what to write instead. It never holds a secret, only
//! where secrets are.

mod account;
mod dialects;
mod excerpt;
mod files;
mod fingerprint;
mod given;
mod head;
mod load;
mod locations;
mod mistake;
mod rules;
mod secret_ref;
mod section;
mod settings;
mod split;
#[cfg(test)]
mod tests;
mod value;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use account::Account;
pub(crate) use files::toml_files;
pub(crate) use fingerprint::{Fingerprint, Parts};
pub(crate) use locations::Environment;
pub(crate) use mistake::{ConfigError, Report, nearest};
pub(crate) use rules::Pacing;
pub(crate) use settings::{Http, Limits, Log};

use crate::policy::{Directory, Rule};

/// Everything that was configured.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where to listen, unless a socket is inherited.
    pub(crate) socket: PathBuf,
    /// Permission bits of the socket.
    pub(crate) socket_mode: u32,
    /// Where the store and its key are.
    pub(crate) state_dir: PathBuf,
    /// Who may refresh, reload, log in and forget.
    pub(crate) admin: Arc<[Rule]>,
    /// Bounds on what peers can take up.
    pub(crate) limits: Limits,
    /// What is logged and how.
    pub(crate) log: Log,
    /// How providers are reached.
    pub(crate) http: Http,
    /// All accounts, in the order of their names.
    pub(crate) accounts: Vec<Arc<Account>>,
    /// The files this was read from; the first is the one that was named.
    pub(crate) files: Vec<PathBuf>,
}

/// What the command line says; it comes before the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Overrides {
    /// Where to listen.
    pub(crate) socket: Option<PathBuf>,
    /// Where the store is.
    pub(crate) state_dir: Option<PathBuf>,
}

impl Config {
    /// Reads and checks the configuration at `path`. Contacts nobody and fetches no secret.
    ///
    /// # Errors
    ///
    /// All mistakes that were found, up to a bound.
    pub(crate) fn load(
        path: &Path,
        overrides: &Overrides,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        load::load(path, overrides, environment, Directory::system())
    }
}
