//! tokend: owns credentials, hands out short-lived access tokens.
//!
//! The steps of the process: arguments, inherited socket, log, protections, configuration, store, registry, socket, clients, drain, exit
//! code. The process ends only here.

mod app;
mod broker;
mod doctor;
#[cfg(test)]
mod log_lines;
mod metrics;
mod outlets;
mod reload;
mod requests;
mod server;
#[cfg(test)]
mod testing;

use std::alloc::System;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use tokend_config::{Environment, Level};
use tokend_document::Medium;
use zeroizing_alloc::ZeroAlloc;

use crate::app::Start;
use crate::reload::{ConfigSource, LogChoice};
use tokend_cli::arguments::{Cli, Command, Exit, PolicyCommand, RunArgs, fail};
use tokend_cli::printing::Output;
use tokend_egress::Egress;
use tokend_process::hardening::{self, Swap};
use tokend_process::logging::Logging;
use tokend_process::{descriptors, panics, signals};

/// Wipes all memory that is freed. The parts of the daemon wipe their own secrets; this wipes the copies that the HTTP, TLS and JSON
/// libraries make on the way.
#[global_allocator]
static WIPING: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let medium = Medium::of(&err);
    let mut output = Output {
        out: &mut out,
        err: &mut err,
        medium,
    };
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return tokend_cli::printing::usage(&error, &mut output).into(),
    };
    // Until the log is set up.
    panics::withhold(|panic| {
        let _nobody_reads = writeln!(std::io::stderr(), "tokend panicked: {panic}");
    });
    // Without this handler a write beyond the file size limit ends the process. No other remedy exists, so a failure here is ignored.
    let _as_before = signals::outlive_a_limit_on_files();
    let environment = Environment::of_this_process();
    let exit = match cli.into_command() {
        Command::Run(args) => run(&args, environment),
        Command::Check(args) => tokend_cli::check::run(&args, &environment, &mut output),
        Command::Policy(PolicyCommand::Explain(args)) => {
            tokend_cli::policy::explain(&args, &environment, &mut output)
        }
        Command::Dialect(command) => tokend_cli::dialect::run(&command, &mut output),
        Command::Key(command) => tokend_cli::key::run(&command, &environment, &mut output),
        Command::Egress(args) => tokend_egress::run(&args.into_options()).into(),
        Command::Complete { words } => tokend_cli::completion::run(&words, output.out),
    };
    exit.into()
}

fn run(args: &RunArgs, environment: Environment) -> Exit {
    serve(args, environment).err().unwrap_or(Exit::Success)
}

/// Runs the daemon. The order of the steps is what counts; a step that fails is reported, and ends the start with its own exit code.
fn serve(args: &RunArgs, environment: Environment) -> Result<(), Exit> {
    // Must come first: a process that this one starts must not inherit the sockets that systemd passed.
    let inherited = server::listen::inherited();
    let named = Level::from_environment();
    let level = args.log_level.clone();
    let level = level.or_else(|| named.as_ref().ok().cloned().flatten());
    let first_level = level.clone().unwrap_or_default();
    let logging = Logging::start(args.log_format.unwrap_or_default(), &first_level);
    logging.take_panics();
    let _last_lines = logging.last_lines();
    for refused in hardening::harden() {
        tracing::warn!("a protection is missing: {refused}");
    }
    logging.write();
    descriptors::raise();
    descriptors::must_have_room(descriptors::TO_SERVE).map_err(ends(Exit::NotNow))?;
    named.map_err(ends(Exit::Usage))?;
    let egress = Egress::of_this_process().map_err(ends(Exit::Usage))?;
    let swap = hardening::keep_out_of_swap();
    let log = LogChoice {
        logging,
        format: args.log_format,
        level,
    };
    let file = args.config_file(&environment);
    let source = ConfigSource::new(file, args.overrides(), environment);
    let config = source.load().map_err(|error| {
        let medium = Medium::of(&std::io::stderr());
        tokend_cli::printing::refuse(&error, medium, &mut log.logging.plain())
    })?;
    let (format, level) = log.choose(&config);
    log.logging.apply(format, &level);
    match swap {
        Swap::Never => tracing::debug!("{swap}"),
        Swap::Limited(_) | Swap::Refused(_) => tracing::info!("{swap}"),
    }
    let inherited = inherited.map_err(ends(Exit::Config))?;
    let start = Start {
        source,
        log,
        config,
        inherited,
        egress,
    };
    app::run(start).map_err(|error| {
        let exit = match app::is_mistake(&error) {
            true => Exit::Config,
            false => Exit::NotNow,
        };
        fail(&error, exit)
    })
}

/// Reports an error that ends the start with this exit code.
fn ends<E: Into<anyhow::Error>>(exit: Exit) -> impl FnOnce(E) -> Exit {
    move |error| fail(&error.into(), exit)
}
