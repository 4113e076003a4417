//! One booted machine: commands in it, files for it, and its end.
//!
//! Commands enter its namespaces and see its files, users, processes and network, but run outside its units; `systemd-run` in it starts
//! one inside. Dropping the machine ends everything in it at once.

use std::{
    fs::File,
    io,
    net::{SocketAddr, TcpStream},
    os::fd::AsFd as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Context as _;
use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::{group::Group, possible};
use tokend_harness::{
    Said,
    clock::{PATIENCE, wait_for, wait_until},
};

/// Makes its process the machine's init.
const BOOT: &str = include_str!("boot.sh");
/// Enters the machine's group, then the namespaces. If this process dies, so does the machine.
const ENTER: &str = r#"echo 0 >"$1"
exec unshare --mount --propagation private --cgroup --ipc --uts --net --pid --fork --kill-child=SIGKILL -- sh -c "$2" boot "$3""#;
/// No command in a test may take longer; it covers a slow stop of a service.
const LIMIT: Duration = Duration::from_secs(120);
/// The environment of commands in the machine.
const ENVIRONMENT: [(&str, &str); 4] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("LANG", "C.UTF-8"),
    ("HOME", "/root"),
    ("SYSTEMD_PAGER", ""),
];

/// A machine with a running systemd.
#[derive(Debug)]
pub struct Machine {
    /// `unshare`, whose only child is the machine's init.
    outer: Child,
    /// The init, by its number on the host.
    init: Pid,
    /// Last, because it can be removed only when nothing runs in it.
    _group: Group,
}

impl Machine {
    /// Boots one and waits until its services can be started.
    ///
    /// # Errors
    /// When this process lacks the right (ask [`possible()`](super::possible()) first), or the machine does not come up in time.
    pub fn boot() -> anyhow::Result<Self> {
        let group = Group::new()?;
        let mut outer = Command::new("sh")
            .args(["-euc", ENTER, "enter"])
            .arg(group.entrance())
            .args([BOOT, possible::systemd()?])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start a shell")?;
        let init = match wait_for("systemd to take over", PATIENCE, || init_of(&mut outer)) {
            Ok(Ok(init)) => init,
            Ok(Err(error)) => return Err(error),
            Err(error) => {
                drop(outer.kill());
                drop(outer.wait());
                return Err(error);
            }
        };
        let machine = Self {
            outer,
            init,
            _group: group,
        };
        let booted = ["systemctl", "is-active", "tests.target", "dbus.socket"];
        wait_until("the machine to be up", PATIENCE, || {
            machine.run(&booted).is_ok_and(|said| said.code == Some(0))
        })
        .with_context(|| format!("{:?}", machine.run(&["systemctl", "list-jobs"])))?;
        Ok(machine)
    }

    /// Runs a command as root and waits for its end, whatever its exit code.
    ///
    /// # Errors
    /// When it cannot be started or does not end.
    pub fn run(&self, command: &[&str]) -> anyhow::Result<Said> {
        self.run_with(command, Stdio::null())
    }

    /// The same, with input on its standard input.
    ///
    /// # Errors
    /// As [`Machine::run`].
    pub fn run_with(&self, command: &[&str], input: impl Into<Stdio>) -> anyhow::Result<Said> {
        self.spawn_with(command, input)?.wait()
    }

    /// Runs a command as another user, with that user's groups.
    ///
    /// # Errors
    /// As [`Machine::run`].
    pub fn run_as(&self, user: &str, command: &[&str]) -> anyhow::Result<Said> {
        self.run(&as_user(user, command))
    }

    /// Runs lines of a shell as root, as an operator would type them; ends with the first that fails.
    ///
    /// # Errors
    /// When one fails; the error repeats its output.
    pub fn shell(&self, lines: &str) -> anyhow::Result<String> {
        self.run(&["sh", "-euc", lines])?
            .line()
            .with_context(|| format!("in: {lines}"))
    }

    /// Starts a command as root and does not wait for it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, command: &[&str]) -> anyhow::Result<Running> {
        self.spawn_with(command, Stdio::null())
    }

    /// Starts a command as another user and does not wait for it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_as(&self, user: &str, command: &[&str]) -> anyhow::Result<Running> {
        self.spawn(&as_user(user, command))
    }

    fn spawn_with(&self, command: &[&str], input: impl Into<Stdio>) -> anyhow::Result<Running> {
        let child = Command::new("nsenter")
            .args(["--all", "--target"])
            .arg(self.init.as_raw_nonzero().to_string())
            .arg("--")
            .args(command)
            .env_clear()
            .envs(ENVIRONMENT)
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("there is no nsenter; tests/setup installs util-linux")?;
        Ok(Running {
            child: Some(child),
            what: format!("{command:?}"),
        })
    }

    /// Writes a file owned by root, with the directories it needs.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, path: &str, text: &str, mode: &str) -> anyhow::Result<()> {
        let mut file = tempfile::tempfile()?;
        io::Write::write_all(&mut file, text.as_bytes())?;
        io::Seek::rewind(&mut file)?;
        self.place(file, path, mode)
    }

    /// Copies a file of the host into the machine, with the directories it needs.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn copy(&self, from: &Path, path: &str, mode: &str) -> anyhow::Result<()> {
        let file = File::open(from).with_context(|| from.display().to_string())?;
        self.place(file, path, mode)
    }

    /// `install` writes a new file: a running program keeps the old one.
    fn place(&self, file: File, path: &str, mode: &str) -> anyhow::Result<()> {
        let said = self.run_with(&["install", "-D", "-m", mode, "/dev/stdin", path], file)?;
        said.line().map(drop)
    }

    /// The log of a unit, messages only.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn journal(&self, unit: &str) -> anyhow::Result<String> {
        self.run(&["journalctl", "--sync"])?.line()?;
        self.run(&["journalctl", "--output=cat", "--no-pager", "--unit", unit])?
            .line()
    }

    /// One property of a unit, such as `ActiveState`.
    ///
    /// # Errors
    /// When systemd does not say.
    pub fn property(&self, unit: &str, name: &str) -> anyhow::Result<String> {
        self.run(&["systemctl", "show", "--value", "--property", name, unit])?
            .line()
    }

    /// Runs a function in the machine's network: sockets made meanwhile stay in it. The machine has only loopback.
    ///
    /// # Errors
    /// When its network cannot be entered.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        self.network()?.within(act)
    }

    /// The machine's network, to enter later.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn network(&self) -> anyhow::Result<Network> {
        let file = File::open(format!("/proc/{}/ns/net", self.init.as_raw_nonzero()))?;
        Ok(Network(Arc::new(file)))
    }
}

/// The network of a machine.
#[derive(Clone, Debug)]
pub struct Network(Arc<File>);

impl Network {
    /// Runs a function in it.
    ///
    /// # Errors
    /// When it cannot be entered.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        let entered = thread::scope(|scope| {
            // A thread of its own, because a namespace is a property of a thread.
            let inside = scope.spawn(move || {
                move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))?;
                io::Result::Ok(act())
            });
            inside.join()
        });
        let entered = entered.map_err(|_| anyhow::anyhow!("what was done in the machine died"))?;
        entered.context("cannot enter the machine's network")
    }

    /// A connection from inside it.
    ///
    /// # Errors
    /// When the network cannot be entered, or nothing listens there.
    pub fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        self.within(|| TcpStream::connect(to))
            .map_err(io::Error::other)?
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With the init, everything in its namespaces ends. All of these fail only if it is already gone.
        let _gone = kill_process(self.init, Signal::KILL);
        drop(self.outer.kill());
        drop(self.outer.wait());
    }
}

/// A command that runs in the machine. It ends with the machine at the latest.
#[derive(Debug)]
pub struct Running {
    child: Option<Child>,
    what: String,
}

impl Running {
    /// Whether it has ended.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait()?.is_some()),
            None => Ok(true),
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn wait(mut self) -> anyhow::Result<Said> {
        let child = self.child.take().context("it was waited for already")?;
        let id = child.id();
        let (done, ended) = std::sync::mpsc::sync_channel(1);
        thread::spawn(move || {
            // The channel is closed only if the time was over.
            drop(done.send(child.wait_with_output()));
        });
        let Ok(output) = ended.recv_timeout(LIMIT) else {
            if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
                let _gone = kill_process(pid, Signal::KILL);
            }
            anyhow::bail!("{} did not end within {LIMIT:?}", self.what);
        };
        let output = output.with_context(|| self.what.clone())?;
        Ok(Said {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The init among the children of `unshare`, once it is systemd; or the reason why there will be none.
fn init_of(outer: &mut Child) -> Option<anyhow::Result<Pid>> {
    if let Ok(Some(status)) = outer.try_wait() {
        let mut said = String::new();
        if let Some(mut stderr) = outer.stderr.take() {
            drop(io::Read::read_to_string(&mut stderr, &mut said));
        }
        return Some(Err(anyhow::anyhow!(
            "no machine: {status}: {}",
            said.trim()
        )));
    }
    let id = outer.id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    let init: i32 = children.split_whitespace().next()?.parse().ok()?;
    let name = std::fs::read_to_string(format!("/proc/{init}/comm")).ok()?;
    (name.trim() == "systemd").then_some(())?;
    Pid::from_raw(init).map(Ok)
}

fn as_user<'a>(user: &'a str, command: &[&'a str]) -> Vec<&'a str> {
    let mut line = vec!["runuser", "--user", user, "--"];
    line.extend(command);
    line
}
