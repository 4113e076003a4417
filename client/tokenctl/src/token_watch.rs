//! `watch`: each newer token of an account as it comes, printed or given to a command.
//!
//! Owns the way through a restart of the daemon, and what ends the command. It reads no signals: SIGINT and SIGTERM end it as they end any
//! program, since nothing has to be put in order. Must never tell the same token twice in a row, nor one of before the last.

mod command;
mod report;

use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokend_client::{
    BlockingClient, BlockingWatch, ClientError, FaultCode, SecretText, SocketPath, WatchEvent,
    WatchOptions,
};

use crate::arguments::Watch;
use crate::failure::{Exit, Failure};
use command::Commands;
use report::{Form, Report};

/// How often it is checked whether the reader of the output has gone, and what became of a command.
const CHECK: Duration = Duration::from_secs(1);
/// The pauses between attempts to reach a daemon that is away: doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Watches until the daemon says that it is over, or nobody reads on.
pub(crate) fn run(socket: Option<&Path>, options: Watch) -> Result<(), Failure> {
    let Watch {
        account,
        json,
        min_validity,
        command,
    } = options;
    let form = if json { Form::Json } else { Form::Plain };
    let report = Report::new(form, account.clone());
    let mut demand = WatchOptions::new(account.clone());
    demand.min_validity = min_validity;
    let commands = match command {
        Some(words) => Some(Commands::start(&account, words)?),
        None => None,
    };
    let mut outlet = Outlet {
        report,
        commands,
        delivered: None,
    };
    let path = SocketPath::find(socket)?;
    let mut watch = Some(BlockingClient::connect(&path)?.watch(&demand)?);
    let mut pause = FIRST_PAUSE;
    loop {
        outlet.check()?;
        let happened = match &mut watch {
            Some(watch) => next(watch),
            None => connect(&path, &demand, &mut pause).map(|again| {
                watch = Some(again);
                None
            }),
        };
        match happened {
            Ok(None) => {}
            Ok(Some(event)) => {
                pause = FIRST_PAUSE;
                outlet.tell(event)?;
            }
            Err(error) if passes(&error) => {
                watch = None;
                outlet.report.reconnecting(&error)?;
            }
            Err(error) => {
                outlet.end();
                return Err(error.into());
            }
        }
    }
}

fn next(watch: &mut BlockingWatch) -> Result<Option<WatchEvent>, ClientError> {
    watch.next_within(CHECK)
}

/// Tries again to reach the daemon, after a pause.
fn connect(
    path: &SocketPath,
    demand: &WatchOptions,
    pause: &mut Duration,
) -> Result<BlockingWatch, ClientError> {
    thread::sleep(*pause);
    *pause = (*pause * 2).min(LONGEST_PAUSE);
    BlockingClient::connect(path)?.watch(demand)
}

/// Whether a restart or a pause may help: the daemon is away, is about to stop, or has no room now.
fn passes(error: &ClientError) -> bool {
    match error {
        ClientError::Lost { .. }
        | ClientError::NotReachable { .. }
        | ClientError::Silent { .. }
        | ClientError::TimedOut { .. } => true,
        ClientError::Fault(fault) => {
            matches!(fault.code, FaultCode::Draining | FaultCode::TooBusy)
        }
        _ => false,
    }
}

/// Where events go.
struct Outlet {
    report: Report,
    commands: Option<Commands>,
    /// The token that was told last and is in use. After a restart the daemon tells it again.
    delivered: Option<SecretText>,
}

impl Outlet {
    fn tell(&mut self, event: WatchEvent) -> Result<(), Failure> {
        match event {
            WatchEvent::Token(token) => {
                self.report.is_back();
                if self.delivered.as_ref() == Some(&token.access_token) {
                    return Ok(());
                }
                self.delivered = Some(token.access_token.clone());
                let Some(commands) = &self.commands else {
                    return self.report.token(&token);
                };
                if token.access_token.expose().contains('\0') {
                    let what = "the token has a zero byte, which no variable can hold";
                    let advice = "leave out --exec, and check what the provider sends";
                    return Err(Failure::new(Exit::Software, what, advice));
                }
                commands.give(token);
                Ok(())
            }
            WatchEvent::Retired => {
                self.delivered = None;
                if let Some(commands) = &self.commands {
                    commands.take_back();
                }
                self.report.retired()
            }
            WatchEvent::Unavailable(fault) => {
                self.report.is_back();
                self.report.unavailable(&fault)
            }
            // Of a newer release.
            _ => Ok(()),
        }
    }

    /// Whether there is still somebody to tell, and commands can be run.
    fn check(&self) -> Result<(), Failure> {
        match &self.commands {
            Some(commands) => commands.check(),
            None if is_unread() => Err(Failure::silent(Exit::Io)),
            None => Ok(()),
        }
    }

    /// The watch is over: a command that runs is waited for.
    fn end(&mut self) {
        if let Some(commands) = self.commands.take() {
            commands.end();
        }
    }
}

/// Whether the reader of standard output has gone: nothing would say so before the next token.
fn is_unread() -> bool {
    let stdout = std::io::stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let polled = poll(&mut watched, Some(&now));
    polled.is_ok()
        && watched
            .iter()
            .any(|it| it.revents().intersects(PollFlags::ERR | PollFlags::HUP))
}
