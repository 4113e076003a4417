//! The client library of tokend: ask the local token broker for a fresh access token.
//!
//! Owns connections to the daemon's socket, their deadlines and the pairing of answers with requests. It never
//! keeps a token, never talks to a provider and never prints. [`BlockingClient`] needs nothing but the standard
//! library; [`Client`] (feature `async`, on by default) shares one connection among many tasks.
// A later release may add a variant or an option: a caller's `match` and construction must allow for it.
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]
#![doc = concat!("\n\n", include_str!("../README.md"))]

#[cfg(feature = "async")]
mod authorized;
mod blocking;
mod clock;
mod error;
mod exchange;
#[cfg(feature = "async")]
mod nonblocking;
mod options;
mod socket;
mod start;
mod watch;

#[cfg(feature = "async")]
pub use authorized::{ApiError, AuthorizedError};
pub use blocking::{BlockingClient, BlockingWatch};
pub use error::ClientError;
#[cfg(feature = "async")]
pub use nonblocking::{Client, MAX_IN_FLIGHT, Watch};
pub use options::{Deadlines, GetOptions, Patience};
pub use socket::SocketPath;
pub use start::how_to_start;
pub use watch::{WatchEvent, WatchOptions};

pub use tokend_proto::{
    AccountLine, AccountName, AccountState, AccountStatus, ApiLine, AttemptKind, DiagnosisPage,
    Executable, Fault, FaultCode, Finding, Id, LastAttempt, LoginSecret, MetricsCursor,
    MetricsPage, NameError, Namespaces, PaceStatus, Permitted, Presentation, SecretError,
    SecretText, Seen, Severity, Token, Topic, UserUnit, Whoami,
};
