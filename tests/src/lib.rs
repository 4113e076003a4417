//! Everything tokend's acceptance tests, its demo and a user who wants to try a configuration share: the strict
//! provider simulator, a harness around the `tokend` and `tokenctl` binaries, and token servers other people wrote.
//!
//! It knows the daemon only from outside (binaries, client library, wire contract) and must never import the
//! engine, a dialect or the store: a test that could look inside would stop proving what a user sees.

pub mod bars;
pub mod clock;
pub mod demand;
pub mod examples;
pub mod harness;
pub mod hostile;
pub mod kept;
pub mod probe;
pub mod proofs;
pub mod realserver;
pub mod secrecy;
pub mod simulator;
pub mod systemd;
pub mod tap;
