//! The sockets that systemd holds for the daemon beside the one for clients: for readers of metrics, and for outlets.
//!
//! Owns when one of them is missing: it failed, does not listen although it is enabled, or its file is gone. Must not miss one that nobody enabled.

use std::path::Path;

use super::state::State;
use crate::doctor::finding::Finding;
use crate::failure::Exit;

/// Their units, and what programs get there.
pub(super) const BESIDE: [(&str, &str); 4] = [
    ("tokend-metrics.socket", "metrics over HTTP"),
    ("tokend-http.socket", "tokens over HTTP"),
    ("tokend-credentials.socket", "credentials of units"),
    (
        "tokend-oidc-agent.socket",
        "tokens for clients of oidc-agent",
    ),
];

/// One of these sockets.
#[derive(Debug, Default)]
pub(super) struct Beside {
    unit: &'static str,
    serves: &'static str,
    state: State,
}

impl Beside {
    /// All of them, from what systemd says of each, in the order of [`BESIDE`].
    pub(super) fn all(states: impl Iterator<Item = State>) -> Vec<Self> {
        let all = BESIDE.into_iter().zip(states);
        let all = all.map(|((unit, serves), state)| Self {
            unit,
            serves,
            state,
        });
        all.collect()
    }

    /// Its unit, if it failed.
    pub(super) fn failed(&self) -> Option<&'static str> {
        (self.state.active == "failed").then_some(self.unit)
    }

    /// Why nobody is served there, although somebody should be.
    fn missing(&self) -> Option<String> {
        let State {
            active,
            enabled,
            result,
            ..
        } = &self.state;
        match active.as_str() {
            "failed" => Some(format!("has failed ({result})")),
            "inactive" if enabled.starts_with("enabled") => {
                Some("is enabled and does not listen".to_owned())
            }
            "active" => {
                let path = self.state.listens_at()?;
                let is_gone = !Path::new(path).exists();
                is_gone.then(|| format!("listens at {path}, which is not there any more"))
            }
            _ => None,
        }
    }

    /// The finding that it is missing.
    pub(super) fn finding(&self) -> Option<Finding> {
        let (unit, serves) = (self.unit, self.serves);
        let why = self.missing()?;
        let reset = match self.failed() {
            Some(_) => format!("sudo systemctl reset-failed {unit} && "),
            None => String::new(),
        };
        Some(Finding::problem(
            "unit",
            Exit::Unavailable,
            format!("{unit} {why}: nobody gets {serves}"),
            // systemd starts no socket of a service that runs.
            format!(
                "see why with `sudo journalctl -u {unit}`, then: {reset}sudo systemctl stop {unit} tokend.socket tokend.service && \
                 sudo systemctl start {unit} tokend.socket tokend.service"
            ),
        ))
    }
}
