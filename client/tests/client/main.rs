//! Both clients against a scripted daemon on a real socket. The tests of tokenctl use the same `fake` module.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "what tests share is a test too"
)]

mod blocking;
mod dependencies;
mod examples;
mod fake;
mod lazy;
#[cfg(feature = "async")]
mod nonblocking;
#[cfg(feature = "_requests")]
mod requests;
mod source;
#[cfg(feature = "async")]
mod subscription;
mod tomorrow;
mod watch;
