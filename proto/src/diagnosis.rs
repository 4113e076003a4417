//! What the daemon finds when it is asked to look at itself.
//!
//! Owns the shape of findings. Findings carry no secret; for a peer that is not an administrator they do not
//! say where one is kept either.

use serde::{Deserialize, Serialize};

use crate::AccountName;
use crate::numbered::numbered;

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

numbered! {
    /// How bad a finding is.
    #[derive(PartialOrd, Ord)]
    pub enum Severity, others nearest Warning {
        /// All is well.
        Ok = 0, "ok";
        /// It works, but somebody should know.
        Warning = 1, "warning";
        /// It does not work.
        Problem = 2, "problem";
    }
}

numbered! {
    /// What a finding is about.
    pub enum Topic, others nearest Configuration {
        /// What the peer may do.
        Caller = 0, "caller";
        /// The daemon's clock.
        Clock = 1, "clock";
        /// The store, its disk and its key.
        Store = 2, "store";
        /// The files of the configuration.
        Configuration = 3, "configuration";
        /// A secret of an account.
        Secret = 4, "secret";
        /// Whether a provider can be reached, up to its TLS certificate.
        Provider = 5, "provider";
        /// A file that a sink keeps fresh.
        Sink = 6, "sink";
    }
}
