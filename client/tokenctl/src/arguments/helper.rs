//! The command line of `helper`, and the names under which other programs start it.
//!
//! Owns which helper a link to this program is.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches};
use tokend_client::AccountName;

use super::options::{Patient, flag, optional_account, patient, text, with_patience};
use crate::failure::Failure;

#[derive(Debug)]
pub(crate) struct Helper {
    pub(crate) protocol: Protocol,
    pub(crate) operation: String,
    /// What it is about, where a calling program says so on the command line: a host, or a service and perhaps a user.
    pub(crate) about: Vec<String>,
    /// `None`: whichever account is for the address that is asked about.
    pub(crate) account: Option<AccountName>,
    /// The user name to give beside the token.
    pub(crate) user: Option<String>,
    /// The user name is asked for too.
    pub(crate) with_user: bool,
    pub(crate) patient: Patient,
}

/// Whose protocol a helper speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Git,
    Docker,
    Cargo,
    Terraform,
    Keyring,
}

/// Each protocol with its name on the command line, the name its callers start, and how many words follow the operation at most.
const PROTOCOLS: [(&str, &str, Protocol, usize); 5] = [
    ("git", "git-credential-tokenctl", Protocol::Git, 0),
    ("docker", "docker-credential-tokenctl", Protocol::Docker, 0),
    ("cargo", "cargo-credential-tokenctl", Protocol::Cargo, 0),
    (
        "terraform",
        "terraform-credentials-tokenctl",
        Protocol::Terraform,
        1,
    ),
    // Only a person makes this link: the command belongs to Python's keyring.
    ("keyring", "keyring", Protocol::Keyring, 2),
];

/// What cargo adds in place of an operation, which it names in the conversation.
const CARGO_PLUGIN: &str = "cargo-plugin";

/// The words of the command line; the helper is spelled out if the program was started by the name of one.
pub(super) fn spelled_out(words: Vec<OsString>) -> Vec<OsString> {
    let started = words.first().map(Path::new).and_then(Path::file_name);
    let helper = PROTOCOLS
        .iter()
        .find(|(_, link, ..)| started == Some(OsStr::new(link)));
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
        .required_unless_present(CARGO_PLUGIN)
        .help("What is asked, which the calling program adds");
    let about = Arg::new("about")
        .value_name("ABOUT")
        .num_args(0..)
        .help("What it is about: terraform names a host, keyring a service and a user");
    let plugin = flag(CARGO_PLUGIN, "Talk with cargo, which adds this").conflicts_with("operation");
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
    let mode = Arg::new("mode")
        .long("mode")
        .value_name("MODE")
        .value_parser(PossibleValuesParser::new(["password", "creds"]))
        .help("What keyring prints: the token, or the user name before it [default: password]");
    with_patience(command.args([protocol, operation, about, account, user, mode, plugin]))
}

pub(super) fn read(matches: &ArgMatches) -> Result<Helper, Failure> {
    let named = text(matches, "protocol").unwrap_or_default();
    let protocol = PROTOCOLS.iter().find(|(name, ..)| *name == named);
    let (name, _, protocol, most) = protocol.unwrap_or(&PROTOCOLS[0]);
    let about: Vec<String> = matches
        .get_many("about")
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    if about.len() > *most {
        return Err(Failure::usage(
            format!("there is a word too many behind the operation of {name}"),
            "what git, docker and cargo ask about is read from standard input",
        ));
    }
    if matches.get_flag(CARGO_PLUGIN) != (*protocol == Protocol::Cargo) {
        return Err(Failure::usage(
            "--cargo-plugin and the protocol cargo belong together",
            "let cargo start it: credential-provider = \"cargo-credential-tokenctl\" in its config.toml",
        ));
    }
    let mode = text(matches, "mode");
    if mode.is_some() && *protocol != Protocol::Keyring {
        return Err(Failure::usage(
            "--mode has no meaning without the protocol keyring",
            "leave it out",
        ));
    }
    let user = text(matches, "user");
    if user.is_some_and(|user| user.is_empty() || user.contains(char::is_control)) {
        return Err(Failure::usage(
            "the value of --user is empty or has a line break",
            "give the user name that the server wants beside a token",
        ));
    }
    Ok(Helper {
        protocol: *protocol,
        operation: text(matches, "operation").unwrap_or_default().to_owned(),
        about,
        account: optional_account(matches)?,
        user: user.map(str::to_owned),
        with_user: mode == Some("creds"),
        patient: patient(matches)?,
    })
}

/// The options that stand beside the provider's name in cargo's configuration, which cargo passes in the conversation.
pub(crate) fn read_cargo(words: &[String]) -> Result<Helper, Failure> {
    let fixed = ["helper", "cargo", "--cargo-plugin"].into_iter();
    let words = fixed.chain(words.iter().map(String::as_str));
    let command = grammar(clap::Command::new("helper").disable_help_flag(true));
    match command.try_get_matches_from(words) {
        Ok(matches) => read(&matches),
        Err(_) => Err(Failure::usage(
            "the options of cargo-credential-tokenctl are wrong",
            "use --account, --wait and --timeout there, as in: credential-provider = [\"cargo-credential-tokenctl\", \"--account\", \"ads\"]",
        )),
    }
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
                &["cargo-credential-tokenctl", "--cargo-plugin"],
                "tokenctl helper cargo --cargo-plugin",
            ),
            (
                &["terraform-credentials-tokenctl", "get", "app.example.com"],
                "tokenctl helper terraform get app.example.com",
            ),
            (
                &["/opt/bin/keyring", "--mode", "creds", "get", "a.test"],
                "tokenctl helper keyring --mode creds get a.test",
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
