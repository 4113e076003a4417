//! tokend at work in one command: four simulated providers, a daemon in a temporary directory, a token for each account.
//!
//! Everything is deleted at the end. It must never touch a configuration, a state directory or a socket of the machine it runs on.

use std::{
    env,
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use clap::Parser;
use tokend_client::{AccountName, BlockingClient, GetOptions, PaceStatus, SocketPath, Token};
use tokend_harness::{Daemon, Site, build_unless_named};
use tokend_provider_simulator::{Configuration, Simulator, spec::AccountSpec};
use tokio::signal::unix::{SignalKind, signal};

/// Shows tokend at work with simulated providers: builds it, starts it in a temporary directory, gets four tokens.
#[derive(Debug, Parser)]
#[command(name = "demo", bin_name = "cargo demo")]
struct Arguments {
    /// Exit after the four tokens, with 0 if all were obtained.
    #[arg(long)]
    once: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse_from(arguments()), &mut io::stdout()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            drop(writeln!(io::stderr(), "demo: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The command line. The alias `cargo demo` adds a `--` of its own, so a second one that a user writes is dropped.
fn arguments() -> impl Iterator<Item = OsString> {
    let surplus = |(at, argument): &(usize, OsString)| *at == 1 && argument == "--";
    env::args_os()
        .enumerate()
        .filter(move |it| !surplus(it))
        .map(|(_, argument)| argument)
}

/// Whether every account yielded a token.
fn run(arguments: &Arguments, out: &mut impl Write) -> anyhow::Result<bool> {
    build_unless_named("cargo demo")?;
    let mut simulator = Simulator::start(AccountSpec::four()).context("cannot start providers")?;
    let admin = simulator
        .open_admin(0)
        .context("cannot open the control port")?;
    let site = Site::with(&Configuration::of(&simulator))?;
    let daemon = site.start()?;
    writeln!(
        out,
        "tokend runs in {} with four simulated providers.\n",
        site.path().display()
    )?;
    let complete = table(&site, &simulator, out)?;
    if arguments.once {
        daemon.terminate()?;
        return Ok(complete);
    }
    let first = simulator
        .accounts()
        .into_iter()
        .next()
        .map(|account| account.name);
    let name = first.context("there are four accounts")?;
    let programs = site
        .binaries()
        .tokenctl
        .parent()
        .context("a program is in a directory")?;
    writeln!(
        out,
        "\nIn a second terminal:\n
    export TOKEND_SOCKET={socket} PATH={programs}:$PATH
    tokenctl get {name}
    tokenctl status
    tokenctl status {name}
    tokenctl get {name} | tokenctl reject {name} --print   # as after a 401; the provider is asked\n
Make the provider of {name} refuse its token, hand out tokens of 20 s, or fail; then read its log:\n
    curl -X POST http://{admin}/accounts/{name}/end-access
    curl -H 'content-type: application/json' -d '{{\"access_ms\": 20000}}' http://{admin}/accounts/{name}
    curl -H 'content-type: application/json' -d '{{\"fault\": {{\"kind\": \"reset\"}}, \"times\": 1}}' http://{admin}/accounts/{name}/faults
    curl http://{admin}/log?account={name}
    curl http://{admin}/\n
The daemon's log: {log}
Ctrl-C stops everything and removes the directory.",
        socket = site.socket().display(),
        programs = programs.display(),
        log = site.log_path().display(),
    )?;
    out.flush()?;
    until_stopped(daemon)?;
    Ok(complete)
}

fn table(site: &Site, simulator: &Simulator, out: &mut impl Write) -> anyhow::Result<bool> {
    let mut client = BlockingClient::connect(&SocketPath::from(site.socket()))?;
    let mut complete = true;
    let row = |cells: [&str; 5]| {
        let [account, provider, token, expires, pace] = cells;
        format!("{account:<10} {provider:<20} {token:<18} {expires:<12} {pace}")
    };
    let head = row([
        "ACCOUNT",
        "PROVIDER",
        "TOKEN",
        "EXPIRES IN",
        "ATTEMPTS LEFT",
    ]);
    writeln!(out, "{head}")?;
    for account in simulator.accounts() {
        let name: AccountName = account.name.parse()?;
        let token = client.get(&GetOptions::new(name.clone()));
        let status = client.admin().status(Some(&name))?.into_iter().next();
        let pace = status
            .map(|status| pace(&status.attempts))
            .unwrap_or_default();
        let (token, expires) = match &token {
            Ok(token) => (shortened(token), remaining(token)),
            Err(error) => {
                complete = false;
                (format!("none: {error}"), String::new())
            }
        };
        let provider = account.api.dialect();
        writeln!(
            out,
            "{}",
            row([&account.name, provider, &token, &expires, &pace])
        )?;
    }
    Ok(complete)
}

/// The beginning of a token; a whole one must not appear on a screen.
fn shortened(token: &Token) -> String {
    let beginning: String = token.access_token.expose().chars().take(12).collect();
    format!("{beginning}…")
}

fn remaining(token: &Token) -> String {
    token.remaining.map_or_else(|| "unknown".to_owned(), words)
}

fn pace(pace: &PaceStatus) -> String {
    let period = words(Duration::from_millis(pace.period_ms));
    format!("{} of {}, one more every {period}", pace.left, pace.burst)
}

fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds % 3600 / 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// Waits for Ctrl-C or SIGTERM, then ends the daemon.
fn until_stopped(daemon: Daemon) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    })?;
    daemon.terminate()?;
    Ok(())
}
