//! Upgrades from the programs of an earlier commit and goes back: `cargo upgrade [COMMIT]`.
//!
//! Prints a line for each check, and ends with 1 if one failed. The first run for a commit builds it, which takes minutes.

use std::{
    env,
    io::{self, Write as _},
    process::{Command, ExitCode},
};

use anyhow::Context as _;
use clap::Parser;
use tokend_tests::upgrade::{self, BEFORE, Report};

/// Runs the programs of an earlier commit and those of this one on the same state and against each other.
#[derive(Debug, Parser)]
#[command(name = "upgrade", bin_name = "cargo upgrade")]
struct Arguments {
    /// The commit to upgrade from
    #[arg(default_value = BEFORE)]
    commit: String,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            drop(writeln!(io::stderr(), "upgrade: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    build()?;
    let new = tokend_harness::built()?;
    let old = upgrade::build(&arguments.commit)?;
    drop(writeln!(
        io::stdout(),
        "from {} to {}",
        old.tokend.display(),
        new.tokend.display()
    ));
    let mut report = Report::default();
    upgrade::run(&old, &new, &mut report)?;
    Ok(report.end())
}

/// Builds the programs of this commit, unless they were named.
fn build() -> anyhow::Result<()> {
    if env::var_os("TOKEND_BIN_DIR").is_some() {
        return Ok(());
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--package", "tokend"])
        .args(["--package", "tokenctl", "--bins"])
        .status()
        .context("cannot run cargo; start this with `cargo upgrade`")?;
    anyhow::ensure!(status.success(), "tokend does not build");
    Ok(())
}
