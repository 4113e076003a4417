//! `tokenctl`: the command line of tokend, and the only place of the project that prints.
//!
//! Two programs are made of it: `tokenctl`, and `tokenctl-request` beside it, which alone opens network connections.
//!
//! Owns what people type and read. It holds no state, starts no runtime, and never prints a token or a credential
//! anywhere but on standard output, where one was asked for. Its exit codes are a contract; see `failure::Exit`.

mod account_file;
mod arguments;
mod claims;
mod clock;
mod commands;
mod completion;
mod connection;
mod deadline;
mod doctor;
mod endpoint;
mod exec;
mod failure;
mod help;
mod helper;
mod init;
mod input;
mod integrate;
mod lasting_watch;
mod left_over;
mod login;
mod logs;
mod notes;
mod output;
mod prompt;
mod request;
mod secret_file;
mod sink;
mod status;
mod token;
mod token_watch;
mod trust;
mod watch;
mod who_answered;
mod whoami;
mod words;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use failure::Failure;

/// The program `tokenctl`.
pub fn tokenctl() -> ExitCode {
    finish(commands::run)
}

/// The program `tokenctl-request`, which `tokenctl request` becomes. An HTTP client would triple the size of tokenctl and
/// slow down the start of `get`; and names of hosts are looked up by the system's libraries, which a static program
/// does not have.
pub fn tokenctl_request() -> ExitCode {
    finish(
        |Arguments { socket, command }| match (command, socket.as_deref()) {
            (Command::Request(options), socket) => request::run(socket, &options),
            (Command::Help(text), _) => output::print(text.as_bytes()),
            _ => Err(Failure::usage(
                "tokenctl-request is a part of tokenctl and has no other command than request",
                "run: tokenctl request METHOD URL",
            )),
        },
    )
}

fn finish(run: impl FnOnce(Arguments) -> Result<(), Failure>) -> ExitCode {
    // The message of a panic may hold a token. Its location does not, and nothing else is printed.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let place = place.as_deref().unwrap_or("an unknown place");
        output::note(&format!("a defect, at {place}; please report it"));
    }));
    match arguments::parse(std::env::args_os()).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(clock::now()),
    }
}
