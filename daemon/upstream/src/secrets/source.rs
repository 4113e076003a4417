//! What the resolution of secrets needs to know of the world.

use std::path::PathBuf;
use std::time::Duration;

use tokend_egress::Egress;
use tokend_process::systemd;

/// What the resolution of secrets needs to know of the world.
#[derive(Debug, Clone)]
pub struct SecretSource {
    /// systemd's directory of credentials, where there is one.
    pub credentials: Option<PathBuf>,
    /// How long a command may take before it is killed.
    pub command_timeout: Duration,
    /// The user whose files are trusted beside root's.
    pub owner: u32,
    /// What a command that asks somebody over the network has to go through.
    pub egress: Option<Egress>,
    /// Who a command is told that it runs as, where that is another than this process's environment has.
    pub person: Option<Person>,
}

/// A user as a command finds them in its environment.
#[derive(Debug, Clone)]
pub struct Person {
    /// Their name.
    pub name: String,
    /// Their home directory.
    pub home: Option<PathBuf>,
    /// Their runtime directory.
    pub runtime: Option<PathBuf>,
    /// What else is set for them, of the variables in [`KEPT_VARIABLES`](super::KEPT_VARIABLES); it comes first.
    pub variables: Vec<(&'static str, String)>,
}

impl SecretSource {
    /// The world as this process sees it, with the relay it was told of when it started.
    pub fn of_this_process(command_timeout: Duration, egress: Option<Egress>) -> Self {
        Self {
            credentials: systemd::credentials(),
            command_timeout,
            owner: rustix::process::geteuid().as_raw(),
            egress,
            person: None,
        }
    }

    /// The same world, with another limit for commands.
    pub fn with_command_timeout(self, command_timeout: Duration) -> Self {
        Self {
            command_timeout,
            ..self
        }
    }
}
