//! Where a request goes, and whose token goes there.
//!
//! Owns the two rules that keep a token from strangers: only encrypted or on this machine, and only to an address of its account. The
//! address is compared as the URL parser wrote it, which is what is sent.

use tokend_client::{AccountName, ApiLine};
use tokend_notation::Target as Parts;
use url::{Host, Url};

use crate::claims;
use crate::failure::{Exit, Failure};

/// How many accounts are named in a refusal.
const SHOWN: usize = 8;

/// A URL that a token may be sent to, if an account says so.
pub(crate) struct Target {
    url: Url,
    host: String,
    port: u16,
}

impl Target {
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        // The word is not repeated: it may be a token in the wrong place.
        let wrong = |what: &str, advice: &str| Err(Failure::usage(what, advice));
        let Ok(mut url) = Url::parse(text) else {
            return wrong(
                "the URL cannot be read",
                "write it whole: https://HOST/PATH",
            );
        };
        if !url.username().is_empty() || url.password().is_some() {
            return wrong(
                "the URL has a user name or a password in it",
                "leave them out: the account's token says who asks",
            );
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return wrong("the URL has no host", "write it whole: https://HOST/PATH");
        };
        let is_here = match host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        match url.scheme() {
            "https" => {}
            "http" if is_here => {}
            "http" => {
                return wrong(
                    "a token is not sent over plain http://, where everybody on the way can read it",
                    "use https://; http:// is only for this machine: 127.0.0.1, [::1] or localhost",
                );
            }
            _ => {
                return wrong(
                    "the URL has another scheme than https",
                    "write it with https://",
                );
            }
        }
        let host = host.to_string();
        url.set_fragment(None);
        Ok(Self { url, host, port })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// As it is compared with `NO_PROXY`.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whether it stays on this machine and has no encryption.
    pub(crate) fn is_plain(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// The host, and the port where it is not the usual one: for sentences, which never have the whole URL.
    pub(crate) fn shown(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// The account whose token is for this target. `named` is the one that was asked for: it has to cover the target too.
    pub(crate) fn account(
        &self,
        named: Option<&AccountName>,
        apis: &[ApiLine],
    ) -> Result<AccountName, Failure> {
        let target = Parts {
            scheme: self.url.scheme(),
            host: &self.host,
            port: self.port,
            path: self.url.path(),
        };
        match claims::best(apis, &[target]).as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(self.uncovered(named, apis)),
            several => {
                let names: Vec<&str> = several
                    .iter()
                    .take(SHOWN)
                    .map(|name| name.as_str())
                    .collect();
                Err(Failure::usage(
                    format!(
                        "the URL belongs to several accounts alike: {}",
                        names.join(", ")
                    ),
                    "name one of them with --account",
                ))
            }
        }
    }

    fn uncovered(&self, named: Option<&AccountName>, apis: &[ApiLine]) -> Failure {
        let known = apis.iter().filter(|line| !line.urls.is_empty());
        let lines: Vec<String> = known
            .clone()
            .take(SHOWN)
            .map(|line| format!("{} is for {}", line.account, first(&line.urls)))
            .collect();
        let what = match named {
            Some(account) if lines.is_empty() => {
                format!("nobody has said what the token of {account} is for, so it is sent nowhere")
            }
            Some(account) => format!("the token of {account} is not for this URL"),
            None => "no account that you may use has a token for this URL".to_owned(),
        };
        let add = "add the address to `urls` in [api] of the account, or correct the URL";
        let more = known.count().saturating_sub(SHOWN);
        let more = (more > 0).then(|| format!("and {more} accounts more"));
        let advice: Vec<String> = lines
            .into_iter()
            .chain(more)
            .chain([add.to_owned()])
            .collect();
        Failure::new(Exit::Config, what, advice.join("\n"))
    }
}

/// The first addresses of an account, and how many there are besides.
fn first(urls: &[String]) -> String {
    let shown: Vec<String> = urls
        .iter()
        .take(3)
        .map(|url| crate::words::plain(url))
        .collect();
    match urls.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
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

    fn chosen(url: &str, apis: &[ApiLine]) -> Result<String, String> {
        let target = Target::parse(url).map_err(|failure| format!("{failure:?}"))?;
        let account = target.account(None, apis);
        account
            .map(|name| name.to_string())
            .map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn the_most_specific_address_decides() {
        let apis = [
            line("all", &["https://*.example.com/"]),
            line("one", &["https://api.example.com/"]),
            line("deep", &["https://api.example.com/v1"]),
            line("newer", &["gopher:whatever"]),
        ];
        for (url, account) in [
            ("https://www.example.com/v1", "all"),
            ("https://API.example.com:443/v2?q#f", "one"),
            ("https://api.example.com/v1/users", "deep"),
            // As it is sent, and not as it was written.
            ("https://api.example.com/v1/../v2", "one"),
        ] {
            assert_eq!(chosen(url, &apis), Ok(account.to_owned()), "{url}");
        }
    }

    #[test]
    fn accounts_with_equal_addresses_are_both_named_and_strangers_get_nothing() {
        let apis = [
            line("a", &["https://api.example.com/"]),
            line("b", &["https://api.example.com/"]),
        ];
        let error = chosen("https://api.example.com/x", &apis).unwrap_err();
        assert!(
            error.contains("alike: a, b") && error.contains("Usage"),
            "{error}"
        );
        for url in [
            "https://api.example.com.evil.test/",
            "https://api.example.com:444/",
            "https://evil.test/https://api.example.com/",
        ] {
            let error = chosen(url, &apis).unwrap_err();
            assert!(
                error.contains("Config") && error.contains("a is for https://api.example.com/"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_url_that_no_token_is_sent_to_is_not_repeated() {
        for url in [
            "hunter2",
            "ftp://hunter2.test/",
            "http://hunter2.test/",
            "https://hunter2@api.example.com/",
            "https://user:hunter2@api.example.com/",
            "https:///",
            "http://127.0.0.1.hunter2.test/",
            "data:hunter2",
        ] {
            let failure = Target::parse(url).map(|_| ()).unwrap_err();
            let text = format!("{failure:?}");
            assert!(
                text.contains("Usage") && !text.contains("hunter2"),
                "{url}: {text}"
            );
        }
        for url in [
            "http://127.0.0.1:1/",
            "http://[::1]/a",
            "http://localhost/",
            "HTTP://127.1/",
        ] {
            assert!(Target::parse(url).is_ok(), "{url}");
        }
    }
}
