//! Reads a secret from the output of a program.
//!
//! Owns the child process: no shell, few variables, a process group of its own, a deadline, and a limit on the output. The program's own
//! end decides: a process that it started, such as an agent, may hold the pipes and lives on. Must never show the program's output, and
//! never leave the program running.

use std::ffi::OsString;
use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use super::error::{CommandError, SecretError};
use super::limits::MAX_SECRET;
use super::source::{Person, SecretSource};
use tokend_egress::Egress;
use tokend_process::escaping::Escaped;

/// The variables that a program for a secret gets: enough for `pass`, `gpg`, `secret-tool` and `systemd-creds`.
pub const KEPT_VARIABLES: [&str; 14] = [
    "CREDENTIALS_DIRECTORY",
    "DBUS_SESSION_BUS_ADDRESS",
    "GNUPGHOME",
    "HOME",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "PASSWORD_STORE_DIR",
    "PATH",
    "SSH_AUTH_SOCK",
    "USER",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
];

/// The variables that programs read for a proxy. Go and Python programs read both cases, curl reads only `http_proxy` in lower case.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"];

/// How much of standard error is kept, in bytes; the rest is read and discarded, so that the program does not block.
const MAX_COMPLAINT: usize = 4096;

/// How much of the first line of standard error is shown, in characters.
const MAX_SHOWN: usize = 200;

/// How long to wait, after the program has ended, for output that a child process still holds: long enough for a last filter of a
/// pipeline, too short to be noticed.
const GRACE: Duration = Duration::from_millis(200);

/// The standard output of the program `argv`, within the time limit.
pub(super) async fn output(
    argv: &[Box<str>],
    source: &SecretSource,
) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let timeout = source.command_timeout;
    let failed = |why| SecretError::Command {
        program: argv.first().map_or("", |word| &**word).to_owned(),
        why,
    };
    let started = start(argv, source);
    let mut child = started.map_err(|error| failed(CommandError::NotStarted(error)))?;
    let mut group = Group::of(&child);
    let mut printed = Zeroizing::new(Vec::with_capacity(MAX_SECRET + 2));
    let mut complaint = Vec::with_capacity(MAX_COMPLAINT);
    let ended =
        tokio::time::timeout(timeout, watch(&mut child, &mut printed, &mut complaint)).await;
    // The program has an id until it has been reaped, even if the deadline passed while only its output was awaited.
    if child.id().is_none() {
        group.0 = None;
    }
    drop(group);
    let complaint = first_line(&complaint, &printed);
    Err(failed(match ended {
        Err(_) => CommandError::TimedOut(timeout, complaint),
        Ok(Err(error)) => CommandError::Broken(error),
        Ok(Ok(status)) if !status.success() => CommandError::Failed(status, complaint),
        Ok(Ok(_)) => return Ok(printed),
    }))
}

fn start(argv: &[Box<str>], source: &SecretSource) -> io::Result<Child> {
    let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let kept = KEPT_VARIABLES
        .iter()
        .filter_map(|name| Some((*name, variable(name, source.person.as_ref())?)));
    let proxies = source
        .egress
        .and_then(Egress::as_proxy)
        .into_iter()
        .flat_map(|proxy| PROXY_VARIABLES.map(|name| (name, proxy.clone())));
    Command::new(&**program)
        .args(arguments.iter().map(|word| &**word))
        .env_clear()
        .envs(kept)
        .envs(proxies)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// A variable of this process, unless it identifies the user and the command runs as another user.
fn variable(name: &str, person: Option<&Person>) -> Option<OsString> {
    let Some(person) = person else {
        return std::env::var_os(name);
    };
    if let Some((_, value)) = person.variables.iter().find(|(own, _)| *own == name) {
        return Some(value.into());
    }
    match name {
        "HOME" => person.home.clone().map(OsString::from),
        "USER" | "LOGNAME" => Some(person.name.clone().into()),
        "XDG_RUNTIME_DIR" => person.runtime.clone().map(OsString::from),
        "CREDENTIALS_DIRECTORY" | "LANG" | "LC_ALL" | "PATH" => std::env::var_os(name),
        _ => None,
    }
}

async fn watch(
    child: &mut Child,
    printed: &mut Vec<u8>,
    complaint: &mut Vec<u8>,
) -> io::Result<ExitStatus> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut output = pin!(drain(stdout, printed, MAX_SECRET + 2));
    let mut complaints = pin!(drain(stderr, complaint, MAX_COMPLAINT));
    let (mut printing, mut complaining) = (true, true);
    let status = loop {
        tokio::select! {
            biased;
            read = &mut output, if printing => {
                read?;
                printing = false;
            }
            read = &mut complaints, if complaining => {
                read?;
                complaining = false;
            }
            ended = child.wait() => break ended?,
        }
    };
    // The program's own output is in the pipes by now. Standard error matters only if the program failed.
    let rest = async {
        if printing {
            output.await?;
        }
        if complaining && !status.success() {
            complaints.await?;
        }
        io::Result::Ok(())
    };
    match tokio::time::timeout(GRACE, rest).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(_) => Ok(status),
    }
}

/// Reads `pipe` to its end and keeps the first `keep` bytes.
async fn drain(
    pipe: Option<impl AsyncRead + Unpin>,
    kept: &mut Vec<u8>,
    keep: usize,
) -> io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut buffer = Zeroizing::new([0; 4096]);
    loop {
        let read = pipe.read(&mut buffer[..]).await?;
        let Some(fresh) = buffer.get(..read).filter(|fresh| !fresh.is_empty()) else {
            return Ok(());
        };
        let room = keep.saturating_sub(kept.len());
        kept.extend_from_slice(fresh.get(..room).unwrap_or(fresh));
    }
}

/// The program's process group, killed on drop, so that no child of the program outlives the deadline.
///
/// Killed only while the program itself has not been reaped: until then its id cannot belong to another process.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // A missing group is fine: all its processes have ended.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The first line of the program's standard error, unless it repeats the output.
fn first_line(complaint: &[u8], printed: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(complaint);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let secret = printed.trim_ascii();
    // The start is enough: standard error may cut off a long secret.
    let start = secret.get(..secret.len().min(12)).unwrap_or_default();
    let repeats = start.len() >= 4 && complaint.windows(start.len()).any(|window| window == start);
    if repeats {
        return Some("(not shown, as it repeats the output)".to_owned());
    }
    Some(Escaped(line).to_string().chars().take(MAX_SHOWN).collect())
}
