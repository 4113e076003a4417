//! `tokend egress` on the command line.

use std::net::SocketAddr;

use clap::Args;

pub(super) const HELP: &str = "\
A proxy for HTTP: CONNECT host:port, and requests for http:// addresses. It reads no configuration and holds no secret; what
goes to a provider by https passes encrypted. The daemon finds it by TOKEND_EGRESS. systemd starts it (tokend-egress.socket)
with a socket that only the daemon can reach; see systemd/README.md.

Example:
  tokend egress --listen 127.0.0.1:3128 &  TOKEND_EGRESS=127.0.0.1:3128 tokend";

/// Options of `tokend egress`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct EgressArgs {
    /// Loopback address to listen on, where systemd passes no socket
    #[arg(long, value_name = "ADDRESS", value_parser = loopback)]
    pub(crate) listen: Option<SocketAddr>,
}

/// Everybody who can connect goes out as the relay's user: nobody from another machine shall.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "an address is written as 127.0.0.1:3128 or [::1]:3128".to_owned())?;
    if !address.ip().is_loopback() {
        return Err(format!(
            "{} can be reached from other machines; use 127.0.0.1 or [::1]",
            address.ip()
        ));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_relayed_for() {
        assert!(loopback("127.0.0.1:3128").is_ok() && loopback("[::1]:3128").is_ok());
        for wrong in [
            "0.0.0.0:3128",
            "[::]:1",
            "192.0.2.1:1",
            "localhost:1",
            "3128",
        ] {
            assert!(loopback(wrong).is_err(), "{wrong}");
        }
    }
}
