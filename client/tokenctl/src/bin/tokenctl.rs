//! The program `tokenctl`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tokenctl::tokenctl()
}
