//! What the daemon finds when it is asked to look at itself.
//!
//! Owns the shape of findings. They carry no secret, and to whoever is no administrator no place of one either.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::AccountName;

/// One page of findings: on the first those about the daemon as a whole, then those about accounts in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiagnosisPage {
    /// What was found, good and bad.
    pub findings: Vec<Finding>,
    /// When there are more accounts: the name to pass as `after` for the next page.
    pub next: Option<AccountName>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about.
    pub topic: Topic,
    /// Which account it is about, where it is about one.
    pub account: Option<AccountName>,
    /// How bad it is.
    pub severity: Severity,
    /// What was found, as a lower-case fragment.
    pub message: String,
    /// What to do about it, as a lower-case fragment.
    pub advice: Option<String>,
}

/// How bad a finding is. Append-only: the position of a variant is its tag on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// All is well.
    Ok,
    /// It works, but somebody should know.
    Warning,
    /// It does not work.
    Problem,
}

/// What a finding is about. Append-only: the position of a variant is its tag on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Topic {
    /// What whoever asks may do.
    Caller,
    /// The daemon's clock.
    Clock,
    /// The store, its disk and its key.
    Store,
    /// The files of the configuration.
    Configuration,
    /// A secret of an account.
    Secret,
    /// Whether a provider can be reached, up to its TLS certificate.
    Provider,
}

impl Severity {
    /// The stable name of the severity in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

impl Topic {
    /// The stable name of the topic in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Clock => "clock",
            Self::Store => "store",
            Self::Configuration => "configuration",
            Self::Secret => "secret",
            Self::Provider => "provider",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
