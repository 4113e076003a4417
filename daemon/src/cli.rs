//! The command line of `tokend`.
//!
//! Owns its grammar, its help and its exit codes, all of which are part of the contract with scripts and units. Prints nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use tokend_config::{Environment, Overrides};
use tokend_config::{Format, Level};
use tokend_policy::{Digest, UnitPattern};
use tokend_proto::AccountName;

/// How the process ends, after sysexits.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All is well, or the daemon has stopped as it was told.
    Success = 0,
    /// The command line makes no sense.
    Usage = 64,
    /// A file given on the command line cannot be read.
    NoInput = 66,
    /// Nobody reads what is printed.
    Io = 74,
    /// The daemon cannot run now, or could not go on; starting it again may help.
    NotNow = 75,
    /// The configuration, a dialect, the place of a secret, or the state directory has mistakes.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        (exit as u8).into()
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0   all is well
  64  the command line makes no sense
  66  a file given on the command line cannot be read
  74  nobody reads what is printed
  75  the daemon cannot run now, or could not go on: the disk is full, another one runs, and the like; start it again
  78  the configuration, a dialect, the place of a secret, or the state directory has mistakes";

/// The short help for the first minute, and everything else below it.
const EXAMPLES: &str = "\
Examples:
  tokend check                          look for mistakes before starting
  tokend                                run with the default configuration
  tokend --config ./tokend.toml         run with another one
  tokend dialect show oauth2            see how a provider is described
  tokend key rotate                     seal the store with a new key, while the daemon is stopped

Signals:
  SIGHUP   read the configuration again; on any mistake keep the old one
  SIGTERM  finish what runs, then exit

Environment:
  TOKEND_LOG              level, such as debug; comes before log.level
  STATE_DIRECTORY         state directory, as systemd sets it
  CREDENTIALS_DIRECTORY   where { credential = \"NAME\" } is read from, as systemd sets it";

/// Owns the credentials of accounts and hands out their short-lived access tokens over a Unix socket.
#[derive(Debug, Parser)]
#[command(name = "tokend", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

impl Cli {
    /// What to do; without a subcommand: run.
    pub(crate) fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Run(self.run))
    }
}

/// What `tokend` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon (what happens without a command, too)
    Run(RunArgs),
    /// Check configuration, dialects, secrets, users and the state directory, without contacting anyone
    #[command(after_help = format!("{CHECK_HELP}\n\n{EXIT_CODES}"))]
    Check(CheckArgs),
    /// Look at the descriptions of providers, and try new ones
    #[command(subcommand)]
    Dialect(DialectCommand),
    /// Ask what the rules of the configuration say
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Make or replace the key that seals the store
    #[command(subcommand)]
    Key(KeyCommand),
    /// For the scripts in `completions`: what could stand behind these words
    #[command(hide = true)]
    Complete {
        #[arg(num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

const CHECK_HELP: &str = "\
Nothing is changed and no provider is asked. Secrets are fetched to see whether they can be, and thrown away; commands are
run only with --run-commands, as they may ask somebody or leave traces.

Run it as the user who runs the daemon:
  sudo -u tokend tokend check --run-commands";

/// Options of `tokend run`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RunArgs {
    /// Configuration [default: /etc/tokend/tokend.toml for root, else $XDG_CONFIG_HOME/tokend/tokend.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Directory of the store and its key; comes before `state_dir` of the configuration
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) state_dir: Option<PathBuf>,
    /// Socket to listen on; comes before `socket` of the configuration, but not before one that is inherited
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// What log lines look like; comes before `log.format`
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<FormatArg>,
    /// What is logged: error, warn, info, debug, trace, or directives; comes before $TOKEND_LOG and `log.level`
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<Level>,
}

impl RunArgs {
    /// The configuration to read.
    pub(crate) fn config_file(&self, environment: &Environment) -> PathBuf {
        self.config
            .clone()
            .unwrap_or_else(|| environment.config_file())
    }

    /// What comes before the configuration.
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides {
            socket: self.socket.clone(),
            state_dir: self.state_dir.clone(),
        }
    }

    /// The log's format, where the command line says so.
    pub(crate) fn log_format(&self) -> Option<Format> {
        self.log_format.map(FormatArg::format)
    }
}

/// [`Format`] as the command line knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// human on a terminal, journal otherwise
    Auto,
    /// time, level, message and values
    Human,
    /// a priority in front as sd-daemon(3) has it, no time
    Journal,
    /// one JSON object a line
    Json,
}

impl FormatArg {
    fn format(self) -> Format {
        match self {
            Self::Auto => Format::Auto,
            Self::Human => Format::Human,
            Self::Journal => Format::Journal,
            Self::Json => Format::Json,
        }
    }
}

/// What `tokend policy` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say which rule decides what a peer may do with an account, and where it stands
    #[command(after_help = EXPLAIN_HELP)]
    Explain(Box<ExplainArgs>),
}

const EXPLAIN_HELP: &str = "\
Reads the configuration and asks no daemon. Without --gid and --group the user has the groups it would have after logging
in. What is not said of the peer matches no rule that needs it, and that rule is named.

Examples:
  tokend policy explain ads --uid deploy
  tokend policy explain ads --uid 1000 --unit backup.service
  sudo tokend policy explain ads --pid 4711";

/// Options of `tokend policy explain`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExplainArgs {
    /// The account
    #[arg(value_parser = account)]
    pub(crate) account: AccountName,
    /// Configuration [default: /etc/tokend/tokend.toml for root, else $XDG_CONFIG_HOME/tokend/tokend.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// The peer's user, by name or number
    #[arg(long, value_name = "USER", required_unless_present = "pid")]
    pub(crate) uid: Option<String>,
    /// Its own group, by name or number
    #[arg(long, value_name = "GROUP")]
    pub(crate) gid: Option<String>,
    /// A supplementary group, by name or number; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// Its unit of the system's systemd
    #[arg(long, value_name = "UNIT", value_parser = unit)]
    pub(crate) unit: Option<String>,
    /// Its unit of its user's systemd
    #[arg(long, value_name = "UNIT", value_parser = unit)]
    pub(crate) user_unit: Option<String>,
    /// The program it runs
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) exe: Option<PathBuf>,
    /// SHA-256 of that program's file
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    pub(crate) sha256: Option<Digest>,
    /// A process that runs, in place of all of these; of another user's it takes root to see the program
    #[arg(long, value_name = "PID", conflicts_with_all = ["uid", "gid", "groups", "unit", "user_unit", "exe", "sha256"])]
    pub(crate) pid: Option<u32>,
}

fn account(text: &str) -> Result<AccountName, String> {
    text.parse()
        .map_err(|error: tokend_proto::NameError| error.to_string())
}

fn unit(text: &str) -> Result<String, String> {
    match UnitPattern::new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("a unit is written as NAME.service or NAME.scope".to_owned()),
    }
}

fn digest(text: &str) -> Result<Digest, String> {
    text.parse()
        .map_err(|()| "a SHA-256 digest has 64 hexadecimal digits".to_owned())
}

/// Options of `tokend check`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct CheckArgs {
    /// Configuration [default: /etc/tokend/tokend.toml for root, else $XDG_CONFIG_HOME/tokend/tokend.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Directory of the store and its key; comes before `state_dir` of the configuration
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) state_dir: Option<PathBuf>,
    /// Also run the commands that fetch secrets
    #[arg(long)]
    pub(crate) run_commands: bool,
}

const ROTATE_HELP: &str = "\
The daemon must be stopped. Every record is sealed with the new key in one transaction; if the machine dies meanwhile, the next
start, or the same command again, finishes what was begun. Run it as the user who runs the daemon:
  sudo -u tokend tokend key rotate

A key that is a systemd credential is replaced by a file you make, and encrypt afterwards:
  sudo -u tokend tokend key rotate --old-key OLD --new-key NEW

Backups made before need the old key. Destroy it when they are gone: it still opens what deleted parts of the file may hold.";

/// What `tokend key` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a new key in a file of its own, readable by nobody else
    New {
        /// The file; it must not be there yet
        file: PathBuf,
    },
    /// Seal the store with another key
    #[command(after_help = ROTATE_HELP)]
    Rotate(RotateArgs),
}

/// Options of `tokend key rotate`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RotateArgs {
    /// Configuration [default: /etc/tokend/tokend.toml for root, else $XDG_CONFIG_HOME/tokend/tokend.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Directory of the store and its key; comes before `state_dir` of the configuration
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) state_dir: Option<PathBuf>,
    /// The key that opens the store now [default: tokend.key in the state directory]
    #[arg(long, value_name = "FILE", requires = "new_key")]
    pub(crate) old_key: Option<PathBuf>,
    /// The key to seal it with, where the daemon gets it from elsewhere [default: a new one in the old one's place]
    #[arg(long, value_name = "FILE")]
    pub(crate) new_key: Option<PathBuf>,
}

/// What `tokend dialect` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum DialectCommand {
    /// List all dialects
    List {
        /// Directory of your own dialects, as `dialect_dir` of the configuration names it
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        dialect_dir: Option<PathBuf>,
    },
    /// Show how a dialect describes its provider
    Show {
        /// Name of a dialect, or a file
        dialect: String,
        /// Show what it says with everything it inherits, instead of the text as it was written
        #[arg(long)]
        effective: bool,
        /// Directory of your own dialects, as `dialect_dir` of the configuration names it
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        dialect_dir: Option<PathBuf>,
    },
    /// Look for mistakes in a dialect's file
    Check {
        /// The file; its name without .toml is the dialect's name
        file: PathBuf,
        /// Directory of dialects it may extend
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        dialect_dir: Option<PathBuf>,
    },
    /// Show the request a dialect would send and what it reads from a recorded reply
    #[command(after_help = TRY_HELP)]
    Try(TryArgs),
}

const TRY_HELP: &str = "\
Nobody is contacted. In the request every value is shown as <its name>; of tokens in the reply only the length is shown.

Examples:
  tokend dialect try my-api.toml --status 200 --body reply.json
  tokend dialect try jwt-api --kind refresh --status 401 --body - < reply.json
  tokend dialect try my-api.toml --status 429 --header 'Retry-After: 30'
  tokend dialect try oauth2 --option grant=client_credentials";

/// Options of `tokend dialect try`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TryArgs {
    /// Name of a dialect, or a file
    pub(crate) dialect: String,
    /// Which of the two requests
    #[arg(long, value_name = "KIND", default_value = "login")]
    pub(crate) kind: KindArg,
    /// HTTP status of the reply; without it only the request is shown
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(100..=599))]
    pub(crate) status: Option<u16>,
    /// Header of the reply; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header, requires = "status")]
    pub(crate) headers: Vec<(String, String)>,
    /// File with the body of the reply; - for standard input
    #[arg(long, value_name = "FILE", requires = "status")]
    pub(crate) body: Option<PathBuf>,
    /// Base URL of the account
    #[arg(long, value_name = "URL", default_value = "https://provider.example")]
    pub(crate) base_url: String,
    /// Named alternative the account would choose
    #[arg(long, value_name = "NAME")]
    pub(crate) endpoint: Option<String>,
    /// Option the account would set; may be given several times
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = option)]
    pub(crate) options: Vec<(String, String)>,
    /// Directory of your own dialects, as `dialect_dir` of the configuration names it
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dialect_dir: Option<PathBuf>,
}

/// One of the two requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    /// a grant from the long-lived credential
    Login,
    /// a grant from a refresh token
    Refresh,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("a header is written as NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("an option is written as NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

#[cfg(test)]
mod page;

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split_whitespace()).map(Cli::into_command)
    }

    fn run(line: &str) -> RunArgs {
        match parse(line) {
            Ok(Command::Run(args)) => args,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_grammar_has_no_contradictions() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_the_daemon_runs() {
        for line in ["tokend", "tokend run"] {
            assert_eq!(run(line).config, None);
        }
        for line in [
            "tokend --config a --socket b",
            "tokend run --config a --socket b",
        ] {
            let args = run(line);
            assert_eq!(args.config, Some("a".into()));
            assert_eq!(
                args.overrides(),
                Overrides {
                    socket: Some("b".into()),
                    state_dir: None
                }
            );
        }
        let args = run("tokend --log-format json --log-level debug");
        assert_eq!(args.log_format(), Some(Format::Json));
        assert_eq!(
            args.log_level.map(|level| level.to_string()),
            Some("debug".to_owned())
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "tokend frobnicate",
            "tokend --log-level inof",
            "tokend --log-format xml",
            "tokend dialect",
            "tokend dialect try x --status 99",
            "tokend dialect try x --body b",
            "tokend dialect try x --status 200 --header nonsense",
            "tokend --config a check",
        ] {
            let error = parse(line).expect_err(line);
            assert_ne!(error.kind(), ErrorKind::DisplayHelp, "{line}");
            assert_ne!(error.kind(), ErrorKind::DisplayVersion, "{line}");
        }
    }

    #[test]
    fn a_reply_to_try_is_read_from_the_command_line() {
        let line = [
            "tokend",
            "dialect",
            "try",
            "x",
            "--status",
            "429",
            "--header",
            "Retry-After: 30",
            "--option",
            "a=b=c",
        ];
        let Ok(Command::Dialect(DialectCommand::Try(args))) =
            Cli::try_parse_from(line).map(Cli::into_command)
        else {
            panic!("it is a valid line");
        };
        assert_eq!(args.status, Some(429));
        assert_eq!(args.headers, [("Retry-After".to_owned(), "30".to_owned())]);
        assert_eq!(args.options, [("a".to_owned(), "b=c".to_owned())]);
    }

    #[test]
    fn help_names_every_exit_code() {
        let help = Cli::command().render_long_help().to_string();
        for exit in [
            Exit::Success,
            Exit::Usage,
            Exit::NoInput,
            Exit::Io,
            Exit::NotNow,
            Exit::Config,
        ] {
            assert!(help.contains(&format!("\n  {:<2}  ", exit as u8)), "{help}");
        }
    }
}
