//! Proxies, and the route of a request.
//!
//! Owns [`Proxy`], [`Route`], `no_proxy`, and the only test for whether a host is on this machine. That test looks at the route and not
//! only at the address: a request for a loopback address never goes through a proxy, so none leaves this machine unencrypted. Holds no
//! secret.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use tokend_document::{Diagnostics, Value};
use url::{Host, Url};

use super::reading::Reading;
use super::secret_ref::secret;
use crate::secret_ref::SecretRef;

/// How many different proxies there may be: each has an HTTP client of its own, with its certificate authorities.
pub(super) const MOST_PROXIES: usize = 64;
/// How many entries `no_proxy` may have: each request checks all of them.
const MOST_EXCEPTIONS: usize = 256;

/// A proxy, and how the daemon authenticates to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// The proxy's URL: `http://` or `https://`, without user name and password.
    pub url: Url,
    /// The user name for the proxy.
    pub username: Option<Box<str>>,
    /// The place of that user's password.
    pub password: Option<SecretRef>,
}

impl Proxy {
    /// Whether its user name and password travel unencrypted to another machine.
    pub fn sends_password_in_the_clear(&self) -> bool {
        self.password.is_some() && self.url.scheme() == "http" && !is_this_machine(&self.url)
    }
}

/// As in the configuration, without user name and password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url.origin().ascii_serialization())
    }
}

/// The `proxy` setting of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Route {
    /// Not set: `[http]` decides.
    #[default]
    Inherited,
    /// `proxy = "none"`.
    Direct,
    /// A proxy of its own, to which `no_proxy` of `[http]` does not apply.
    Through(Arc<Proxy>),
}

/// Whether a request to the host of `url` stays on this machine: `localhost` or a loopback address, including an IPv4 address in IPv6
/// form. A name is judged by its text and not by its resolved address; the daemon resolves `localhost` itself.
pub fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

/// Hosts that are reached without the proxy of `[http]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NoProxy(Box<[Exception]>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    All,
    /// This host and everything below it.
    Domain(Box<str>),
    /// All addresses with these first bits.
    Network(IpAddr, u32),
}

impl NoProxy {
    /// Reads a list such as `["internal.example.com", "10.0.0.0/8", "[::1]"]`.
    pub(super) fn read(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Self> {
        let before = diagnostics.count();
        let entries: Vec<_> = value
            .array(diagnostics)?
            .filter_map(|entry| {
                let text = entry.text(diagnostics)?;
                Exception::of(text).or_else(|| {
                    let help = "write a host (`api.example.com`, which stands for the hosts below it too), an address, a network (`10.0.0.0/8`), or `*` for all; without scheme, port and path".to_owned();
                    let message = format!("`{text}` is not a host or network");
                    entry.wrong(diagnostics, message, help)
                })
            })
            .collect();
        if entries.len() > MOST_EXCEPTIONS {
            let message = format!("`no_proxy` has more than {MOST_EXCEPTIONS} entries");
            return value.wrong(diagnostics, message, None);
        }
        (diagnostics.count() == before).then(|| Self(entries.into()))
    }

    /// Whether the list contains the host of `url`.
    pub fn has(&self, url: &Url) -> bool {
        let Some(host) = url.host() else { return false };
        self.0.iter().any(|exception| exception.is_for(&host))
    }
}

impl Exception {
    fn of(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let bare = address
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(address);
        if let Ok(address) = bare.parse::<IpAddr>() {
            let all = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.unwrap_or(all);
            return (bits <= all).then_some(Self::Network(address, bits));
        }
        let name = text.strip_prefix("*.").or(text.strip_prefix('.'));
        let name = name.unwrap_or(text);
        // Text that Host::parse rejects, or reads as an address, is not a name: ports, schemes, spaces, `*` elsewhere.
        match Host::parse(name.strip_suffix('.').unwrap_or(name)) {
            Ok(Host::Domain(name)) if !name.contains(['*', '/']) => {
                Some(Self::Domain(name.as_str().into()))
            }
            _ => None,
        }
    }

    fn is_for(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::All, _) => true,
            (Self::Domain(domain), Host::Domain(name)) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                let below = name.strip_suffix(&**domain);
                below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            (Self::Network(network, bits), Host::Ipv4(address)) => {
                same_bits(*network, IpAddr::V4(*address), *bits)
            }
            (Self::Network(network, bits), Host::Ipv6(address)) => {
                same_bits(*network, IpAddr::V6(*address), *bits)
            }
            (Self::Domain(_), _) | (Self::Network(..), Host::Domain(_)) => false,
        }
    }
}

/// Whether two addresses have the same first bits. An IPv4 address equals its IPv6 form.
fn same_bits(one: IpAddr, other: IpAddr, bits: u32) -> bool {
    let mapped = |address: IpAddr| match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let bits = if one.is_ipv4() { bits + 96 } else { bits };
    let differing = Ipv6Addr::to_bits(mapped(one)) ^ Ipv6Addr::to_bits(mapped(other));
    differing.leading_zeros() >= bits
}

/// Reads `proxy`: `"http://proxy.example.com:3128"`, `"none"`, or a table with `url`, `username` and `password`.
pub(super) fn read(value: Value<'_>, reading: &mut Reading<'_>) -> Option<Route> {
    let diagnostics = &mut reading.diagnostics;
    if !value.is_table() {
        if value.hidden().text(diagnostics)? == "none" {
            return Some(Route::Direct);
        }
        let url = address(value, diagnostics)?;
        return Some(Route::Through(Arc::new(Proxy {
            url,
            username: None,
            password: None,
        })));
    }
    let before = diagnostics.count();
    let mut section = value.section(diagnostics)?;
    let url = section.require("url", "where the proxy is", diagnostics);
    let url = url.and_then(|value| address(value, diagnostics));
    let username = section.read("username", diagnostics, user_name);
    let password = section.take("password");
    if password.is_some() && !section.has("username") {
        let message = "a proxy's password needs a user name";
        section.note_key(
            "password",
            diagnostics,
            message,
            "add `username`".to_owned(),
        );
    }
    let password = password.and_then(|value| secret("password", value, reading));
    let diagnostics = &mut reading.diagnostics;
    section.finish(diagnostics);
    let url = url.filter(|_| diagnostics.count() == before)?;
    Some(Route::Through(Arc::new(Proxy {
        url,
        username,
        password,
    })))
}

fn user_name(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Box<str>> {
    let text = value.text(diagnostics)?;
    if text.contains(|c: char| c == ':' || c.is_control()) {
        let message = "a proxy's user name cannot hold a colon or a control character";
        return value.wrong(diagnostics, message, None);
    }
    Some(text.into())
}

fn address(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Url> {
    let help = || {
        "write scheme, host and port: `http://proxy.example.com:3128`; or \"none\" for no proxy"
            .to_owned()
    };
    // A password comes before an `@`, so the text stays hidden until it is known to have none.
    let hidden = value.hidden();
    let text = hidden.text(diagnostics)?;
    let Ok(url) = Url::parse(text) else {
        return hidden.wrong(diagnostics, "this is not a URL", help());
    };
    if !url.username().is_empty() || url.password().is_some() {
        let message = "a proxy's user name and password cannot stand in its URL";
        let help = "put the password in a file with mode 600 and write `proxy = { url = \"http://proxy.example.com:3128\", username = \"...\", password = { file = \"/path/to/it\" } }`".to_owned();
        return hidden.wrong(diagnostics, message, help);
    }
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        let message = format!("`{text}` is not an address of a proxy");
        return value.wrong(diagnostics, message, help());
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(host: &str) -> Url {
        Url::parse(&format!("https://{host}/token")).expect("a URL")
    }

    #[test]
    fn loopback_is_told_by_the_host_however_it_is_written() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1",
            "127.1",
            "127.9.9.9:80",
            "0x7f000001",
            "[::1]:8080",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f01:203]",
        ] {
            assert!(is_this_machine(&url(host)), "{host}");
        }
        for host in [
            "localhost.example.com",
            "127.0.0.1.example.com",
            "0.0.0.0",
            "[::]",
            "[::2]",
            "[::127.0.0.1]",
            "[::ffff:10.0.0.1]",
            "10.0.0.1",
        ] {
            assert!(!is_this_machine(&url(host)), "{host}");
        }
    }

    #[test]
    fn exceptions_are_hosts_with_what_is_below_them_addresses_and_networks() {
        let table = [
            ("example.com", "example.com", true),
            ("example.com", "a.b.example.com", true),
            ("example.com", "example.com.", true),
            ("Example.COM", "example.com", true),
            ("example.com", "badexample.com", false),
            ("example.com", "example.com.evil.org", false),
            (".example.com", "a.example.com", true),
            ("*.example.com", "a.example.com", true),
            ("10.0.0.0/8", "10.255.1.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "[::ffff:10.1.1.1]", true),
            ("10.0.0.0/8", "ten.example.com", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("[fd00::1]", "[fd00::1]", true),
            ("fd00::/8", "[fdff::1]", true),
            ("fd00::/8", "[fe00::1]", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "[2001:db8::1]", false),
            ("*", "anything.example", true),
        ];
        for (entry, host, expected) in table {
            let no_proxy = NoProxy(Box::new([Exception::of(entry).expect(entry)]));
            assert_eq!(no_proxy.has(&url(host)), expected, "{entry}: {host}");
        }
        for wrong in [
            "",
            "https://example.com",
            "example.com:443",
            "example.com/path",
            "10.0.0.0/33",
            "fd00::/129",
            "10.0.0.0/x",
            "a b",
            "foo*.example.com",
        ] {
            assert_eq!(Exception::of(wrong), None, "{wrong}");
        }
    }
}
