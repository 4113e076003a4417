//! The command line of `get`.
//!
//! Owns which options belong to which format. An option that the chosen format does not use is a mistake, so that nobody relies on one
//! that does nothing.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PathBufValueParser, PossibleValuesParser, ValueHint};
use clap::{Arg, ArgMatches};
use tokend_client::AccountName;

use super::options::{
    Patient, account, account_arg, duration, duration_arg, patient, text, variable, with_patience,
};
use crate::failure::Failure;
use crate::secret_file::{Owner, SecretFile};
use crate::token::{Form, Format};

#[derive(Debug)]
pub(crate) struct Get {
    pub(crate) account: AccountName,
    pub(crate) form: Form,
    /// The file to write to in place of standard output.
    pub(crate) output: Option<SecretFile>,
    pub(crate) min_validity: Option<Duration>,
    pub(crate) patient: Patient,
}

/// The variable if none is named.
const ENV_NAME: &str = "ACCESS_TOKEN";

/// Each format with its name on the command line.
const FORMATS: [(&str, Format); 11] = [
    ("plain", Format::Plain),
    ("header", Format::Header),
    ("json", Format::Json),
    ("json-headers", Format::JsonHeaders),
    ("env", Format::Env),
    ("dotenv", Format::Dotenv),
    ("curl", Format::Curl),
    ("netrc", Format::Netrc),
    ("xoauth2", Format::Xoauth2),
    ("kubernetes", Format::Kubernetes),
    ("github", Format::Github),
];

pub(super) fn grammar(command: clap::Command) -> clap::Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let format = option("format", "FORMAT", "How to print it")
        .value_parser(PossibleValuesParser::new(FORMATS.map(|(name, _)| name)))
        .default_value("plain");
    let output = option(
        "output",
        "FILE",
        "Write it to this file, whole or not at all",
    )
    .value_parser(PathBufValueParser::new())
    .value_hint(ValueHint::FilePath);
    with_patience(command.args([
        account_arg(),
        format,
        option(
            "env-name",
            "NAME",
            "The variable of env, dotenv and github [default: ACCESS_TOKEN]",
        ),
        option("machine", "HOST", "The host of netrc"),
        option(
            "user",
            "NAME",
            "The user of xoauth2; also of netrc [default there: oauth2]",
        ),
        duration_arg("min-validity", "How long the token must still live"),
        output,
        option("mode", "MODE", "The permissions of FILE [default: 600]").requires("output"),
        option("owner", "USER[:GROUP]", "Who owns FILE [default: you]").requires("output"),
    ]))
}

/// The commonest command line, `[--socket PATH] get ACCOUNT`, as clap reads it: to build the grammar would take a tenth of the time that the
/// whole command takes. Anything else is left to clap.
pub(super) fn read_plain(words: &[OsString]) -> Option<(Option<PathBuf>, Get)> {
    let (socket, account) = match words {
        [_, get, account] if get == "get" => (None, account),
        [_, option, socket, get, account] if option == "--socket" && get == "get" => {
            (Some(socket), account)
        }
        _ => return None,
    };
    let is_plain = |word: &&OsString| !word.is_empty() && !word.as_bytes().starts_with(b"-");
    if !socket.iter().all(is_plain) {
        return None;
    }
    let get = Get {
        account: Some(account).filter(is_plain)?.to_str()?.parse().ok()?,
        form: Form {
            format: Format::Plain,
            env_name: ENV_NAME.to_owned(),
            machine: None,
            user: None,
        },
        output: None,
        min_validity: None,
        patient: Patient {
            wait: None,
            timeout: None,
        },
    };
    Some((socket.map(PathBuf::from), get))
}

pub(super) fn read(matches: &ArgMatches) -> Result<Get, Failure> {
    let (form, output) = (form(matches)?, output(matches)?);
    if form.format == Format::Github && output.is_some() {
        return Err(Failure::usage(
            "--format github masks the token on standard output, so it has no --output",
            "leave out --output, or use another --format",
        ));
    }
    Ok(Get {
        account: account(matches)?,
        form,
        output,
        min_validity: duration(matches, "min-validity")?,
        patient: patient(matches)?,
    })
}

fn form(matches: &ArgMatches) -> Result<Form, Failure> {
    let named = text(matches, "format").unwrap_or_default();
    let format = FORMATS.iter().find(|(name, _)| *name == named);
    let format = format.map_or(Format::Plain, |(_, format)| *format);
    let option = |name: &str, formats: &[Format]| match text(matches, name) {
        Some(_) if !formats.contains(&format) => Err(useless(name, formats)),
        value => Ok(value),
    };
    let env_name = option("env-name", &[Format::Env, Format::Dotenv, Format::Github])?;
    let machine = option("machine", &[Format::Netrc])?;
    let user = option("user", &[Format::Xoauth2, Format::Netrc])?;
    match (format, machine, user) {
        (Format::Netrc, None, _) => {
            return Err(Failure::usage(
                "--format netrc needs the host that the token is for",
                "add --machine HOST",
            ));
        }
        (Format::Xoauth2, _, None) => {
            return Err(Failure::usage(
                "--format xoauth2 needs the user of the mailbox",
                "add --user NAME, for most providers the mail address",
            ));
        }
        _ => {}
    }
    Ok(Form {
        format,
        env_name: env_name
            .map_or(Ok(ENV_NAME), |name| variable(name, "--env-name"))?
            .to_owned(),
        machine: word("machine", machine)?,
        user: word("user", user)?,
    })
}

/// An option that the format does not use.
fn useless(option: &str, formats: &[Format]) -> Failure {
    let names = FORMATS
        .iter()
        .filter(|(_, format)| formats.contains(format));
    let names: Vec<&str> = names.map(|(name, _)| *name).collect();
    Failure::usage(
        format!(
            "--{option} has no meaning without --format {}",
            names.join(" or ")
        ),
        format!("add --format {}", names.first().unwrap_or(&"plain")),
    )
}

/// The value of an option that is one word in a file or a reply.
fn word(option: &str, value: Option<&str>) -> Result<Option<String>, Failure> {
    match value {
        Some(word)
            if word.is_empty()
                || !word
                    .chars()
                    .all(|c| c.is_ascii_graphic() && !"\"'\\#".contains(c)) =>
        {
            Err(Failure::usage(
                format!("the value of --{option} is no single plain word"),
                "use letters, digits and signs, without blanks, quotes, # and \\",
            ))
        }
        value => Ok(value.map(str::to_owned)),
    }
}

fn output(matches: &ArgMatches) -> Result<Option<SecretFile>, Failure> {
    let Some(path) = matches.get_one::<PathBuf>("output") else {
        return Ok(None);
    };
    let mode = text(matches, "mode").map_or(Ok(0o600), mode)?;
    let owner = text(matches, "owner").map(Owner::parse).transpose()?;
    Ok(Some(SecretFile::new(path.clone(), mode, owner)))
}

/// Permissions in octal digits, as for chmod(1). Whoever owns the file must be able to read it, and no program may run it.
fn mode(text: &str) -> Result<u32, Failure> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| digits);
    mode.filter(|mode| *mode <= 0o777 && mode & 0o111 == 0 && mode & 0o400 != 0)
        .ok_or_else(|| {
            Failure::usage(
                format!("--mode {text:?} is no permission of a file with a token"),
                "use octal digits such as 600, 640 or 644; the owner can read it, and nobody can run it",
            )
        })
}
