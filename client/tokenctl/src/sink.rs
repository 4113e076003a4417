//! `sink`: a file with the token of an account, kept fresh for a program that reads files.
//!
//! Owns how long it goes on: until the daemon says that it is over, or a signal. It runs as the user whose program reads the file, so
//! the daemon needs no right to write anywhere for it. A sink that is stopped takes its file along; one that is started anew for a restart
//! leaves it to its successor.

mod act;
mod content;
mod directories;
mod kept_file;
mod on_change;
mod place;
mod settings;
mod template;

use std::io::stderr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::process::geteuid;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tokend_client::{ClientError, FaultCode, SinkReport, SocketPath, WatchEvent, WatchOptions};
use tokend_document::{Diagnostics, Medium, counted, report};

use crate::arguments::{Sink, SinkChoice};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::lasting_watch::{Heard, LastingWatch};
use crate::notes::Notes;
use crate::output;
use kept_file::KeptFile;
use on_change::Runner;
use place::Holder;
use settings::Settings;

/// After so many failed attempts to reach the daemon it is said: six take about three seconds, and a restart less.
const MANY: u32 = 6;

pub(crate) fn run(socket: Option<&Path>, options: &Sink) -> Result<(), Failure> {
    if options.check {
        return check(&options.choice);
    }
    let settings = settings_of(&options.choice)?;
    Running::start(settings)?.keep(&SocketPath::find(socket)?)
}

/// Reads the sinks that are meant, and says what is wrong with them.
fn check(choice: &SinkChoice) -> Result<(), Failure> {
    let me = geteuid();
    // Root checks the sinks of all users.
    let holder = match me.is_root() {
        true => Holder::Anyone,
        false => Holder::User(me.as_raw()),
    };
    let mut diagnostics = Diagnostics::default();
    let found = directories::read(choice, holder, &mut diagnostics)?;
    refuse(diagnostics)?;
    output::note(&format!(
        "{} without a mistake",
        counted(found.len(), "sink")
    ));
    Ok(())
}

/// The one sink that is meant, whose configuration is without a mistake.
fn settings_of(choice: &SinkChoice) -> Result<Settings, Failure> {
    let mut diagnostics = Diagnostics::default();
    let holder = Holder::User(geteuid().as_raw());
    let mut found = directories::read(choice, holder, &mut diagnostics)?;
    refuse(diagnostics)?;
    found
        .pop()
        .ok_or_else(|| Failure::usage("the sink is missing", "name it: tokenctl sink NAME"))
}

fn refuse(diagnostics: Diagnostics) -> Result<(), Failure> {
    if diagnostics.is_empty() {
        return Ok(());
    }
    let shown = report(&diagnostics.sorted(), Medium::of(&stderr()));
    // If standard error is closed, the exit code must be enough.
    drop(std::io::Write::write_all(&mut stderr(), shown.as_bytes()));
    Err(Failure::silent(Exit::Config))
}

/// A sink that runs.
struct Running {
    demand: WatchOptions,
    name: String,
    file: Arc<Mutex<KeptFile>>,
    notes: Notes,
    /// The line that was printed last, until the file is as it should be.
    said: Option<String>,
    /// Whether the file is not as it should be, and that was said.
    is_troubled: bool,
    attempts: u32,
    is_ready: bool,
    /// What the daemon is told of the file.
    report: SinkReport,
}

impl Running {
    fn start(settings: Settings) -> Result<Self, Failure> {
        let notes = Notes::start();
        let mut demand = WatchOptions::new(settings.account.clone());
        demand.min_validity = settings.min_validity;
        let name = settings.name.to_string();
        let on_change = settings.on_change.clone();
        let runner = on_change.map(|it| Runner::start(&settings, it, notes.clone()));
        let report = SinkReport::new(
            settings.account.clone(),
            name.clone(),
            instance()?,
            settings.file.path().display().to_string(),
        );
        let file = KeptFile::new(settings, runner, clock::since_boot());
        let file = Arc::new(Mutex::new(file));
        end_with_signals(Arc::clone(&file))?;
        Ok(Self {
            demand,
            name,
            file,
            notes,
            said: None,
            is_troubled: false,
            attempts: 0,
            is_ready: false,
            report,
        })
    }

    fn keep(mut self, socket: &SocketPath) -> Result<(), Failure> {
        let mut watch = LastingWatch::later(socket.clone(), self.demand.clone());
        loop {
            let wait = {
                let mut file = lock(&self.file);
                file.pass(clock::since_boot());
                file.wait(clock::since_boot())
            };
            self.tell_problem();
            watch.report(self.report.clone());
            match watch.next_within(wait) {
                Ok(None) => {}
                Ok(Some(Heard::Event(event))) => self.heard(&event),
                Ok(Some(Heard::Away(error))) => self.away(&error),
                // The provider gives no token that lives so long, and a shorter one is better than none.
                Err(ClientError::Fault(fault))
                    if fault.code == FaultCode::ValidityUnattainable
                        && self.demand.min_validity.take().is_some() =>
                {
                    self.note(&format!("{}; min_validity is not kept", fault.message));
                    watch = LastingWatch::later(socket.clone(), self.demand.clone());
                }
                Err(error) => {
                    lock(&self.file).end();
                    return Err(error.into());
                }
            }
        }
    }

    fn heard(&mut self, event: &WatchEvent) {
        self.attempts = 0;
        lock(&self.file).heard(event, clock::since_boot());
        match event {
            WatchEvent::Unavailable(fault) => {
                let advice = fault.advice.iter().map(|it| format!("; {it}"));
                let advice: String = advice.collect();
                self.say(&format!(
                    "no newer token at present: {}{advice}",
                    fault.message
                ));
                self.ready("no token at present");
            }
            WatchEvent::Retired => {
                self.note("its token must not be used any more, and its file is gone until there is a newer one");
            }
            _ => {
                let is_fresh = lock(&self.file).is_fresh();
                if is_fresh && !self.is_troubled && self.said.take().is_some() {
                    self.note("its file has the newest token again");
                }
                self.ready(if is_fresh {
                    "the file is fresh"
                } else {
                    "the file cannot be written"
                });
            }
        }
    }

    fn away(&mut self, error: &ClientError) {
        self.attempts = self.attempts.saturating_add(1);
        if self.attempts == MANY {
            self.say(&format!("{error}; trying again until tokend is back"));
            self.ready("tokend is away");
        }
    }

    fn tell_problem(&mut self) {
        let (problem, is_fresh) = {
            let file = lock(&self.file);
            (file.problem(), file.is_fresh())
        };
        self.report.problem.clone_from(&problem);
        // What was wrong with on_change has been said by its thread.
        match problem.filter(|it| !it.starts_with("on_change")) {
            Some(problem) => {
                self.say(&problem);
                self.is_troubled = true;
            }
            None if is_fresh && std::mem::take(&mut self.is_troubled) => {
                self.said = None;
                self.note("its file has the newest token again");
            }
            None => {}
        }
    }

    /// Tells systemd that what depends on the sink may start, and how things stand.
    fn ready(&mut self, status: &str) {
        let status = NotifyState::Status(status);
        let states = match std::mem::replace(&mut self.is_ready, true) {
            true => vec![status],
            false => vec![status, NotifyState::Ready],
        };
        // Without systemd there is nobody to tell.
        drop(sd_notify::notify(&states));
    }

    /// Prints a line once.
    fn say(&mut self, sentence: &str) {
        if self.said.as_deref() != Some(sentence) {
            self.note(sentence);
            self.said = Some(sentence.to_owned());
        }
    }

    fn note(&self, sentence: &str) {
        self.notes.print(format!("sink {}: {sentence}", self.name));
    }
}

/// Ends with these signals as programs do, and takes the file along, but for the one that a restart sends. Nobody else looks at the file
/// meanwhile.
fn end_with_signals(file: Arc<Mutex<KeptFile>>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let what = format!("signals cannot be waited for: {error}");
        Failure::new(
            Exit::TryLater,
            what,
            "free memory or processes, and try again",
        )
    };
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGUSR1]).map_err(failed)?;
    let wait = move || {
        for signal in signals.forever() {
            let mut file = lock(&file);
            if signal != SIGUSR1 {
                file.end();
            }
            // It ends the process.
            drop(emulate_default_handler(signal));
        }
    };
    thread::Builder::new().spawn(wait).map(drop).map_err(failed)
}

/// A number that no other sink has.
fn instance() -> Result<u64, Failure> {
    let mut random = [0; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).map_err(
        |error| {
            let what = format!("the system gives no random number: {error}");
            Failure::new(Exit::TryLater, what, "try again")
        },
    )?;
    Ok(u64::from_ne_bytes(random))
}

fn lock(file: &Mutex<KeptFile>) -> MutexGuard<'_, KeptFile> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}
