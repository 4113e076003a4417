//! Why a request cannot be made, and what the engine makes of that.
//!
//! Owns the sentences; none holds a value of what is wrong.

use tokend_config::Account;
use tokend_dialect::RequestError;
use tokend_engine::ClaimRefusal;

use crate::secrets::SecretError;

/// Why a request cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A secret cannot be had.
    #[error("cannot read the {field} of account {account}: {source}")]
    Secret {
        /// Which account.
        account: Box<str>,
        /// Which secret of it.
        field: Box<str>,
        /// Why.
        source: SecretError,
    },
    /// A proxy's password cannot be read.
    #[error("cannot read the password of the proxy {proxy}: {source}")]
    Proxy {
        /// Which proxy.
        proxy: Box<str>,
        /// Why.
        source: SecretError,
    },
    /// The dialect makes no request of what there is.
    #[error("account {account}: {source}")]
    Request {
        /// Which account.
        account: Box<str>,
        /// Why.
        source: RequestError,
    },
    /// The refresh token cannot be given back to the provider.
    #[error(
        "account {account}: the refresh token has {what}, which cannot stand in {place}, so it is of no use"
    )]
    RefreshToken {
        /// Which account.
        account: Box<str>,
        /// What it is.
        what: &'static str,
        /// Where in the request it would stand.
        place: &'static str,
    },
    /// A refresh sends the access token, and there is none any more.
    #[error("account {account}: a refresh sends the access token too, and none is held any more")]
    AccessToken {
        /// Which account.
        account: Box<str>,
    },
    /// The task that prepared it died.
    #[error("preparing the request failed inside tokend; please report this")]
    Broken,
}

impl PrepareError {
    pub(super) fn of_request(account: &Account, source: RequestError) -> Self {
        let account = account.name.as_str().into();
        match source {
            RequestError::Missing { field, .. } if field == tokend_dialect::ACCESS_TOKEN => {
                Self::AccessToken { account }
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

    /// Whether the machine is short of something that passes, such as descriptors: nothing is wrong with the configuration.
    pub fn is_shortage(&self) -> bool {
        match self {
            Self::Secret { source, .. } | Self::Proxy { source, .. } => source.is_shortage(),
            _ => false,
        }
    }

    /// What the engine makes of it.
    pub fn refusal(&self) -> ClaimRefusal {
        match self {
            Self::RefreshToken { .. } | Self::AccessToken { .. } => ClaimRefusal::RefreshToken,
            Self::Request { .. } => ClaimRefusal::Request,
            Self::Secret { .. } | Self::Proxy { .. } | Self::Broken => ClaimRefusal::Secret,
        }
    }
}
