//! Using a token at an API, and once more with a newer one if the API refused it.
//!
//! Owns the rule that a refused token costs exactly one rejection. It never retries anything else.

use std::future::Future;

use crate::source::newer;
use crate::{Client, ClientError, GetOptions, Token};

/// How the use of a token failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiError<E> {
    /// The API refused the token itself, as with status 401.
    TokenRefused(E),
    /// Anything else; a newer token would not help.
    Other(E),
}

/// Why [`Client::authorized`] failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizedError<E> {
    /// The daemon gave no token.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The API failed, or refused the newer token as well.
    #[error("the api failed: {0}")]
    Api(E),
}

impl Client {
    /// Runs `use_token` with an access token; if the API refuses it, rejects the token at the daemon and runs
    /// `use_token` once more with the newer one.
    ///
    /// # Errors
    /// [`AuthorizedError::Client`] when the daemon gives no token, [`AuthorizedError::Api`] with the last failure
    /// of `use_token`.
    pub async fn authorized<T, E, F, A>(
        &self,
        options: &GetOptions,
        mut use_token: F,
    ) -> Result<T, AuthorizedError<E>>
    where
        F: FnMut(Token) -> A,
        A: Future<Output = Result<T, ApiError<E>>>,
    {
        let token = self.get(options).await?;
        let refused = token.access_token.clone();
        match use_token(token).await {
            Ok(done) => return Ok(done),
            Err(ApiError::Other(error)) => return Err(AuthorizedError::Api(error)),
            Err(ApiError::TokenRefused(_)) => {}
        }
        let answered = self.reject(&options.account, refused, options.patience());
        match use_token(newer(answered.await?)?).await {
            Ok(done) => Ok(done),
            Err(ApiError::Other(error) | ApiError::TokenRefused(error)) => {
                Err(AuthorizedError::Api(error))
            }
        }
    }
}
