//! `strace`: the system calls of a rotation, and death at the n-th of a thread.
//!
//! Counts per thread and name, as `strace` does: the order of calls between threads is not guaranteed. A call is killed before it is
//! carried out, so that death after one call is death at the next. Needs root, because only root may look into the daemon.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use tokend_harness::{Daemon, Site};

/// Excluded: calls without an effect outside the process, whose number depends on timing.
const TRACED: &str = "!futex,epoll_wait,restart_syscall,sched_yield,mmap,munmap,mprotect,madvise,brk,mremap,\
                      rt_sigprocmask,rt_sigreturn,sigaltstack,getrandom,clock_nanosleep,clone3,rseq,set_robust_list,prctl";

/// For a start: calls that change files or sockets. A start reads a thousand times more, and a death before a read equals a death after
/// the change before it. `?`: not every machine has all of these.
const CHANGES: &str = "?open,?creat,?mkdir,mkdirat,write,writev,pwrite64,?pwritev,fsync,fdatasync,ftruncate,fallocate,\
                       ?rename,renameat,?renameat2,?link,linkat,?unlink,unlinkat,flock,?chmod,fchmod,fchmodat,socket,bind,listen";

/// One system call of one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The thread's number, in the order in which threads were started.
    pub thread: usize,
    /// The thread's name.
    pub role: String,
    /// Name of the system call.
    pub name: String,
    /// The call's number among the thread's calls of this name, from 1.
    pub number: usize,
    /// Not in the record: it may come if scheduling has moved a call.
    pub beyond: bool,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            thread,
            role,
            name,
            number,
            ..
        } = self;
        write!(f, "{name} number {number} of thread {thread} ({role})")
    }
}

/// An attached `strace`; dropping it detaches.
#[derive(Debug)]
pub(super) struct Tracer {
    child: Child,
    output: PathBuf,
    /// Kept open: `strace` would die if it were closed.
    _messages: BufReader<ChildStderr>,
}

impl Tracer {
    /// Records the calls of all threads of a process.
    ///
    /// # Errors
    /// When `strace` is missing or may not attach.
    pub(super) fn record(process: u32, output: &Path) -> anyhow::Result<Self> {
        let filter = format!("trace={TRACED}");
        let mut tracer = Self::attach(process, output, &["-f", "-e", &filter])?;
        anyhow::ensure!(tracer.child.try_wait()?.is_none(), "strace ended at once");
        Ok(tracer)
    }

    /// Kills the process when `thread` is about to make its n-th call of this name from now on.
    ///
    /// # Errors
    /// As [`Tracer::record`].
    pub(super) fn kill_at(thread: u32, call: &Call, output: &Path) -> anyhow::Result<Self> {
        let Call { name, number, .. } = call;
        let filter = format!("trace={name}");
        let death = format!("inject={name}:signal=KILL:when={number}");
        Self::attach(thread, output, &["-e", &filter, "-e", &death])
    }

    fn attach(id: u32, output: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new("strace")
            .args(arguments)
            .arg("-o")
            .arg(output)
            .args(["-p", &id.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start strace; tests/setup installs it")?;
        let stderr = child.stderr.take().context("strace has an error stream")?;
        let mut messages = BufReader::new(stderr);
        let mut line = String::new();
        messages.read_line(&mut line)?;
        if !line.contains("attached") {
            drop(child.kill());
            drop(child.wait());
            anyhow::bail!("strace cannot attach (it takes root): {}", line.trim());
        }
        Ok(Self {
            child,
            output: output.to_owned(),
            _messages: messages,
        })
    }

    /// Detaches and returns the recorded calls in order: thread id and name of the call.
    ///
    /// # Errors
    /// When there is no record.
    pub(super) fn finish(mut self) -> anyhow::Result<Vec<(u32, String)>> {
        self.let_go();
        let text = fs::read_to_string(&self.output).context("cannot read strace's record")?;
        Ok(text.lines().filter_map(parse).collect())
    }

    fn let_go(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            // Fails only if it has already ended together with its tracee.
            let _ = id.map(|id| kill_process(id, Signal::TERM));
            drop(self.child.wait());
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// `TID name(…`.
fn parse(line: &str) -> Option<(u32, String)> {
    let (thread, rest) = line.split_once(' ')?;
    Some((thread.parse().ok()?, called(rest)?))
}

/// `name(…`; lines that end an interrupted call or report signals begin no call.
fn called(line: &str) -> Option<String> {
    let (name, _) = line.trim_start().split_once('(')?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let named = !name.is_empty() && name.chars().all(is_name) && name != "restart_syscall";
    named.then(|| name.to_owned())
}

/// Starts a daemon that is traced from its first call on, and killed at `death` if there is one.
///
/// # Errors
/// When `strace` cannot be started.
pub(super) fn born_under(
    site: &Site,
    death: Option<&Call>,
    output: &Path,
) -> anyhow::Result<Daemon> {
    let output = output.display().to_string();
    let (filter, inject) = match death {
        None => (format!("trace={CHANGES}"), Vec::new()),
        Some(Call { name, number, .. }) => {
            let death = format!("inject={name}:signal=KILL:when={number}");
            (format!("trace={name}"), vec!["-e".to_owned(), death])
        }
    };
    // -D: the tracer steps aside, so that the process started is the daemon.
    let mut program = vec!["strace", "-D", "-o", &output, "-e", &filter];
    if death.is_none_or(|call| call.thread > 0) {
        program.push("-f");
    }
    program.extend(inject.iter().map(String::as_str));
    Daemon::spawn_under(&program, site)
}

/// The recorded calls of a start so far, in order: those of the first thread, and calls of others on files.
///
/// # Errors
/// When there is no record, or a call of another thread could not be distinguished from one of the first.
pub(super) fn recorded(process: u32, output: &Path) -> anyhow::Result<Vec<Call>> {
    let text = fs::read_to_string(output).context("cannot read strace's record")?;
    let seen: Vec<_> = text.lines().filter_map(parse).collect();
    let of_first = |wanted: &str| {
        let mut seen = seen.iter();
        seen.any(|(thread, name)| *thread == process && name == wanted)
    };
    let mut counts = BTreeMap::new();
    let mut calls = Vec::new();
    for (thread, name) in &seen {
        let first = *thread == process;
        // Others wake each other and open files to read them, or to change them by a later call.
        if !first && matches!(name.as_str(), "write" | "open" | "socket") {
            continue;
        }
        anyhow::ensure!(
            first || !of_first(name),
            "{name} is called by several threads while the daemon starts"
        );
        let number = counts.entry(name.clone()).or_insert(0_usize);
        *number += 1;
        calls.push(Call {
            thread: usize::from(!first),
            role: if first { "tokend" } else { "another" }.to_owned(),
            name: name.clone(),
            number: *number,
            beyond: false,
        });
    }
    anyhow::ensure!(!calls.is_empty(), "strace recorded nothing");
    Ok(calls)
}

/// Threads of a process in the order in which they were started, with their names.
///
/// # Errors
/// When the process is gone.
pub(super) fn threads(process: u32) -> anyhow::Result<Vec<(u32, String)>> {
    let tasks = PathBuf::from(format!("/proc/{process}/task"));
    let mut found = Vec::new();
    for task in fs::read_dir(&tasks).with_context(|| format!("cannot list {}", tasks.display()))? {
        let task = task?;
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if let Some(id) = task.file_name().to_str().and_then(|id| id.parse().ok()) {
            found.push((id, name.trim().to_owned()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_of_a_call_is_a_call() {
        let calls = |text: &str| text.lines().filter_map(parse).collect::<Vec<_>>();
        let text = "12 pwrite64(4, \"a(b\"..., 320, 0 <unfinished ...>\n13 close(16) = 0\n12 <... pwrite64 resumed>) = 320\n\
                    12 +++ killed by SIGKILL +++\n13 --- SIGTERM {si_signo=SIGTERM} ---\n14 restart_syscall(<... resuming>) = 0";
        let expected = vec![(12, "pwrite64".to_owned()), (13, "close".to_owned())];
        assert_eq!(calls(text), expected);
    }
}
