//! The client library of tokend: ask the local token broker for a fresh access token.
//!
//! Owns connections to the daemon's socket, their deadlines and the pairing of answers with requests. It never
//! keeps a token, never talks to a provider and never prints. [`BlockingClient`] (feature `blocking`)
//! needs no runtime; [`Client`] (feature `async`) shares one connection among many tasks. Both are on by default.
// A later release may add a variant or an option: a caller's `match` and construction must allow for it.
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]
#![doc = concat!("\n\n", include_str!("../README.md"))]

#[cfg(not(any(feature = "async", feature = "blocking")))]
compile_error!("tokend-client needs one of its features `async` and `blocking`");

#[cfg(feature = "async")]
mod account;
#[cfg(feature = "async")]
mod admin;
#[cfg(feature = "http")]
mod authorization;
#[cfg(feature = "async")]
mod authorized;
#[cfg(feature = "blocking")]
mod blocking;
#[cfg(feature = "blocking")]
mod blocking_account;
#[cfg(feature = "blocking")]
mod blocking_admin;
#[cfg(feature = "async")]
mod board;
mod clock;
mod error;
mod exchange;
#[cfg(feature = "async")]
mod nonblocking;
mod options;
mod place;
#[cfg(feature = "_requests")]
mod requests;
mod restart;
mod socket;
mod source;
mod start;
#[cfg(feature = "async")]
mod subscription;
mod token;
mod watch;

#[cfg(feature = "async")]
pub use account::Account;
#[cfg(feature = "async")]
pub use admin::Admin;
#[cfg(feature = "http")]
pub use authorization::HeaderError;
#[cfg(feature = "async")]
pub use authorized::{ApiError, AuthorizedError};
#[cfg(feature = "blocking")]
pub use blocking::{BlockingClient, BlockingWatch};
#[cfg(feature = "blocking")]
pub use blocking_account::BlockingAccount;
#[cfg(feature = "blocking")]
pub use blocking_admin::BlockingAdmin;
pub use error::ClientError;
#[cfg(feature = "async")]
pub use nonblocking::{Client, MAX_IN_FLIGHT, Watch};
pub use options::{Deadlines, GetOptions, Patience};
#[cfg(feature = "reqwest-middleware")]
pub use requests::TokenMiddleware;
#[cfg(feature = "tonic")]
pub use requests::{GrpcTokenLayer, GrpcWithToken};
#[cfg(feature = "_requests")]
pub use requests::{RequestError, Rest};
#[cfg(feature = "tower")]
pub use requests::{TokenLayer, WithToken};
pub use socket::SocketPath;
pub use source::{Answer, BlockingTokenSource, TokenSource};
pub use start::how_to_start;
#[cfg(feature = "async")]
pub use subscription::Subscription;
pub use token::Token;
pub use watch::{SinkReport, WatchEvent, WatchOptions};

pub use tokend_proto::{
    AccountLine, AccountName, AccountState, AccountStatus, ApiLine, AttemptKind, CredentialField,
    CredentialStatus, DiagnosisPage, Executable, Fault, FaultCode, Finding, Id, LastAttempt,
    LoginSecret, MetricsCursor, MetricsPage, NameError, NamedSecret, Namespaces, PaceStatus,
    Permitted, Presentation, SecretError, SecretOrigin, SecretText, Seen, Severity, SinkLine,
    Topic, UserUnit, Whoami,
};
