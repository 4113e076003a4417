//! What is remembered of attempts without a verdict, and of logins whatever becomes of refresh tokens.

use crate::time::Timestamp;

/// Attempts without a verdict of the provider since the last grant or changed credential. Durable, so that no restart begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoVerdict {
    /// Refreshes in a row that something in front of the provider answered.
    pub refreshes: u32,
    /// Logins that something in front of the provider answered.
    pub logins: u32,
    /// No login before this time, but where a person insists.
    pub logins_from: Option<Timestamp>,
    /// Logins to which no answer came.
    pub lost_logins: u32,
    /// Whether the provider refused a login: no more of them, while refreshes may go on. Neither a refresh nor what it brings changes
    /// that, and neither does another refresh token, which lifts the block.
    pub login_refused: bool,
    /// Whether it called a login wrong: as much holds of it, and what has to change is another thing.
    pub login_misconfigured: bool,
}
