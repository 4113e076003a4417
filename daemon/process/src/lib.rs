//! What any daemon on Linux needs of its process, and nothing about tokens.
//!
//! Owns the clock, the log, signals, hardening, descriptors, sockets that are listened on, the loop that accepts
//! connections, messages to systemd, tasks that must not vanish, and how far the process is on its way to the end.
//! Must never know an account, a provider or a client.

pub mod accepting;
pub mod clock;
pub mod descriptors;
pub mod escaping;
pub mod hardening;
pub mod listen;
pub mod logging;
pub mod panics;
pub mod shutdown;
pub mod signals;
pub mod stack;
pub mod systemd;
pub mod task;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
