//! A token in a workflow of GitHub Actions: masked in the log, then set as a variable of the steps that follow.
//!
//! Source: GitHub's documentation of workflow commands, `add-mask` and environment files. The mask has to be printed before anything can
//! print the token, and it only works on standard output.

use std::env;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;

use zeroize::Zeroizing;

use super::parts::{demand_plain, line};
use crate::failure::{Exit, Failure};

const FILE: &str = "GITHUB_ENV";

/// The command that masks the token in the log.
pub(super) fn mask(secret: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    demand_plain(secret, "a workflow command")?;
    file()?;
    // In the data of a workflow command a percent sign is escaped.
    let escaped = Zeroizing::new(secret.replace('%', "%25"));
    Ok(line(&["::add-mask::", &escaped]))
}

/// Sets the variable for the steps that follow.
pub(super) fn set(name: &str, secret: &str) -> Result<(), Failure> {
    let path = file()?;
    let written = OpenOptions::new()
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(&line(&[name, "=", secret])));
    written.map_err(|error| {
        Failure::new(
            Exit::Io,
            format!("cannot write to the file that {FILE} names: {error}"),
            "run this in a step of a workflow, whose runner makes that file",
        )
    })
}

fn file() -> Result<OsString, Failure> {
    let named = env::var_os(FILE).filter(|path| !path.is_empty());
    named.ok_or_else(|| {
        Failure::new(
            Exit::Config,
            format!("{FILE} is not set: this is no step of a workflow of GitHub Actions"),
            "use another --format elsewhere",
        )
    })
}
