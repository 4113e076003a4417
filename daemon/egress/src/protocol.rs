//! What daemon and relay say to each other, beside HTTP as every proxy has it.
//!
//! Owns the names of headers and questions.

/// The header in which the daemon names what its questions are about.
pub const TARGET: &str = "tokend-target";
/// The header that tells an answer of the relay from one of a provider.
pub const STATUS: &str = "proxy-status";
/// Asks whether a target can be reached.
pub const REACH: &str = "/reach";
/// Asks why a target was not reached a moment ago.
pub const FAILURE: &str = "/failure";
/// Asks whether it was the target that ended tunnels to it a moment ago.
pub const ENDED: &str = "/ended";

/// What is answered to that where the target said that it sends no more. Other words of success are of one that broke it off.
pub const ORDERLY: &str = "the target ended it";
/// How the daemon says how long a connection may take, in milliseconds.
pub const PATIENCE: &str = "tokend-connect-timeout";
/// How the daemon says how long the whole exchange may take, in milliseconds.
pub const TIMEOUT: &str = "tokend-timeout";
/// How the daemon names the proxy of its configuration.
pub const PROXY: &str = "tokend-proxy";
