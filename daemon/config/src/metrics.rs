//! `[metrics]`: who may read metrics, and whether they can be fetched over HTTP.
//!
//! Owns the settings and their defaults. Must never let the listener be reached from another machine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokend_document::{Diagnostics, Section, Value};
use tokend_policy::Policy;

use super::allow::{METRICS, rules};
use super::reading::Reading;
use super::rule_origins::Owner;

/// Who may read metrics, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// The address of the HTTP listener, if there is one.
    pub listen: Option<MetricsListen>,
    /// The peers that may read metrics, beside administrators. On a loopback address, every process that can connect may read them.
    pub allow: Arc<Policy>,
    /// Whether there are series for each account.
    pub accounts: bool,
}

/// The address of a metrics listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricsListen {
    /// A loopback address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            listen: None,
            allow: Arc::default(),
            accounts: true,
        }
    }
}

impl Metrics {
    /// Reads `[metrics]`, if it is there.
    pub(super) fn read(root: &mut Section<'_>, reading: &mut Reading<'_>) -> Self {
        let default = Self::default();
        let Some(mut section) = root.section("metrics", &mut reading.diagnostics) else {
            return default;
        };
        let allow = section.take("allow");
        let allow = allow.and_then(|value| rules(value, METRICS, reading));
        reading.origins.end(Owner::Metrics);
        let Reading {
            base, diagnostics, ..
        } = reading;
        let listen = section.take("listen");
        let listen = listen.and_then(|value| self::listen(value, base, diagnostics));
        let accounts = section.read("accounts", diagnostics, Value::boolean);
        section.finish(diagnostics);
        Self {
            listen,
            allow: allow.map_or(default.allow, |rules| Arc::new(Policy::new(rules))),
            accounts: accounts.unwrap_or(default.accounts),
        }
    }
}

fn listen(value: Value<'_>, base: &Path, diagnostics: &mut Diagnostics) -> Option<MetricsListen> {
    let text = value.text(diagnostics)?;
    if let Some(path) = text.strip_prefix("unix:") {
        if path.is_empty() || path.contains('\0') {
            let help = "write a path behind it: `unix:/run/tokend/metrics.sock`".to_owned();
            return value.wrong(diagnostics, "this names no socket", help);
        }
        return Some(MetricsListen::Unix(base.join(path)));
    }
    let Ok(address) = text.parse::<SocketAddr>() else {
        let help = "write a loopback address and a port, or `unix:` and a path: `127.0.0.1:9464`, `[::1]:9464`, `unix:/run/tokend/metrics.sock`";
        let message = format!("`{text}` is not a place to listen at");
        return value.wrong(diagnostics, message, help.to_owned());
    };
    if !address.ip().is_loopback() {
        let help =
            "use 127.0.0.1 or [::1], and a proxy of your own where another machine shall read them";
        let message = format!(
            "{} can be reached from other machines, and metrics name accounts",
            address.ip()
        );
        return value.wrong(diagnostics, message, help.to_owned());
    }
    Some(MetricsListen::Tcp(address))
}
