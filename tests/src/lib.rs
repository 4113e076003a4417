//! Code that the acceptance tests share beside the harness and the provider simulator: third-party token servers, booted machines, the
//! files of earlier versions, and the search for secrets.
//!
//! It knows the daemon only from outside (binaries, client library, wire contract) and must never import the
//! engine, a dialect or the store: a test that could look inside would stop proving what a user sees.

pub mod examples;
mod installed;
pub mod kept;
pub mod realserver;
pub mod secrecy;
pub mod systemd;
pub mod tap;
pub mod upgrade;

pub use installed::installed;
