//! The command line of `request`.
//!
//! Owns its words only: what a URL, a header or a body may be is decided where it is used.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PathBufValueParser, ValueHint, ValueParser};
use clap::{Arg, ArgAction, ArgMatches};
use tokend_client::AccountName;

use super::options::{
    Patient, duration, duration_arg, flag, optional_account, patient, text, with_patience,
};
use crate::failure::Failure;

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) account: Option<AccountName>,
    pub(crate) method: String,
    pub(crate) url: String,
    /// Each as it was written: `Name: value`.
    pub(crate) headers: Vec<String>,
    /// As it was written: the data, or `@` and where it is.
    pub(crate) data: Option<OsString>,
    pub(crate) json: bool,
    pub(crate) output: Option<PathBuf>,
    pub(crate) include: bool,
    pub(crate) max_time: Option<Duration>,
    pub(crate) patient: Patient,
}

pub(super) fn grammar(command: clap::Command) -> clap::Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    with_patience(command.args([
        Arg::new("method").value_name("METHOD").required(true).help("GET, POST, PUT, ..."),
        Arg::new("url").value_name("URL").required(true).help("Where the request goes"),
        option("account", "ACCOUNT", "Whose token [default: the account that the URL belongs to]"),
        option("header", "HEADER", "Send this header too, as in 'Name: value'")
            .short('H')
            .action(ArgAction::Append),
        option("data", "DATA", "Send this as the body, or with @FILE a file, with @- standard input")
            .short('d')
            .allow_hyphen_values(true)
            .value_parser(ValueParser::os_string()),
        flag("json", "Say that the body is JSON, and that JSON is wanted"),
        option("output", "FILE", "Write the answer's body to this file")
            .short('o')
            .value_parser(PathBufValueParser::new())
            .value_hint(ValueHint::FilePath),
        flag("include", "Print the answer's status and headers before its body").short('i'),
        duration_arg(
            "max-time",
            "How long the exchange with the API may take [default: no limit, but 5m of silence]",
        ),
    ]))
}

pub(super) fn read(matches: &ArgMatches) -> Result<Request, Failure> {
    let word = |name: &str| text(matches, name).unwrap_or_default().to_owned();
    Ok(Request {
        account: optional_account(matches)?,
        method: word("method"),
        url: word("url"),
        headers: matches
            .get_many::<String>("header")
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
        data: matches.get_one::<OsString>("data").cloned(),
        json: matches.get_flag("json"),
        output: matches.get_one::<PathBuf>("output").cloned(),
        include: matches.get_flag("include"),
        max_time: duration(matches, "max-time")?,
        patient: patient(matches)?,
    })
}
