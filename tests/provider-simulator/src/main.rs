//! The provider simulator as a program: a place to try a tokend configuration without a real account.
//!
//! Only prints and waits; the library simulates.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use clap::Parser;
use tokend_provider_simulator::{
    ADMIN_HELP, Configuration, Ports, Simulator,
    spec::{AccountSpec, Api},
};

/// Simulates token providers on loopback, strictly: the four documented APIs of tokend and plain OAuth 2.0.
///
/// Starts one account for each API and prints base URLs, user names and passwords. Stop it with Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "provider-simulator", after_help = ADMIN_HELP)]
struct Arguments {
    /// First of seven ports: all providers by path prefix, one port for each of five providers, control. 0 takes free ports.
    #[arg(long, default_value_t = 8700, value_name = "PORT")]
    port: u16,

    /// Write a tokend.toml and the secret files it refers to into this directory.
    #[arg(long, value_name = "DIR")]
    print_config: Option<PathBuf>,

    /// Lifetime of access tokens in seconds, such as 30 or 2.5; by default as documented.
    #[arg(long, value_name = "SECONDS")]
    access_lifetime: Option<f64>,

    /// Never suspend the account of document 003.
    #[arg(long)]
    no_suspension: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse(), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "provider-simulator: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    let base = arguments.port;
    let after = |offset: u16| {
        if base == 0 {
            0
        } else {
            base.saturating_add(offset)
        }
    };
    let ports = Ports {
        shared: base,
        first: after(1),
    };
    let mut simulator = Simulator::start_on(accounts(arguments)?, ports).with_context(|| {
        format!("cannot listen on the ports from {base}; choose others with --port")
    })?;
    let admin = simulator
        .open_admin(after(6))
        .context("cannot listen on the control port")?;
    for account in simulator.accounts() {
        describe(&simulator, &account, out)?;
    }
    writeln!(
        out,
        "control:    http://{admin}/   (try: curl http://{admin}/log)"
    )?;
    if let Some(directory) = &arguments.print_config {
        let path = Configuration::of(&simulator)
            .write(directory)
            .with_context(|| format!("cannot write to {}", directory.display()))?;
        writeln!(out, "configuration: {}", path.display())?;
        let path = path.display();
        writeln!(
            out,
            "  tokend run --config {path} --state-dir DIR --socket PATH"
        )?;
    }
    writeln!(out, "running; Ctrl-C stops it")?;
    out.flush()?;
    wait_for_interrupt()
}

fn accounts(arguments: &Arguments) -> anyhow::Result<Vec<AccountSpec>> {
    let mut accounts = AccountSpec::four();
    accounts.push(AccountSpec::new("oauth", Api::Oauth2));
    let lifetime = arguments
        .access_lifetime
        .map(Duration::try_from_secs_f64)
        .transpose();
    let lifetime = lifetime.context("--access-lifetime must be a number of seconds, 0 or more")?;
    for account in &mut accounts {
        if let Some(lifetime) = lifetime {
            account.behaviour.access_lifetime = lifetime;
        }
        if arguments.no_suspension {
            account.behaviour.suspension = None;
        }
    }
    Ok(accounts)
}

fn describe(simulator: &Simulator, account: &AccountSpec, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{} ({})", account.name, account.api)?;
    writeln!(out, "  base URL: {}", simulator.base_url(account.api))?;
    writeln!(out, "        or: {}", simulator.prefixed_url(account.api))?;
    let fields = [
        ("username", &account.username),
        ("password", &account.password),
        ("client_id", &account.client_id),
        ("client_secret", &account.client_secret),
    ];
    for (field, value) in fields {
        if let Some(value) = value {
            writeln!(out, "  {field}: {value}")?;
        }
    }
    writeln!(
        out,
        "  a request that needs the token: GET {}",
        account.api.resource()
    )
}

fn wait_for_interrupt() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime
        .block_on(tokio::signal::ctrl_c())
        .context("cannot wait for Ctrl-C")
}
