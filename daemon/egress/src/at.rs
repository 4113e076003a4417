//! Where a relay listens.

use std::net::SocketAddr;
use std::path::PathBuf;

/// A place to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// A loopback address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl At {
    /// From the command line. Only local addresses are allowed, since every process that can connect sends as the relay's user.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = text.strip_prefix("unix:").unwrap_or(text);
        if path.starts_with('/') {
            return Ok(Self::Unix(path.into()));
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
}
