//! The command line of `helper`, and the names under which other programs start it.
//!
//! Owns which helper a link to this program is.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches};
use tokend_client::AccountName;

use super::options::{Patient, optional_account, patient, text, with_patience};
use crate::failure::Failure;

#[derive(Debug)]
pub(crate) struct Helper {
    pub(crate) protocol: Protocol,
    pub(crate) operation: String,
    /// `None`: whichever account is for the address that is asked about.
    pub(crate) account: Option<AccountName>,
    /// The user name to give beside the token.
    pub(crate) user: Option<String>,
    pub(crate) patient: Patient,
}

/// Whose protocol a helper speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Git,
    Docker,
}

/// Each protocol with its name on the command line and the name its callers start.
const PROTOCOLS: [(&str, &str, Protocol); 2] = [
    ("git", "git-credential-tokenctl", Protocol::Git),
    ("docker", "docker-credential-tokenctl", Protocol::Docker),
];

/// The words of the command line; the helper is spelled out if the program was started by the name of one.
pub(super) fn spelled_out(words: Vec<OsString>) -> Vec<OsString> {
    let started = words.first().map(Path::new).and_then(Path::file_name);
    let helper = PROTOCOLS
        .iter()
        .find(|(_, link, _)| started == Some(OsStr::new(link)));
    let Some((name, ..)) = helper else {
        return words;
    };
    let spelled = ["tokenctl", "helper", name].map(OsString::from);
    spelled
        .into_iter()
        .chain(words.into_iter().skip(1))
        .collect()
}

pub(super) fn grammar(command: clap::Command) -> clap::Command {
    let protocol = Arg::new("protocol")
        .value_name("PROTOCOL")
        .required(true)
        .value_parser(PossibleValuesParser::new(PROTOCOLS.map(|(name, ..)| name)))
        .help("Who asks");
    let operation = Arg::new("operation")
        .value_name("OPERATION")
        .required(true)
        .help("What is asked, which the calling program adds");
    let account = Arg::new("account")
        .long("account")
        .value_name("ACCOUNT")
        .help(
            "Whose token [default: the account whose addresses have the one that is asked about]",
        );
    let user = Arg::new("user")
        .long("user")
        .value_name("NAME")
        .help("The user name beside the token [default: oauth2]");
    with_patience(command.args([protocol, operation, account, user]))
}

pub(super) fn read(matches: &ArgMatches) -> Result<Helper, Failure> {
    let named = text(matches, "protocol").unwrap_or_default();
    let protocol = PROTOCOLS.iter().find(|(name, ..)| *name == named);
    let user = text(matches, "user");
    if user.is_some_and(|user| user.is_empty() || user.contains(char::is_control)) {
        return Err(Failure::usage(
            "the value of --user is empty or has a line break",
            "give the user name that the server wants beside a token",
        ));
    }
    Ok(Helper {
        protocol: protocol.map_or(Protocol::Git, |(.., protocol)| *protocol),
        operation: text(matches, "operation").unwrap_or_default().to_owned(),
        account: optional_account(matches)?,
        user: user.map(str::to_owned),
        patient: patient(matches)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_the_helper_of_its_name() {
        let spelled = |words: &[&str]| {
            let words = spelled_out(words.iter().map(OsString::from).collect());
            let words = words.iter().map(|word| word.to_str().unwrap().to_owned());
            words.collect::<Vec<_>>().join(" ")
        };
        for (words, expected) in [
            (
                &[
                    "/usr/bin/git-credential-tokenctl",
                    "--account",
                    "ads",
                    "get",
                ][..],
                "tokenctl helper git --account ads get",
            ),
            (
                &["git-credential-tokenctl", "erase"],
                "tokenctl helper git erase",
            ),
            (
                &["docker-credential-tokenctl", "get"],
                "tokenctl helper docker get",
            ),
            (
                &["./tokenctl", "get", "git-credential-tokenctl"],
                "./tokenctl get git-credential-tokenctl",
            ),
            (
                &["git-credential-tokenctl.old", "get"],
                "git-credential-tokenctl.old get",
            ),
            (&[], ""),
        ] {
            assert_eq!(spelled(words), expected);
        }
    }
}
