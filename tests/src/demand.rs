//! What a machine may lack and CI may not.
//!
//! Owns the one rule for tests that need more than any machine has: nothing is skipped in silence, and with `CI=true` nothing at all.

use std::{
    env,
    io::{self, Write as _},
};

use rustix::process::geteuid;

/// Whether a test is to go on: yes, or no and it was said aloud why. `possible` is what was found out about the machine.
///
/// # Panics
/// With `CI=true`, when it is not possible.
pub fn carried_out(what: &str, possible: anyhow::Result<()>) -> bool {
    let Err(error) = possible else { return true };
    let demanded = env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!demanded, "{what} cannot be proved here: {error:#}");
    // With nobody to say it to, the test's own name is left.
    drop(writeln!(io::stderr(), "NOT PROVED here: {what}: {error:#}"));
    false
}

/// Whether this is root.
///
/// # Errors
/// When it is not.
pub fn root() -> anyhow::Result<()> {
    anyhow::ensure!(geteuid().is_root(), "it takes root");
    Ok(())
}
