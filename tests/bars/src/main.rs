//! The figures tokend must reach, each measured against something else in the same run: `cargo bars`.
//!
//! Prints each as a ratio or an absolute value beside its bar, and exits with 1 if one is missed. Not a test: a busy machine may miss a
//! bar, and nothing may depend on that.

use std::{
    env,
    io::{self, Write},
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::Context as _;
use clap::Parser;
use tokend_bars::Figure;
use tokend_client::SocketPath;

/// Measures the figures that tokend must reach.
#[derive(Debug, Parser)]
#[command(name = "bars", bin_name = "cargo bars")]
struct Arguments {
    /// Measure only these.
    #[arg(value_enum)]
    only: Vec<Which>,
    /// Act as the bare echo that the kept connection is compared with (used by the program itself).
    #[arg(long, hide = true, num_args = 3, value_names = ["SOCKET", "ASKED", "ANSWERED"])]
    echo: Option<Vec<String>>,
    /// Act as the other user that floods (used by the program itself).
    #[arg(long, hide = true, value_name = "SOCKET")]
    flood: Option<PathBuf>,
    /// Act as a user that asks without end (used by the program itself).
    #[arg(long, hide = true, value_name = "SOCKET")]
    ask: Option<PathBuf>,
    /// Act as a user that looks for names (used by the program itself).
    #[arg(long, hide = true, value_name = "SOCKET")]
    names: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    /// `tokenctl get` of a held token, against `/bin/true`.
    Command,
    /// What `tokenctl exec` adds to starting a command.
    Exec,
    /// `get` on a kept connection against a bare echo.
    Connection,
    /// A held token over HTTP against the native protocol.
    Http,
    /// `get` with audit on against the same without.
    Audit,
    /// `get` by a rule by unit against one by user.
    Policy,
    /// `get` by a rule by unit with audit on, against neither.
    Governed,
    /// `get` while providers fail and clients are hostile, against the same without.
    Disturbed,
    /// `get` beside users without rights at fifty thousand accounts, and what they learn from timing.
    Hostile,
    /// A thousand clients that ask at once for an expired token.
    Herd,
    /// A hundred thousand accounts.
    Accounts,
    /// The use of a token that a subscription holds.
    Subscription,
}

/// Measures one thing.
type Measure = fn() -> anyhow::Result<Vec<Figure>>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match (arguments.echo.as_deref(), &arguments.flood) {
        (Some([socket, asked, answered]), _) => echo(socket, asked, answered).map(|()| true),
        (_, Some(socket)) => {
            tokend_bars::disturbances::be_flood(&SocketPath::from(socket.clone())).map(|()| true)
        }
        _ if arguments.ask.is_some() || arguments.names.is_some() => {
            be_hostile(&arguments).map(|()| true)
        }
        _ => build().and_then(|()| measure(&arguments.only, &mut io::stdout())),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            drop(writeln!(io::stderr(), "bars: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn be_hostile(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(socket) = &arguments.ask {
        tokend_bars::hostile::be_asker(socket)?;
    }
    match &arguments.names {
        Some(socket) => tokend_bars::hostile::be_curious(socket),
        None => Ok(()),
    }
}

/// Builds the measured programs as they are released.
fn build() -> anyhow::Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = [
        "build",
        "--release",
        "--package",
        "tokend",
        "--package",
        "tokenctl",
    ];
    let status = Command::new(cargo)
        .args(arguments)
        .status()
        .context("cannot run cargo; start this with `cargo bars`")?;
    anyhow::ensure!(status.success(), "tokend does not build");
    Ok(())
}

fn echo(socket: &str, asked: &str, answered: &str) -> anyhow::Result<()> {
    tokend_bars::echo::serve(&PathBuf::from(socket), asked.parse()?, answered.parse()?)
}

fn measure(only: &[Which], out: &mut impl Write) -> anyhow::Result<bool> {
    let all: [(Which, Measure); 12] = [
        (Which::Command, tokend_bars::command::measure),
        (Which::Exec, tokend_bars::command::exec),
        (Which::Connection, tokend_bars::connection::measure),
        (Which::Http, tokend_bars::http::measure),
        (Which::Audit, tokend_bars::audit::measure),
        (Which::Policy, tokend_bars::policy::measure),
        (Which::Governed, tokend_bars::policy::with_audit),
        (Which::Disturbed, tokend_bars::disturbed::measure),
        (Which::Hostile, tokend_bars::hostile::measure),
        (Which::Herd, tokend_bars::herd::measure),
        (Which::Accounts, tokend_bars::accounts::measure),
        (Which::Subscription, tokend_bars::subscription::measure),
    ];
    let mut kept = true;
    for (which, measure) in all {
        if !only.is_empty() && !only.contains(&which) {
            continue;
        }
        for figure in measure()? {
            kept &= figure.is_kept();
            writeln!(out, "{figure}")?;
        }
    }
    Ok(kept)
}
