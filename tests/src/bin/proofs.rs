//! Proofs that nothing is lost when the daemon or the machine dies: `cargo proofs`.
//!
//! Prints how many points each proof tried and what failed, and ends with 1 if anything did. Needs root and `strace`, and for the
//! power a loop device; says so otherwise.

use std::{
    env,
    io::{self, Write},
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tokend_tests::{
    proofs::{
        crash_loop,
        points::{self, Death},
    },
    simulator::spec::Api,
};

/// Proves that nothing is lost when the daemon or the machine dies.
#[derive(Debug, Parser)]
#[command(name = "proofs", bin_name = "cargo proofs")]
struct Arguments {
    #[command(subcommand)]
    which: Which,
}

#[derive(Debug, Subcommand)]
enum Which {
    /// kill -9 at every system call of a rotation.
    Kill(Points),
    /// The same, and the file system forgets what was not synced.
    Power(Points),
    /// kill -9 wherever a first start changes something, and with --power the file system forgets what was not synced.
    FirstStart {
        /// Lose the power too.
        #[arg(long)]
        power: bool,
        /// How many points to try at once.
        #[arg(long, default_value_t = 4)]
        at_once: usize,
    },
    /// A daemon killed every 200 ms, with expired tokens and providers that fail.
    CrashLoop {
        /// How long.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
}

#[derive(Debug, clap::Args)]
struct Points {
    /// Only these dialects.
    #[arg(value_name = "DIALECT")]
    only: Vec<Api>,
    /// So many points of each, spread evenly, instead of all.
    #[arg(long)]
    sample: Option<usize>,
    /// How many points to try at once.
    #[arg(long, default_value_t = 4)]
    at_once: usize,
    /// Name the points that did not come.
    #[arg(long)]
    verbose: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match build().and_then(|()| prove(&arguments.which, &mut io::stdout())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            drop(writeln!(io::stderr(), "proofs: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Builds the programs under test, unless they were named.
fn build() -> anyhow::Result<()> {
    if env::var_os("TOKEND_BIN_DIR").is_some() {
        return Ok(());
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--package", "tokend"])
        .args(["--package", "tokenctl", "--bins"])
        .status()
        .context("cannot run cargo; start this with `cargo proofs`")?;
    anyhow::ensure!(status.success(), "tokend does not build");
    Ok(())
}

fn prove(which: &Which, out: &mut impl Write) -> anyhow::Result<bool> {
    let (given, death) = match which {
        Which::Kill(given) => (given, Death::Process),
        Which::Power(given) => (given, Death::Power),
        Which::FirstStart { power, at_once } => {
            let death = match power {
                true => Death::Power,
                false => Death::Process,
            };
            let report = points::first_start(death, None, *at_once)?;
            writeln!(out, "first start: {report}")?;
            return tell(&report.failures, out);
        }
        Which::CrashLoop { seconds } => {
            let report = crash_loop::run(Duration::from_secs(*seconds))?;
            writeln!(out, "{report}")?;
            return tell(&report.failures, out);
        }
    };
    let (mut kept, mut total, mut window) = (true, 0, 0);
    for api in Api::ALL {
        if !given.only.is_empty() && !given.only.contains(&api) {
            continue;
        }
        let report = points::run(api, death, given.sample, given.at_once)?;
        writeln!(out, "{report}")?;
        if given.verbose {
            for call in &report.not_reached {
                writeln!(out, "  not reached: {call}")?;
            }
        }
        kept &= tell(&report.failures, out)?;
        total += report.points;
        window += report.in_the_window;
    }
    writeln!(
        out,
        "{total} points, {window} of them in the unavoidable window"
    )?;
    Ok(kept)
}

fn tell(failures: &[String], out: &mut impl Write) -> anyhow::Result<bool> {
    for failure in failures {
        writeln!(out, "  FAILED {failure}")?;
    }
    Ok(failures.is_empty())
}
