//! Starts tokenctl and looks at its results.

use std::process::Output;

use assert_cmd::Command;

use crate::fake::FakeDaemon;

/// The value of every token in these tests, so that its absence elsewhere can be shown.
pub(crate) const TOKEN: &str = "hunter2.access-token";

/// What tokenctl printed, and its exit code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs tokenctl against a daemon, without a terminal.
pub(crate) fn tokenctl(daemon: &FakeDaemon, arguments: &[&str]) -> Ended {
    ended(&command(daemon, arguments).output().unwrap())
}

/// The same with something on standard input.
pub(crate) fn tokenctl_with_input(daemon: &FakeDaemon, arguments: &[&str], input: &str) -> Ended {
    ended(
        &command(daemon, arguments)
            .write_stdin(input)
            .output()
            .unwrap(),
    )
}

/// Runs tokenctl where only `--socket` finds a daemon.
pub(crate) fn bare(arguments: &[&str]) -> Ended {
    ended(&bare_command(arguments).output().unwrap())
}

pub(crate) fn bare_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenctl"));
    command
        .args(arguments)
        .env_clear()
        .env("TZ", "UTC")
        .timeout(std::time::Duration::from_secs(60));
    command
}

fn command(daemon: &FakeDaemon, arguments: &[&str]) -> Command {
    let mut command = bare_command(arguments);
    command.env("TOKEND_SOCKET", daemon.socket());
    command
}

pub(crate) fn ended(output: &Output) -> Ended {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!stderr.contains(TOKEN), "a token reached standard error");
    Ended {
        code: output.status.code().expect("tokenctl ends by itself"),
        stdout: String::from_utf8(output.stdout.clone()).unwrap(),
        stderr,
    }
}
