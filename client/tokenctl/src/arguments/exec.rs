//! The command line of `exec`.
//!
//! Owns which account's token goes into which variable. The words behind `--` are another program's and are never read.

use std::ffi::OsString;
use std::time::Duration;

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgMatches};
use tokend_client::AccountName;

use super::endpoint::{EndpointKind, kind_parser, purposes, purposes_arg};
use super::options::{
    Patient, duration, duration_arg, flag, patient, text, variable, with_patience,
};
use crate::failure::Failure;

#[derive(Debug)]
pub(crate) struct Exec {
    /// Each account with its variable.
    pub(crate) tokens: Vec<(AccountName, String)>,
    pub(crate) place: Place,
    /// The program and its arguments; never empty.
    pub(crate) command: Vec<OsString>,
    /// What an endpoint's token is for.
    pub(crate) purposes: Vec<String>,
    pub(crate) min_validity: Option<Duration>,
    pub(crate) patient: Patient,
}

/// Where the command finds the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the variables.
    Environment,
    /// In files that are in memory only and have no name; the variables hold their paths.
    Descriptor,
    /// In files that are kept fresh while the command runs; the variables hold their paths.
    File,
    /// At an endpoint that its SDK asks.
    Endpoint(EndpointKind),
}

pub(super) fn grammar(command: clap::Command) -> clap::Command {
    let accounts = Arg::new("accounts")
        .value_name("ACCOUNT[=VAR]")
        .num_args(1..)
        .required(true)
        .help("The account, and the variable for its token [default: ACCESS_TOKEN]");
    let words = Arg::new("command")
        .value_name("COMMAND")
        .num_args(1..)
        .required(true)
        .last(true)
        .value_parser(OsStringValueParser::new())
        .help("The program to run, with its arguments");
    with_patience(
        command.args([
            accounts,
            words,
            flag(
                "fd",
                "Put the path of an open file with the token into the variable",
            ),
            flag(
                "file",
                "Put the path of a file that always has the newest token into the variable",
            )
            .conflicts_with("fd"),
            Arg::new("as")
                .long("as")
                .value_name("KIND")
                .value_parser(kind_parser())
                .conflicts_with_all(["fd", "file", "min-validity"])
                .help("Serve the token to the SDK in the command, in the protocol of this cloud"),
            purposes_arg().requires("as"),
            duration_arg("min-validity", "How long each token must still live"),
        ]),
    )
}

pub(super) fn read(matches: &ArgMatches) -> Result<Exec, Failure> {
    let endpoint = text(matches, "as").and_then(EndpointKind::named);
    let place = match (endpoint, matches.get_flag("fd"), matches.get_flag("file")) {
        (Some(kind), ..) => Place::Endpoint(kind),
        (_, true, _) => Place::Descriptor,
        (_, _, true) => Place::File,
        _ => Place::Environment,
    };
    let words = matches.get_many::<String>("accounts").into_iter().flatten();
    let tokens: Vec<(AccountName, String)> = words
        .map(|word| read_token(word, place))
        .collect::<Result<_, _>>()?;
    let has_variable = || words_with_variable(matches);
    if endpoint.is_some() && (tokens.len() > 1 || has_variable()) {
        return Err(Failure::usage(
            "an endpoint has one account and variables of its own",
            "name one account without a variable: tokenctl exec --as KIND ACCOUNT -- COMMAND",
        ));
    }
    for (at, (_, variable)) in tokens.iter().enumerate() {
        if tokens.iter().take(at).any(|(_, other)| other == variable) {
            return Err(Failure::usage(
                format!("two tokens cannot be in the variable {variable}"),
                "name a variable for each account: tokenctl exec ads=ADS_TOKEN crm=CRM_TOKEN -- COMMAND",
            ));
        }
    }
    let command = matches
        .get_many::<OsString>("command")
        .into_iter()
        .flatten();
    Ok(Exec {
        tokens,
        place,
        command: command.cloned().collect(),
        purposes: purposes(matches, endpoint)?,
        min_validity: duration(matches, "min-validity")?,
        patient: patient(matches)?,
    })
}

fn words_with_variable(matches: &ArgMatches) -> bool {
    let mut words = matches.get_many::<String>("accounts").into_iter().flatten();
    words.any(|word| word.contains('='))
}

fn read_token(word: &str, place: Place) -> Result<(AccountName, String), Failure> {
    let (account, variable) = match word.split_once('=') {
        Some((account, name)) => (account, variable(name, "an account")?),
        None => (
            word,
            match place {
                Place::Environment => "ACCESS_TOKEN",
                Place::Descriptor | Place::File => "ACCESS_TOKEN_FILE",
                // It has variables of its own.
                Place::Endpoint(_) => "",
            },
        ),
    };
    let account = account.parse().map_err(|error: tokend_client::NameError| {
        Failure::usage(
            error.to_string(),
            "write ACCOUNT or ACCOUNT=VARIABLE before --, and the command behind it",
        )
    })?;
    Ok((account, variable.to_owned()))
}
