//! What a relay is told when it starts.

use crate::at::At;

/// How the relay is told to listen, and for whom.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where to listen, unless systemd passes a socket; else beside the daemon's socket.
    pub listen: Option<At>,
    /// Who may connect beside its own user and root, by name or number.
    pub users: Vec<String>,
    /// Whether an address is meant on which every user of the machine can connect.
    pub any_local_user: bool,
}
