//! What configuration and dialect say about an account, as far as the engine must know it.
//!
//! Owns the plans. They hold no names, addresses or secrets: the shell knows which account a key stands for.

use crate::durable::AttemptKind;
use crate::ids::HostKey;
use crate::pace::Rate;

/// How one account is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountPlan {
    /// The provider host the account is asked from.
    pub host: HostKey,
    /// The host its refreshes go to, where that is another one than its logins'.
    pub refresh_host: Option<HostKey>,
    /// The limit on all attempts.
    pub attempts: Rate,
    /// The tighter limit on logins, which also count as attempts.
    pub logins: Rate,
    /// What happens at this provider when a spent refresh token is sent again.
    pub reuse: Reuse,
    /// When to refresh without being asked.
    pub refresh: RefreshPolicy,
    /// Whether a refresh ends the previous access token; such an account is refreshed late.
    pub refresh_ends_access: bool,
    /// Whether a refresh works only while the access token is valid; such an account is never refreshed late.
    pub refresh_needs_access: bool,
    /// Whether a refresh sends the access token, which then counts as a refresh token too. Such an account is never refreshed late, nor
    /// with a token that an API refused.
    pub refresh_presents_access: bool,
}

impl AccountPlan {
    /// The host that attempts of a kind go to.
    #[must_use]
    pub fn host_of(&self, kind: AttemptKind) -> HostKey {
        match (kind, self.refresh_host) {
            (AttemptKind::Refresh, Some(host)) => host,
            _ => self.host,
        }
    }
}

/// What a provider does when a refresh token is presented a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reuse {
    /// Refresh tokens do not rotate: asking again is harmless.
    None,
    /// A spent token is refused and nothing else happens: asking again is harmless.
    Rotates,
    /// A spent token revokes the whole family (RFC 9700, section 4.14.2): never ask again when in doubt.
    RotatesAndReuseRevokes,
    /// Not known: treated as revoking while a login is possible.
    Unknown,
}

/// When an account is refreshed without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RefreshPolicy {
    /// Ahead of expiry if the token was requested during the last lifetime.
    #[default]
    Auto,
    /// Always ahead of expiry: for refresh tokens that die of idleness.
    Always,
    /// Only when a `get` finds no usable token.
    OnDemand,
}

/// How often all accounts together may ask one provider host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostPlan {
    /// The limit on attempts of all accounts.
    pub rate: Rate,
    /// How many attempts may be in flight.
    pub in_flight: u32,
}
