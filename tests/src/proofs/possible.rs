//! Whether this machine lets a proof be carried out.
//!
//! Only looks; says what is missing.

use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::demand::root;

/// Whether system calls of the daemon can be traced: `strace` is there, and this is root, since the daemon lets nobody else look
/// into it.
///
/// # Errors
/// What is missing.
pub fn tracing() -> anyhow::Result<()> {
    let status = Command::new("strace")
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("there is no strace; tests/setup installs it")?;
    anyhow::ensure!(status.success(), "strace does not run: {status}");
    root().context("tracing the daemon")
}
