//! The outlets: listeners beside that of the native protocol.
//!
//! Owns their names, which stand in audit records, log lines and the configuration. By which one a peer came changes none of its rights.

use std::fmt;

/// A listener that speaks another protocol than the native one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outlet {
    /// HTTP and JSON.
    Http,
}

impl Outlet {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Http];

    /// Its name in records and log lines, and of the socket that systemd passes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
        }
    }

    /// Its key below `[listen]`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Http => "http",
        }
    }

    /// The setting of its path, in words.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::Http => "`http` in [listen] of the configuration",
        }
    }

    /// Its unit of systemd.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Http => "tokend-http.socket",
        }
    }
}

impl fmt::Display for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
