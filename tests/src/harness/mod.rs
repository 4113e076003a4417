//! Real `tokend` and `tokenctl` processes in a temporary directory, each with its own socket and state.
//!
//! Builds nothing and looks inside nothing: what a test learns it learns from exit codes, output and log lines.

mod binaries;
mod daemon;
mod site;

pub use binaries::{Binaries, built};
pub use daemon::Daemon;
pub use site::{Said, Site};
