//! The command line of `init`.
//!
//! Owns how answers are written as options. None of them can be a secret, and none is repeated in an error, since a person may have put one
//! there.

use std::path::PathBuf;

use clap::builder::PathBufValueParser;
use clap::{Arg, ArgAction, ArgMatches, ValueHint};
use tokend_client::AccountName;

use super::options::{account_arg, flag, text};
use crate::account_file::{Caller, SecretPlace};
use crate::failure::Failure;

/// The answers that stand on the command line.
#[derive(Debug)]
pub(crate) struct Init {
    pub(crate) account: Option<AccountName>,
    pub(crate) dialect: Option<String>,
    pub(crate) base_url: Option<String>,
    pub(crate) token_url: Option<String>,
    pub(crate) options: Vec<(String, String)>,
    pub(crate) fields: Vec<(String, String)>,
    /// Each with the field it is for; without one it is for the account's only secret.
    pub(crate) secrets: Vec<(Option<String>, SecretPlace)>,
    pub(crate) callers: Vec<Caller>,
    pub(crate) config: Option<PathBuf>,
    pub(crate) yes: bool,
    pub(crate) start: bool,
    pub(crate) attempt: bool,
}

/// Options that set a field which many dialects have.
const FIELDS: [(&str, &str); 3] = [
    ("username", "username"),
    ("client-id", "client_id"),
    ("scope", "scope"),
];

pub(super) fn grammar(command: clap::Command) -> clap::Command {
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let several = |arg: Arg| arg.action(ArgAction::Append);
    command.args([
        account_arg()
            .required(false)
            .long("account")
            .help("The name of the account"),
        value(
            "dialect",
            "NAME",
            "Which provider it is, as `tokend dialect list` names it",
        ),
        value("base-url", "URL", "The provider's address"),
        value(
            "token-url",
            "URL",
            "The address of the token endpoint, for dialects that leave its path to the account",
        )
        .conflicts_with("base-url"),
        several(value(
            "option",
            "NAME=VALUE",
            "An option of the dialect; may be given several times",
        )),
        value("username", "NAME", "The user name at the provider"),
        value("client-id", "ID", "The client id at the provider"),
        value("scope", "SCOPE", "What is asked for"),
        several(value(
            "field",
            "NAME=VALUE",
            "A field of the dialect that is not secret; may be given several times",
        )),
        several(value(
            "secret",
            "[FIELD=]PLACE",
            "Where the password or another secret comes from; see below",
        )),
        several(value(
            "allow",
            "WHO",
            "Who may have the token: USER, group:NAME or unit:NAME; may be given several times",
        )),
        value("config", "FILE", "The configuration [default: see below]")
            .value_parser(PathBufValueParser::new())
            .value_hint(ValueHint::FilePath),
        flag("yes", "Write without asking").short('y'),
        flag(
            "start",
            "Start the daemon, or have it read the configuration, without asking",
        ),
        flag("try", "Have one token obtained, without asking"),
    ])
}

pub(super) fn read(matches: &ArgMatches) -> Result<Init, Failure> {
    let own = |name| text(matches, name).map(str::to_owned);
    let mut fields = pairs(matches, "field")?;
    for (option, field) in FIELDS {
        fields.extend(own(option).map(|value| (field.to_owned(), value)));
    }
    Ok(Init {
        account: own("account").map(|name| account(&name)).transpose()?,
        dialect: own("dialect"),
        base_url: own("base-url"),
        token_url: own("token-url"),
        options: pairs(matches, "option")?,
        fields,
        secrets: all(matches, "secret")
            .map(secret)
            .collect::<Result<_, _>>()?,
        callers: all(matches, "allow")
            .map(caller)
            .collect::<Result<_, _>>()?,
        config: matches.get_one::<PathBuf>("config").cloned(),
        yes: matches.get_flag("yes"),
        start: matches.get_flag("start"),
        attempt: matches.get_flag("try"),
    })
}

/// Reads a new account's name.
pub(crate) fn account(name: &str) -> Result<AccountName, Failure> {
    name.parse().map_err(|error: tokend_client::NameError| {
        Failure::usage(error.to_string(), "choose a short name, such as ads")
    })
}

fn all<'m>(matches: &'m ArgMatches, name: &str) -> impl Iterator<Item = &'m str> {
    let all = matches.get_many::<String>(name).into_iter().flatten();
    all.map(String::as_str)
}

fn pairs(matches: &ArgMatches, name: &str) -> Result<Vec<(String, String)>, Failure> {
    let pair = |text: &str| {
        let (key, value) = named(text).ok_or_else(|| {
            Failure::usage(
                format!("--{name} is written as NAME=VALUE"),
                "see: tokenctl init --help",
            )
        })?;
        Ok((key.to_owned(), value.to_owned()))
    };
    all(matches, name).map(pair).collect()
}

/// The name before the first `=`, and what follows.
fn named(text: &str) -> Option<(&str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let (name, value) = text.split_once('=')?;
    (!name.is_empty() && name.chars().all(is_name)).then_some((name, value))
}

fn secret(text: &str) -> Result<(Option<String>, SecretPlace), Failure> {
    let (field, place) = match named(text) {
        Some((field, place)) => (Some(field.to_owned()), place),
        None => (None, text),
    };
    let place = SecretPlace::parse(place)
        .map_err(|why| Failure::usage("--secret does not say where the secret is", why))?;
    Ok((field, place))
}

fn caller(text: &str) -> Result<Caller, Failure> {
    Caller::parse(text).map_err(|why| Failure::usage("--allow does not say who", why))
}
