//! The command line of `sink`.
//!
//! Owns which sink is meant.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, ValueHint};
use clap::{Arg, ArgMatches};
use tokend_client::AccountName;

use super::options::{flag, text};
use crate::failure::Failure;

#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) choice: SinkChoice,
    /// Whether only its configuration is looked at.
    pub(crate) check: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum SinkChoice {
    Named(AccountName),
    File(PathBuf),
    All,
}

pub(super) fn grammar(command: clap::Command) -> clap::Command {
    let sink = Arg::new("sink").value_name("NAME").help("The sink's name");
    let file = Arg::new("file")
        .long("file")
        .value_name("FILE")
        .value_parser(PathBufValueParser::new())
        .value_hint(ValueHint::FilePath)
        .conflicts_with("sink")
        .help("Its configuration, which may be anywhere");
    let check = flag("check", "Only say what is wrong with it, or with all sinks");
    command.args([sink, file, check])
}

pub(super) fn read(matches: &ArgMatches) -> Result<Sink, Failure> {
    let check = matches.get_flag("check");
    let choice = match (text(matches, "sink"), matches.get_one::<PathBuf>("file")) {
        (Some(name), _) => {
            SinkChoice::Named(name.parse().map_err(|error: tokend_client::NameError| {
                Failure::usage(
                    error.to_string(),
                    "name a sink as its file is called, without .toml",
                )
            })?)
        }
        (None, Some(file)) => SinkChoice::File(file.clone()),
        (None, None) if check => SinkChoice::All,
        (None, None) => {
            return Err(Failure::usage(
                "the sink is missing",
                "name it, or its configuration with --file; --check alone looks at all of them",
            ));
        }
    };
    Ok(Sink { choice, check })
}
