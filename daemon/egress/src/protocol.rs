//! The protocol between daemon and relay, beyond that of an ordinary HTTP proxy.
//!
//! Owns the names of headers and questions.

/// The header with the target that the daemon's question is about.
pub const TARGET: &str = "tokend-target";
/// The header that marks an answer of the relay, as opposed to one of a provider.
pub(crate) const STATUS: &str = "proxy-status";
/// Asks whether a target can be reached.
pub const REACH: &str = "/reach";
/// Asks why a target was not reached just now.
pub const FAILURE: &str = "/failure";
/// Asks whether the target itself ended its recent tunnels.
pub const ENDED: &str = "/ended";

/// The answer to [`ENDED`] if the target closed its side in order. Any other successful answer means that it broke the connection.
pub const ORDERLY: &str = "the target ended it";
/// The header with the limit for a connection, in milliseconds.
pub const CONNECT_TIMEOUT: &str = "tokend-connect-timeout";
/// The header with the limit for the whole exchange, in milliseconds.
pub const TIMEOUT: &str = "tokend-timeout";
/// The header with the proxy of the daemon's configuration.
pub const PROXY: &str = "tokend-proxy";
