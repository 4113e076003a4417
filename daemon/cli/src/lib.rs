//! The command line of `tokend`, and the commands that look and tell, beside running the daemon.
//!
//! Owns everything that is printed, to writers it is given. Must never show a secret, never contact a provider, and never run a daemon: what
//! one has in memory is out of reach.

pub mod arguments;
pub mod check;
pub mod completion;
pub mod dialect;
pub mod key;
pub mod policy;
pub mod printing;
mod whose;
