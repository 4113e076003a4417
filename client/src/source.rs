//! Where a program gets its token from, as an interface that a test can fake.
//!
//! Owns the two traits. A source is for one account; what it is asked for is chosen when it is made.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokend_proto::{ApiLine, Fault, FaultCode};

use crate::{ClientError, Token};

/// An answer that is waited for; boxed, so that a [`TokenSource`] can be a trait object.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, ClientError>> + Send + 'a>>;

/// Gives the token of one account. An `Account` asks the daemon each time, a `Subscription`
/// is told; a test has a source of its own.
///
/// ```
/// use std::sync::Arc;
/// use tokend_client::{Answer, ClientError, SecretText, Token, TokenSource};
///
/// struct Fake;
///
/// impl TokenSource for Fake {
///     fn token(&self) -> Answer<'_, Arc<Token>> {
///         Box::pin(async { Ok(Arc::new(Token::bearer(SecretText::new("first").unwrap()))) })
///     }
///
///     fn reject<'a>(&'a self, _refused: &'a Token) -> Answer<'a, Arc<Token>> {
///         Box::pin(async { Ok(Arc::new(Token::bearer(SecretText::new("second").unwrap()))) })
///     }
/// }
///
/// let source: Arc<dyn TokenSource> = Arc::new(Fake);
/// ```
pub trait TokenSource: Send + Sync {
    /// A token that can be used now.
    fn token(&self) -> Answer<'_, Arc<Token>>;

    /// Reports that the API refused this token, and gives a newer one.
    fn reject<'a>(&'a self, refused: &'a Token) -> Answer<'a, Arc<Token>>;

    /// Whether an API's answer with this status and the beginning of this body means that it refused the token: status
    /// 401, unless the source knows better.
    fn is_refusal<'a>(&'a self, status: u16, body: &'a [u8]) -> Answer<'a, bool> {
        let _ = body;
        Box::pin(async move { Ok(status == 401) })
    }

    /// The addresses that the token may be sent to, as [`ApiLine::urls`] has them: none, unless the source knows some.
    fn urls(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// The same for programs without a runtime. A `BlockingAccount` asks the daemon each time.
pub trait BlockingTokenSource: Send {
    /// A token that can be used now.
    ///
    /// # Errors
    /// Any [`ClientError`].
    fn token(&mut self) -> Result<Token, ClientError>;

    /// Reports that the API refused this token, and gives a newer one.
    ///
    /// # Errors
    /// Any [`ClientError`].
    fn reject(&mut self, refused: &Token) -> Result<Token, ClientError>;

    /// Whether an API's answer with this status and the beginning of this body means that it refused the token: status
    /// 401, unless the source knows better.
    ///
    /// # Errors
    /// Any [`ClientError`].
    fn is_refusal(&mut self, status: u16, body: &[u8]) -> Result<bool, ClientError> {
        let _ = body;
        Ok(status == 401)
    }

    /// The addresses that the token may be sent to, as [`ApiLine::urls`] has them: none, unless the source knows some.
    ///
    /// # Errors
    /// Any [`ClientError`].
    fn urls(&mut self) -> Result<Vec<String>, ClientError> {
        Ok(Vec::new())
    }
}

/// The addresses in the answer about one account.
pub(crate) fn urls(lines: Vec<ApiLine>) -> Vec<String> {
    lines.into_iter().flat_map(|line| line.urls).collect()
}

/// The newer token, which the caller was allowed to have a moment ago.
pub(crate) fn newer(answered: Option<Token>) -> Result<Token, ClientError> {
    answered.ok_or_else(|| {
        Fault::new(
            FaultCode::NotAllowed,
            "there is a newer token, which is not for you",
        )
        .advise("a rule with `get` in `may` has to match you; see: tokenctl whoami")
        .into()
    })
}
