//! A temporary directory a daemon can live in: configuration, state, socket and log.
//!
//! Outlives the daemon, so that a test can kill one and start the next on the same state.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use tempfile::TempDir;

use super::binaries::{Binaries, built};
use crate::clock::wait_for;
use tokend_provider_simulator::Configuration;

/// No call of `tokenctl` in a test may take longer; calls that wait on purpose stay well below.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place for one daemon at a time.
#[derive(Debug)]
pub struct Site {
    directory: TempDir,
    binaries: Binaries,
    environment: Vec<(&'static str, String)>,
}

/// The result of a call of `tokenctl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Exit code; absent if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Standard output without its line end, if the exit code is 0.
    ///
    /// # Errors
    /// When the exit code is another; the error repeats the output.
    pub fn line(&self) -> anyhow::Result<String> {
        anyhow::ensure!(self.code == Some(0), "tokenctl failed: {self:?}");
        Ok(self.out.trim_end_matches('\n').to_owned())
    }

    /// Standard output as JSON, if the exit code is 0.
    ///
    /// # Errors
    /// When the exit code is another, or the output is not JSON.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        let line = self.line()?;
        serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))
    }
}

impl Site {
    /// A new empty place.
    ///
    /// # Errors
    /// When there is no temporary directory or the programs have not been built.
    pub fn new() -> anyhow::Result<Self> {
        // Short, because the path of a Unix socket has at most 107 bytes.
        let directory = tempfile::Builder::new().prefix("tokend-").tempdir()?;
        Ok(Self {
            directory,
            binaries: built()?,
            environment: Vec::new(),
        })
    }

    /// The same place with other programs, for tests with two versions.
    #[must_use]
    pub fn with_programs(mut self, binaries: Binaries) -> Self {
        self.binaries = binaries;
        self
    }

    /// The same place with this variable in the environment of its daemons.
    #[must_use]
    pub fn with_variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// A new place with this configuration.
    ///
    /// # Errors
    /// As [`Site::new`], or when the configuration cannot be written.
    pub fn with(configuration: &Configuration) -> anyhow::Result<Self> {
        let site = Self::new()?;
        configuration.write(site.path())?;
        Ok(site)
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The programs used.
    #[must_use]
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Variables of its daemons' environment, besides those of this process.
    #[must_use]
    pub fn environment(&self) -> &[(&'static str, String)] {
        &self.environment
    }

    /// The configuration file.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.path().join("tokend.toml")
    }

    /// The state directory.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path().join("tokend.sock")
    }

    /// Everything all daemons of this place have logged.
    ///
    /// # Errors
    /// When it cannot be read, as before the first start.
    pub fn log(&self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.log_path())?).into_owned())
    }

    /// The log, once it has all of these words. A line may be written after the event it reports.
    ///
    /// # Errors
    /// When they do not come in time; the error repeats the log.
    pub fn log_with(&self, words: &[&str]) -> anyhow::Result<String> {
        let has_all = || {
            let log = self.log().ok()?;
            words.iter().all(|word| log.contains(word)).then_some(log)
        };
        let what = format!("the log to have {words:?}");
        wait_for(&what, PATIENCE, has_all).with_context(|| self.log().unwrap_or_default())
    }

    /// The file all daemons of this place log to.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.path().join("daemon.log")
    }

    /// Runs `tokenctl` against this place.
    ///
    /// # Errors
    /// When it cannot be started or does not end.
    pub fn tokenctl(&self, arguments: &[&str]) -> anyhow::Result<Said> {
        self.tokenctl_with(arguments, "")
    }

    /// Runs `tokenctl` with `input` on its standard input.
    ///
    /// # Errors
    /// As [`Site::tokenctl`].
    pub fn tokenctl_with(&self, arguments: &[&str], input: &str) -> anyhow::Result<Said> {
        let mut command = assert_cmd::Command::new(&self.binaries.tokenctl);
        command
            .env_remove("TOKEND_SOCKET")
            .arg("--socket")
            .arg(self.socket());
        command.args(arguments).write_stdin(input).timeout(PATIENCE);
        let output = command
            .output()
            .with_context(|| format!("tokenctl {arguments:?}"))?;
        Ok(Said {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// `tokenctl get ACCOUNT`: the access token.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, account: &str) -> anyhow::Result<String> {
        self.tokenctl(&["get", account])?.line()
    }

    /// `tokenctl status ACCOUNT --json`: its one element.
    ///
    /// # Errors
    /// When the daemon does not say.
    pub fn status(&self, account: &str) -> anyhow::Result<serde_json::Value> {
        let status = self.tokenctl(&["status", account, "--json"])?.json()?;
        let first = status.get(0).cloned();
        first.with_context(|| format!("no status of {account} in {status}"))
    }
}
