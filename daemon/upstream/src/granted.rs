//! The result of a success, in one form from the provider's reply to the record and to the clients.
//!
//! Owns the secrets and their lifetimes, and the only translation to the engine's answer, which holds no secret. The access token is
//! shared and never copied on its way; the record has the only other copy.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use tokend_dialect::{Grant, Renewal};
use tokend_engine::{GrantFacts, ProviderAnswer};
use tokend_proto::SecretText;

/// The result of a success.
#[derive(Debug)]
pub struct Granted {
    /// The access token; `None` if there is none that can be handed out.
    pub access_token: Option<Arc<AccessToken>>,
    /// The new refresh token; `None` keeps the one held. Always present if there is no access token.
    pub refresh_token: Option<SecretString>,
    answer: ProviderAnswer,
}

/// An access token, and how to present it.
pub struct AccessToken {
    /// The token itself.
    pub text: SecretText,
    /// How to present it.
    pub token_type: Box<str>,
    /// The scope that was granted, if known.
    pub scope: Option<Box<str>>,
}

impl Granted {
    /// Converts a grant. An access token that the wire protocol cannot carry cannot be handed out, whatever the dialect allows; its
    /// refresh token is still kept. `None` if there is no refresh token either.
    pub fn of_grant(grant: Grant) -> Option<Self> {
        let access_token = AccessToken::new(
            grant.access_token.expose_secret(),
            grant.token_type,
            grant.scope,
        );
        let answer = match (&access_token, &grant.refresh_token) {
            (Some(_), refresh_token) => ProviderAnswer::Granted(GrantFacts {
                lifetime: grant.lifetime,
                refresh_token: refresh_token.is_some(),
                refresh_token_lost: grant.refresh_token_lost,
                refresh_lifetime: grant.refresh_lifetime,
            }),
            (None, Some(_)) => ProviderAnswer::Renewed {
                refresh_lifetime: grant.refresh_lifetime,
                misconfigured: false,
            },
            (None, None) => return None,
        };
        Some(Self {
            access_token: access_token.map(Arc::new),
            refresh_token: grant.refresh_token,
            answer,
        })
    }

    /// Converts a refresh token that came without a usable access token. `misconfigured` says whether only a change of the configuration
    /// or dialect can make such access tokens usable.
    pub fn of_renewal(renewal: Renewal, misconfigured: bool) -> Self {
        Self {
            access_token: None,
            refresh_token: Some(renewal.refresh_token),
            answer: ProviderAnswer::Renewed {
                refresh_lifetime: renewal.refresh_lifetime,
                misconfigured,
            },
        }
    }

    /// The engine's view of it.
    pub const fn answer(&self) -> ProviderAnswer {
        self.answer
    }
}

impl AccessToken {
    /// `None` if the wire protocol cannot carry it.
    pub fn new(
        text: &str,
        token_type: impl Into<Box<str>>,
        scope: Option<impl Into<Box<str>>>,
    ) -> Option<Self> {
        Some(Self {
            text: SecretText::new(text).ok()?,
            token_type: token_type.into(),
            scope: scope.map(Into::into),
        })
    }
}

/// Never shows the token.
impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("token_type", &self.token_type)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokend_dialect::LifetimeSource;

    use super::*;

    fn grant(text: String, refresh: Option<&str>) -> Grant {
        Grant {
            access_token: text.into(),
            token_type: "Bearer".into(),
            scope: None,
            lifetime: Some(Duration::from_secs(60)),
            lifetime_source: LifetimeSource::Unknown,
            refresh_token: refresh.map(SecretString::from),
            refresh_token_lost: false,
            refresh_lifetime: Some(Duration::from_secs(600)),
            remarks: Vec::new(),
        }
    }

    #[test]
    fn the_engine_is_told_what_came_and_never_a_secret() {
        let granted = Granted::of_grant(grant("hunter2".into(), Some("hunter3"))).unwrap();
        let facts = GrantFacts {
            lifetime: Some(Duration::from_secs(60)),
            refresh_token: true,
            refresh_token_lost: false,
            refresh_lifetime: Some(Duration::from_secs(600)),
        };
        assert_eq!(granted.answer(), ProviderAnswer::Granted(facts));
        assert!(!format!("{granted:?}").contains("hunter"), "{granted:?}");
    }

    #[test]
    fn a_token_that_the_wire_cannot_carry_leaves_its_refresh_token() {
        let long = || "x".repeat(SecretText::MAX_LEN + 1);
        let renewed = Granted::of_grant(grant(long(), Some("rt"))).unwrap();
        let answer = ProviderAnswer::Renewed {
            refresh_lifetime: Some(Duration::from_secs(600)),
            misconfigured: false,
        };
        assert_eq!(
            (renewed.answer(), renewed.access_token.is_none()),
            (answer, true)
        );
        assert!(Granted::of_grant(grant(long(), None)).is_none());
    }
}
