//! The command line of `endpoint`.
//!
//! Owns which protocol is spoken, for which account, and what its token is for.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PathBufValueParser, PossibleValuesParser, ValueHint};
use clap::{Arg, ArgAction, ArgMatches};
use tokend_client::AccountName;

use super::options::{account, account_arg, text};
use crate::failure::Failure;

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) kind: EndpointKind,
    pub(crate) account: AccountName,
    /// The resources or scopes that its token is for.
    pub(crate) purposes: Vec<String>,
    /// Where its files are.
    pub(crate) directory: PathBuf,
    pub(crate) listen: Option<SocketAddr>,
    /// The configuration of an external account.
    pub(crate) credentials: Option<PathBuf>,
}

/// Whose protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndpointKind {
    /// Azure App Service's identity endpoint.
    Azure,
    /// The metadata server of Google Compute Engine.
    Gce,
    /// Google's `external_account` with an address as its source.
    ExternalAccount,
}

const KINDS: [(&str, EndpointKind); 3] = [
    ("azure", EndpointKind::Azure),
    ("gce", EndpointKind::Gce),
    ("external-account", EndpointKind::ExternalAccount),
];

impl EndpointKind {
    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let found = KINDS.iter().find(|(own, _)| *own == name);
        found.map(|(_, kind)| *kind)
    }
}

impl fmt::Display for EndpointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = KINDS.iter().find(|(_, kind)| kind == self);
        f.write_str(found.map_or("", |(name, _)| name))
    }
}

pub(super) fn kind_parser() -> PossibleValuesParser {
    PossibleValuesParser::new(KINDS.map(|(name, _)| name))
}

pub(super) fn purposes_arg() -> Arg {
    Arg::new("for")
        .long("for")
        .value_name("PURPOSE")
        .action(ArgAction::Append)
        .help("A resource or scope that the token is for; may be given again")
}

/// The purposes, which this kind has to have a word for.
pub(super) fn purposes(
    matches: &ArgMatches,
    kind: Option<EndpointKind>,
) -> Result<Vec<String>, Failure> {
    let words = matches.get_many::<String>("for");
    let purposes: Vec<String> = words.into_iter().flatten().cloned().collect();
    match kind == Some(EndpointKind::ExternalAccount) && !purposes.is_empty() {
        false => Ok(purposes),
        true => Err(Failure::usage(
            "--for has no meaning for external-account: its configuration says what the token is exchanged for",
            "leave it out",
        )),
    }
}

pub(super) fn grammar(command: clap::Command) -> clap::Command {
    let kind = Arg::new("kind")
        .value_name("KIND")
        .required(true)
        .value_parser(kind_parser())
        .help("Whose protocol is spoken");
    let path = |name: &'static str, value: &'static str, help: &'static str| {
        let arg = Arg::new(name).long(name).value_name(value).help(help);
        arg.value_parser(PathBufValueParser::new())
    };
    command.args([
        kind,
        account_arg(),
        purposes_arg(),
        path(
            "directory",
            "DIRECTORY",
            "Where the file `environment` with its variables is written",
        )
        .value_hint(ValueHint::DirPath)
        .required(true),
        Arg::new("listen")
            .long("listen")
            .value_name("ADDRESS")
            .help("127.0.0.1:PORT or [::1]:PORT, where systemd passes no socket"),
        path(
            "credentials",
            "FILE",
            "external-account: the configuration that gcloud made",
        )
        .value_hint(ValueHint::FilePath),
    ])
}

pub(super) fn read(matches: &ArgMatches) -> Result<Endpoint, Failure> {
    let kind = text(matches, "kind").and_then(EndpointKind::named);
    let kind = kind.unwrap_or(EndpointKind::Azure);
    let listen = text(matches, "listen").map(str::parse).transpose();
    let listen = listen.map_err(|_| {
        Failure::usage(
            "--listen is no address with a port",
            "write it as 127.0.0.1:7201, or 127.0.0.1:0 for any free port",
        )
    })?;
    let credentials = matches.get_one::<PathBuf>("credentials").cloned();
    match (kind == EndpointKind::ExternalAccount, credentials.is_some()) {
        (true, false) => Err(Failure::usage(
            "an external account needs its configuration",
            "make it with gcloud iam workload-identity-pools create-cred-config, and name it with --credentials",
        )),
        (false, true) => Err(Failure::usage(
            format!("--credentials has no meaning for {kind}"),
            "leave it out",
        )),
        _ => Ok(Endpoint {
            kind,
            account: account(matches)?,
            purposes: purposes(matches, Some(kind))?,
            directory: matches
                .get_one::<PathBuf>("directory")
                .cloned()
                .unwrap_or_default(),
            listen,
            credentials,
        }),
    }
}
