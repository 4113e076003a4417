//! Proofs that nothing is lost when the daemon or the machine dies: `cargo proofs`.
//!
//! Prints how many points each proof tried and what failed, and exits with 1 if anything did. Needs root and `strace`, and a loop device
//! for the power failures; says so if they are missing.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use tokend_harness::build_unless_named;
use tokend_proofs::{
    Attempt,
    crash_loop::{self, Counted},
    points::{self, Death, Report},
};
use tokend_provider_simulator::spec::Api;

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
    /// The same, and the file system loses everything that was not synced.
    Power(Points),
    /// kill -9 at every system call of a first login, and of a login after a refused refresh.
    Login {
        #[command(flatten)]
        points: Points,
        /// Cut the power too.
        #[arg(long)]
        power: bool,
    },
    /// kill -9 in a rotation, and again at every system call of the recovery from that.
    Recovery {
        #[command(flatten)]
        points: Points,
        /// Cut the power too, both times.
        #[arg(long)]
        power: bool,
    },
    /// kill -9 wherever a first start changes something; with --power the file system also loses everything that was not synced.
    FirstStart {
        /// Cut the power too.
        #[arg(long)]
        power: bool,
        /// How many points to try at once.
        #[arg(long, default_value_t = 4)]
        at_once: usize,
    },
    /// A disk error, or kill -9, at every system call that makes, replaces or settles the sealing key.
    Key {
        /// Try this many points, spread evenly, instead of all.
        #[arg(long)]
        sample: Option<usize>,
        /// How many points to try at once.
        #[arg(long, default_value_t = 4)]
        at_once: usize,
    },
    /// A daemon killed every 200 ms, with expired tokens and failing providers: once counted from when it serves, once from the start of
    /// its process.
    CrashLoop {
        /// How long each of the two runs.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
}

#[derive(Debug, clap::Args)]
struct Points {
    /// Only these dialects.
    #[arg(value_name = "DIALECT")]
    only: Vec<Api>,
    /// Try this many points of each, spread evenly, instead of all.
    #[arg(long)]
    sample: Option<usize>,
    /// How many points to try at once.
    #[arg(long, default_value_t = 4)]
    at_once: usize,
    /// Name the points that were not reached.
    #[arg(long)]
    verbose: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match build_unless_named("cargo proofs")
        .and_then(|()| prove(&arguments.which, &mut io::stdout()))
    {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            drop(writeln!(io::stderr(), "proofs: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn prove(which: &Which, out: &mut impl Write) -> anyhow::Result<bool> {
    match which {
        Which::Kill(points) => dialects(points, out, |api| {
            attempts(api, &[Attempt::Rotation], Death::Process, points)
        }),
        Which::Power(points) => dialects(points, out, |api| {
            attempts(api, &[Attempt::Rotation], Death::Power, points)
        }),
        Which::Login { points, power } => dialects(points, out, |api| {
            // Where there is no refresh token, a later login takes the place of the rotation in `kill`.
            let kinds: &[Attempt] = match api {
                Api::ClientCredentials => &[Attempt::FirstLogin],
                _ => &[Attempt::FirstLogin, Attempt::LoginAgain],
            };
            attempts(api, kinds, by(*power), points)
        }),
        Which::Recovery { points, power } => dialects(points, out, |api| {
            let report = points::recovery(api, by(*power), points.sample, points.at_once)?;
            Ok(vec![("recovery", report)])
        }),
        Which::FirstStart { power, at_once } => {
            let report = points::first_start(by(*power), None, *at_once)?;
            writeln!(out, "first start: {report}")?;
            tell(&report.failures, out)
        }
        Which::Key { sample, at_once } => {
            let report = points::key(*sample, *at_once)?;
            writeln!(out, "key: {report}")?;
            for point in &report.not_reached {
                writeln!(out, "  not reached: {point}")?;
            }
            tell(&report.failures, out)
        }
        Which::CrashLoop { seconds } => {
            let mut kept = true;
            for counted in [Counted::FromServing, Counted::FromStart] {
                let report = crash_loop::run(counted, Duration::from_secs(*seconds))?;
                writeln!(out, "{report}")?;
                kept &= tell(&report.failures, out)?;
            }
            Ok(kept)
        }
    }
}

fn by(power: bool) -> Death {
    match power {
        true => Death::Power,
        false => Death::Process,
    }
}

/// Reports, each with its subject.
type Reports = Vec<(&'static str, Report)>;

fn attempts(api: Api, kinds: &[Attempt], death: Death, points: &Points) -> anyhow::Result<Reports> {
    let report = |attempt: &Attempt| {
        let report = points::run(api, *attempt, death, points.sample, points.at_once)?;
        let what = match attempt {
            Attempt::Rotation => "rotation",
            Attempt::FirstLogin => "first login",
            Attempt::LoginAgain => "login again",
        };
        Ok((what, report))
    };
    kinds.iter().map(report).collect()
}

/// One in this many points may be missed, because scheduling sometimes moves a call.
const MOST_UNREACHED: usize = 5;

/// Runs a proof for one dialect after the other, and prints the result of each and of all.
fn dialects(
    points: &Points,
    out: &mut impl Write,
    prove: impl Fn(Api) -> anyhow::Result<Reports>,
) -> anyhow::Result<bool> {
    let (mut kept, mut total, mut window) = (true, 0, 0);
    for api in Api::ALL {
        if !points.only.is_empty() && !points.only.contains(&api) {
            continue;
        }
        for (what, report) in prove(api)? {
            writeln!(out, "{what:<11} {report}")?;
            if points.verbose {
                for point in &report.not_reached {
                    writeln!(out, "  not reached: {point}")?;
                }
            }
            kept &= tell(&report.failures, out)?;
            if report.not_reached.len() * MOST_UNREACHED > report.points {
                kept = false;
                writeln!(
                    out,
                    "  FAILED too many points were not reached for this to be a proof"
                )?;
            }
            total += report.points;
            window += report.in_the_window;
        }
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
