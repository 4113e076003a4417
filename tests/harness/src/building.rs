//! Builds the two programs for a command that needs them, such as `cargo proofs`. Tests never do: see `binaries`.

use std::{env, process::Command};

use anyhow::Context as _;

/// Builds `tokend` and `tokenctl` of this commit, unless `$TOKEND_BIN_DIR` names them. `command` is the command that the user typed.
///
/// # Errors
/// When cargo cannot be run, or the programs do not build.
pub fn build_unless_named(command: &str) -> anyhow::Result<()> {
    if env::var_os("TOKEND_BIN_DIR").is_some() {
        return Ok(());
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--package", "tokend"])
        .args(["--package", "tokenctl", "--bins"])
        .status()
        .with_context(|| format!("cannot run cargo; start this with `{command}`"))?;
    anyhow::ensure!(status.success(), "tokend does not build");
    Ok(())
}
