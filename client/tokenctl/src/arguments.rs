//! The command line: its grammar, and the sentences about usage errors.
//!
//! Owns the grammar. A usage error never repeats a word that may be a misplaced token or password (see
//! [`usage_error`]), and exits with 64. Subcommands are built when they are used, to keep the start fast.

mod endpoint;
mod exec;
mod get;
mod helper;
mod init;
mod integrate;
mod keep;
mod login;
mod logs;
mod options;
#[cfg(test)]
mod page;
mod request;
mod serve;
mod sink;
mod usage_error;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PathBufValueParser, ValueHint};
use clap::{Arg, ArgMatches};
use tokend_client::AccountName;

pub(crate) use endpoint::{Endpoint, EndpointKind};
pub(crate) use exec::{Exec, Place};
pub(crate) use get::Get;
pub(crate) use helper::{Helper, Protocol, read_cargo};
pub(crate) use init::{Init, account as new_account};
pub(crate) use integrate::Integrate;
pub(crate) use keep::Keep;
pub(crate) use login::{Kind, Login};
pub(crate) use logs::Logs;
pub(crate) use options::Patient;
use options::{
    account, account_arg, duration, duration_arg, flag, json_arg, optional_account, patient,
    print_arg, with_patience,
};
pub(crate) use request::Request;
pub(crate) use serve::Serve;
pub(crate) use sink::{Sink, SinkChoice};
pub(crate) use watch::Watch;

use crate::failure::Failure;
use crate::help;

/// A parsed command line.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) socket: Option<PathBuf>,
    pub(crate) command: Command,
}

#[derive(Debug)]
pub(crate) enum Command {
    /// The text of the requested help or version.
    Help(String),
    Get(Get),
    Exec(Exec),
    Watch(Watch),
    Helper(Helper),
    Request(Request),
    Sink(Sink),
    Endpoint(Endpoint),
    Status(Status),
    List(List),
    Whoami(Whoami),
    Refresh(Refresh),
    Reject(Reject),
    Reload,
    Metrics,
    Login(Login),
    Forget(Forget),
    Doctor(Doctor),
    Init(Init),
    Integrate(Integrate),
    Logs(Logs),
    /// `exec --file` keeps its files fresh.
    Keep(Keep),
    /// `exec --as` serves its endpoint.
    Serve(Serve),
    /// A shell asks which words can follow these.
    Complete(Vec<String>),
}

#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) account: Option<AccountName>,
    pub(crate) shape: Shape,
}

/// How a status is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// On a terminal a table, or everything about one account; else lines for scripts.
    Text,
    Json,
    /// On a terminal, until a key or a signal ends it; the daemon is asked this often.
    Live {
        interval: Duration,
    },
}

#[derive(Debug)]
pub(crate) struct List {
    pub(crate) json: bool,
}

#[derive(Debug)]
pub(crate) struct Whoami {
    pub(crate) json: bool,
}

#[derive(Debug)]
pub(crate) struct Refresh {
    pub(crate) account: AccountName,
    pub(crate) print: bool,
    pub(crate) patient: Patient,
}

#[derive(Debug)]
pub(crate) struct Reject {
    pub(crate) account: AccountName,
    pub(crate) print: bool,
    pub(crate) patient: Patient,
}

#[derive(Debug)]
pub(crate) struct Forget {
    pub(crate) account: AccountName,
    pub(crate) yes: bool,
}

#[derive(Debug)]
pub(crate) struct Doctor {
    pub(crate) account: Option<AccountName>,
    pub(crate) json: bool,
}

/// The command that the words name, if any.
fn named(words: &[OsString]) -> Option<String> {
    let grammar = grammar();
    let mut words = words.iter().skip(1).filter_map(|word| word.to_str());
    words
        .find(|word| grammar.find_subcommand(word).is_some())
        .map(str::to_owned)
}

/// Reads the command line.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Arguments, Failure> {
    let words: Vec<OsString> = words.into_iter().collect();
    if let Some((socket, keep)) = Keep::read(&words) {
        return Ok(Arguments {
            socket: Some(socket),
            command: Command::Keep(keep),
        });
    }
    if let Some((socket, serve)) = Serve::read(&words) {
        return Ok(Arguments {
            socket: Some(socket),
            command: Command::Serve(serve),
        });
    }
    let words = helper::spelled_out(words);
    if let Some((socket, options)) = get::read_plain(&words) {
        return Ok(Arguments {
            socket,
            command: Command::Get(options),
        });
    }
    read(&words)
}

/// The same by clap.
#[expect(clippy::too_many_lines, reason = "one arm for each command")]
fn read(words: &[OsString]) -> Result<Arguments, Failure> {
    let matches = match grammar().try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => {
            let help = usage_error::help_or_error(&error, named(words).as_deref())?;
            return Ok(Arguments {
                socket: None,
                command: Command::Help(help),
            });
        }
    };
    let socket = matches.get_one::<PathBuf>("socket").cloned();
    let command = match matches.subcommand() {
        Some(("get", matches)) => Command::Get(get::read(matches)?),
        Some(("exec", matches)) => Command::Exec(exec::read(matches)?),
        Some(("watch", matches)) => Command::Watch(watch::read(matches)?),
        Some(("helper", matches)) => Command::Helper(helper::read(matches)?),
        Some(("request", matches)) => Command::Request(request::read(matches)?),
        Some(("sink", matches)) => Command::Sink(sink::read(matches)?),
        Some(("endpoint", matches)) => Command::Endpoint(endpoint::read(matches)?),
        Some(("status", matches)) => Command::Status(Status {
            account: optional_account(matches)?,
            shape: shape(matches)?,
        }),
        Some(("list", matches)) => Command::List(List {
            json: matches.get_flag("json"),
        }),
        Some(("whoami", matches)) => Command::Whoami(Whoami {
            json: matches.get_flag("json"),
        }),
        Some(("refresh", matches)) => Command::Refresh(Refresh {
            account: account(matches)?,
            print: matches.get_flag("print"),
            patient: patient(matches)?,
        }),
        Some(("reject", matches)) => Command::Reject(Reject {
            account: account(matches)?,
            print: matches.get_flag("print"),
            patient: patient(matches)?,
        }),
        Some(("reload", _)) => Command::Reload,
        Some(("metrics", _)) => Command::Metrics,
        Some(("login", matches)) => Command::Login(login::read(matches)?),
        Some(("forget", matches)) => Command::Forget(Forget {
            account: account(matches)?,
            yes: matches.get_flag("yes"),
        }),
        Some(("doctor", matches)) => Command::Doctor(Doctor {
            account: optional_account(matches)?,
            json: matches.get_flag("json"),
        }),
        Some(("init", matches)) => Command::Init(init::read(matches)?),
        Some(("logs", matches)) => Command::Logs(logs::read(matches)?),
        Some(("integrate", matches)) => Command::Integrate(integrate::read(matches)?),
        Some(("complete", matches)) => Command::Complete(
            matches
                .get_many::<String>("words")
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
        ),
        // Clap accepts no other command.
        _ => {
            return Err(Failure::usage(
                "a command is missing",
                "see: tokenctl --help",
            ));
        }
    };
    Ok(Arguments { socket, command })
}

pub(crate) fn grammar() -> clap::Command {
    let command = |name: &'static str, about: &'static str| clap::Command::new(name).about(about);
    clap::Command::new("tokenctl")
        // Also in the program that `request` becomes.
        .bin_name("tokenctl")
        .about(help::ABOUT)
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(help::AFTER)
        .max_term_width(120)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .arg(socket_arg())
        .subcommands([
            command("get", help::GET)
                .after_help(help::GET_AFTER)
                .defer(get::grammar),
            command("exec", help::EXEC)
                .after_help(help::EXEC_AFTER)
                .defer(exec::grammar),
            command("watch", help::WATCH)
                .after_help(help::WATCH_AFTER)
                .defer(watch::grammar),
            command("request", help::REQUEST)
                .after_help(help::REQUEST_AFTER)
                .defer(request::grammar),
            command("status", help::STATUS)
                .after_help(help::STATUS_AFTER)
                .defer(with_status),
            command("list", help::LIST)
                .after_help(help::LIST_AFTER)
                .defer(|command| command.arg(json_arg())),
            command("whoami", help::WHOAMI)
                .after_help(help::WHOAMI_AFTER)
                .defer(|command| command.arg(json_arg())),
            command("refresh", help::REFRESH)
                .defer(|command| with_patience(command.args([account_arg(), print_arg()]))),
            command("reject", help::REJECT)
                .after_help(help::REJECT_AFTER)
                .defer(|command| with_patience(command.args([account_arg(), print_arg()]))),
            command("reload", help::RELOAD),
            command("metrics", help::METRICS).after_help(help::METRICS_AFTER),
            command("login", help::LOGIN)
                .after_help(help::LOGIN_AFTER)
                .defer(login::grammar),
            command("forget", help::FORGET).defer(|command| {
                command.args([
                    account_arg(),
                    flag("yes", "Delete without asking").short('y'),
                ])
            }),
            command("helper", help::HELPER)
                .after_help(help::HELPER_AFTER)
                .defer(helper::grammar),
            command("doctor", help::DOCTOR)
                .after_help(help::DOCTOR_AFTER)
                .defer(|command| command.args([account_arg().required(false), json_arg()])),
        ])
        .subcommands(kept())
        .subcommands(apart())
        .subcommand(hidden())
}

/// Commands that go on for as long as a program uses their tokens.
fn kept() -> [clap::Command; 2] {
    let command = |name: &'static str, about: &'static str| clap::Command::new(name).about(about);
    [
        command("sink", help::SINK)
            .after_help(help::SINK_AFTER)
            .defer(sink::grammar),
        command("endpoint", help::ENDPOINT)
            .after_help(help::ENDPOINT_AFTER)
            .defer(endpoint::grammar),
    ]
}

/// Commands that need no daemon.
fn apart() -> [clap::Command; 3] {
    let command = |name: &'static str, about: &'static str| clap::Command::new(name).about(about);
    [
        command("init", help::INIT)
            .after_help(help::INIT_AFTER)
            .defer(init::grammar),
        command("logs", help::LOGS)
            .after_help(help::LOGS_AFTER)
            .defer(logs::grammar),
        command("integrate", help::INTEGRATE)
            .after_help(help::INTEGRATE_AFTER)
            .defer(integrate::grammar),
    ]
}

/// A command that programs call: the scripts in `completions`, which pass the words up to the cursor behind `--`.
fn hidden() -> clap::Command {
    clap::Command::new("complete").hide(true).defer(|command| {
        let words = Arg::new("words").num_args(0..).allow_hyphen_values(true);
        command.arg(words.trailing_var_arg(true))
    })
}

fn socket_arg() -> Arg {
    Arg::new("socket")
        .long("socket")
        .value_name("PATH")
        .value_parser(PathBufValueParser::new())
        .value_hint(ValueHint::FilePath)
        .global(true)
        .help("The daemon's socket")
}

fn with_status(command: clap::Command) -> clap::Command {
    let interval = "How often --watch asks the daemon [default: 1s]";
    command.args([
        account_arg().required(false),
        json_arg().conflicts_with("watch"),
        flag(
            "watch",
            "Keep the table on the terminal and up to date, until q or Ctrl-C",
        ),
        duration_arg("interval", interval),
    ])
}

fn shape(matches: &ArgMatches) -> Result<Shape, Failure> {
    const SHORTEST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(60 * 60);
    let interval = duration(matches, "interval")?;
    if !matches.get_flag("watch") {
        return match interval {
            Some(_) => Err(Failure::usage(
                "--interval has no meaning without --watch",
                "add --watch",
            )),
            None if matches.get_flag("json") => Ok(Shape::Json),
            None => Ok(Shape::Text),
        };
    }
    match interval.unwrap_or(Duration::from_secs(1)) {
        interval if (SHORTEST..=LONGEST).contains(&interval) => Ok(Shape::Live { interval }),
        _ => Err(Failure::usage(
            "--interval is out of range",
            "use a duration from 100ms to 1h",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_get_is_read_as_clap_reads_it() {
        let of = |words: &[&str]| -> Vec<OsString> {
            let words = ["tokenctl"].iter().chain(words);
            words.map(OsString::from).collect()
        };
        let plain: [&[&str]; 4] = [
            &["get", "ads"],
            &["get", "get"],
            &["--socket", "/run/s", "get", "a.b-c_1"],
            &["--socket", "get", "get", "ads"],
        ];
        for words in plain.map(of) {
            assert!(get::read_plain(&words).is_some(), "{words:?}");
            let [quick, by_clap] = [parse(words.clone()), read(&words)].map(Result::unwrap);
            assert_eq!(format!("{quick:?}"), format!("{by_clap:?}"), "{words:?}");
        }
        let others: [&[&str]; 9] = [
            &["get"],
            &["get", "ads", "crm"],
            &["get", "--help"],
            &["get", "-h"],
            &["get", "no account"],
            &["get", ""],
            &["--socket", "", "get", "ads"],
            &["--socket", "--socket", "get", "ads"],
            &["--socket=/run/s", "get", "ads"],
        ];
        for words in others.map(of) {
            assert!(get::read_plain(&words).is_none(), "{words:?}");
        }
    }
}
