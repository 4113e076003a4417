//! Where the relay is that a process was told of.

use std::env::{self, VarError};
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use super::at::At;

/// Where a relay listens. A process is told of one, when it starts, and for as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Egress {
    /// On a loopback address.
    Tcp(SocketAddr),
    /// On a Unix socket.
    Unix(&'static Path),
}

/// The variable does not name a relay.
#[derive(Debug, thiserror::Error)]
#[error(
    "TOKEND_EGRESS={0:?} is neither the whole path of a Unix socket, such as /run/tokend/egress.sock, nor a loopback address with a port, such as 127.0.0.1:3128; leave it out to connect without a relay"
)]
pub struct NoEgress(String);

impl Egress {
    /// Names the relay's address.
    pub const VARIABLE: &str = "TOKEND_EGRESS";

    /// The one this process was told of.
    ///
    /// # Errors
    /// When what it was told makes no sense.
    pub fn of_this_process() -> Result<Option<Self>, NoEgress> {
        match env::var(Self::VARIABLE) {
            Err(VarError::NotPresent) => Ok(None),
            Ok(text) => Self::named(&text),
            Err(VarError::NotUnicode(text)) => Err(NoEgress(text.to_string_lossy().into_owned())),
        }
    }

    /// The one that a value of the variable names; an empty one names none.
    ///
    /// # Errors
    /// When it makes no sense.
    pub fn named(text: &str) -> Result<Option<Self>, NoEgress> {
        match text {
            "" => Ok(None),
            text => Self::parse(text).map(Some),
        }
    }

    /// The relay at an address or a path, as the variable has it.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, NoEgress> {
        match At::parse(text) {
            Ok(At::Tcp(address)) if address.port() != 0 => Ok(Self::Tcp(address)),
            Ok(At::Unix(path)) => Ok(Self::Unix(Box::leak(path.into_boxed_path()))),
            Ok(At::Tcp(_)) | Err(_) => Err(NoEgress(text.to_owned())),
        }
    }

    /// As programs are told of a proxy; `None` where they could not use it.
    pub fn as_proxy(self) -> Option<String> {
        match self {
            Self::Tcp(address) => Some(format!("http://{address}")),
            Self::Unix(_) => None,
        }
    }

    /// What stands in front of the path where the relay itself is asked.
    pub fn base(self) -> String {
        self.as_proxy().unwrap_or_else(|| "http://relay".to_owned())
    }
}

/// As it was named.
impl fmt::Display for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}
