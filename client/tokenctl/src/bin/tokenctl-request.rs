//! The program `tokenctl-request`, which `tokenctl request` becomes.

use std::process::ExitCode;

fn main() -> ExitCode {
    tokenctl::tokenctl_request()
}
