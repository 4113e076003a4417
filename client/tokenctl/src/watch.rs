//! `status --watch`: the live table.
//!
//! Owns when the daemon is asked and when a frame is drawn. Another thread asks, so that keys and signals work while the daemon is slow or
//! away. Must leave the terminal as it was, however it ends.

mod screen;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use tokend_client::{AccountName, AccountStatus, BlockingClient, ClientError, SocketPath};

use crate::failure::Failure;
use crate::status::{Known, live};
use crate::{clock, output};

use screen::{Happening, Screen};

/// How long a frame stays when nothing happens: the time left counts down in seconds.
const FRAME: Duration = Duration::from_secs(1);

type Answer = Result<Vec<AccountStatus>, ClientError>;

/// Shows all accounts, or one, until a key or a signal ends it.
pub(crate) fn run(
    socket: Option<&Path>,
    account: Option<&AccountName>,
    interval: Duration,
) -> Result<(), Failure> {
    if !output::is_terminal() || std::env::var_os("TERM").is_none_or(|name| name == "dumb") {
        return Err(Failure::usage(
            "--watch needs a terminal that can be drawn on",
            "ask again and again instead: while sleep 5; do tokenctl status; done",
        ));
    }
    let mut screen = Screen::open().map_err(|error| Failure::output(&error))?;
    let (asked, answers) = screen
        .waker()
        .and_then(|waker| asking(socket.map(Path::to_owned), account.cloned(), waker))
        .map_err(|error| Failure::output(&error))?;
    let mut view = View {
        accounts: Vec::new(),
        answered: None,
        trouble: None,
    };
    let mut due = clock::steady();
    let mut waiting = false;
    loop {
        if !waiting && clock::steady() >= due {
            // Refused only if the thread is gone, and then there is nothing to wait for.
            waiting = asked.try_send(()).is_ok();
            due = clock::steady() + interval;
        }
        view.draw(&mut screen, account.is_some())?;
        let patience = match waiting {
            true => FRAME,
            false => due.saturating_duration_since(clock::steady()).min(FRAME),
        };
        match screen
            .wait(patience)
            .map_err(|error| Failure::output(&error))?
        {
            Happening::End => return Ok(()),
            Happening::Nothing => {}
        }
        if let Ok(answer) = answers.try_recv() {
            waiting = false;
            view.take(answer)?;
        }
    }
}

/// The content of the screen.
struct View {
    accounts: Vec<AccountStatus>,
    answered: Option<Instant>,
    trouble: Option<String>,
}

impl View {
    /// Takes the daemon's answer, or the error. A caller that may not see the accounts gets the error and no
    /// live table; any other error may pass in a moment.
    fn take(&mut self, answer: Answer) -> Result<(), Failure> {
        match answer {
            Ok(accounts) => {
                *self = Self {
                    accounts,
                    answered: Some(clock::steady()),
                    trouble: None,
                };
            }
            Err(error @ (ClientError::Fault(_) | ClientError::Protocol { .. }))
                if self.answered.is_none() =>
            {
                return Err(error.into());
            }
            Err(ClientError::Fault(fault)) => self.trouble = Some(fault.message),
            Err(ClientError::Silent { .. } | ClientError::TimedOut { .. }) => {
                self.trouble = Some("tokend does not answer, trying again".to_owned())
            }
            Err(_) => self.trouble = Some("tokend is not reachable, trying again".to_owned()),
        }
        Ok(())
    }

    fn draw(&self, screen: &mut Screen, one: bool) -> Result<(), Failure> {
        if self.answered.is_none() && self.trouble.is_none() {
            return Ok(());
        }
        let known = Known {
            accounts: &self.accounts,
            age: self.answered.map_or(Duration::ZERO, |at| {
                clock::steady().saturating_duration_since(at)
            }),
            trouble: self.trouble.as_deref(),
            one,
        };
        let lines = live(known, clock::now(), screen.canvas());
        screen.draw(&lines).map_err(|error| Failure::output(&error))
    }
}

/// Starts the thread that asks the daemon, once for each `()`. It ends with its channel, or with the process.
fn asking(
    socket: Option<PathBuf>,
    account: Option<AccountName>,
    waker: UnixStream,
) -> std::io::Result<(SyncSender<()>, Receiver<Answer>)> {
    let (asked, asks) = mpsc::sync_channel(1);
    let (sender, answers) = mpsc::sync_channel(1);
    thread::Builder::new().spawn(move || {
        let mut client = None;
        for () in asks {
            let answer = ask(&mut client, socket.as_deref(), account.as_ref());
            if answer.is_err() {
                // The next attempt searches for the socket again: the daemon may have come back at another path.
                client = None;
            }
            if sender.send(answer).is_err() {
                return;
            }
            screen::wake(&waker);
        }
    })?;
    Ok((asked, answers))
}

fn ask(
    client: &mut Option<BlockingClient>,
    socket: Option<&Path>,
    account: Option<&AccountName>,
) -> Answer {
    let connected = match client.take() {
        Some(connected) => connected,
        None => BlockingClient::connect(&SocketPath::find(socket)?)?,
    };
    client.insert(connected).admin().status(account)
}
