//! Real `tokend` and `tokenctl` processes in a temporary directory, each with its own socket and state.
//!
//! Beside them: the broken servers and hostile clients that tests set on a daemon, requests without a broker, and waiting.
//!
//! Builds nothing and looks inside nothing: what a test learns it learns from exit codes, output and log lines. It must never
//! import the engine, a dialect or the store: a test that could look inside would stop proving what a user sees.

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
