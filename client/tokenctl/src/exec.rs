//! Running a command with tokens.
//!
//! Owns the order of things: every token is there before anything is started, and then this process becomes the command. So signals, the
//! terminal and the exit status are the command's own, and nothing of tokenctl is left to be killed but a process beside it: with `--file`
//! the updater of the files, with `--as` the server of an endpoint.

mod apart;
mod endpoint;
mod handover;
mod kept_file;
mod obtained;
mod runtime;
mod start;
mod updater;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use crate::arguments::{EndpointKind, Exec, Place};
use crate::failure::{Exit, Failure};
use crate::{token, words};
pub(crate) use endpoint::serve;
pub(crate) use obtained::Obtained;
pub(crate) use runtime::{Runtime, left_over};
pub(crate) use start::Updater;
pub(crate) use updater::run as keep;

/// Becomes the command. Returns only if that fails.
pub(crate) fn run(
    socket: &Path,
    options: &Exec,
    tokens: &[Obtained],
    updater: Option<Updater>,
) -> Result<(), Failure> {
    let Some((program, arguments)) = options.command.split_first() else {
        return Err(Failure::usage(
            "the command is missing",
            "write it behind --",
        ));
    };
    let mut command = Command::new(program);
    command.args(arguments);
    // They have to stay open until the command has them.
    let mut files = Vec::new();
    for ((_, variable), obtained) in options.tokens.iter().zip(tokens) {
        match options.place {
            Place::Environment => {
                command.env(variable, of_variable(variable, obtained.secret())?);
            }
            Place::Descriptor => {
                let file = in_memory(obtained.secret()).map_err(|error| {
                    Failure::new(
                        Exit::Io,
                        format!("the token cannot be put into memory for the command: {error}"),
                        "leave out --fd, which puts it into the variable itself",
                    )
                })?;
                command.env(variable, format!("/dev/fd/{}", file.as_raw_fd()));
                files.push(file);
            }
            // All of them together, below.
            Place::File => {}
            // One that SDKs cannot use is noticed before the command is started.
            Place::Endpoint(EndpointKind::Azure | EndpointKind::Gce) => {
                token::bearer(&obtained.token)?;
            }
            Place::Endpoint(EndpointKind::ExternalAccount) => {}
        }
    }
    if let Place::Endpoint(kind) = options.place {
        endpoint::prepare(&mut command, socket, options, kind)?;
    }
    if let Some(updater) = updater {
        let directory = updater.give(options, tokens)?;
        for (account, variable) in &options.tokens {
            command.env(variable, directory.path_of(account));
        }
    }
    // With --file the updater sees this process end, and removes the files.
    Err(not_run(program, &command.exec()))
}

/// A token as it can stand in a variable.
fn of_variable<'t>(variable: &str, secret: &'t str) -> Result<&'t str, Failure> {
    match secret.contains('\0') {
        false => Ok(secret),
        true => Err(Failure::new(
            Exit::Software,
            format!("the token for {variable} has a zero byte, which no variable can hold"),
            "use --fd, and check what the provider sends",
        )),
    }
}

/// A file in memory with the token, which the command inherits and nobody can change.
fn in_memory(secret: &str) -> io::Result<OwnedFd> {
    let file = memfd_create("access-token", MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(file);
    file.write_all(secret.as_bytes())?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

/// As shells do: 127 if there is no such program, 126 if it cannot be run.
fn not_run(program: &OsString, error: &io::Error) -> Failure {
    let (exit, advice) = match error.kind() {
        ErrorKind::NotFound => (
            Exit::NoCommand,
            "check its name, and that the variable PATH has its directory",
        ),
        ErrorKind::PermissionDenied => (
            Exit::NotRun,
            "check that it is a program and that you may execute it",
        ),
        _ => (Exit::NotRun, "check the program and its arguments"),
    };
    let program = words::plain(&program.to_string_lossy());
    Failure::new(exit, format!("{program} cannot be run: {error}"), advice)
}
