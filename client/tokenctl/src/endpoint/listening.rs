//! The socket of an endpoint.
//!
//! Owns where it may be: on this machine's own addresses, so that nobody from elsewhere reaches it, and never on that of a cloud's metadata
//! server, which every program of the machine asks.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use listenfd::ListenFd;

use crate::failure::{Exit, Failure};

/// The socket that systemd passed, or one at this address.
pub(super) fn take(at: Option<SocketAddr>) -> Result<TcpListener, Failure> {
    let mut passed = ListenFd::from_env();
    let listener = match (passed.len(), at) {
        (0, Some(address)) => {
            check(address)?;
            TcpListener::bind(address).map_err(|error| {
                Failure::new(
                    Exit::Io,
                    format!("{address} cannot be listened on: {error}"),
                    "choose another port with --listen, or 0 for any; `ss -ltnp` shows who has this one",
                )
            })?
        }
        (0, None) => {
            return Err(Failure::usage(
                "there is no socket to listen on",
                "name an address with --listen 127.0.0.1:PORT, or start tokend-endpoint@NAME.socket",
            ));
        }
        (1, _) => passed
            .take_tcp_listener(0)
            .ok()
            .flatten()
            .ok_or_else(|| not_ours("a socket that does not listen on TCP"))?,
        (count, _) => return Err(not_ours(&format!("{count} sockets"))),
    };
    let address = listener.local_addr().map_err(|error| broken(&error))?;
    check(address)?;
    listener
        .set_nonblocking(false)
        .map_err(|error| broken(&error))?;
    Ok(listener)
}

/// A socket at any free port.
pub(super) fn any() -> Result<TcpListener, Failure> {
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    TcpListener::bind(here).map_err(|error| broken(&error))
}

fn check(address: SocketAddr) -> Result<(), Failure> {
    match address.ip().is_loopback() {
        true => Ok(()),
        false => Err(Failure::new(
            Exit::Config,
            format!("{} is no address of this machine alone", address.ip()),
            "listen on 127.0.0.1 or [::1]: whoever reaches an endpoint from elsewhere cannot be proved",
        )),
    }
}

fn not_ours(what: &str) -> Failure {
    Failure::new(
        Exit::Config,
        format!("systemd passed {what} to this endpoint"),
        "keep one ListenStream=127.0.0.1:PORT in the drop-in of tokend-endpoint@NAME.socket",
    )
}

fn broken(error: &std::io::Error) -> Failure {
    let what = format!("the socket of this endpoint cannot be used: {error}");
    Failure::new(Exit::Io, what, "start it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_alone_are_listened_on() {
        for open in ["0.0.0.0:0", "169.254.169.254:80", "[::]:0", "[fe80::1]:0"] {
            let refused = take(Some(open.parse().unwrap())).unwrap_err();
            assert_eq!(refused.exit() as u8, 78, "{open}");
        }
        let taken = take(Some("127.0.0.1:0".parse().unwrap())).unwrap();
        let address = taken.local_addr().unwrap();
        let again = take(Some(address)).unwrap_err().in_one_line();
        assert!(again.contains(&address.to_string()), "{again}");
        assert_eq!(take(None).unwrap_err().exit() as u8, 64);
    }
}
