//! The command line of a relay.

use crate::address::Egress;

/// Where and for whom the relay listens.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where to listen, unless systemd passes a socket; else beside the daemon's socket.
    pub listen: Option<Egress>,
    /// The users who may connect, besides the relay's own user and root, by name or number.
    pub users: Vec<String>,
    /// Whether the operator accepts that every user of the machine can connect.
    pub any_local_user: bool,
}
