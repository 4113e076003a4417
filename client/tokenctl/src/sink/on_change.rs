//! What is done when the token in a file has changed.
//!
//! Owns the thread that does it, one at a time and in bounded time. It is done by the sink's own user, so it can do what that user may and no
//! more. The token is never among arguments, and in an environment only if the configuration asks for it. A failure never ends the sink: it
//! is reported, and the next change tries again. It ends with the sink, unless that is killed.

use std::fs;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
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
    /// The process group of a command that runs: its leader is not waited for while this is here, so the number is its own.
    running: Option<Pid>,
    /// Whether nothing is to be done any more.
    is_over: bool,
}

impl Runner {
    /// A runner that has nothing to do yet; without a thread nothing is ever done, which is its problem.
    pub(super) fn start(settings: &Settings, on_change: OnChange, notes: Notes) -> Self {
        let work = Work {
            on_change,
            name: settings.name.to_string(),
            account: settings.account.to_string(),
            path: settings.file.path().to_owned(),
            notes,
            longest: LONGEST,
        };
        Self::of(work)
    }

    fn of(work: Work) -> Self {
        let shared = Arc::<Shared>::default();
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

    /// Ends a command that runs, with all that it started, and does nothing from now on.
    pub(super) fn end(&self) {
        let mut slot = self.0.slot();
        (slot.next, slot.is_over) = (None, true);
        if let Some(group) = slot.running {
            // Nothing is left of it if this fails.
            let _failed = kill_process_group(group, Signal::KILL);
        }
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
    /// How long a command may take.
    longest: Duration,
}

impl Work {
    fn run(&self, shared: &Shared) {
        while let Some(token) = shared.take() {
            let problem = self.act(&token, shared).err();
            if let Some(problem) = problem.as_ref().filter(|_| !shared.slot().is_over) {
                let name = &self.name;
                self.notes.print(format!(
                    "sink {name}: {problem}; it is done again when the token changes next"
                ));
            }
            let mut slot = shared.slot();
            if slot.is_over {
                return;
            }
            slot.is_busy = slot.next.is_some();
            slot.problem = problem;
        }
    }

    fn act(&self, token: &Token, shared: &Shared) -> Result<(), String> {
        match &self.on_change.act {
            Act::Command(words) => self.command(words, token, shared),
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

    fn command(&self, words: &[String], token: &Token, shared: &Shared) -> Result<(), String> {
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
        match self.run_bounded(&mut command, &shown, shared)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!("on_change: {shown} {}", how(status))),
            None => Err(format!(
                "on_change: {shown} was ended, because it took longer than {}",
                words::duration(self.longest)
            )),
        }
    }

    /// Runs it to its end; `None` if it took too long and was killed. Nothing is waited for under the lock: the sink goes on meanwhile.
    fn run_bounded(
        &self,
        command: &mut Command,
        shown: &str,
        shared: &Shared,
    ) -> Result<Option<ExitStatus>, String> {
        let mut slot = shared.slot();
        if slot.is_over {
            return Err("on_change: the sink has ended".to_owned());
        }
        let mut child = command
            .spawn()
            .map_err(|error| format!("on_change: cannot run {shown}: {error}"))?;
        let group = Pid::from_child(&child);
        slot.running = Some(group);
        drop(slot);
        let until = clock::since_boot().saturating_add(self.longest);
        let mut is_late = false;
        loop {
            let mut slot = shared.slot();
            match child.try_wait() {
                Ok(None) => {}
                ended => {
                    slot.running = None;
                    let ended = ended.map_err(|error| format!("on_change: {shown}: {error}"))?;
                    return Ok(ended.filter(|_| !is_late));
                }
            }
            is_late = clock::since_boot() >= until;
            if is_late {
                // Nothing is left of it if this fails.
                let _failed = kill_process_group(group, Signal::KILL);
            }
            drop(slot);
            thread::sleep(CHECK);
        }
    }
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "did not succeed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tokend_client::SecretText;

    use rustix::process::test_kill_process_group;

    use super::*;

    fn token() -> Token {
        Token::from(tokend_proto::Token {
            access_token: SecretText::new("secret-token").unwrap(),
            token_type: "Bearer".to_owned(),
            expires_at_ms: None,
            remaining_ms: None,
            scope: None,
            grant: 1,
        })
    }

    fn runner(script: &str, longest: Duration) -> Runner {
        let words = ["sh", "-c", script].map(str::to_owned).to_vec();
        Runner::of(Work {
            on_change: OnChange {
                act: Act::Command(words),
                with_token: false,
            },
            name: "feed".to_owned(),
            account: "ads".to_owned(),
            path: PathBuf::from("/nowhere/token"),
            notes: Notes::start(),
            longest,
        })
    }

    /// What was wrong, once nothing is being done.
    fn done(runner: &Runner) -> Option<String> {
        while runner.state().0 {
            thread::yield_now();
        }
        runner.state().1
    }

    #[test]
    fn a_command_that_takes_too_long_is_ended_with_what_it_started_and_the_next_one_runs() {
        let folder = tempfile::tempdir().unwrap();
        let flag = folder.path().join("flag");
        let flag = flag.display();
        let script = format!("test -e {flag} || {{ touch {flag}; sleep 1000 & wait; }}");
        let runner = runner(&script, Duration::from_millis(300));
        runner.changed(&token());
        assert!(runner.state().0);
        let problem = done(&runner).unwrap();
        assert!(
            problem.starts_with("on_change: sh was ended, because it took longer than"),
            "{problem}"
        );
        runner.changed(&token());
        assert_eq!(done(&runner), None);
    }

    #[test]
    fn nothing_is_done_once_the_sink_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let flag = folder.path().join("flag");
        let script = format!("touch {}; exec sleep 1000", flag.display());
        let runner = runner(&script, LONGEST);
        runner.changed(&token());
        while !flag.exists() {
            thread::yield_now();
        }
        let group = runner.0.slot().running.unwrap();
        runner.end();
        let begun = clock::steady();
        while test_kill_process_group(group).is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it still runs");
            thread::yield_now();
        }
    }
}
