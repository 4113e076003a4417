//! The arguments of `login`.
//!
//! Owns which kinds of credential can be named. None of them is the credential itself.

use clap::{Arg, ArgAction, ArgMatches};
use tokend_client::AccountName;

use super::options::{account, account_arg, flag};
use crate::failure::Failure;

#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) account: AccountName,
    pub(crate) kind: Kind,
}

/// The kind of credential that a login enters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What the account needs and does not have.
    Missing,
    /// Secrets for these fields of its dialect.
    Fields(Vec<String>),
    Password,
    RefreshToken,
    ClientSecret,
}

pub(super) fn grammar(command: clap::Command) -> clap::Command {
    let field = Arg::new("field")
        .long("field")
        .value_name("NAME")
        .action(ArgAction::Append)
        .conflicts_with_all(["password", "refresh-token", "client-secret"])
        .help("The secret of this field of its dialect; may be given again");
    command.args([
        account_arg(),
        field,
        flag("refresh-token", "A refresh token obtained elsewhere"),
        flag("password", "The same as --field password")
            .conflicts_with_all(["refresh-token", "client-secret"]),
        flag("client-secret", "The same as --field client_secret").conflicts_with("refresh-token"),
    ])
}

pub(super) fn read(matches: &ArgMatches) -> Result<Login, Failure> {
    let fields = matches.get_many::<String>("field");
    let flags = ["refresh-token", "password", "client-secret"].map(|name| matches.get_flag(name));
    let kind = match (fields, flags) {
        (Some(fields), _) => Kind::Fields(fields.cloned().collect()),
        (None, [true, _, _]) => Kind::RefreshToken,
        (None, [_, true, _]) => Kind::Password,
        (None, [_, _, true]) => Kind::ClientSecret,
        (None, _) => Kind::Missing,
    };
    Ok(Login {
        account: account(matches)?,
        kind,
    })
}
