//! The outlets: listeners beside that of the native protocol.
//!
//! Owns their names, which stand in audit records, log lines and the configuration. By which one a peer came changes none of its rights.

use std::fmt;

/// A listener that speaks another protocol than the native one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outlet {
    /// HTTP and JSON.
    Http,
    /// Credentials that systemd loads for its units.
    Credentials,
    /// The protocol of oidc-agent.
    OidcAgent,
}

impl Outlet {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Http, Self::Credentials, Self::OidcAgent];

    /// Its name in records and log lines, and of the socket that systemd passes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Credentials => "credentials",
            Self::OidcAgent => "oidc-agent",
        }
    }

    /// Its key below `[listen]`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Credentials => "credentials",
            Self::OidcAgent => "oidc_agent",
        }
    }

    /// The setting of its path, in words.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::Credentials => "`credentials` in [listen] of the configuration",
            Self::Http => "`http` in [listen] of the configuration",
            Self::OidcAgent => "`oidc_agent` in [listen] of the configuration",
        }
    }

    /// Its unit of systemd.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Http => "tokend-http.socket",
            Self::Credentials => "tokend-credentials.socket",
            Self::OidcAgent => "tokend-oidc-agent.socket",
        }
    }
}

impl fmt::Display for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
