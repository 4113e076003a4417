//! One running `tokend` process.
//!
//! Must never leave a process behind: dropping it kills it.

use std::{
    fs::OpenOptions,
    io,
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use super::site::Site;
use crate::clock::{PATIENCE, Stopwatch, wait_for};

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
}

impl Site {
    /// Starts a daemon and waits until it serves.
    ///
    /// # Errors
    /// When it exits or does not serve in time; the error repeats its log.
    pub fn start(&self) -> anyhow::Result<Daemon> {
        Daemon::start_under(&[], self)
    }
}

impl Daemon {
    /// Starts it under another program, as [`Daemon::spawn_under`], and waits until it serves.
    ///
    /// # Errors
    /// As [`Site::start`].
    pub fn start_under(program: &[&str], site: &Site) -> anyhow::Result<Self> {
        let mut daemon = Self::spawn_under(program, site)?;
        let watch = Stopwatch::start();
        loop {
            if let Some(status) = daemon.child.try_wait()? {
                anyhow::bail!("tokend ended with {status}:\n{}", site.log()?);
            }
            if site.tokenctl(&["list"])?.code == Some(0) {
                return Ok(daemon);
            }
            if watch.elapsed() > PATIENCE {
                anyhow::bail!("tokend does not serve:\n{}", site.log()?);
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Starts it without waiting, for tests of daemons that refuse to start.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn spawn(site: &Site) -> anyhow::Result<Self> {
        Self::spawn_under(&[], site)
    }

    /// Starts it under another program, which must become the daemon itself under the same process id.
    ///
    /// # Errors
    /// As [`Daemon::spawn`].
    pub fn spawn_under(program: &[&str], site: &Site) -> anyhow::Result<Self> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(site.log_path())?;
        let tokend = &site.binaries().tokend;
        let mut command = match program {
            [] => Command::new(tokend),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(tokend);
                command
            }
        };
        let child = command
            .arg("run")
            .arg("--config")
            .arg(site.configuration())
            .arg("--state-dir")
            .arg(site.state())
            .arg("--socket")
            .arg(site.socket())
            .env_remove("NOTIFY_SOCKET")
            .env_remove("LISTEN_FDS")
            .env_remove("CREDENTIALS_DIRECTORY")
            // A daemon under systemd would write its records to the journal of the machine.
            .env_remove("INVOCATION_ID")
            .envs(site.environment().iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start tokend")?;
        Ok(Self { child })
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, if it has.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Whether a kill -9 by somebody else has ended it.
    ///
    /// # Errors
    /// When it has ended in another way.
    pub fn killed(&mut self) -> anyhow::Result<bool> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(false);
        };
        let by = status.signal();
        anyhow::ensure!(
            by == Some(Signal::KILL.as_raw()),
            "tokend ended with {status}"
        );
        Ok(true)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id())?;
        let pid = Pid::from_raw(pid).context("a process has a positive id")?;
        kill_process(pid, signal).context("cannot signal tokend")
    }

    /// kill -9, and waits until the process is gone.
    ///
    /// # Errors
    /// When it was already gone.
    pub fn kill(mut self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.child.try_wait()?.is_none(),
            "tokend had ended by itself"
        );
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn terminate(self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When it does not come in time.
    pub fn wait(mut self) -> anyhow::Result<ExitStatus> {
        wait_for("tokend to end", PATIENCE, || {
            self.child.try_wait().ok().flatten()
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only if the process is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
