//! The updater of `exec --file`: a process beside the command, which keeps its files fresh and removes them at the end.
//!
//! Owns how long it lives: exactly as long as the process that was started as the command.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tokend_client::{ClientError, FaultCode, SocketPath, WatchOptions};

use super::apart;
use super::handover;
use super::kept_file::KeptFile;
use super::runtime::TokenDirectory;
use super::start;
use crate::arguments::Keep;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::lasting_watch::{Heard, LastingWatch};
use crate::notes::Notes;

/// The longest wait for the end of a token: waits stand still while the machine sleeps, and tokens end all the same.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long it waits if no file has an end.
const REST: Duration = Duration::from_secs(60 * 60);
/// How much is heard and not looked at; more waits in the watches.
const ROOM: usize = 4;

enum Happened {
    /// The command has ended.
    Ended,
    /// A watch has heard something.
    Heard(usize, Heard),
    /// A watch is over.
    Over(usize, ClientError),
}

/// Keeps the files until the command has ended.
pub(crate) fn run(socket: Option<&Path>, options: Keep) -> Result<(), Failure> {
    let socket = SocketPath::find(socket)?;
    let Begun { directory, ends } = match begin(&options) {
        Ok(Some(begun)) => begun,
        Ok(None) => return Ok(()),
        Err(failure) => {
            // Before the process that waits for this one learns that it has ended.
            failure.report(clock::now());
            return Err(Failure::silent(Exit::Io));
        }
    };
    let (sender, happened) = sync_channel(ROOM);
    let mut files = Vec::new();
    let notes = Notes::start();
    let ended = sender.clone();
    let watching = apart::at_the_end(move || drop(ended.send(Happened::Ended)));
    for (at, (account, ends)) in options.accounts.into_iter().zip(ends).enumerate() {
        let mut demand = WatchOptions::new(account.clone());
        demand.min_validity = options.min_validity;
        files.push(KeptFile::new(&directory, account, ends, notes.clone()));
        let (socket, sender) = (socket.clone(), sender.clone());
        // Without a thread the file goes at its token's end, as for any other reason.
        drop(thread::Builder::new().spawn(move || follow(at, &socket, demand, &sender)));
    }
    if watching.is_ok() {
        keep(&mut files, &happened);
    }
    directory.remove();
    Ok(())
}

/// Files that are there.
struct Begun {
    directory: TokenDirectory,
    /// When the token of each ends.
    ends: Vec<Option<Duration>>,
}

/// Becomes independent of the command, holds the directory, writes the files, and says that they are there; `None` if there is no token to
/// keep.
fn begin(options: &Keep) -> Result<Option<Begun>, Failure> {
    let failed = |error: io::Error| {
        Failure::new(
            Exit::Io,
            format!("the files for tokens cannot be kept: {error}"),
            "use --fd",
        )
    };
    apart::settle().map_err(failed)?;
    let directory = TokenDirectory::hold(options.directory.clone());
    let first = handover::take(options.accounts.len(), io::stdin());
    let (directory, first) = match (directory, first) {
        // The command is not started after all, or what was to become it was killed.
        (directory, Err(error)) if error.kind() == ErrorKind::UnexpectedEof => {
            drop(directory.map(TokenDirectory::remove));
            return Ok(None);
        }
        (directory, first) => (directory.map_err(failed)?, first),
    };
    let written = first.map_err(failed).and_then(|first| {
        let mut all = options.accounts.iter().zip(&first);
        all.try_for_each(|(account, (secret, _))| directory.file_of(account).write(secret))?;
        Ok(first.iter().map(|(_, ends)| *ends).collect())
    });
    let answer = || apart::answer(&[start::READY]);
    match written.and_then(|ends| answer().map(|()| ends).map_err(failed)) {
        Ok(ends) => Ok(Some(Begun { directory, ends })),
        Err(failure) => {
            directory.remove();
            Err(failure)
        }
    }
}

/// What a thread for each account does.
fn follow(at: usize, socket: &SocketPath, mut demand: WatchOptions, sender: &SyncSender<Happened>) {
    let mut watch = LastingWatch::later(socket.clone(), demand.clone());
    loop {
        let (happened, is_over) = match watch.next_within(REST) {
            Ok(None) => continue,
            Ok(Some(heard)) => (Happened::Heard(at, heard), false),
            // The provider gives no token that lives so long. The command has one already, and a shorter one is better than none.
            Err(ClientError::Fault(fault))
                if fault.code == FaultCode::ValidityUnattainable
                    && demand.min_validity.take().is_some() =>
            {
                watch = LastingWatch::later(socket.clone(), demand.clone());
                continue;
            }
            Err(error) => (Happened::Over(at, error), true),
        };
        if sender.send(happened).is_err() || is_over {
            return;
        }
    }
}

/// Until the command has ended.
fn keep(files: &mut [KeptFile], happened: &Receiver<Happened>) {
    loop {
        let now = clock::since_boot();
        for file in &mut *files {
            file.pass(now);
        }
        let due = files.iter().filter_map(KeptFile::due).min();
        let wait = due.map_or(REST, |due| due.saturating_sub(now).min(LONGEST_WAIT));
        let (at, heard) = match happened.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => continue,
            Ok(Happened::Ended) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Happened::Heard(at, heard)) => (at, Ok(heard)),
            Ok(Happened::Over(at, error)) => (at, Err(error)),
        };
        let Some(file) = files.get_mut(at) else {
            continue;
        };
        match heard {
            Ok(Heard::Event(event)) => file.heard(event, clock::since_boot()),
            Ok(Heard::Away(error)) => file.away(&error),
            Err(error) => file.over(error),
        }
    }
}
