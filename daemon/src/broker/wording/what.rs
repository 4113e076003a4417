//! The name of an entered credential, without the credential.

use std::fmt;

use tokend_proto::LoginSecret;

/// The kind of an entered credential, without the credential.
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

    /// The option of `tokenctl login` that says what is entered.
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
