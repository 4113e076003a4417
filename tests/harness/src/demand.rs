//! What a machine may lack and CI may not.
//!
//! Owns the one rule for tests that need more than any machine has: no test is skipped silently, and with `CI=true` none is skipped.

use std::{
    env,
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use anyhow::Context as _;
use rustix::process::geteuid;

/// Names the file that `tests/run` prints last, because the output of a test that passed is never shown.
const FILE: &str = "TOKEND_NOT_PROVED";

/// Whether a test should go on: yes, or no and the reason was printed. `possible` is what was found about the machine.
///
/// # Panics
/// With `CI=true`, when it is not possible.
pub fn carried_out(what: &str, possible: anyhow::Result<()>) -> bool {
    let Err(error) = possible else { return true };
    let demanded = env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!demanded, "{what} cannot be proved here: {error:#}");
    let why = format!("{what}: {error:#}");
    // If nothing is there to receive it, the test's own name is left.
    drop(writeln!(io::stderr(), "NOT PROVED here: {why}"));
    if let Some(file) = env::var_os(FILE).map(PathBuf::from) {
        note(&file, &test(), &why).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    false
}

/// Adds a test to the list.
fn note(file: &Path, test: &str, why: &str) -> io::Result<()> {
    // One line in one write, for tests that run at once.
    let line = format!("{}\t{test}\n", why.replace(['\n', '\t'], " "));
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(line.as_bytes())
}

/// The name of this test. A runner with one process for each test runs it in the main thread, and passes its name as an argument.
fn test() -> String {
    let current = thread::current();
    let named = current.name().filter(|name| *name != "main");
    let asked = env::args().skip(1).find(|word| !word.starts_with('-'));
    named.map(str::to_owned).or(asked).unwrap_or_default()
}

/// Whether this process is root.
///
/// # Errors
/// When it is not.
pub fn root() -> anyhow::Result<()> {
    anyhow::ensure!(geteuid().is_root(), "it takes root");
    Ok(())
}

/// Whether system calls of the daemon can be traced: `strace` is installed, and this process is root, because only root may look into the
/// daemon.
///
/// # Errors
/// What is missing.
pub fn tracing() -> anyhow::Result<()> {
    let status = Command::new("strace")
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("there is no strace; tests/setup installs it")?;
    anyhow::ensure!(status.success(), "strace does not run: {status}");
    root().context("tracing the daemon")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The program that prints the list at the end of a run.
    const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../not-proved");

    fn listed(file: &Path) -> String {
        let said = Command::new(LIST).arg(file).output().expect("bash");
        assert!(said.status.success(), "{said:?}");
        String::from_utf8(said.stdout).expect("UTF-8")
    }

    #[test]
    fn what_was_not_proved_is_listed_by_reason_and_nothing_is_said_of_a_full_machine() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("not-proved");
        assert_eq!(listed(&file), "", "there is no list");
        for (test, why) in [
            ("policy::by_group", "rules: it takes root"),
            ("power::lost", "loss of power: no loop\ndevice"),
            ("policy::by_program", "rules: it takes root"),
        ] {
            note(&file, test, why).expect("a file");
        }
        let expected = "NOT PROVED on this machine, by 3 tests (they passed, and showed nothing):\n\
            \x20 loss of power: no loop device\n    power::lost\n\
            \x20 rules: it takes root\n    policy::by_group\n    policy::by_program\n";
        assert_eq!(listed(&file), expected);
    }

    #[test]
    fn a_test_is_listed_by_its_name() {
        assert!(
            test().ends_with("a_test_is_listed_by_its_name"),
            "{}",
            test()
        );
    }
}
