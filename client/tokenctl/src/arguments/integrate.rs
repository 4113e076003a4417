//! The command line of `integrate`.
//!
//! Owns the words it takes: a name of the table, and an account that is only filled in.

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgMatches};
use tokend_client::AccountName;

use super::options::{account_arg, optional_account, text};
use crate::failure::Failure;
use crate::integrate::names;

#[derive(Debug)]
pub(crate) struct Integrate {
    /// A name of the table; without it all are listed.
    pub(crate) consumer: Option<String>,
    pub(crate) account: Option<AccountName>,
}

pub(super) fn grammar(command: clap::Command) -> clap::Command {
    let names = names().map(|(name, about)| PossibleValue::new(name).help(about));
    let consumer = Arg::new("consumer")
        .value_name("NAME")
        .value_parser(PossibleValuesParser::new(names))
        .hide_possible_values(true)
        .help("The program that is to use the token");
    let account = account_arg().required(false);
    command.args([
        consumer,
        account.help("The account's name [default: ACCOUNT]"),
    ])
}

pub(super) fn read(matches: &ArgMatches) -> Result<Integrate, Failure> {
    Ok(Integrate {
        consumer: text(matches, "consumer").map(str::to_owned),
        account: optional_account(matches)?,
    })
}
