//! The units that would run the daemon.
//!
//! Owns how systemd is asked and what is asked of it: nothing but to enable and start the two units of tokend.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::place::{Place, runtime};
use crate::deadline::within;
use crate::failure::{Exit, Failure};

/// How long systemd may take to say whether it knows a unit.
const PATIENCE: Duration = Duration::from_secs(5);

/// The units of the machine or of the user, installed and not started.
#[derive(Debug)]
pub(super) struct Units {
    is_users: bool,
}

impl Units {
    /// The units that run the configuration at this place; `None` without systemd or without them.
    pub(super) fn of(place: &Place) -> Option<Self> {
        let units = Self {
            is_users: !place.is_system,
        };
        if !place.is_default || !Path::new("/run/systemd/system").exists() {
            return None;
        }
        let mut asked = units.systemctl(&["show", "-P", "LoadState", "tokend.socket"]);
        let output = within(PATIENCE, move || asked.output())?.ok()?;
        let state = String::from_utf8_lossy(&output.stdout);
        (output.status.success() && state.trim() == "loaded").then_some(units)
    }

    /// What a person would type.
    pub(super) fn command(&self) -> String {
        format!("systemctl {}", self.words(&START).join(" "))
    }

    /// Enables and starts the daemon, and returns once it is ready.
    pub(super) fn start(&self) -> Result<(), Failure> {
        let failed = |why: &str| {
            let user = if self.is_users { " --user" } else { "" };
            Failure::new(
                Exit::Unavailable,
                format!("`{}` failed: {why}", self.command()),
                format!(
                    "see why with `tokenctl doctor` or `journalctl{user} -u tokend`, and run this again"
                ),
            )
        };
        let output = self.systemctl(&START).output();
        let output = output.map_err(|error| failed(&error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(failed(said.lines().next().unwrap_or("it said nothing")))
    }

    fn systemctl(&self, words: &[&str]) -> Command {
        let mut command = Command::new("systemctl");
        command.args(self.words(words)).stdin(Stdio::null());
        command.envs(runtime().map(|dir| ("XDG_RUNTIME_DIR", dir)));
        command
    }

    fn words<'w>(&self, words: &[&'w str]) -> Vec<&'w str> {
        let scope = self.is_users.then_some("--user");
        scope.into_iter().chain(words.iter().copied()).collect()
    }
}

const START: [&str; 4] = ["enable", "--now", "tokend.socket", "tokend.service"];
