//! The command line of `watch`.
//!
//! Owns which words are the command behind `--exec`: all that follow it. They are another program's and are never read.

use std::ffi::OsString;
use std::time::Duration;

use clap::builder::{OsStringValueParser, ValueHint};
use clap::{Arg, ArgMatches};
use tokend_client::AccountName;

use super::options::{account, account_arg, duration, duration_arg, json_arg};
use crate::failure::Failure;

#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) account: AccountName,
    pub(crate) json: bool,
    pub(crate) min_validity: Option<Duration>,
    /// The command for each token, and its arguments.
    pub(crate) command: Option<Vec<OsString>>,
}

pub(super) fn grammar(command: clap::Command) -> clap::Command {
    let exec = Arg::new("exec")
        .long("exec")
        .value_names(["COMMAND", "ARGUMENT"])
        .num_args(1..)
        .value_parser(OsStringValueParser::new())
        .value_hint(ValueHint::CommandName)
        .allow_hyphen_values(true)
        .conflicts_with("json")
        .help("Run this with each new token in its environment; takes the rest of the line");
    let min_validity = "How long each token must still live when it comes";
    command.args([
        account_arg(),
        json_arg(),
        duration_arg("min-validity", min_validity),
        exec,
    ])
}

pub(super) fn read(matches: &ArgMatches) -> Result<Watch, Failure> {
    let command = matches.get_many::<OsString>("exec");
    Ok(Watch {
        account: account(matches)?,
        json: matches.get_flag("json"),
        min_validity: duration(matches, "min-validity")?,
        command: command.map(|words| words.cloned().collect()),
    })
}
