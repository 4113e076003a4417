//! Which socket a client connects to.
//!
//! Owns the difference between a path that was given and one that is looked for at every connection.

use crate::{ClientError, SocketPath};

/// Where a client looks for the daemon.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// Always here.
    Fixed(SocketPath),
    /// Wherever it is found when a connection is made.
    Found,
}

impl Place {
    pub(crate) fn of(path: Option<SocketPath>) -> Self {
        path.map_or(Self::Found, Self::Fixed)
    }

    pub(crate) fn path(&self) -> Result<SocketPath, ClientError> {
        match self {
            Self::Fixed(path) => Ok(path.clone()),
            Self::Found => SocketPath::find(None),
        }
    }
}
