//! The address of the relay that this process was given.

use std::env::{self, VarError};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The address of a relay. A process gets it at its start and keeps it for life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Egress {
    /// On a loopback address.
    Tcp(SocketAddr),
    /// On a Unix socket.
    Unix(&'static Path),
}

/// The variable does not hold the address of a relay.
#[derive(Debug, thiserror::Error)]
#[error(
    "TOKEND_EGRESS={0:?} is neither the whole path of a Unix socket, such as /run/tokend/egress.sock, nor a loopback address with a port, such as 127.0.0.1:3128; leave it out to connect without a relay"
)]
pub struct NoEgress(String);

impl Egress {
    /// The variable with the relay's address.
    pub const VARIABLE: &str = "TOKEND_EGRESS";

    /// The relay that this process was given.
    pub fn of_this_process() -> Result<Option<Self>, NoEgress> {
        match env::var(Self::VARIABLE) {
            Err(VarError::NotPresent) => Ok(None),
            Ok(text) => Self::named(&text),
            Err(VarError::NotUnicode(text)) => Err(NoEgress(text.to_string_lossy().into_owned())),
        }
    }

    /// The relay that a value of the variable names; `None` for an empty value.
    pub fn named(text: &str) -> Result<Option<Self>, NoEgress> {
        match text {
            "" => Ok(None),
            text => Self::parse(text).map(Some),
        }
    }

    /// The relay at an address or a path, in the notation of the variable.
    pub fn parse(text: &str) -> Result<Self, NoEgress> {
        match Self::to_listen_at(text) {
            Ok(Self::Tcp(address)) if address.port() == 0 => Err(NoEgress(text.to_owned())),
            parsed => parsed.map_err(|_| NoEgress(text.to_owned())),
        }
    }

    /// A place for a relay to listen, from the command line. Only local addresses are allowed, since every process that can connect sends
    /// as the relay's user.
    pub fn to_listen_at(text: &str) -> Result<Self, String> {
        let path = text.strip_prefix("unix:").unwrap_or(text);
        if path.starts_with('/') {
            return Ok(Self::Unix(Box::leak(PathBuf::from(path).into_boxed_path())));
        }
        let address: SocketAddr = text.parse().map_err(|_| {
            "write the whole path of a Unix socket, such as /run/tokend/egress.sock, or an address such as 127.0.0.1:3128"
                .to_owned()
        })?;
        if !address.ip().is_loopback() {
            return Err(format!(
                "{} can be reached from other machines; use the path of a Unix socket",
                address.ip()
            ));
        }
        Ok(Self::Tcp(address))
    }

    /// As a proxy URL for other programs; `None` if they could not use it.
    pub fn as_proxy(self) -> Option<String> {
        match self {
            Self::Tcp(address) => Some(format!("http://{address}")),
            Self::Unix(_) => None,
        }
    }

    /// The URL in front of the path of a question to the relay itself.
    pub fn base(self) -> String {
        self.as_proxy().unwrap_or_else(|| "http://relay".to_owned())
    }
}

/// In the notation of the variable.
impl fmt::Display for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}
