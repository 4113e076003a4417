//! The routes to providers: direct, or through a proxy, and either of them through the relay if there is one.
//!
//! Owns the HTTP clients, one for each route, and the choice of the route of a request. Must never let a request leave this machine
//! unencrypted, and never put a proxy's password anywhere but into a request to that proxy.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tokend_config::{Http, Proxy, Route, is_this_machine};
use url::Url;

use super::bridge::Destination;
use super::client_error::{ClientError, chain, client_error};
use super::hop::Hop;
use super::relay::Relay;
use crate::secrets::SecretSource;
use tokend_egress::Egress;

/// The longest `extra_ca`, in bytes: a hundred times the size of a system's bundle.
const LONGEST_BUNDLE: u64 = 16 << 20;

/// One route, and the client for it.
#[derive(Debug)]
pub(super) struct HttpClient {
    library: reqwest::Client,
    pub(super) relay: Option<Relay>,
    pub(super) hop: Option<Hop>,
}

impl HttpClient {
    pub(super) async fn execute(
        &self,
        request: reqwest::Request,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let destination = Destination::of(request.url());
        let sending = self.library.execute(request);
        match destination {
            Some(destination) => destination.during(sending).await,
            None => sending.await,
        }
    }
}

#[derive(Debug)]
pub(super) struct HttpClients {
    direct: Arc<HttpClient>,
    proxied: HashMap<Arc<Proxy>, Arc<HttpClient>>,
}

impl HttpClients {
    /// Clients for direct requests and through these proxies; `adapt` changes the settings of each.
    pub(super) fn new(
        hops: impl Iterator<Item = Hop>,
        http: &Http,
        egress: Option<Egress>,
        adapt: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<Self, ClientError> {
        let client = |hop: Option<Hop>| {
            let relay = egress.map(|at| Relay::new(at, http, hop.as_ref()));
            let relay = relay.transpose()?;
            let client = adapt(builder(http, relay.as_ref(), hop.as_ref())?).build();
            Ok(Arc::new(HttpClient {
                library: client.map_err(|error| client_error(&error))?,
                relay,
                hop,
            }))
        };
        let mut proxied = HashMap::new();
        for hop in hops {
            proxied.insert(Arc::clone(&hop.proxy), client(Some(hop))?);
        }
        Ok(Self {
            direct: client(None)?,
            proxied,
        })
    }

    /// The proxies, with the passwords that were fetched.
    pub(super) fn hops(&self) -> impl Iterator<Item = &Hop> {
        self.proxied
            .values()
            .filter_map(|client| client.hop.as_ref())
    }

    /// Fetches the passwords of proxies for a probe, except those that need a program.
    pub(super) async fn fetch(&self, source: &SecretSource) {
        for hop in self.hops().filter(|hop| hop.needs_no_command()) {
            // A password that cannot be read is reported for each account that needs it.
            let _reported_later = hop.fetch(source).await;
        }
    }

    /// The route of a request for `url`.
    pub(super) fn choose(&self, http: &Http, route: &Route, url: Option<&Url>) -> Arc<HttpClient> {
        let proxy = url.and_then(|url| http.proxy_for(route, url));
        let client = proxy.and_then(|proxy| self.proxied.get(proxy));
        Arc::clone(client.unwrap_or(&self.direct))
    }
}

/// Whether a request for `url` is allowed at all.
pub(super) fn may_leave(url: &Url) -> Result<(), String> {
    if url.scheme() == "https" || is_this_machine(url) {
        return Ok(());
    }
    Err("it would leave this machine unencrypted, so it was not sent; use https://".to_owned())
}

/// Checks that these certificates can be used as authorities.
fn trusting(certificates: Vec<reqwest::Certificate>) -> Result<(), reqwest::Error> {
    let client = reqwest::Client::builder().no_proxy();
    client.tls_certs_only(certificates).build().map(drop)
}

/// The settings of every connection to a provider.
fn builder(
    http: &Http,
    relay: Option<&Relay>,
    hop: Option<&Hop>,
) -> Result<reqwest::ClientBuilder, ClientError> {
    let loopback = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
    ];
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("tokend/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only()
        // A kept connection may be closed by now, and then it is unknown whether the request was sent.
        .pool_max_idle_per_host(0)
        // Unencrypted requests to localhost must not depend on a resolver's answer.
        .resolve_to_addrs("localhost", &loopback)
        .connect_timeout(http.connect_timeout)
        .timeout(http.timeout);
    builder = match (relay, hop) {
        // The relay uses the configured proxy in turn.
        (Some(relay), hop) => relay.route(builder, hop)?,
        (None, Some(hop)) => {
            let hop = hop.clone();
            builder.proxy(reqwest::Proxy::custom(move |_| {
                Some(hop.signed(&hop.proxy.url))
            }))
        }
        // No configured proxy, and variables such as $https_proxy are ignored too.
        (None, None) => builder.no_proxy(),
    };
    let Some(path) = &http.extra_ca else {
        return Ok(builder);
    };
    let bad = |reason: String| ClientError::ExtraCa {
        path: path.display().to_string(),
        reason,
    };
    let pem = tokend_config::read_regular(path, LONGEST_BUNDLE + 1).map_err(|why| {
        ClientError::ExtraCaUnread {
            path: path.display().to_string(),
            why,
        }
    })?;
    if pem.len() as u64 > LONGEST_BUNDLE {
        return Err(bad(format!("is longer than {LONGEST_BUNDLE} bytes")));
    }
    let certificates =
        reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| bad(chain(&error)))?;
    if certificates.is_empty() {
        return Err(bad("holds no certificate in PEM form".into()));
    }
    if let Err(error) = trusting(certificates.clone()) {
        let broken = |it: &reqwest::Certificate| trusting(vec![it.clone()]).is_err();
        let number = certificates.iter().position(broken).unwrap_or_default() + 1;
        return Err(bad(format!(
            "certificate {number} of {} cannot be used ({}): remove or correct it",
            certificates.len(),
            chain(&error)
        )));
    }
    Ok(builder.tls_certs_merge(certificates))
}

#[cfg(test)]
mod tests;
