//! Where a program wants to send a token, and which account has one for it.
//!
//! Owns the choice of the account. It is never guessed: of two accounts with equally good claims neither is taken.

use std::fmt;
use std::net::Ipv6Addr;

use tokend_client::{AccountName, ApiLine};
use tokend_notation::{ApiUrl, Target};

use crate::claims;
use crate::failure::{Exit, Failure};

/// An address as a calling program names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    scheme: &'static str,
    host: String,
    port: u16,
    /// `None` if the program keeps it to itself.
    path: Option<String>,
}

/// The result of looking for an account.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Account(AccountName),
    /// The account is for a part of that host only, and the path is not known.
    NeedsPath(AccountName),
    /// Two accounts have equally good claims.
    Several(AccountName, AccountName),
    Nothing,
}

impl Destination {
    /// `None` for what no token is ever for: another scheme than https and http, or a host that is written in an unusual way.
    pub(super) fn new(scheme: &str, authority: &str, path: Option<&str>) -> Option<Self> {
        let (scheme, usual) = match scheme {
            "https" => ("https", 443),
            "http" => ("http", 80),
            _ => return None,
        };
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => {
                let (host, port) = inner.split_once(']')?;
                let address: Ipv6Addr = host.parse().ok()?;
                (address.to_string(), port)
            }
            None => {
                let (host, port) =
                    authority.split_at(authority.find(':').unwrap_or(authority.len()));
                (host.to_owned(), port)
            }
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_plain) {
            return None;
        }
        let port = match port.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok()?
            }
            None if port.is_empty() => usual,
            _ => return None,
        };
        Some(Self {
            scheme,
            host,
            port,
            path: path.map(|path| format!("/{}", path.trim_start_matches('/'))),
        })
    }

    fn target(&self) -> Target<'_> {
        Target {
            scheme: self.scheme,
            host: &self.host,
            port: self.port,
            path: self.path.as_deref().unwrap_or("/"),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "{}://[{}]", self.scheme, self.host)?,
            false => write!(f, "{}://{}", self.scheme, self.host)?,
        }
        if !matches!((self.scheme, self.port), ("https", 443) | ("http", 80)) {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(self.path.as_deref().unwrap_or_default())
    }
}

/// The place that a URL names; nothing without a scheme.
pub(super) fn at_url(url: &str) -> Option<Destination> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    Destination::new(scheme, authority, Some(path))
}

/// The places that a server's name may stand for: without a scheme it is https, or http on loopback.
pub(super) fn named(server: &str) -> Vec<Destination> {
    if server.contains("://") {
        return at_url(server).into_iter().collect();
    }
    let made = ["https", "http"].into_iter();
    made.filter_map(|scheme| at_url(&format!("{scheme}://{server}")))
        .collect()
}

/// The one account whose addresses cover one of the destinations best.
pub(super) fn find(apis: &[ApiLine], destinations: &[Destination]) -> Found {
    let targets: Vec<_> = destinations.iter().map(Destination::target).collect();
    match claims::best(apis, &targets).as_slice() {
        [] => without_path(apis, destinations),
        [account] => Found::Account((*account).clone()),
        [one, other, ..] => Found::Several((*one).clone(), (*other).clone()),
    }
}

/// Two accounts that are both for an address.
pub(super) fn several(one: &AccountName, other: &AccountName, to: &Destination) -> Failure {
    Failure::new(
        Exit::Config,
        format!("the accounts {one} and {other} are both for {to}"),
        "name one of them with --account, or narrow the urls in their [account.NAME.api]",
    )
}

/// The account that would be found if the path were known.
fn without_path(apis: &[ApiLine], destinations: &[Destination]) -> Found {
    let unknown = |to: &&Destination| to.path.is_none();
    let is_host = |url: &String| {
        let host = whole_host(url);
        host.is_some_and(|host| {
            let mut unknown = destinations.iter().filter(unknown);
            unknown.any(|to| host.covers(&to.target()))
        })
    };
    let line = apis.iter().find(|line| line.urls.iter().any(is_host));
    line.map_or(Found::Nothing, |line| {
        Found::NeedsPath(line.account.clone())
    })
}

/// An address without its path.
fn whole_host(url: &str) -> Option<ApiUrl> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    ApiUrl::parse(&format!("{scheme}://{authority}")).ok()
}

/// An account that was named, and of which nobody has said what its token is for.
pub(super) fn for_nothing(account: &AccountName) -> Failure {
    Failure::new(
        Exit::Config,
        format!("no address is configured to which the token of {account} may go"),
        format!(
            "add urls = [\"https://HOST\"] below [account.{}.api] of the daemon's configuration",
            account.toml_key()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(account: &str, urls: &[&str]) -> ApiLine {
        ApiLine {
            account: account.parse().unwrap(),
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
        }
    }

    fn to(scheme: &str, authority: &str, path: Option<&str>) -> Destination {
        Destination::new(scheme, authority, path).unwrap()
    }

    fn found(apis: &[ApiLine], to: Destination) -> String {
        match find(apis, &[to]) {
            Found::Account(account) => account.to_string(),
            Found::NeedsPath(account) => format!("{account}, with a path"),
            Found::Several(..) => "both".to_owned(),
            Found::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn the_best_claim_wins_and_equal_ones_do_not() {
        let apis = [
            line("host", &["https://git.example.com/"]),
            line("team", &["https://git.example.com/team"]),
            line("one", &["https://both.example.com/"]),
            line(
                "two",
                &["https://*.other.test/", "https://both.example.com/"],
            ),
            line("below", &["https://*.example.com/"]),
            line("port", &["https://git.example.com:8443/"]),
            line("loop", &["http://127.0.0.1:8080/"]),
            line("six", &["https://[2001:db8::1]/"]),
            line("newer", &["https+unix://strange"]),
            line("none", &[]),
        ];
        for (scheme, authority, path, expected) in [
            ("https", "git.example.com", None, "host"),
            ("https", "GIT.example.com:443", Some("other/a.git"), "host"),
            ("https", "git.example.com", Some("team/a.git"), "team"),
            ("https", "git.example.com", Some("teamwork/a.git"), "host"),
            ("https", "git.example.com", Some("team/../a.git"), "host"),
            ("https", "git.example.com:8443", None, "port"),
            ("https", "git.example.com:8444", None, "nothing"),
            ("http", "git.example.com", None, "nothing"),
            ("https", "both.example.com", None, "both"),
            ("https", "a.other.test", None, "two"),
            ("https", "a.example.com", None, "below"),
            ("https", "example.com", None, "nothing"),
            ("https", "git.example.com.evil.test", None, "nothing"),
            ("http", "127.0.0.1:8080", Some("a"), "loop"),
            ("https", "127.0.0.1:8080", Some("a"), "nothing"),
            ("https", "[2001:DB8:0::1]", None, "six"),
            ("https", "strange", None, "nothing"),
        ] {
            let to = to(scheme, authority, path);
            assert_eq!(found(&apis, to), expected, "{scheme} {authority} {path:?}");
        }
    }

    #[test]
    fn a_part_of_a_host_needs_the_path() {
        let apis = [line("team", &["https://git.example.com/team"])];
        let whole = to("https", "git.example.com", None);
        assert_eq!(found(&apis, whole), "team, with a path");
        let other = to("https", "git.example.com", Some("other"));
        assert_eq!(found(&apis, other), "nothing");
    }

    #[test]
    fn a_destination_is_shown_as_people_write_it() {
        for (scheme, authority, path, shown) in [
            ("https", "a.test:443", None, "https://a.test"),
            ("https", "a.test:80", Some("x/y"), "https://a.test:80/x/y"),
            ("http", "[::1]:80", Some("/"), "http://[::1]/"),
        ] {
            assert_eq!(to(scheme, authority, path).to_string(), shown);
        }
    }

    #[test]
    fn an_unusual_destination_is_none() {
        for (scheme, authority) in [
            ("ssh", "git.example.com"),
            ("HTTPS", "git.example.com"),
            ("https", ""),
            ("https", "git.example.com:"),
            ("https", "git.example.com:+1"),
            ("https", "git.example.com:70000"),
            ("https", "user@git.example.com"),
            ("https", "evil.test/.example.com"),
            ("https", "evil.test#.example.com"),
            ("https", "evil.test?.example.com"),
            ("https", "evil.test%2f.example.com"),
            ("https", "evil.test\\.example.com"),
            ("https", "[::1"),
            ("https", "[::1]x"),
            ("https", "[evil]"),
        ] {
            let made = Destination::new(scheme, authority, None);
            assert_eq!(made, None, "{scheme} {authority}");
        }
    }

    #[test]
    fn a_server_without_a_scheme_may_be_either() {
        for (server, expected) in [
            (
                "registry.example.com",
                &[
                    "https://registry.example.com/",
                    "http://registry.example.com/",
                ][..],
            ),
            (
                "127.0.0.1:5000",
                &["https://127.0.0.1:5000/", "http://127.0.0.1:5000/"],
            ),
            (
                "https://index.docker.io/v1/",
                &["https://index.docker.io/v1/"],
            ),
            ("http://[::1]:5000", &["http://[::1]:5000/"]),
            ("ftp://registry.example.com", &[]),
            ("user@registry.example.com", &[]),
            ("", &[]),
        ] {
            let made: Vec<_> = named(server).iter().map(ToString::to_string).collect();
            assert_eq!(made, expected, "{server}");
        }
    }
}
