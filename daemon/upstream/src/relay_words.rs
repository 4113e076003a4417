//! Messages about a relay, and a relay's name for a target.

use std::fmt;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Body;
use tokend_process::systemd;
use url::Url;

use tokend_egress::Egress;

/// How much of a relay's message is read, in bytes.
const LONGEST: usize = 4096;

pub(super) async fn text_of(mut body: impl Body<Data = Bytes> + Unpin) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < LONGEST
        && let Some(Ok(frame)) = body.frame().await
    {
        bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
    }
    bytes.truncate(LONGEST);
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

/// The relay does not work, and where to look.
pub(super) fn absent(at: Egress, how: &str, why: &str) -> String {
    let advice = where_to_look(at, systemd::is_the_machines());
    format!("the egress relay at {at} {how} ({why}); {advice}")
}

/// Where to look. If the daemon is the machine's service, a relay at a TCP address has a unit. Otherwise a person started it, and must
/// allow every local user to connect.
pub fn where_to_look(at: Egress, is_service: bool) -> String {
    let command = match at {
        Egress::Tcp(_) if is_service => {
            return "look at: systemctl status tokend-egress.socket tokend-egress.service"
                .to_owned();
        }
        Egress::Tcp(address) => format!("tokend egress --listen {address} --any-local-user"),
        Egress::Unix(path) => format!("tokend egress --listen {}", path.display()),
    };
    format!("check whether `{command}` runs, and its log")
}

/// The relay has no room for the connection.
pub(super) fn full(at: &dyn fmt::Display, why: &str) -> String {
    format!(
        "the egress relay at {at} has no free place ({why}); nothing was sent, and tokend tries again; the log of the relay and `ss -xtnp` show whose connections they are"
    )
}

/// The relay's name for the host of an address; `None` if it has no host.
pub(super) fn target(url: &Url) -> Option<String> {
    Some(format!(
        "{}:{}",
        url.host_str()?,
        url.port_or_known_default()?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_started_the_relay_is_told_where_to_look() {
        let (tcp, unix) = ("127.0.0.1:3128", "/run/tokend/egress.sock");
        for (at, is_service, expected) in [
            (
                tcp,
                true,
                "look at: systemctl status tokend-egress.socket tokend-egress.service",
            ),
            (
                tcp,
                false,
                "check whether `tokend egress --listen 127.0.0.1:3128 --any-local-user` runs, and its log",
            ),
            (
                "[::1]:3128",
                false,
                "check whether `tokend egress --listen [::1]:3128 --any-local-user` runs, and its log",
            ),
            (
                unix,
                false,
                "check whether `tokend egress --listen /run/tokend/egress.sock` runs, and its log",
            ),
        ] {
            let egress = Egress::parse(at).unwrap();
            assert_eq!(where_to_look(egress, is_service), expected);
        }
    }
}
