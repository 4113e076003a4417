//! Why a request cannot be built, and what it means for the engine.
//!
//! Owns the messages; none contains a wrong value.

use tokend_config::Account;
use tokend_dialect::RequestError;
use tokend_engine::ClaimRefusal;

use crate::secrets::SecretError;

/// Why a request cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A secret cannot be read.
    #[error("cannot read the {field} of account {account}: {source}")]
    Secret {
        /// The account.
        account: Box<str>,
        /// The field of the secret.
        field: Box<str>,
        /// Why.
        source: SecretError,
    },
    /// A proxy's password cannot be read.
    #[error("cannot read the password of the proxy {proxy}: {source}")]
    Proxy {
        /// The proxy.
        proxy: Box<str>,
        /// Why.
        source: SecretError,
    },
    /// The dialect cannot build the request from the available values.
    #[error("account {account}: {source}")]
    Request {
        /// The account.
        account: Box<str>,
        /// Why.
        source: RequestError,
    },
    /// The refresh token cannot be sent back to the provider.
    #[error(
        "account {account}: the refresh token has {what}, which cannot stand in {place}, so it is of no use"
    )]
    RefreshToken {
        /// The account.
        account: Box<str>,
        /// The kind of the character.
        what: &'static str,
        /// Its place in the request.
        place: &'static str,
    },
    /// A refresh sends the access token, and the account no longer has one.
    #[error("account {0}: a refresh sends the access token too, and none is held any more")]
    AccessToken(Box<str>),
    /// The task that prepares the request died.
    #[error("preparing the request failed inside tokend; please report this")]
    Broken,
}

impl PrepareError {
    pub(super) fn of_request(account: &Account, source: RequestError) -> Self {
        let account = account.name.as_str().into();
        match source {
            RequestError::Missing { field, .. } if field == tokend_dialect::ACCESS_TOKEN => {
                Self::AccessToken(account)
            }
            RequestError::Forbidden { field, what, place }
                if matches!(
                    field.as_str(),
                    tokend_dialect::REFRESH_TOKEN | tokend_dialect::ACCESS_TOKEN
                ) =>
            {
                Self::RefreshToken {
                    account,
                    what,
                    place,
                }
            }
            source => Self::Request { account, source },
        }
    }

    /// Whether the machine has a temporary shortage, such as of descriptors: the configuration may be right.
    pub fn is_shortage(&self) -> bool {
        match self {
            Self::Secret { source, .. } | Self::Proxy { source, .. } => source.is_shortage(),
            _ => false,
        }
    }

    /// The meaning for the engine.
    pub fn refusal(&self) -> ClaimRefusal {
        match self {
            Self::RefreshToken { .. } | Self::AccessToken(_) => ClaimRefusal::RefreshToken,
            Self::Request { .. } => ClaimRefusal::Request,
            Self::Secret { .. } | Self::Proxy { .. } | Self::Broken => ClaimRefusal::Secret,
        }
    }
}
