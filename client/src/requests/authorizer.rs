//! Which requests get the token, and where in them.
//!
//! Owns the comparison of a URL with the account's addresses, and how long those are believed. A URL that is not covered is never a reason
//! to ask for a token.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, Uri};
use tokend_notation::{ApiUrl, Target};

use super::request_error::RequestError;
use crate::{HeaderError, Token, TokenSource, clock};

/// How long the addresses of an account are believed. A reload of the daemon changes them, and nobody is told of it; whether the token may
/// be had at all is asked of the source each time.
const ADDRESSES_HOLD: Duration = Duration::from_secs(30);

/// The tokens of one account, for requests.
#[derive(Clone)]
pub(super) struct Authorizer {
    source: Arc<dyn TokenSource>,
    addresses: Arc<Mutex<Option<Addresses>>>,
}

struct Addresses {
    urls: Arc<[ApiUrl]>,
    /// By [`clock::since_boot`].
    until: Duration,
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer").finish_non_exhaustive()
    }
}

impl Authorizer {
    pub(super) fn new(source: impl TokenSource + 'static) -> Self {
        Self {
            source: Arc::new(source),
            addresses: Arc::default(),
        }
    }

    /// The token for a request to these URLs; `None` where one of them does not belong to the account.
    pub(super) async fn token(&self, urls: &[&Uri]) -> Result<Option<Arc<Token>>, RequestError> {
        let addresses = self.urls().await?;
        match urls.iter().all(|url| covers(&addresses, url)) {
            true => Ok(Some(self.source.token().await?)),
            false => Ok(None),
        }
    }

    /// The newer token, if an answer with this status and beginning refuses the one that was used.
    pub(super) async fn newer(
        &self,
        status: u16,
        beginning: &[u8],
        used: &Token,
    ) -> Result<Option<Arc<Token>>, RequestError> {
        match self.source.is_refusal(status, beginning).await {
            Ok(true) => self.reject(used).await.map(Some),
            // Where nobody can say, the API's own answer says more than that the daemon is away.
            Ok(false) | Err(_) => Ok(None),
        }
    }

    /// Reports a refused token, and gives the newer one.
    pub(super) async fn reject(&self, used: &Token) -> Result<Arc<Token>, RequestError> {
        Ok(self.source.reject(used).await?)
    }

    async fn urls(&self) -> Result<Arc<[ApiUrl]>, RequestError> {
        let now = clock::since_boot();
        if let Some(known) = self.known().as_ref().filter(|known| now < known.until) {
            return Ok(Arc::clone(&known.urls));
        }
        let urls = self.source.urls().await?;
        if urls.is_empty() {
            return Err(RequestError::NoAddresses);
        }
        // An address that only a newer release can read covers nothing.
        let urls: Arc<[_]> = urls
            .iter()
            .filter_map(|it| ApiUrl::parse(it).ok())
            .collect();
        *self.known() = Some(Addresses {
            urls: Arc::clone(&urls),
            until: now.saturating_add(ADDRESSES_HOLD),
        });
        Ok(urls)
    }

    fn known(&self) -> MutexGuard<'_, Option<Addresses>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts the token where the API wants it, instead of one that was there; cookies of other names stay.
pub(super) fn put(headers: &mut HeaderMap, token: &Token) -> Result<(), HeaderError> {
    let (name, value) = token.header()?;
    let before = headers.get(&name).filter(|_| name == COOKIE);
    let value = match before {
        Some(before) => beside(before, &value)?,
        None => value,
    };
    headers.insert(name, value);
    Ok(())
}

fn beside(before: &HeaderValue, value: &HeaderValue) -> Result<HeaderValue, HeaderError> {
    let both = [before.as_bytes(), b"; ", value.as_bytes()].concat();
    let mut both = HeaderValue::from_maybe_shared(both).map_err(|_| HeaderError::Unprintable)?;
    both.set_sensitive(true);
    Ok(both)
}

fn covers(addresses: &[ApiUrl], url: &Uri) -> bool {
    target(url).is_some_and(|target| addresses.iter().any(|it| it.covers(&target)))
}

/// The parts of a URL that decide; `None` for what no token is ever for.
fn target(url: &Uri) -> Option<Target<'_>> {
    let (scheme, usual) = match url.scheme_str()? {
        "https" => ("https", 443),
        "http" => ("http", 80),
        _ => return None,
    };
    // A user's name before the host is more often an attempt to mislead than a name. A port that is none is not the usual one.
    let authority = url.authority().filter(|it| !it.as_str().contains('@'))?;
    let behind = authority.as_str().strip_prefix(authority.host())?;
    let port = match behind.is_empty() {
        true => usual,
        false => authority.port_u16()?,
    };
    Some(Target {
        scheme,
        host: authority.host(),
        port,
        path: url.path(),
    })
}

#[cfg(test)]
mod tests {
    use tokend_proto::SecretText;

    use super::*;

    #[test]
    fn only_a_plain_url_of_the_account_is_covered() {
        let addresses = [
            ApiUrl::parse("https://api.example.com/v1").unwrap(),
            ApiUrl::parse("http://[::1]:8080/").unwrap(),
        ];
        let is_covered = |url: &str| covers(&addresses, &url.parse().unwrap());
        for url in [
            "https://api.example.com/v1/users?x=1",
            "https://API.example.com:443/v1",
            "http://[::1]:8080/anything",
        ] {
            assert!(is_covered(url), "{url}");
        }
        for url in [
            "http://api.example.com/v1",
            "https://api.example.com/v10",
            "https://api.example.com/v1/../admin",
            "https://api.example.com/v1/%2e%2e/admin",
            "https://api.example.com:8443/v1",
            "https://api.example.com.evil.test/v1",
            "https://api.example.com@evil.test/v1",
            "https://user@api.example.com/v1",
            "https://evil.test/v1",
            "http://[::1]/",
            "wss://api.example.com/v1",
            "api.example.com:443",
            "/v1",
        ] {
            assert!(!is_covered(url), "{url}");
        }
    }

    #[test]
    fn a_token_replaces_one_and_joins_cookies() {
        let mut token = Token::bearer(SecretText::new("hunter2").unwrap());
        let mut headers = HeaderMap::new();
        headers.insert(http::header::AUTHORIZATION, HeaderValue::from_static("old"));
        headers.insert(COOKIE, HeaderValue::from_static("lang=en"));
        put(&mut headers, &token).unwrap();
        token.token_type = "cookie:sid".to_owned();
        put(&mut headers, &token).unwrap();
        let shown: Vec<_> = headers.values().map(HeaderValue::as_bytes).collect();
        assert_eq!(shown, [&b"Bearer hunter2"[..], b"lang=en; sid=hunter2"]);
        assert!(headers.values().all(HeaderValue::is_sensitive));
        token.token_type = "query:key".to_owned();
        assert!(put(&mut headers, &token).is_err());
    }
}
