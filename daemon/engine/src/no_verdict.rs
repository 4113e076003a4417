//! The memory of attempts without a verdict, and of refused logins.

use crate::time::Timestamp;

/// Attempts without a verdict since the last grant or changed credential. Stored, so that a restart does not forget them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoVerdict {
    /// Refreshes in a row that something in front of the provider answered.
    pub refreshes: u32,
    /// Logins that something in front of the provider answered.
    pub logins: u32,
    /// No login before this time, unless a person insists.
    pub logins_from: Option<Timestamp>,
    /// Logins to which no answer came.
    pub lost_logins: u32,
    /// Whether the provider refused a login: no more of them, while refreshes may continue. Neither a refresh nor another refresh token,
    /// which lifts the block, changes that.
    pub login_refused: bool,
    /// Whether the provider called a login wrong: likewise, but something else has to change.
    pub login_misconfigured: bool,
}
