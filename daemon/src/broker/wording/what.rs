//! What a person entered, without it.

use std::fmt;

use tokend_proto::LoginSecret;

/// What a person entered, without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Password,
    ClientSecret,
    RefreshToken,
}

impl What {
    pub(crate) fn of(secret: &LoginSecret) -> Self {
        match secret {
            LoginSecret::Password(_) => Self::Password,
            LoginSecret::ClientSecret(_) => Self::ClientSecret,
            LoginSecret::RefreshToken(_) => Self::RefreshToken,
        }
    }

    /// How `tokenctl login` is told what is entered.
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::Password => "",
            Self::ClientSecret => " --client-secret",
            Self::RefreshToken => " --refresh-token",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password => "the password you entered",
            Self::ClientSecret => "the client secret you entered",
            Self::RefreshToken => "the refresh token you entered",
        })
    }
}
