//! The configuration: from TOML files to checked, compact values.
//!
//! Owns [`Config`] and [`Account`]. A `Config` is right as far as this machine can tell without asking a provider. For a wrong
//! configuration every mistake is reported with its place and what to write instead. The configuration never holds a secret, only the
//! places of secrets.

mod account;
mod allow;
mod audit;
mod configuration;
mod dialects;
mod error;
mod fields;
mod files;
mod fingerprint;
mod globals;
mod group;
mod language;
mod listen;
mod load;
mod locations;
mod log;
mod metrics;
mod pacing;
mod proxy;
mod reading;
mod rule_origins;
mod secret_ref;
mod settings;
mod shared;
mod site;
mod split;
mod stamps;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;
mod unchanged;
mod unresolved;

pub use account::Account;
pub use audit::{Audit, AuditEvent, AuditEvents, AuditFile};
pub use configuration::{Config, Overrides};
pub use error::ConfigError;
pub use files::{Files, is_shortage, read_regular, toml_files};
pub use fingerprint::{Fingerprint, Parts};
pub use listen::Listen;
pub use locations::Environment;
pub use log::{BadLevel, Format, LEVEL_VARIABLE, Level};
pub use metrics::{Metrics, MetricsListen};
pub use pacing::Pacing;
pub use proxy::{NoProxy, Proxy, Route, is_this_machine};
pub use rule_origins::{RuleOrigin, RuleOrigins};
pub use secret_ref::{COMMAND_TIMEOUT, FileMode, SecretPlace, SecretRef};
pub use settings::{Http, Limits, Log};
pub use stamps::Stamps;
pub use unchanged::InForce;
pub use unresolved::Unresolved;
