//! Why a request was not sent.
//!
//! Owns the sentence, with its advice: a library shows a text, and asks for no more.

use std::fmt;

use crate::{ClientError, HeaderError};

/// Why a request was not sent, or not sent again after a refusal. Its text includes the advice.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RequestError {
    /// There is no token.
    Client(ClientError),
    /// The token does not fit into a header.
    Header(HeaderError),
    /// The account has no addresses, so that its token would go nowhere.
    NoAddresses,
}

impl RequestError {
    /// What to do about it, as a lower-case fragment for people.
    pub fn advice(&self) -> Option<&str> {
        match self {
            Self::Client(error) => error.advice(),
            Self::Header(_) => Some("present it yourself, as Token::presentation says"),
            Self::NoAddresses => Some(
                "add urls = [\"https://HOST\"] to the account's api table in the daemon's configuration",
            ),
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => error.fmt(f)?,
            Self::Header(error) => error.fmt(f)?,
            Self::NoAddresses => {
                f.write_str("nobody has said to which addresses the token of this account may go")?
            }
        }
        match self.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RequestError {}

impl From<ClientError> for RequestError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<HeaderError> for RequestError {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

#[cfg(test)]
mod tests {
    use tokend_proto::{Fault, FaultCode};

    use super::*;

    #[test]
    fn the_text_has_the_advice() {
        let fault = Fault::new(FaultCode::LoginRequired, "ads has no login").advise("log in");
        let error = RequestError::from(ClientError::from(fault));
        assert_eq!(error.to_string(), "ads has no login; log in");
        assert!(RequestError::NoAddresses.to_string().contains("; add urls"));
    }
}
