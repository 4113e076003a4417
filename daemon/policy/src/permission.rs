//! What can be allowed, each on its own.

use std::fmt;
use std::ops::BitOr;

use crate::facts::write_list;

/// One thing a peer can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// The account's access token.
    Get,
    /// How the account is.
    Status,
    /// To report that an API refused its token.
    Reject,
    /// A new token now, inside the pace.
    Refresh,
    /// To enter a credential.
    Login,
    /// To have everything stored for it deleted.
    Forget,
    /// To have the configuration read again. It concerns the daemon, not an account.
    Reload,
}

impl Permission {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::Get,
        Self::Status,
        Self::Reject,
        Self::Refresh,
        Self::Login,
        Self::Forget,
        Self::Reload,
    ];

    /// Its name in the configuration and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Status => "status",
            Self::Reject => "reject",
            Self::Refresh => "refresh",
            Self::Login => "login",
            Self::Forget => "forget",
            Self::Reload => "reload",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Permissions(u8);

impl Permissions {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The permissions of a rule in `allow` without `may`: to use the token.
    pub const USE: Self = Self::of(&[Permission::Get, Permission::Status, Permission::Reject]);
    /// The permissions of a rule in `admin` without `may`: everything but tokens.
    pub const ADMINISTER: Self = Self::of(&[
        Permission::Status,
        Permission::Refresh,
        Permission::Login,
        Permission::Forget,
        Permission::Reload,
    ]);
    /// The permissions that a rule of an account can give.
    pub const OF_AN_ACCOUNT: Self = Self::of(&[
        Permission::Get,
        Permission::Status,
        Permission::Reject,
        Permission::Refresh,
        Permission::Login,
        Permission::Forget,
    ]);

    /// The set of these.
    pub const fn of(permissions: &[Permission]) -> Self {
        let (mut bits, mut rest) = (0, permissions);
        while let [first, others @ ..] = rest {
            bits |= first.bit();
            rest = others;
        }
        Self(bits)
    }

    /// Whether it is one of them.
    pub const fn has(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Whether any of `others` is one of them.
    pub const fn has_any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These without `others`.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Those there are, in their order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        let all = Permission::ALL.into_iter();
        all.filter(move |permission| self.has(*permission))
    }
}

impl BitOr for Permissions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// `get, status and reject`.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_list(f, self.iter().map(Permission::as_str))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administering_never_includes_tokens_and_accounts_never_include_the_daemon() {
        assert!(!Permissions::ADMINISTER.has(Permission::Get));
        assert!(!Permissions::ADMINISTER.has(Permission::Reject));
        assert!(!Permissions::OF_AN_ACCOUNT.has(Permission::Reload));
        assert!(Permissions::NONE.is_empty() && !Permissions::USE.is_empty());
        let all = Permissions::of(&Permission::ALL);
        assert_eq!(Permissions::OF_AN_ACCOUNT | Permissions::ADMINISTER, all);
    }

    #[test]
    fn they_read_as_a_sentence() {
        assert_eq!(Permissions::USE.to_string(), "get, status and reject");
        assert_eq!(Permissions::of(&[Permission::Get]).to_string(), "get");
        assert_eq!(Permissions::NONE.to_string(), "");
    }
}
