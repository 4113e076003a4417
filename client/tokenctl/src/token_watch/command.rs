//! `watch --exec`: a command for each new token.
//!
//! Owns the thread that runs one command at a time. A token that comes while one runs waits for its end, and only the newest waits. The
//! token is in the command's environment, never among its arguments, where every user could read it.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use std::os::unix::process::ExitStatusExt as _;

use tokend_client::{AccountName, Token};

use crate::failure::{Exit, Failure};
use crate::{output, words};

/// Runs the command, with a thread of its own.
pub(super) struct Commands {
    shared: Arc<Shared>,
    program: String,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    slot: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Default)]
struct Slot {
    /// The token that the next command gets.
    next: Option<Token>,
    ended: bool,
    /// Why the command cannot be run at all.
    broken: Option<io::Error>,
}

impl Commands {
    /// Prepares to run this command; it runs at the first token.
    pub(super) fn start(account: &AccountName, words: Vec<OsString>) -> Result<Self, Failure> {
        let shared = Arc::<Shared>::default();
        let program = words
            .first()
            .map(|it| words::plain(&it.to_string_lossy()))
            .unwrap_or_default();
        let runner = Runner {
            shared: Arc::clone(&shared),
            account: account.clone(),
            words,
            program: program.clone(),
        };
        let thread = thread::Builder::new()
            .spawn(move || runner.run())
            .map_err(|error| {
                let what = format!("cannot start a thread: {error}");
                Failure::new(
                    Exit::TryLater,
                    what,
                    "free memory or processes, and try again",
                )
            })?;
        Ok(Self {
            shared,
            program,
            thread,
        })
    }

    /// Runs the command with this token, once the one that runs has ended.
    pub(super) fn give(&self, token: Token) {
        self.shared.slot().next = Some(token);
        self.shared.changed.notify_one();
    }

    /// A token that waits for its command must not be used any more.
    pub(super) fn take_back(&self) {
        self.shared.slot().next = None;
    }

    /// Whether the command can be run.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let Some(error) = self.shared.slot().broken.take() else {
            return Ok(());
        };
        let exit = match error.kind() {
            ErrorKind::NotFound => Exit::NoCommand,
            _ => Exit::NotRun,
        };
        let what = format!("cannot run {}: {error}", self.program);
        Err(Failure::new(exit, what, "check the command behind --exec"))
    }

    /// Waits for the command that runs. One that has not begun does not.
    pub(super) fn end(self) {
        {
            let mut slot = self.shared.slot();
            slot.ended = true;
            slot.next = None;
        }
        self.shared.changed.notify_one();
        // A defect in the thread has been reported by it.
        drop(self.thread.join());
    }
}

impl Shared {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a token; `None` at the end.
    fn take(&self) -> Option<Token> {
        let waits = |slot: &mut Slot| slot.next.is_none() && !slot.ended;
        let mut slot = self
            .changed
            .wait_while(self.slot(), waits)
            .unwrap_or_else(PoisonError::into_inner);
        slot.next.take()
    }
}

/// The thread's part.
struct Runner {
    shared: Arc<Shared>,
    account: AccountName,
    words: Vec<OsString>,
    program: String,
}

impl Runner {
    fn run(self) {
        while let Some(token) = self.shared.take() {
            match self.command(&token) {
                Ok(status) if status.success() => {}
                Ok(status) => self.note(status),
                Err(error) => {
                    self.shared.slot().broken = Some(error);
                    return;
                }
            }
        }
    }

    fn command(&self, token: &Token) -> io::Result<ExitStatus> {
        let Some((program, arguments)) = self.words.split_first() else {
            return Err(ErrorKind::NotFound.into());
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("ACCESS_TOKEN", token.access_token.expose())
            .env("TOKEND_ACCOUNT", self.account.as_str());
        match token.expires_at.and_then(words::rfc3339_of) {
            Some(at) => command.env("TOKEND_EXPIRES_AT", at),
            None => command.env_remove("TOKEND_EXPIRES_AT"),
        };
        command.status()
    }

    /// A command that fails is reported, and the watch goes on.
    fn note(&self, status: ExitStatus) {
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("ended with {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "did not succeed".to_owned(),
        };
        let (account, program) = (&self.account, &self.program);
        output::note(&format!(
            "{account}: {program} {how}; it runs again with the next token"
        ));
    }
}
