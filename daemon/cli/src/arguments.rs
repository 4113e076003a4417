//! The command line of `tokend`.
//!
//! Owns its grammar, its help and its exit codes, all of which are part of the contract with scripts and units. Prints nothing. Commands
//! with subcommands are in the modules below.

mod dialect;
mod exit;
mod key;
mod policy;

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueHint};
use tokend_config::{Environment, Format, Level, Overrides};

pub use self::dialect::{DialectCommand, KindArg, TryArgs};
pub use self::exit::{Exit, is_lasting, is_mistake_of_store};
pub use self::key::{KeyCommand, RotateArgs};
pub use self::policy::{ExplainArgs, PolicyCommand};

const EXIT_CODES: &str = "\
Exit codes:
  0   all is well
  64  the command line makes no sense
  66  a file given on the command line cannot be read
  74  the reader of the output went away
  75  the daemon cannot run now, or could not continue (a full disk, another daemon, and the like); start it again
  78  the configuration, a dialect, the place of a secret, or the state directory has mistakes";

mod egress;

pub use egress::EgressArgs;

/// The short help for the first minute, and everything else below it.
const EXAMPLES: &str = "\
Examples:
  tokend check                          look for mistakes before starting
  tokend                                run with the default configuration
  tokend --config ./tokend.toml         run with another one
  tokend dialect show oauth2            see how a provider is described
  tokend key rotate                     seal the store with a new key, while the daemon is stopped

Signals:
  SIGHUP   read the configuration again; keep the old one if it has mistakes
  SIGTERM  finish the attempts in flight, then exit

Environment:
  TOKEND_LOG              log level, such as debug; overrides log.level
  TOKEND_EGRESS           address of the `tokend egress` that all connections go through
  STATE_DIRECTORY         state directory; set by systemd
  CREDENTIALS_DIRECTORY   directory of { credential = \"NAME\" }; set by systemd";

/// Owns the credentials of accounts and hands out their short-lived access tokens over a Unix socket.
#[derive(Debug, Parser)]
#[command(name = "tokend", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

impl Cli {
    /// What to do; without a subcommand: run.
    pub fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Run(self.run))
    }
}

/// What `tokend` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon (the default)
    Run(RunArgs),
    /// Check configuration, dialects, secrets, users and the state directory, without contacting anyone
    #[command(after_help = format!("{CHECK_HELP}\n\n{EXIT_CODES}"))]
    Check(CheckArgs),
    /// Show dialects, the descriptions of providers, and try new ones
    #[command(subcommand)]
    Dialect(DialectCommand),
    /// Explain what the rules of the configuration allow
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Make or replace the key that seals the store
    #[command(subcommand)]
    Key(KeyCommand),
    /// Relay connections for a daemon that has no network
    #[command(after_help = egress::HELP)]
    Egress(EgressArgs),
    /// For the scripts in `completions`: what could follow these words
    #[command(hide = true)]
    Complete {
        #[arg(num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true)]
        /// The words, of which the last is being written.
        words: Vec<String>,
    },
}

const CHECK_HELP: &str = "\
Nothing is changed and no provider is contacted. Secrets are fetched to see whether that works, and discarded; commands
are run only with --run-commands, as they may ask a person or leave traces.

Root checks as the user who runs the daemon: --user, else the user of the installed tokend.service if that runs this
configuration, else the owner of the state directory. With that unit, its directories,
credentials, environment and relay count, not those of this process. A running daemon is not disturbed:
  sudo tokend check --run-commands";

/// Options of `tokend run`.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Configuration [default: /etc/tokend/tokend.toml for root, else $XDG_CONFIG_HOME/tokend/tokend.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Directory of the store and its key; overrides `state_dir` of the configuration
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub state_dir: Option<PathBuf>,
    /// Socket to listen on; overrides `socket` of the configuration, but not an inherited socket
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Format of log lines; overrides `log.format`
    #[arg(long, value_name = "FORMAT", value_parser = format())]
    pub log_format: Option<Format>,
    /// What is logged: error, warn, info, debug, trace, or directives; overrides $TOKEND_LOG and `log.level`
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<Level>,
}

impl RunArgs {
    /// The configuration to read.
    pub fn config_file(&self, environment: &Environment) -> PathBuf {
        self.config
            .clone()
            .unwrap_or_else(|| environment.config_file())
    }

    /// What comes before the configuration.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            socket: self.socket.clone(),
            state_dir: self.state_dir.clone(),
            included: None,
        }
    }
}

fn format() -> impl TypedValueParser<Value = Format> {
    let words = Format::WORDS.map(|(word, format)| {
        PossibleValue::new(word).help(match format {
            Format::Auto => "journal if standard error is the journal, human otherwise",
            Format::Human => "time, level, message and values",
            Format::Journal => "a priority in front as in sd-daemon(3), no time",
            Format::Json => "one JSON object a line",
        })
    });
    PossibleValuesParser::new(words).try_map(|word| {
        let mut words = Format::WORDS.into_iter();
        let found = words.find(|(own, _)| *own == word);
        let format = found.map(|(_, format)| format);
        format.ok_or_else(|| format!("{word} is no format"))
    })
}

/// Options of `tokend check`.
#[derive(Debug, Clone, Default, Args)]
pub struct CheckArgs {
    /// Configuration [default: that of tokend.service, or /etc/tokend/tokend.toml, for root; else $XDG_CONFIG_HOME/tokend/tokend.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Directory of the store and its key; overrides `state_dir` of the configuration
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub state_dir: Option<PathBuf>,
    /// Socket the daemon would listen on; overrides `socket` of the configuration
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Check as the user who runs the daemon, by name or number [default: see below]
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Also read this file of accounts, as if its name in `include_dir` were one that is read
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub with: Option<PathBuf>,
    /// Also show the requests of this account, as its dialect makes them with its options
    #[arg(long, value_name = "ACCOUNT")]
    pub show: Option<String>,
    /// Also run the commands that fetch secrets
    #[arg(long)]
    pub run_commands: bool,
    /// End with 78 also for unknown names of users and groups, which match nobody
    #[arg(long)]
    pub strict: bool,
}

#[cfg(test)]
mod page;

/// Says why the process ends, and how.
pub fn fail(error: &anyhow::Error, exit: Exit) -> Exit {
    tracing::error!("tokend ended: {error:#}");
    exit
}

#[cfg(test)]
mod tests;
