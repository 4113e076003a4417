//! Real `tokend` and `tokenctl` processes in a temporary directory, each with its own socket and state.
//!
//! It also has the broken servers and hostile clients for the tests, requests without a broker, and waiting.
//!
//! Builds nothing and looks inside nothing: tests learn from exit codes, output and log lines. It must never import the engine, a dialect
//! or the store: a test that could look inside would stop proving what a user sees.

mod binaries;
mod building;
pub mod clock;
pub mod control_groups;
mod daemon;
pub mod demand;
pub mod hostile;
pub mod probe;
mod site;

pub use binaries::{Binaries, built};
pub use building::build_unless_named;
pub use daemon::Daemon;
pub use site::{Said, Site};
