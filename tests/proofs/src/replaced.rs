//! The sealing key is made and replaced on a failing disk: an error, or a death, at every system call on the way.
//!
//! An error is not a death: the program continues, and draws conclusions. Whatever it concludes, the next start must find a key that opens
//! the store, and the login in it; and nothing may be asked of the provider, which counts.

use std::{
    collections::BTreeMap,
    fmt, fs,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use anyhow::Context as _;

use super::{
    judge::Findings,
    place::Place,
    scene::{IT, Outcome},
};
use tokend_harness::{
    Daemon, Site,
    clock::{PATIENCE, wait_for},
};
use tokend_provider_simulator::{
    Configuration, Simulator,
    spec::{AccountSpec, Api},
};

/// The account with the login; its dialect does not matter.
pub(super) const API: Api = Api::JwtApi;

/// Excluded: calls that never fail on a disk, or that take effect even when they report a failure.
const LEFT_OUT: &str = "!futex,mmap,munmap,mprotect,madvise,brk,mremap,rt_sigprocmask,rt_sigaction,sigaltstack,getrandom,\
                        geteuid,getpid,gettid,umask,close,exit_group,clone3,rseq,set_robust_list,prctl,sched_yield,poll,ioctl,fcntl";

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blow {
    /// The call fails with this error, and the next one works.
    Error(&'static str),
    /// The call fails with this error, and so does every later call of its name.
    ForGood(&'static str),
    /// The process is killed.
    Death,
}

impl Blow {
    const ALL: [Self; 4] = [
        Self::Error("EIO"),
        Self::ForGood("EIO"),
        Self::Error("ENOSPC"),
        Self::Death,
    ];

    fn injection(self, name: &str, number: usize) -> String {
        match self {
            Self::Error(error) => format!("inject={name}:error={error}:when={number}"),
            Self::ForGood(error) => format!("inject={name}:error={error}:when={number}+"),
            Self::Death => format!("inject={name}:signal=KILL:when={number}"),
        }
    }
}

/// The command or start under test, and the state directory it works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// `tokend key rotate` on a store with a login.
    Rotate,
    /// The same, where an earlier rotation ended before it sealed anything.
    RotateAfterNothing,
    /// The same, where an earlier rotation ended before the new key was in place.
    RotateAfterAll,
    /// A start, where an earlier rotation ended before it sealed anything.
    StartAfterNothing,
    /// A start, where an earlier rotation ended before the new key was in place.
    StartAfterAll,
    /// A first start, which makes key, database and marker.
    FirstStart,
    /// `tokend key new`.
    New,
}

impl Deed {
    const ALL: [Self; 7] = [
        Self::Rotate,
        Self::RotateAfterNothing,
        Self::RotateAfterAll,
        Self::StartAfterNothing,
        Self::StartAfterAll,
        Self::FirstStart,
        Self::New,
    ];

    fn is_start(self) -> bool {
        matches!(
            self,
            Self::StartAfterNothing | Self::StartAfterAll | Self::FirstStart
        )
    }
}

/// One call of one deed, and what happens at it.
#[derive(Clone, Debug)]
pub(super) struct Point {
    deed: Deed,
    name: String,
    number: usize,
    blow: Blow,
}

impl Point {
    /// Where an error may still have taken effect: when a key is replaced, a synced change is committed.
    pub(super) fn is_a_commit_that_fails(&self) -> bool {
        self.deed == Deed::Rotate && self.name == "fdatasync" && self.blow == Blow::Error("EIO")
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            deed,
            name,
            number,
            blow,
        } = self;
        write!(f, "{blow:?} at {name} number {number} of {deed:?}")
    }
}

impl Place for Point {
    fn beyond(&self) -> bool {
        false
    }
}

/// A provider, and a store that holds a login at it.
#[derive(Debug)]
pub(super) struct Held {
    sim: Simulator,
    site: Site,
    token: String,
    /// Requests the provider has seen.
    asked: usize,
}

impl Held {
    /// Logs in and stops the daemon.
    ///
    /// # Errors
    /// When that fails.
    pub(super) fn new() -> anyhow::Result<Self> {
        let sim = Simulator::start(vec![AccountSpec::new(IT, API)])?;
        let site = Site::with(&Configuration::of(&sim).everywhere("refresh = \"on-demand\"\n"))?;
        let daemon = site.start()?;
        let token = site.get(IT)?;
        anyhow::ensure!(daemon.terminate()?.success(), "tokend did not end well");
        let asked = sim.log(IT).token_requests();
        Ok(Self {
            sim,
            site,
            token,
            asked,
        })
    }

    /// A place of its own, in the state in which a deed begins.
    fn place(&self, deed: Deed) -> anyhow::Result<Site> {
        let configuration = Configuration::of(&self.sim).everywhere("refresh = \"on-demand\"\n");
        let site = Site::with(&configuration)?;
        let state = site.state();
        fs::create_dir(&state)?;
        fs::set_permissions(&state, fs::Permissions::from_mode(0o700))?;
        if matches!(deed, Deed::FirstStart | Deed::New) {
            return Ok(site);
        }
        for file in fs::read_dir(self.site.state())? {
            let file = file?;
            fs::copy(file.path(), state.join(file.file_name()))?;
        }
        match deed {
            Deed::RotateAfterNothing | Deed::StartAfterNothing => {
                let made = tokend(
                    &site,
                    &[],
                    &["key".as_ref(), "new".as_ref(), next(&site).as_os_str()],
                )?;
                anyhow::ensure!(made.success(), "tokend key new: {made}");
            }
            Deed::RotateAfterAll | Deed::StartAfterAll => {
                let fails = "inject=?rename,?renameat,?renameat2:error=EIO";
                let calls = "trace=?rename,?renameat,?renameat2";
                rotate(
                    &site,
                    &["strace", "-o", "/dev/null", "-e", calls, "-e", fails],
                )?;
                anyhow::ensure!(next(&site).exists(), "the new key took its place");
            }
            _ => {}
        }
        Ok(site)
    }

    /// The result of every call of every deed.
    ///
    /// # Errors
    /// When the calls cannot be traced.
    pub(super) fn points(&self) -> anyhow::Result<Vec<Point>> {
        let mut points = Vec::new();
        for deed in Deed::ALL {
            let site = self.place(deed)?;
            let trace = site.path().join("trace");
            let filter = format!("trace={LEFT_OUT}");
            let output = trace.display().to_string();
            self.carry_out(deed, &site, &["strace", "-D", "-o", &output, "-e", &filter])?;
            let text = fs::read_to_string(&trace).context("cannot read strace's record")?;
            let place = match deed {
                Deed::New => new_key(&site),
                _ => site.state(),
            };
            let found = calls(&text, &place);
            anyhow::ensure!(!found.is_empty(), "strace recorded nothing of {deed:?}");
            for (name, number) in found {
                points.extend(Blow::ALL.map(|blow| Point {
                    deed,
                    name: name.clone(),
                    number,
                    blow,
                }));
            }
        }
        Ok(points)
    }

    /// Runs the deed under another program; returns how it ended, where it did.
    fn carry_out(
        &self,
        deed: Deed,
        site: &Site,
        under: &[&str],
    ) -> anyhow::Result<Option<ExitStatus>> {
        if deed.is_start() {
            let mut daemon = Daemon::spawn_under(under, site)?;
            let ended = wait_for("an end or a daemon that serves", PATIENCE, || {
                let ended = daemon.ended();
                let serves =
                    || matches!(site.tokenctl(&["list"]), Ok(said) if said.code == Some(0));
                (!matches!(ended, Ok(None)) || serves()).then_some(ended)
            })??;
            if ended.is_none() {
                daemon.kill()?;
            }
            return Ok(ended);
        }
        match deed {
            Deed::New => {
                let file = new_key(site);
                tokend(
                    site,
                    under,
                    &["key".as_ref(), "new".as_ref(), file.as_os_str()],
                )
                .map(Some)
            }
            _ => rotate(site, under).map(Some),
        }
    }

    /// Runs the deed with the blow, and checks what is left.
    ///
    /// # Errors
    /// When the proof cannot be run, which is not the program's fault.
    pub(super) fn strike(&self, point: &Point) -> anyhow::Result<Outcome> {
        let site = self.place(point.deed)?;
        let trace = site.path().join("trace").display().to_string();
        let filter = format!("trace={}", point.name);
        let inject = point.blow.injection(&point.name, point.number);
        let under = ["strace", "-D", "-o", &trace, "-e", &filter, "-e", &inject];
        let ended = self.carry_out(point.deed, &site, &under)?;
        let struck = fs::read_to_string(&trace).unwrap_or_default();
        let killed = ended.is_some_and(|ended| ended.signal().is_some());
        let reached = struck.contains("(INJECTED)") || killed;
        let mut broken = Vec::new();
        if let Some(ended) = ended {
            broken.extend(wrong_end(point, ended));
        }
        match point.deed {
            Deed::New => broken.extend(self.makes_a_key(&site, ended)?),
            deed => broken.extend(self.goes_on(&site, deed)?),
        }
        if !broken.is_empty() {
            broken.push(format!(
                "it ended with {ended:?}; log:\n{}",
                site.log().unwrap_or_default()
            ));
        }
        Ok(Outcome {
            reached,
            findings: Findings {
                broken,
                in_the_window: false,
            },
        })
    }

    /// Starts, asks for the token, replaces the key undisturbed, and does it all again.
    fn goes_on(&self, site: &Site, deed: Deed) -> anyhow::Result<Vec<String>> {
        let mut broken = Vec::new();
        for round in ["after it", "after another rotation"] {
            match site.start() {
                Ok(daemon) => {
                    if deed != Deed::FirstStart && site.get(IT).ok().as_ref() != Some(&self.token) {
                        broken.push(format!("{round}: another token, or none"));
                    }
                    let code = daemon.terminate()?;
                    if !code.success() {
                        broken.push(format!("{round}: tokend ended with {code}"));
                    }
                }
                Err(error) => broken.push(format!("{round}: no start: {error:#}")),
            }
            broken.extend(left_over(&site.state())?);
            let code = rotate(site, &[])?;
            if !code.success() {
                broken.push(format!("{round}: tokend key rotate ended with {code}"));
            }
        }
        let asked = self.sim.log(IT).token_requests();
        if asked != self.asked {
            broken.push(format!(
                "the provider was asked: {asked} and not {}",
                self.asked
            ));
        }
        Ok(broken)
    }

    /// If a person was told that a key was made, there is one; if a person was told that none was made, one can be made.
    fn makes_a_key(&self, site: &Site, ended: Option<ExitStatus>) -> anyhow::Result<Vec<String>> {
        let file = new_key(site);
        let made = |file: &Path| fs::read(file).is_ok_and(|key| key.len() == 32);
        let mut broken = Vec::new();
        match ended {
            Some(ended) if ended.success() && !made(&file) => {
                broken.push("it says that there is a key, and there is none".to_owned());
            }
            Some(ended) if ended.success() => {}
            _ if file.exists() && made(&file) => {}
            _ => {
                let code = tokend(
                    site,
                    &[],
                    &["key".as_ref(), "new".as_ref(), file.as_os_str()],
                )?;
                if !code.success() || !made(&file) {
                    broken.push(format!("it cannot be done again: {code}"));
                }
            }
        }
        Ok(broken)
    }
}

/// An exit code or message that is wrong: a failing disk is nobody's mistake.
fn wrong_end(point: &Point, ended: ExitStatus) -> Option<String> {
    let fits = match (point.blow, ended.code()) {
        (Blow::Death, code) => code.is_none() || code == Some(0),
        (_, Some(0 | 75)) => true,
        // The output could not be printed.
        (_, Some(74)) => point.name == "write",
        _ => false,
    };
    (!fits).then(|| format!("it ended with {ended} and not with 0 or 75"))
}

/// Files of a finished rotation.
fn left_over(state: &Path) -> anyhow::Result<Vec<String>> {
    let mut left = Vec::new();
    for file in fs::read_dir(state)? {
        let name = file?.file_name().to_string_lossy().into_owned();
        if name.starts_with("tokend.key.") {
            left.push(format!("{name} is left"));
        }
    }
    Ok(left)
}

fn next(site: &Site) -> PathBuf {
    site.state().join("tokend.key.next")
}

fn new_key(site: &Site) -> PathBuf {
    site.path().join("new.key")
}

fn rotate(site: &Site, under: &[&str]) -> anyhow::Result<ExitStatus> {
    let state = site.state();
    let arguments = [
        "key".as_ref(),
        "rotate".as_ref(),
        "--state-dir".as_ref(),
        state.as_os_str(),
    ];
    tokend(site, under, &arguments)
}

/// Runs the program under another; its output goes into the log.
fn tokend(
    site: &Site,
    under: &[&str],
    arguments: &[&std::ffi::OsStr],
) -> anyhow::Result<ExitStatus> {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(site.log_path())?;
    let program = &site.binaries().tokend;
    let mut command = match under {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()
        .context("cannot run tokend")
}

/// The calls from the first that works on `place` on: the name, and the number among calls of this name. Earlier calls load the program
/// and its configuration.
fn calls(trace: &str, place: &Path) -> Vec<(String, usize)> {
    let place = place.display().to_string();
    let mut counts = BTreeMap::new();
    let mut found = Vec::new();
    let mut begun = false;
    for line in trace.lines() {
        let Some((name, arguments)) = line.split_once('(') else {
            continue;
        };
        if name == "execve"
            || !name
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
        {
            continue;
        }
        let number = counts.entry(name.to_owned()).or_insert(0_usize);
        *number += 1;
        begun |= arguments.contains(&place);
        // A thread that wakes another by a counter in memory, without a disk.
        let wakes = name == "write" && arguments.contains(r#""\1\0\0\0\0\0\0\0", 8)"#);
        if begun && !wakes {
            found.push((name.to_owned(), *number));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loads_the_program_is_no_call_of_the_deed() {
        let trace = "execve(\"/t/s/../tokend\", [], 0x7) = 0\nread(3, \"\", 1) = 0\nmkdir(\"/t/s\", 0700) = -1 EEXIST\nwrite(5, \"\\1\\0\\0\\0\\0\\0\\0\\0\", 8) = 8\nread(3, \"\", 1) = 0\n\
                     +++ exited with 0 +++";
        let expected = vec![("mkdir".to_owned(), 1), ("read".to_owned(), 2)];
        assert_eq!(calls(trace, Path::new("/t/s")), expected);
    }
}
