//! The daemon that answered.
//!
//! Owns how the answering daemon is shown: with several daemons on a machine, the same command may reach one or
//! the other.

use std::fmt;

use serde::Serialize;
use tokend_client::BlockingClient;

/// A daemon, by its socket. The keys are a contract with programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Daemon {
    socket: String,
    /// The user that made the socket listen: root under systemd.
    uid: Option<u32>,
}

impl Daemon {
    /// The daemon at the other end of this client's connection.
    pub(crate) fn of(client: &BlockingClient) -> Self {
        Self {
            socket: client.socket().to_string(),
            uid: client.peer_uid(),
        }
    }
}

#[cfg(test)]
impl Daemon {
    pub(crate) fn example() -> Self {
        Self {
            socket: "/run/tokend/tokend.sock".to_owned(),
            uid: Some(0),
        }
    }
}

impl fmt::Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let socket = crate::words::plain(&self.socket);
        match self.uid {
            Some(0) => write!(f, "{socket}, of root"),
            Some(uid) => write!(f, "{socket}, of user {uid}"),
            None => write!(f, "{socket}"),
        }
    }
}
