//! What a watch is asked for, and what it tells.
//!
//! Shared by both clients. It never does I/O.

use std::time::Duration;

use tokend_proto::{AccountName, Fault, Request, RequestId, Response, ServerFrame};

use crate::exchange::HELLO;
use crate::options::millis;
use crate::{ClientError, Token};

/// What [`watch`](crate::BlockingClient::watch) asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchOptions {
    /// Whose tokens.
    pub account: AccountName,
    /// How long each token must still live when it comes; `None` leaves it to the daemon's configuration.
    pub min_validity: Option<Duration>,
}

impl WatchOptions {
    /// Any token the daemon thinks good.
    pub fn new(account: AccountName) -> Self {
        Self {
            account,
            min_validity: None,
        }
    }

    /// Demands that each token lives at least this long when it comes.
    #[must_use]
    pub fn min_validity(self, min_validity: Duration) -> Self {
        Self {
            min_validity: Some(min_validity),
            ..self
        }
    }

    pub(crate) fn request(&self) -> Request {
        Request::Watch {
            account: self.account.clone(),
            min_validity_ms: self.min_validity.map(millis),
        }
    }
}

/// What a sink has to say of the file that it keeps fresh; see [`BlockingWatch::report`](crate::BlockingWatch::report).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkReport {
    /// Whose token is in the file.
    pub account: AccountName,
    /// The sink's name.
    pub sink: String,
    /// A number that no other sink of this name has.
    pub instance: u64,
    /// The file.
    pub path: String,
    /// What is wrong with it at present, without any secret.
    pub problem: Option<String>,
}

impl SinkReport {
    /// A file that is as it should be.
    pub fn new(account: AccountName, sink: String, instance: u64, path: String) -> Self {
        Self {
            account,
            sink,
            instance,
            path,
            problem: None,
        }
    }

    #[cfg(feature = "blocking")]
    pub(crate) fn request(&self) -> Request {
        Request::Report {
            account: self.account.clone(),
            sink: self.sink.clone(),
            instance: self.instance,
            path: self.path.clone(),
            problem: self.problem.clone(),
        }
    }
}

/// What happened to a token that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// This is the account's token from now on.
    Token(Token),
    /// The token that came last must not be used any more: it has expired, was refused by an API, or was forgotten.
    Retired,
    /// There is no token at present, for this reason. One follows when there is one again.
    Unavailable(Fault),
}

/// The id of a watch, which is the only request of its connection.
pub(crate) const ID: RequestId = RequestId(1);

impl WatchEvent {
    pub(crate) fn of(frame: ServerFrame) -> Result<Self, ClientError> {
        match frame {
            ServerFrame { id, response } if id == ID => Self::of_response(response),
            ServerFrame {
                id: HELLO,
                response: Response::Fault(fault),
            } => Err(fault.into()),
            ServerFrame { id, .. } => Err(ClientError::protocol(format!(
                "it answers request {}, which was not asked",
                id.0
            ))),
        }
    }

    fn of_response(response: Response) -> Result<Self, ClientError> {
        match response {
            Response::Token(token) => Ok(Self::Token(token.into())),
            Response::Retired { .. } => Ok(Self::Retired),
            Response::Unavailable(fault) => Ok(Self::Unavailable(fault)),
            Response::Fault(fault) => Err(fault.into()),
            _ => Err(ClientError::protocol(
                "it answers a watch with something else",
            )),
        }
    }
}
