//! Which addresses an access token is for: `https://api.example.com/v1`.
//!
//! Owns the grammar of such an address and what it covers. Configuration, dialects and clients read and compare with it, so that a token
//! never goes to a host that only one of them accepts. What is unusual in a URL covers nothing.

use std::fmt;

/// Why a text is no address of an API. Says what to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnApiUrl {
    /// Another scheme, or none.
    #[error("write it with https://, as in https://api.example.com/v1")]
    Scheme,
    /// Plain text over a network.
    #[error("plain http:// is only for a loopback address: 127.0.0.1, [::1] or localhost")]
    Plain,
    /// A host that cannot be, or a user name before it.
    #[error(
        "the host is not a name or an address; `*.` may stand only before a name of two parts or more"
    )]
    Host,
    /// A port that cannot be.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// A path with a query, a fragment, dots that lead out, or anything but plain ASCII.
    #[error(
        "the path is not plain: leave out `?`, `#`, `%`, `\\`, blanks and the parts `.` and `..`"
    )]
    Path,
}

/// An address that a token is for: a scheme, a host, a port, and the beginning of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ApiUrl {
    https: bool,
    /// In lower case. Behind `*.`, a name that stands for all names below it.
    host: Box<str>,
    port: u16,
    /// Begins with `/`.
    path: Box<str>,
}

/// An address that a program wants to send a token to, in its parts as a URL parser gives them.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::exhaustive_structs,
    reason = "whoever compares gives every part"
)]
pub struct Target<'a> {
    /// Without `://`.
    pub scheme: &'a str,
    /// Without brackets around an IPv6 address, or with them.
    pub host: &'a str,
    /// The port, also where it is the usual one of the scheme.
    pub port: u16,
    /// The path as it is sent, without the query.
    pub path: &'a str,
}

impl ApiUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong, and what to write.
    pub fn parse(text: &str) -> Result<Self, NotAnApiUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(NotAnApiUrl::Scheme)?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(NotAnApiUrl::Scheme),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let (host, port) = host_and_port(authority, https)?;
        if !https && !is_loopback(&host) {
            return Err(NotAnApiUrl::Plain);
        }
        check_path(path)?;
        Ok(Self {
            https,
            host: host.into(),
            port,
            path: path.into(),
        })
    }

    /// The same address with a path behind it.
    ///
    /// # Errors
    /// What is wrong with the path.
    pub fn join(&self, path: &str) -> Result<Self, NotAnApiUrl> {
        let inner = path.strip_prefix('/').ok_or(NotAnApiUrl::Path)?;
        check_path(path)?;
        let base = self.path.trim_end_matches('/');
        Ok(Self {
            path: format!("{base}/{inner}").into(),
            ..self.clone()
        })
    }

    /// Whether the token is for this target. The path counts in whole parts: `/v1` covers `/v1` and `/v1/users`, and not `/v10`.
    #[must_use]
    pub fn covers(&self, target: &Target<'_>) -> bool {
        let scheme = if self.https { "https" } else { "http" };
        target.scheme == scheme
            && target.port == self.port
            && self.covers_host(&target.host.to_ascii_lowercase())
            && self.covers_path(target.path)
    }

    fn covers_host(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match self.host.strip_prefix('*') {
            Some(suffix) => bare
                .strip_suffix(suffix)
                // What a program decodes from a URL can be more than a name: `evil.test/` before the suffix.
                .is_some_and(|below| !below.is_empty() && below.split('.').all(is_part)),
            None => bare == &*self.host,
        }
    }

    fn covers_path(&self, path: &str) -> bool {
        let prefix = self.path.trim_end_matches('/');
        match path.strip_prefix(prefix) {
            _ if prefix.is_empty() => path.starts_with('/'),
            // A server that decodes the path before it reads it would leave the prefix.
            _ if leads_out(path) => false,
            Some("") => !self.path.ends_with('/'),
            Some(rest) => rest.starts_with('/'),
            None => false,
        }
    }

    /// How specific it is: of two addresses that cover a target, the one with the longer path, then the longer host, is meant.
    #[must_use]
    pub fn rank(&self) -> (usize, bool, usize) {
        let path = self.path.trim_end_matches('/').len();
        (path, !self.host.starts_with('*'), self.host.len())
    }
}

impl fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.https {
            ("https", 443)
        } else {
            ("http", 80)
        };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]", self.host)?,
            false => write!(f, "{scheme}://{}", self.host)?,
        }
        if self.port != usual {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)
    }
}

fn host_and_port(authority: &str, https: bool) -> Result<(String, u16), NotAnApiUrl> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (address, rest) = inner.split_once(']').ok_or(NotAnApiUrl::Host)?;
            let address: std::net::Ipv6Addr = address.parse().map_err(|_| NotAnApiUrl::Host)?;
            (address.to_string(), rest)
        }
        None => {
            let at = authority.find(':').unwrap_or(authority.len());
            let (host, rest) = authority.split_at(at);
            let host = host.to_ascii_lowercase();
            if !is_host(&host) {
                return Err(NotAnApiUrl::Host);
            }
            (host, rest)
        }
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => {
            if https {
                443
            } else {
                80
            }
        }
        None => return Err(NotAnApiUrl::Host),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let port = digits.parse().ok().filter(|port| *port != 0);
            port.ok_or(NotAnApiUrl::Port)?
        }
        Some(_) => return Err(NotAnApiUrl::Port),
    };
    Ok((host, port))
}

/// A name of letters, digits and `-` in parts, or an IPv4 address. What URL parsers would write as another address, such as `127.1`,
/// is none.
fn is_host(host: &str) -> bool {
    let (name, below) = match host.strip_prefix("*.") {
        Some(name) => (name, true),
        None => (host, false),
    };
    let parts: Vec<&str> = name.split('.').collect();
    let last = parts.last().copied().unwrap_or_default();
    let is_number = last.starts_with(|c: char| c.is_ascii_digit());
    match is_number {
        true => !below && name.parse::<std::net::Ipv4Addr>().is_ok(),
        false => {
            name.len() <= 253
                && parts.iter().all(|part| is_part(part))
                && (!below || parts.len() > 1)
        }
    }
}

fn is_part(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !part.is_empty() && part.len() <= 63 && part.bytes().all(plain)
}

fn is_loopback(host: &str) -> bool {
    let address: Result<std::net::IpAddr, _> = host.parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn check_path(path: &str) -> Result<(), NotAnApiUrl> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#%\\\"<>^`{|}".contains(&byte);
    let mut parts = path.split('/');
    let dots = parts.any(|part| part == "." || part == "..");
    match path.starts_with('/') && path.bytes().all(plain) && !dots && !path.contains("//") {
        true => Ok(()),
        false => Err(NotAnApiUrl::Path),
    }
}

/// Whether a part of the path is `..` once it is decoded, however its slashes are written.
fn leads_out(path: &str) -> bool {
    let mut decoded = path.to_ascii_lowercase();
    // Twice, for servers behind a proxy that decodes as well.
    for _ in 0..2 {
        for (code, letter) in [("%2e", "."), ("%2f", "/"), ("%5c", "\\"), ("%25", "%")] {
            decoded = decoded.replace(code, letter);
        }
    }
    decoded.split(['/', '\\']).any(|part| {
        let part = part.split(';').next().unwrap_or_default();
        part == ".."
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(text: &str) -> ApiUrl {
        ApiUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn https<'a>(host: &'a str, path: &'a str) -> Target<'a> {
        Target {
            scheme: "https",
            host,
            port: 443,
            path,
        }
    }

    #[test]
    fn an_address_is_shown_as_it_is_compared() {
        for (text, shown) in [
            ("https://API.example.com", "https://api.example.com/"),
            (
                "HTTPS://api.example.com:443/v1",
                "https://api.example.com/v1",
            ),
            (
                "https://api.example.com:8443/v1/",
                "https://api.example.com:8443/v1/",
            ),
            ("https://*.example.com/", "https://*.example.com/"),
            ("https://192.0.2.1/a", "https://192.0.2.1/a"),
            ("https://[2001:DB8::1]:444/a", "https://[2001:db8::1]:444/a"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("http://[::1]", "http://[::1]/"),
            ("http://localhost:9/x", "http://localhost:9/x"),
        ] {
            let address = api(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(api(shown), address);
        }
    }

    #[test]
    fn what_is_no_plain_address_is_refused() {
        use NotAnApiUrl::{Host, Path, Plain, Port, Scheme};
        for (text, why) in [
            ("", Scheme),
            ("api.example.com/v1", Scheme),
            ("ftp://api.example.com", Scheme),
            ("http://api.example.com", Plain),
            ("http://*.localhost.test", Plain),
            ("https://", Host),
            ("https://user@api.example.com", Host),
            ("https://api.example.com.", Host),
            ("https://*.com", Host),
            ("https://*", Host),
            ("https://a.*.example.com", Host),
            ("https://127.1", Host),
            ("https://0x7f000001", Host),
            ("https://[::1", Host),
            ("https://[::1]x", Host),
            ("https://ex\u{e4}mple.com", Host),
            ("https://api.example.com:0", Port),
            ("https://api.example.com:", Port),
            ("https://api.example.com:70000", Port),
            ("https://api.example.com:+1", Port),
            ("https://api.example.com/a?b", Path),
            ("https://api.example.com/a#b", Path),
            ("https://api.example.com/a/../b", Path),
            ("https://api.example.com/a//b", Path),
            ("https://api.example.com/%2e", Path),
            ("https://api.example.com/a b", Path),
        ] {
            assert_eq!(ApiUrl::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_path_counts_in_whole_parts() {
        let host = "api.example.com";
        for (address, path, covered) in [
            ("https://api.example.com", "/", true),
            ("https://api.example.com", "/v1/users", true),
            ("https://api.example.com/v1", "/v1", true),
            ("https://api.example.com/v1", "/v1/", true),
            ("https://api.example.com/v1", "/v1/users", true),
            ("https://api.example.com/v1", "/v10", false),
            ("https://api.example.com/v1", "/V1/users", false),
            ("https://api.example.com/v1", "/", false),
            ("https://api.example.com/v1/", "/v1", false),
            ("https://api.example.com/v1/", "/v1/users", true),
            ("https://api.example.com/v1", "/v1/../admin", false),
            ("https://api.example.com/v1", "/v1/%2e%2E/admin", false),
            ("https://api.example.com/v1", "/v1/..%2fadmin", false),
            ("https://api.example.com/v1", "/v1/..%5Cadmin", false),
            ("https://api.example.com/v1", "/v1/%252e%252e/admin", false),
            ("https://api.example.com/v1", "/v1/..;/admin", false),
            ("https://api.example.com/v1", "/v1/a..b", true),
        ] {
            assert_eq!(
                api(address).covers(&https(host, path)),
                covered,
                "{address} {path}"
            );
        }
    }

    #[test]
    fn only_the_very_host_scheme_and_port_are_covered() {
        let one = api("https://api.example.com/");
        for host in ["API.Example.com", "api.example.com"] {
            assert!(one.covers(&https(host, "/a")), "{host}");
        }
        for host in [
            "example.com",
            "xapi.example.com",
            "api.example.com.evil.test",
            "api.example.com.",
        ] {
            assert!(!one.covers(&https(host, "/a")), "{host}");
        }
        assert!(!one.covers(&Target {
            port: 444,
            ..https("api.example.com", "/")
        }));
        assert!(!one.covers(&Target {
            scheme: "http",
            port: 443,
            ..https("api.example.com", "/")
        }));
        let below = api("https://*.example.com/");
        for (host, covered) in [
            ("a.example.com", true),
            ("a.b.example.com", true),
            ("example.com", false),
            (".example.com", false),
            ("evil.test/.example.com", false),
            ("evil.test#.example.com", false),
            ("user@a.example.com", false),
            ("a..example.com", false),
            ("aexample.com", false),
        ] {
            assert_eq!(below.covers(&https(host, "/")), covered, "{host}");
        }
        let six = api("https://[2001:db8::1]/");
        assert!(six.covers(&https("[2001:db8::1]", "/")) && six.covers(&https("2001:db8::1", "/")));
    }

    #[test]
    fn a_path_is_put_behind_an_address() {
        let base = api("https://example.com/realm");
        assert_eq!(
            base.join("/").unwrap().to_string(),
            "https://example.com/realm/"
        );
        assert_eq!(
            base.join("/v1").unwrap().to_string(),
            "https://example.com/realm/v1"
        );
        assert_eq!(
            api("https://example.com").join("/v1").unwrap(),
            api("https://example.com/v1")
        );
        for wrong in ["", "v1", "/../v1", "/a?b"] {
            assert_eq!(base.join(wrong), Err(NotAnApiUrl::Path), "{wrong}");
        }
    }

    #[test]
    fn the_more_specific_address_is_meant() {
        let rank = |text| api(text).rank();
        assert!(rank("https://a.example.com/v1") > rank("https://a.example.com/"));
        assert!(rank("https://a.example.com/") > rank("https://*.example.com/"));
        assert!(rank("https://*.a.example.com/") > rank("https://*.example.com/"));
    }
}
