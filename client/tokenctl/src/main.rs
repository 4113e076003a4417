//! `tokenctl`: the command line of tokend, and the only place of the project that prints.
//!
//! Owns what people type and read. It holds no state, starts no runtime, and never prints a token or a credential
//! anywhere but on standard output, where one was asked for. Its exit codes are a contract; see [`failure::Exit`].

mod arguments;
mod clock;
mod commands;
mod completion;
mod deadline;
mod doctor;
mod exec;
mod failure;
mod help;
mod helper;
mod input;
mod integrate;
mod lasting_watch;
mod output;
mod prompt;
mod secret_file;
mod status;
mod token;
mod token_watch;
mod trust;
mod watch;
mod who_answered;
mod whoami;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    // The message of a panic may hold a token. Its location does not, and nothing else is printed.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let place = place.as_deref().unwrap_or("an unknown place");
        output::note(&format!("a defect, at {place}; please report it"));
    }));
    let ended = arguments::parse(std::env::args_os()).and_then(commands::run);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(clock::now()),
    }
}
