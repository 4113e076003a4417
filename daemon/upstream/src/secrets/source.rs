//! The environment that secrets are fetched in.

use std::path::PathBuf;
use std::time::Duration;

use tokend_egress::Egress;
use tokend_process::systemd;

/// The environment that secrets are fetched in.
#[derive(Debug, Clone)]
pub struct SecretSource {
    /// systemd's directory of credentials, if there is one.
    pub credentials: Option<PathBuf>,
    /// How long a command may take before it is killed.
    pub command_timeout: Duration,
    /// The user whose files are trusted, besides root's.
    pub owner: u32,
    /// The relay that a command must use to reach the network.
    pub egress: Option<Egress>,
    /// The user that commands find in their environment, if it differs from this process's environment.
    pub person: Option<Person>,
}

/// A user, as a command finds them in its environment.
#[derive(Debug, Clone)]
pub struct Person {
    /// Their name.
    pub name: String,
    /// Their home directory.
    pub home: Option<PathBuf>,
    /// Their runtime directory.
    pub runtime: Option<PathBuf>,
    /// Other variables for this user, among [`KEPT_VARIABLES`](super::KEPT_VARIABLES); they override the values above.
    pub variables: Vec<(&'static str, String)>,
}

impl SecretSource {
    /// The environment of this process, with the relay it was given at its start.
    pub fn of_this_process(command_timeout: Duration, egress: Option<Egress>) -> Self {
        Self {
            credentials: systemd::credentials(),
            command_timeout,
            owner: rustix::process::geteuid().as_raw(),
            egress,
            person: None,
        }
    }

    /// The same environment, with another time limit for commands.
    pub fn with_command_timeout(self, command_timeout: Duration) -> Self {
        Self {
            command_timeout,
            ..self
        }
    }
}
