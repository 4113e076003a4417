//! Upgrades from the programs of an earlier commit and goes back: `cargo upgrade [COMMIT]`.
//!
//! Prints a line for each check, and ends with 1 if one failed. The first run for a commit builds it, which takes minutes.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

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
    tokend_harness::build_unless_named("cargo upgrade")?;
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
