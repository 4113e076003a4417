//! A proxy on the way to a provider.

use std::fmt::Write as _;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use tokend_config::{Proxy, SecretRef};
use url::Url;
use zeroize::Zeroizing;

use crate::secrets::{SecretError, SecretSource, resolve};

/// A proxy, with its most recently fetched password.
#[derive(Debug, Clone)]
pub(super) struct Hop {
    pub(super) proxy: Arc<Proxy>,
    password: Arc<ArcSwapOption<SecretString>>,
}

impl Hop {
    pub(super) fn new(proxy: &Arc<Proxy>) -> Self {
        Self {
            proxy: Arc::clone(proxy),
            password: Arc::default(),
        }
    }

    /// Fetches the password again, so that a changed password applies from the next request on.
    pub(super) async fn fetch(&self, source: &SecretSource) -> Result<(), SecretError> {
        if let Some(place) = &self.proxy.password {
            let password = resolve(place, source).await?;
            self.password.store(Some(Arc::new(password)));
        }
        Ok(())
    }

    /// Whether the password can be fetched without running a program.
    pub(super) fn needs_no_command(&self) -> bool {
        !self
            .proxy
            .password
            .as_ref()
            .is_some_and(SecretRef::is_command)
    }

    /// An address with user name and password for this proxy, in the form of the HTTP library.
    pub(super) fn signed(&self, at: &Url) -> Url {
        let mut url = at.clone();
        if let Some(username) = &self.proxy.username {
            let password = self.password.load();
            let password = password.as_ref().map_or("", |it| it.expose_secret());
            // Fails only for an address without a host.
            let _set = url.set_username(&encoded(username));
            let _set = url.set_password(Some(&encoded(password)));
        }
        url
    }

    /// The same as an `Authorization` value, for requests that do not use that library.
    pub(super) fn authorization(&self) -> Option<String> {
        let username = self.proxy.username.as_ref()?;
        let password = self.password.load();
        let password = password.as_ref().map_or("", |it| it.expose_secret());
        let pair = Zeroizing::new(format!("{username}:{password}"));
        Some(format!("Basic {}", STANDARD.encode(&*pair)))
    }

    /// A failure on this route, with the proxy's name and advice.
    pub(super) fn blame(&self, words: &str) -> String {
        let proxy = &self.proxy;
        let asks = words.contains("proxy authorization required") || words.contains(" 407 ");
        let advice = match (asks, &proxy.username) {
            (false, _) => "",
            (true, None) => {
                "; it requires a user name and a password: set `username` and `password` in `proxy`, see tokend.toml(5)"
            }
            (true, Some(_)) => "; it does not take the `username` and `password` of `proxy`",
        };
        format!("through the proxy {proxy}: {words}{advice}")
    }

    /// The message about a missing answer on this route, which may be the proxy's fault.
    pub(super) fn shares(&self, why: &str) -> String {
        format!(
            "{why}; either the provider or the proxy {} may have caused it",
            self.proxy
        )
    }
}

/// Every byte as `%XX`, since the library decodes the text.
fn encoded(text: &str) -> String {
    let mut all = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        let _infallible = write!(all, "%{byte:02X}");
    }
    all
}
