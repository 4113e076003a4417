//! The settings of the daemon itself: `[limits]`, `[log]`, `[http]`, and the mode of the socket.
//!
//! Owns their defaults and bounds, with the reasons. Knows nothing of accounts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokend_document::{Diagnostics, Section, Value};
use url::Url;

use super::proxy::{self, NoProxy, Proxy, Route};
use super::reading::Reading;
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
    /// Reads `[limits]`, if it is there.
    pub(super) fn read(root: &mut Section<'_>, diagnostics: &mut Diagnostics) -> Self {
        let mut limits = Self::default();
        let Some(mut section) = root.section("limits", diagnostics) else {
            return limits;
        };
        for (key, most, limit) in [
            ("connections", 65_536, &mut limits.connections),
            (
                "connections_per_user",
                65_536,
                &mut limits.connections_per_user,
            ),
            (
                "requests_per_connection",
                4096,
                &mut limits.requests_per_connection,
            ),
        ] {
            let value = section.take(key);
            let value = value.and_then(|value| value.integer(1..=most, diagnostics));
            *limit = value.unwrap_or(*limit);
        }
        for (key, most, limit) in [
            ("idle_timeout", 24 * HOUR, &mut limits.idle_timeout),
            ("frame_timeout", HOUR, &mut limits.frame_timeout),
            ("command_timeout", HOUR, &mut limits.command_timeout),
        ] {
            let value = section.take(key);
            let value = value.and_then(|value| value.duration(SECOND..=most, diagnostics));
            *limit = value.unwrap_or(*limit);
        }
        section.finish(diagnostics);
        limits
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
    /// Reads `[log]`, if it is there.
    pub(super) fn read(root: &mut Section<'_>, diagnostics: &mut Diagnostics) -> Self {
        let Some(mut section) = root.section("log", diagnostics) else {
            return Self::default();
        };
        let format = section.take("format");
        let format = format.and_then(|value| value.word(&Format::WORDS, diagnostics));
        let level = section.read("level", diagnostics, level);
        section.finish(diagnostics);
        Self {
            format: format.unwrap_or_default(),
            level: level.unwrap_or_default(),
        }
    }
}

fn level(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Level> {
    let text = value.text(diagnostics)?;
    text.parse().ok().or_else(|| {
        let help =
            "use error, warn, info, debug, trace or off, or directives such as `info,tokend=debug`";
        let message = format!("`{text}` is not a log level");
        value.wrong(diagnostics, message, help.to_owned())
    })
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
    /// Reads `[http]`, if it is there.
    pub(super) fn read(root: &mut Section<'_>, reading: &mut Reading<'_>) -> Self {
        let default = Self::default();
        let Some(mut section) = root.section("http", &mut reading.diagnostics) else {
            return default;
        };
        let proxy = section.take("proxy");
        let proxy = match proxy.and_then(|value| proxy::read(value, reading)) {
            Some(Route::Through(proxy)) => Some(proxy),
            Some(Route::Inherited | Route::Direct) | None => None,
        };
        let extra_ca = section.take("extra_ca");
        let extra_ca = extra_ca.and_then(|value| existing_file(value, reading));
        let diagnostics = &mut reading.diagnostics;
        let mut duration = |key, default| {
            let value = section.take(key);
            value
                .and_then(|value| value.duration(SECOND / 10..=HOUR, diagnostics))
                .unwrap_or(default)
        };
        let connect_timeout = duration("connect_timeout", default.connect_timeout);
        let timeout = duration("timeout", default.timeout);
        let no_proxy = section.read("no_proxy", diagnostics, NoProxy::read);
        let max_body = section.take("max_body");
        let max_body = max_body.and_then(|value| value.size(1024..=64 << 20, diagnostics));
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

fn existing_file(value: Value<'_>, reading: &mut Reading<'_>) -> Option<PathBuf> {
    let path = value.path(&reading.base, &mut reading.diagnostics)?;
    let message = match reading.files.is_file(&path) {
        Ok(true) => return Some(path),
        Ok(false) => format!("{} is not a file", path.display()),
        Err(error) => format!("{}: {error}", path.display()),
    };
    value.wrong(&mut reading.diagnostics, message, None)
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
        let message = format!("`{text}` is not a mode of a socket");
        return value.wrong(diagnostics, message, help());
    };
    if mode & 0o600 != 0o600 {
        let message = format!("with mode `{text}` the daemon's own user could not connect");
        return value.wrong(diagnostics, message, help());
    }
    Some(mode)
}
