//! Tokens in the requests of HTTP libraries.
//!
//! Owns what the adapters have in common, and nothing of any library: which requests get the token, what an answer has to say to refuse it,
//! and the words of a failure. A refused token is reported once and followed by one repetition. No adapter follows a redirect.

mod authorizer;
#[cfg(feature = "tonic")]
mod grpc;
#[cfg(feature = "tower")]
mod layer;
#[cfg(feature = "reqwest-middleware")]
mod middleware;
mod refused;
#[cfg(feature = "tonic")]
mod reporting;
mod request_error;
mod rest;

#[cfg(feature = "tonic")]
pub use grpc::{GrpcTokenLayer, GrpcWithToken};
#[cfg(feature = "tower")]
pub use layer::{TokenLayer, WithToken};
#[cfg(feature = "reqwest-middleware")]
pub use middleware::TokenMiddleware;
pub use request_error::RequestError;
pub use rest::Rest;
