//! `watch`: each newer token of an account as it comes, printed or given to a command.
//!
//! Owns what ends the command. It reads no signals: SIGINT and SIGTERM end it as they end any
//! program, since nothing has to be put in order. Must never tell the same token twice in a row, nor one of before the last.

mod command;
mod report;

use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokend_client::{SecretText, SocketPath, WatchEvent, WatchOptions};

use crate::arguments::Watch;
use crate::failure::{Exit, Failure};
use crate::lasting_watch::{Heard, LastingWatch};
use command::Commands;
use report::{Form, Report};

/// How often it is checked whether the reader of the output has gone, and what became of a command.
const CHECK: Duration = Duration::from_secs(1);

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
    let mut watch = LastingWatch::connect(SocketPath::find(socket)?, demand)?;
    loop {
        outlet.check()?;
        match watch.next_within(CHECK) {
            Ok(None) => {}
            Ok(Some(Heard::Event(event))) => outlet.tell(event)?,
            Ok(Some(Heard::Away(error))) => outlet.report.reconnecting(&error)?,
            Err(error) => {
                outlet.end();
                return Err(error.into());
            }
        }
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
            // No token was told, so none is over.
            WatchEvent::Retired if self.delivered.is_none() => Ok(()),
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
