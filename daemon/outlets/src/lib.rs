//! The protocols of the outlets, beside the native one.
//!
//! Pure: bytes and heads of messages in, requests and bytes out. Each protocol has a module of its own, which owns what it can express and the
//! words in which it refuses the rest. Knows of no socket, clock, account or permission, and decides nothing: what a request means, and who
//! may make it, is the daemon's.

pub mod credentials;
pub mod http;
pub mod oidc_agent;
