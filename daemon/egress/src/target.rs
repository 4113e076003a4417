//! Host and port of a target.

use std::fmt;

use http::Uri;
use http::uri::Authority;

/// A host, in brackets if it is an address of IPv6, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    host: Box<str>,
    port: u16,
}

impl Target {
    /// From `host:port`; without a port, `otherwise` if given.
    pub(super) fn of(authority: &Authority, otherwise: Option<u16>) -> Option<Self> {
        let host = authority.host();
        if host.is_empty() || authority.as_str().contains('@') {
            return None;
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            // `host:` has an empty port, and `host:99999` none that fits.
            None if authority.as_str() == host => otherwise?,
            None => return None,
        };
        (port != 0).then(|| Self {
            host: host.to_ascii_lowercase().into(),
            port,
        })
    }

    pub(super) fn uri(&self) -> Option<Uri> {
        format!("http://{self}/").parse().ok()
    }

    pub(super) fn host_header(&self) -> String {
        match self.port {
            80 => self.host.to_string(),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, otherwise: Option<u16>) -> Option<String> {
        let target = Target::of(&text.parse().ok()?, otherwise)?;
        Some(target.to_string())
    }

    #[test]
    fn a_target_has_host_and_port_and_nothing_else() {
        assert_eq!(of("Example.com:443", None), Some("example.com:443".into()));
        assert_eq!(of("[::1]:80", None), Some("[::1]:80".into()));
        assert_eq!(of("example.com", Some(80)), Some("example.com:80".into()));
        for wrong in [
            "example.com",
            "example.com:",
            "example.com:0",
            "example.com:99999",
            "user@example.com:443",
            ":443",
        ] {
            assert_eq!(of(wrong, None), None, "{wrong}");
        }
        assert_eq!(of("example.com:99999", Some(80)), None);
        assert_eq!(of("user:pw@example.com", Some(80)), None);
    }
}
