//! Options that several commands have, and how their values are read.
//!
//! Owns the sentences about wrong durations and names of accounts.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches};
use tokend_client::AccountName;

use crate::failure::Failure;
use crate::words;

/// How long a command may take.
#[derive(Debug)]
pub(crate) struct Patient {
    pub(crate) wait: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
}

pub(super) fn with_patience(command: clap::Command) -> clap::Command {
    command.args([
        duration_arg(
            "wait",
            "How long to wait for the rate limit to allow an attempt [default: 0s]",
        ),
        duration_arg(
            "timeout",
            "How long it may take altogether [default: 30s plus --wait]",
        ),
    ])
}

pub(super) fn account_arg() -> Arg {
    Arg::new("account")
        .value_name("ACCOUNT")
        .required(true)
        .help("The account's name")
}

pub(super) fn duration_arg(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("DURATION").help(help)
}

pub(super) fn json_arg() -> Arg {
    flag("json", "Print JSON")
}

pub(super) fn print_arg() -> Arg {
    flag("print", "Print the new token on standard output")
}

pub(super) fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help)
}

pub(super) fn patient(matches: &ArgMatches) -> Result<Patient, Failure> {
    Ok(Patient {
        wait: duration(matches, "wait")?,
        timeout: duration(matches, "timeout")?,
    })
}

pub(super) fn duration(matches: &ArgMatches, name: &str) -> Result<Option<Duration>, Failure> {
    let Some(text) = text(matches, name) else {
        return Ok(None);
    };
    let read = words::parse_duration(text);
    read.map(Some)
        .map_err(|why| Failure::usage(format!("--{name} {text:?} is not a duration"), why))
}

pub(super) fn account(matches: &ArgMatches) -> Result<AccountName, Failure> {
    // Clap rejects a command line without it where it is required.
    let named = optional_account(matches)?;
    named.ok_or_else(|| {
        Failure::usage(
            "the account is missing",
            "see the accounts you may use with: tokenctl list",
        )
    })
}

/// Read here and not by clap, which would repeat the word; it may be a token in the wrong place.
pub(super) fn optional_account(matches: &ArgMatches) -> Result<Option<AccountName>, Failure> {
    let named = text(matches, "account").map(str::parse).transpose();
    named.map_err(|error: tokend_client::NameError| {
        Failure::usage(
            error.to_string(),
            "see the accounts you may use with: tokenctl list",
        )
    })
}

pub(super) fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

/// The name of a shell variable.
pub(super) fn variable<'n>(name: &'n str, option: &str) -> Result<&'n str, Failure> {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    match name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit()) {
        true => Ok(name),
        false => Err(Failure::usage(
            format!("the name given with {option} cannot be a shell variable"),
            "use letters, digits and _, and no digit first",
        )),
    }
}
