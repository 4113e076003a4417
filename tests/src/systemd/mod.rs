//! A machine with a real systemd, for tests of units and packages: booted in a second, deleted at the end.
//!
//! systemd runs as the first process of its own namespaces over a layer of the host's files, so nothing is downloaded and nothing it does
//! reaches the host. Must never leave a process, a mount or a control group behind.

mod group;
mod machine;
mod possible;
mod site;

pub use machine::{Machine, Network, Running};
pub use possible::possible;
pub use site::{install, unit_files};
