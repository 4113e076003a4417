//! Becoming the program that makes requests.
//!
//! Owns where it is: beside tokenctl, so that both are of one release.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::failure::{Exit, Failure};

/// Becomes `tokenctl-request`, with the words of this command line. Returns only if that fails.
pub(crate) fn become_it() -> Failure {
    const NAME: &str = "tokenctl-request";
    let own = match std::env::current_exe() {
        Ok(own) => own,
        Err(error) => return not_there(&error),
    };
    let mut command = Command::new(own.with_file_name(NAME));
    command.args(std::env::args_os().skip(1));
    not_there(&command.exec())
}

fn not_there(error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::NotRun,
        format!("the program tokenctl-request cannot be run: {error}"),
        "install it from the same release into the directory of tokenctl",
    )
}
