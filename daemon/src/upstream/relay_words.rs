//! What is said of a relay, and what a relay calls a target.

use std::fmt;

use url::Url;

/// That the relay is of no use, and where to look.
pub(super) fn absent(at: &dyn fmt::Display, how: &str, why: &str) -> String {
    let at = at.to_string();
    let advice = match at.starts_with('/') {
        true => format!("see whether `tokend egress --listen {at}` runs, and what it logs"),
        false => "look at: systemctl status tokend-egress.socket tokend-egress.service".to_owned(),
    };
    format!("the egress relay at {at} {how} ({why}); {advice}")
}

/// That the relay has no place for us.
pub(super) fn full(at: &dyn fmt::Display, why: &str) -> String {
    format!(
        "the egress relay at {at} has no free place ({why}); nothing was sent, and it is tried again; see who holds the connections: its log, and ss -xtnp"
    )
}

/// What the relay calls the host of an address; `None` where it has none.
pub(super) fn target(url: &Url) -> Option<String> {
    Some(format!(
        "{}:{}",
        url.host_str()?,
        url.port_or_known_default()?
    ))
}
