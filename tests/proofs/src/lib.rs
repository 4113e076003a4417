//! Proofs that nothing is lost when the daemon or the machine dies: `cargo proofs`.
//!
//! Each asks the provider what it saw, never the daemon what it believes. The command runs all of them, the tests run a sample. Must never
//! change what is proved: the daemon is the one that is shipped, with one worker thread so that its system calls can be counted.

mod birth;
pub mod crash_loop;
pub mod disk;
mod judge;
mod place;
pub mod points;
mod recovery;
mod replaced;
mod scene;
mod strike;
mod tracer;

pub use judge::{Attempt, Findings};
pub use tracer::Call;
