//! What is done when the token in a file has changed.
//!
//! Owns the thread that does it, one at a time and in bounded time. It is done by the sink's own user, so it can do what that user may and no
//! more. The token is never among arguments, and in an environment only if the configuration asks for it. A failure never ends the sink: it
//! is reported, and the next change tries again.

use std::fs;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokend_client::Token;

use super::act::{Act, OnChange};
use super::settings::Settings;
use crate::notes::Notes;
use crate::{clock, words};

/// How long it may take. Reloading a service is a matter of seconds, and the next token has to wait for it.
const LONGEST: Duration = Duration::from_secs(30);
/// How often it is looked whether it has ended.
const CHECK: Duration = Duration::from_millis(20);

/// Does it, with a thread of its own.
pub(super) struct Runner(Arc<Shared>);

#[derive(Default)]
struct Shared {
    slot: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Default)]
struct Slot {
    /// A change that nothing was done about yet. Only the newest waits.
    next: Option<Token>,
    is_busy: bool,
    problem: Option<String>,
}

impl Runner {
    /// A runner that has nothing to do yet; without a thread nothing is ever done, which is its problem.
    pub(super) fn start(settings: &Settings, on_change: OnChange, notes: Notes) -> Self {
        let shared = Arc::<Shared>::default();
        let work = Work {
            on_change,
            name: settings.name.to_string(),
            account: settings.account.to_string(),
            path: settings.file.path().to_owned(),
            notes,
        };
        let of_thread = Arc::clone(&shared);
        let started = thread::Builder::new().spawn(move || work.run(&of_thread));
        if let Err(error) = started {
            shared.slot().problem = Some(format!("on_change cannot be done: {error}"));
        }
        Self(shared)
    }

    /// The file has a new token.
    pub(super) fn changed(&self, token: &Token) {
        let mut slot = self.0.slot();
        slot.next = Some(token.clone());
        slot.is_busy = true;
        drop(slot);
        self.0.changed.notify_one();
    }

    /// Whether something is being done, and what was wrong with what was done last.
    pub(super) fn state(&self) -> (bool, Option<String>) {
        let slot = self.0.slot();
        (slot.is_busy, slot.problem.clone())
    }
}

impl Shared {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Token> {
        let slot = self
            .changed
            .wait_while(self.slot(), |slot| slot.next.is_none());
        slot.unwrap_or_else(PoisonError::into_inner).next.take()
    }
}

/// The thread's part.
struct Work {
    on_change: OnChange,
    name: String,
    account: String,
    path: PathBuf,
    notes: Notes,
}

impl Work {
    fn run(&self, shared: &Shared) {
        while let Some(token) = shared.take() {
            let problem = self.act(&token).err();
            if let Some(problem) = &problem {
                let name = &self.name;
                self.notes.print(format!(
                    "sink {name}: {problem}; it is done again when the token changes next"
                ));
            }
            let mut slot = shared.slot();
            slot.is_busy = slot.next.is_some();
            slot.problem = problem;
        }
    }

    fn act(&self, token: &Token) -> Result<(), String> {
        match &self.on_change.act {
            Act::Command(words) => self.command(words, token),
            Act::Signal(signal, file) => {
                let shown = file.display();
                let text = fs::read_to_string(file)
                    .map_err(|error| format!("on_change: {shown}: {error}"))?;
                let process = text.trim().parse().ok().filter(|it| *it > 1);
                let process = process
                    .and_then(Pid::from_raw)
                    .ok_or_else(|| format!("on_change: {shown} has no number of a process"))?;
                let signal = Signal::from_named_raw(*signal)
                    .ok_or_else(|| format!("on_change: there is no signal {signal}"))?;
                kill_process(process, signal).map_err(|error| {
                    format!(
                        "on_change: process {} of {shown}: {error}",
                        process.as_raw_nonzero()
                    )
                })
            }
        }
    }

    fn command(&self, words: &[String], token: &Token) -> Result<(), String> {
        let Some((program, arguments)) = words.split_first() else {
            return Err("on_change: the command is empty".to_owned());
        };
        let shown = words::plain(program);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("TOKEND_SINK", &self.name)
            .env("TOKEND_ACCOUNT", &self.account)
            .env("TOKEND_FILE", &self.path)
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            // Its children end with it.
            .process_group(0);
        if self.on_change.with_token {
            let secret = token.access_token.expose();
            if secret.contains('\0') {
                return Err(
                    "on_change: the token has a zero byte, which no variable can hold".to_owned(),
                );
            }
            command.env("ACCESS_TOKEN", secret);
        }
        let child = command
            .spawn()
            .map_err(|error| format!("on_change: cannot run {shown}: {error}"))?;
        match wait(child).map_err(|error| format!("on_change: {shown}: {error}"))? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!("on_change: {shown} {}", how(status))),
            None => Err(format!(
                "on_change: {shown} was ended, because it took longer than {}",
                words::duration(LONGEST)
            )),
        }
    }
}

/// Waits for its end; `None` if it took too long and was killed.
fn wait(mut child: Child) -> std::io::Result<Option<ExitStatus>> {
    let until = clock::since_boot().saturating_add(LONGEST);
    while clock::since_boot() < until {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(CHECK);
    }
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // Nothing is left of it if this fails.
        let _failed = kill_process_group(group, Signal::KILL);
    }
    child.wait()?;
    Ok(None)
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "did not succeed".to_owned(),
    }
}
