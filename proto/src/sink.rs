//! Which files sinks keep fresh, and which they cannot write.
//!
//! Owns the shape of what sinks report of themselves. It carries no secret: a path and a sentence.

use serde::{Deserialize, Serialize};

use crate::AccountName;

/// One page of sinks, in the order of the names of their accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinksPage {
    /// The sinks of accounts whose status the peer may see.
    pub sinks: Vec<SinkLine>,
    /// When there are more: the name to pass as `after` for the next page.
    pub next: Option<AccountName>,
}

/// A file that is kept fresh, as its sink reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkLine {
    /// Whose token is in it.
    pub account: AccountName,
    /// The sink's name.
    pub sink: String,
    /// The user who runs the sink.
    pub uid: u32,
    /// The file.
    pub path: String,
    /// What is wrong with it at present, as a lower-case fragment.
    pub problem: Option<String>,
}
