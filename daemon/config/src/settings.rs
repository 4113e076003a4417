//! The settings of the daemon itself: `[limits]`, `[log]`, `[http]`, and the mode of the socket.
//!
//! Owns their defaults and bounds, with the reasons. Knows nothing of accounts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokend_document::{Diagnostics, Section, Value};
use url::Url;

use super::Files;
use super::proxy::{self, NoProxy, Proxy, Route};
use crate::log::{Format, Level};
use crate::secret_ref::COMMAND_TIMEOUT;

/// Every user may connect: `allow` decides for each account, and the kernel identifies the peer.
pub(super) const SOCKET_MODE: u32 = 0o666;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Bounds on the resources that peers can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: u32,
    /// Connections of one user at once, so that no user can take all of them.
    pub connections_per_user: u32,
    /// Unanswered requests of one connection.
    pub requests_per_connection: u32,
    /// How long a connection may stay open without a request.
    pub idle_timeout: Duration,
    /// How long one frame may take from its first byte to its last, in either direction.
    pub frame_timeout: Duration,
    /// How long a command that fetches a secret may take.
    pub command_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A service of a thousand workers may be one user, and all of them may ask at once.
            connections: 4096,
            connections_per_user: 2048,
            requests_per_connection: 64,
            idle_timeout: 300 * SECOND,
            frame_timeout: 10 * SECOND,
            command_timeout: COMMAND_TIMEOUT,
        }
    }
}

impl Limits {
    pub(super) fn read(section: Option<Section<'_>>, diagnostics: &mut Diagnostics) -> Self {
        let default = Self::default();
        let Some(mut section) = section else {
            return default;
        };
        let mut number = |key, most, default| {
            section
                .take(key)
                .and_then(|value| value.integer(1..=most, diagnostics))
                .unwrap_or(default)
        };
        let connections = number("connections", 65_536, default.connections);
        let connections_per_user =
            number("connections_per_user", 65_536, default.connections_per_user);
        let requests_per_connection = number(
            "requests_per_connection",
            4096,
            default.requests_per_connection,
        );
        let mut duration = |key, most, default| {
            section
                .take(key)
                .and_then(|value| value.duration(SECOND..=most, diagnostics))
                .unwrap_or(default)
        };
        let idle_timeout = duration("idle_timeout", 24 * HOUR, default.idle_timeout);
        let frame_timeout = duration("frame_timeout", HOUR, default.frame_timeout);
        let command_timeout = duration("command_timeout", HOUR, default.command_timeout);
        section.finish(diagnostics);
        Self {
            connections,
            connections_per_user,
            requests_per_connection,
            idle_timeout,
            frame_timeout,
            command_timeout,
        }
    }
}

/// Log settings. The command line and `$TOKEND_LOG` override them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Log {
    /// What a line looks like.
    pub format: Format,
    /// Which lines are logged.
    pub level: Level,
}

impl Log {
    pub(super) fn read(section: Option<Section<'_>>, diagnostics: &mut Diagnostics) -> Self {
        let Some(mut section) = section else {
            return Self::default();
        };
        let words = [
            ("auto", Format::Auto),
            ("human", Format::Human),
            ("journal", Format::Journal),
            ("json", Format::Json),
        ];
        let format = section
            .take("format")
            .and_then(|value| value.word(&words, diagnostics));
        let level = section
            .take("level")
            .and_then(|value| level(value, diagnostics));
        section.finish(diagnostics);
        Self {
            format: format.unwrap_or_default(),
            level: level.unwrap_or_default(),
        }
    }
}

fn level(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Level> {
    let text = value.text(diagnostics)?;
    match text.parse() {
        Ok(level) => Some(level),
        Err(_) => {
            let help = "use error, warn, info, debug, trace or off, or directives such as `info,tokend=debug`";
            value.wrong(
                diagnostics,
                format!("`{text}` is not a log level"),
                help.to_owned(),
            )
        }
    }
}

/// Settings for connections to providers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// How long connecting may take, including TLS; always less than `timeout`, so that connecting fails on its own limit.
    pub connect_timeout: Duration,
    /// How long one exchange may take from start to end.
    pub timeout: Duration,
    /// The proxy for requests that leave this machine, unless the account sets its own. Variables such as `$https_proxy` are ignored.
    pub proxy: Option<Arc<Proxy>>,
    /// The hosts that are reached without that proxy.
    pub no_proxy: NoProxy,
    /// All proxies that this section and accounts name, each once.
    pub proxies: Vec<Arc<Proxy>>,
    /// The longest reply that is read, in bytes.
    pub max_body: usize,
    /// A PEM file of certificate authorities that are trusted in addition to the system's.
    pub extra_ca: Option<PathBuf>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            connect_timeout: 10 * SECOND,
            timeout: 30 * SECOND,
            proxy: None,
            no_proxy: NoProxy::default(),
            proxies: Vec::new(),
            max_body: 1 << 20,
            extra_ca: None,
        }
    }
}

impl Http {
    pub(super) fn read(
        section: Option<Section<'_>>,
        base: &Path,
        files: &Files,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let default = Self::default();
        let Some(mut section) = section else {
            return default;
        };
        let mut duration = |key, default| {
            let value = section.take(key);
            value
                .and_then(|value| value.duration(SECOND / 10..=HOUR, diagnostics))
                .unwrap_or(default)
        };
        let connect_timeout = duration("connect_timeout", default.connect_timeout);
        let timeout = duration("timeout", default.timeout);
        let proxy = section
            .take("proxy")
            .and_then(|value| proxy::read(value, base, diagnostics));
        let no_proxy = section
            .take("no_proxy")
            .and_then(|value| NoProxy::read(value, diagnostics));
        let proxy = match proxy {
            Some(Route::Through(proxy)) => Some(proxy),
            Some(Route::Inherited | Route::Direct) | None => None,
        };
        let max_body = section
            .take("max_body")
            .and_then(|value| value.size(1024..=64 << 20, diagnostics));
        let extra_ca = section
            .take("extra_ca")
            .and_then(|value| existing_file(value, base, files, diagnostics));
        section.finish(diagnostics);
        Self {
            // If the limit of the whole exchange ends a connection attempt, the daemon cannot tell whether the request was sent.
            connect_timeout: connect_timeout.min(timeout * 9 / 10),
            timeout,
            proxies: proxy.iter().cloned().collect(),
            proxy,
            no_proxy: no_proxy.unwrap_or_default(),
            max_body: max_body.unwrap_or(default.max_body),
            extra_ca,
        }
    }
}

impl Http {
    /// The proxy that a request of an account for `url` goes through; `None` where it goes directly.
    pub fn proxy_for(&self, route: &Route, url: &Url) -> Option<&Arc<Proxy>> {
        if proxy::is_this_machine(url) {
            return None;
        }
        match route {
            Route::Direct => None,
            // The stored copy, in case two accounts have equal proxies.
            Route::Through(own) => self.proxies.iter().find(|proxy| *proxy == own),
            Route::Inherited => self.proxy.as_ref().filter(|_| !self.no_proxy.has(url)),
        }
    }
}

fn existing_file(
    value: Value<'_>,
    base: &Path,
    files: &Files,
    diagnostics: &mut Diagnostics,
) -> Option<PathBuf> {
    let path = value.path(base, diagnostics)?;
    match files.is_file(&path) {
        Ok(true) => Some(path),
        Ok(false) => value.wrong(
            diagnostics,
            format!("{} is not a file", path.display()),
            None,
        ),
        Err(error) => value.wrong(diagnostics, format!("{}: {error}", path.display()), None),
    }
}

/// `"0666"`, as chmod(1) has it.
pub(super) fn socket_mode(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<u32> {
    let help = || {
        "write it as chmod does, in quotes: \"0666\" for everybody, \"0660\" for owner and group"
            .to_owned()
    };
    let text = value.quoted("a mode in quotes, such as \"0660\"", diagnostics)?;
    let octal =
        (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = octal.then(|| u32::from_str_radix(text, 8).ok()).flatten();
    let Some(mode) = mode.filter(|mode| mode & !0o777 == 0) else {
        return value.wrong(
            diagnostics,
            format!("`{text}` is not a mode of a socket"),
            help(),
        );
    };
    if mode & 0o600 != 0o600 {
        let message = format!("with mode `{text}` the daemon's own user could not connect");
        return value.wrong(diagnostics, message, help());
    }
    Some(mode)
}
