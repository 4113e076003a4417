//! Makes a folder of the files that the built daemon leaves on a disk, for `tests/kept`.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;

/// Runs tokend through a first day and keeps its state directory, key, configuration and frames in DIR.
#[derive(Debug, Parser)]
#[command(name = "kept", bin_name = "cargo kept")]
struct Arguments {
    /// A folder that does not exist yet: tests/kept/VERSION
    dir: PathBuf,
}

fn main() -> ExitCode {
    match tokend_tests::kept::make(&Arguments::parse().dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "kept: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
