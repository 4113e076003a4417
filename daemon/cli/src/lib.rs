//! The command line of `tokend`, and its commands that inspect and report without running the daemon.
//!
//! Owns all output, to writers that the caller passes. Must never show a secret, contact a provider, or run a daemon: the memory of a
//! running one is out of reach.

pub mod arguments;
pub mod check;
pub mod completion;
pub mod dialect;
pub mod key;
pub mod policy;
pub mod printing;
mod run_as;
