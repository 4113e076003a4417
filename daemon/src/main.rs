//! tokend: owns credentials, hands out short-lived access tokens.
#![expect(dead_code, reason = "the modules that use these follow")]

mod clock;
mod config;
mod escape;
mod harden;
mod logging;
mod peer;
mod policy;
mod secrets;

fn main() {}
