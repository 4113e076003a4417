//! What tokens are for.
//!
//! Owns the shape of the answer. The grammar of an address, and what it covers, is in `tokend-notation`.

use serde::{Deserialize, Serialize};

use crate::AccountName;

/// One page of APIs, in the order of the names of their accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApisPage {
    /// The accounts whose token the peer may have.
    pub apis: Vec<ApiLine>,
    /// When there are more: the name to pass as `after` for the next page.
    pub next: Option<AccountName>,
}

/// What the token of an account is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiLine {
    /// The account.
    pub account: AccountName,
    /// The addresses that the token may be sent to: `https://HOST[:PORT]/PATH`, where `*.` before a host stands for
    /// all hosts below it, and a path counts in whole parts. None means that nobody has said what the token is for,
    /// and that a program must not guess.
    pub urls: Vec<String>,
}
