//! The settings of a real server.

/// What can be set when a server starts.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Lifetime of access tokens in seconds.
    pub access_ttl: u32,
    /// Lifetime of refresh tokens in seconds.
    pub refresh_ttl: u32,
    /// Single-use refresh tokens, for the two servers that offer the choice (A and D).
    pub rotate: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            access_ttl: 900,
            refresh_ttl: 86_400,
            rotate: false,
        }
    }
}
