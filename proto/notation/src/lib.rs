//! What people write, read alike wherever they write it.
//!
//! Owns what of some bytes is the secret. Daemon and command line read with it, so that they do not differ. It never does I/O,
//! holds nothing, and shows no secret: its errors tell kinds and counts.

mod secret;

pub use secret::{Lines, NotASecret, Secret, secret};
