//! The proxy of encrypted connections.
//!
//! Owns what the environment says about it, and to which hosts it does not apply. Must never repeat the name of a proxy: it may have a
//! password in it.

use std::net::IpAddr;

use ureq::{Proxy, ProxyProtocol};

use super::target::Target;
use crate::failure::{Exit, Failure};

/// The proxy that the environment names for encrypted connections to this target.
pub(crate) fn of_environment(target: &Target) -> Result<Option<Proxy>, Failure> {
    let named = |names: &[&str]| {
        let mut values = names.iter().filter_map(|name| std::env::var(name).ok());
        values.find(|value| !value.trim().is_empty())
    };
    let excepted = named(&["NO_PROXY", "no_proxy"]);
    if excepted.is_some_and(|list| is_excepted(target.host(), target.port(), &list)) {
        return Ok(None);
    }
    let Some(named) = named(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]) else {
        return Ok(None);
    };
    let usable = Proxy::new(named.trim()).ok().filter(|proxy| {
        let protocol = proxy.protocol();
        matches!(protocol, ProxyProtocol::Http | ProxyProtocol::Https)
    });
    match usable {
        Some(proxy) => Ok(Some(proxy)),
        None => Err(Failure::new(
            Exit::Config,
            "the proxy that HTTPS_PROXY or ALL_PROXY names cannot be used",
            "write it as http://HOST:PORT; SOCKS proxies are not supported",
        )),
    }
}

/// Whether a list names this host, a domain above it or its network; an entry with a port, that port of them only.
fn is_excepted(host: &str, port: u16, list: &str) -> bool {
    let host = host.trim_matches(['[', ']']).trim_end_matches('.');
    let host = host.to_ascii_lowercase();
    list.split([',', ' ']).any(|entry| {
        let (name, of) = parts(entry);
        of.is_none_or(|of| of.parse() == Ok(port)) && names(name, &host)
    })
}

/// A name and perhaps a port. An address of IPv6 has colons of its own, and a port only behind brackets.
fn parts(entry: &str) -> (&str, Option<&str>) {
    match entry
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((name, rest)) => (name, rest.strip_prefix(':')),
        None => match entry.split_once(':') {
            Some((name, port)) if !port.contains(':') => (name, Some(port)),
            _ => (entry, None),
        },
    }
}

fn names(name: &str, host: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.trim_start_matches("*.").trim_start_matches('.');
    let name = name.trim_end_matches('.');
    let is_above = || {
        let below = host.strip_suffix(name);
        below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
    };
    name == "*" || !name.is_empty() && (is_above() || is_network_of(name, host))
}

/// Whether it is a network, such as `10.0.0.0/8`, that the address is in.
fn is_network_of(network: &str, address: &str) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let read = || {
        let (network, length) = network.split_once('/')?;
        let (network, address): (IpAddr, IpAddr) = (network.parse().ok()?, address.parse().ok()?);
        let ((network, most), (address, width)) = (bits(network), bits(address));
        let length: u32 = length.parse().ok().filter(|length| *length <= most)?;
        let differs = (network ^ address).checked_shr(128 - length).unwrap_or(0);
        Some(most == width && differs == 0)
    };
    read().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_excepted_from_the_proxy_by_its_name_or_a_domain_above_it() {
        for (host, list, excepted) in [
            ("api.example.com", "example.com", true),
            ("api.example.com", "other.test, .example.com", true),
            ("api.example.com", "*.example.com", true),
            ("api.example.com", "EXAMPLE.com.", true),
            ("api.example.com", "*", true),
            ("notexample.com", "example.com", false),
            ("api.example.com", "", false),
            ("api.example.com", ",", false),
            ("[::1]", "::1", true),
            ("[::1]", "[::1]", true),
            ("127.0.0.1", "127.0.0.1", true),
        ] {
            assert_eq!(is_excepted(host, 443, list), excepted, "{host} {list}");
        }
    }

    #[test]
    fn an_entry_with_a_port_is_for_that_port_only() {
        for (host, port, list, excepted) in [
            ("api.example.com", 8443, "example.com:8443", true),
            ("api.example.com", 443, "example.com:8443", false),
            (
                "api.example.com",
                443,
                "example.com:8443,.example.com:443",
                true,
            ),
            ("api.example.com", 443, "example.com:", false),
            ("api.example.com", 443, "example.com:https", false),
            ("127.0.0.1", 9000, "127.0.0.1:9000", true),
            ("127.0.0.1", 9001, "127.0.0.1:9000", false),
            ("[::1]", 8443, "[::1]:8443", true),
            ("[::1]", 443, "[::1]:8443", false),
            ("api.example.com", 1, "*:1", true),
            ("api.example.com", 2, "*:1", false),
        ] {
            assert_eq!(
                is_excepted(host, port, list),
                excepted,
                "{host}:{port} {list}"
            );
        }
    }

    #[test]
    fn a_network_excepts_its_addresses() {
        for (host, list, excepted) in [
            ("10.1.2.3", "10.0.0.0/8", true),
            ("11.1.2.3", "10.0.0.0/8", false),
            ("10.1.2.3", "0.0.0.0/0", true),
            ("10.1.2.3", "10.1.2.3/32", true),
            ("10.1.2.4", "10.1.2.3/32", false),
            ("10.1.2.3", "10.0.0.0/33", false),
            ("10.1.2.3", "10.0.0.0/", false),
            ("[fd00::1]", "fd00::/8", true),
            ("[fe80::1]", "[fd00::/8]", false),
            ("10.1.2.3", "::/0", false),
            ("ten.test", "10.0.0.0/8", false),
        ] {
            assert_eq!(is_excepted(host, 443, list), excepted, "{host} {list}");
        }
    }
}
