//! `sink`: a file with the token of an account, kept fresh for a program that reads files.
//!
//! Owns how long it goes on: until the daemon says that it is over, or a signal. It runs as the user whose program reads the file, so
//! the daemon needs no right to write anywhere for it. A sink that is stopped takes its file along; one that is started anew for a restart
//! leaves it to its successor, if that will keep the same file.

mod act;
mod content;
mod directories;
mod hold;
mod kept_file;
mod on_change;
mod place;
mod settings;
mod template;

use std::io::stderr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

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
pub(crate) use directories::left_over;
use kept_file::KeptFile;
use on_change::Runner;
use place::{Holder, shown};
use settings::Settings;

/// After so many failed attempts to reach the daemon it is said: six take about three seconds, and a restart less.
const MANY: u32 = 6;
/// How long is waited for what can be heard already, and how much of it comes before the file is looked after again.
const SOON: Duration = Duration::from_millis(1);
const MOST_AT_ONCE: usize = 64;

pub(crate) fn run(socket: Option<&Path>, options: &Sink) -> Result<(), Failure> {
    if options.check {
        return check(&options.choice);
    }
    let mut diagnostics = Diagnostics::default();
    let settings = settings_of(&options.choice, &mut diagnostics)?;
    if !diagnostics.is_empty() {
        // Nobody looks after what was written before the mistake was made.
        clear(&options.choice);
    }
    refuse(diagnostics)?;
    let settings = settings
        .ok_or_else(|| Failure::usage("the sink is missing", "name it: tokenctl sink NAME"))?;
    Running::start(settings, options.choice.clone())?.keep(&SocketPath::find(socket)?)
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

/// The one sink that is meant, unless there are mistakes.
fn settings_of(
    choice: &SinkChoice,
    diagnostics: &mut Diagnostics,
) -> Result<Option<Settings>, Failure> {
    let holder = Holder::User(geteuid().as_raw());
    let mut found = directories::read(choice, holder, diagnostics)?;
    Ok(found.pop().filter(|_| diagnostics.is_empty()))
}

/// Removes what a killed sink of this configuration left, as far as the configuration says where that is.
fn clear(choice: &SinkChoice) {
    let Some((name, path)) = directories::place_of(choice) else {
        return;
    };
    if kept_file::clear(&path, name.as_str()) {
        let path = shown(&path);
        output::note(&format!("{path}, which an earlier start left, is removed"));
    }
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
    fn start(settings: Settings, choice: SinkChoice) -> Result<Self, Failure> {
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
        let path = settings.file.path().to_owned();
        let file = KeptFile::new(settings, runner, clock::since_boot())?;
        let file = Arc::new(Mutex::new(file));
        end_with_signals(Arc::clone(&file), move || has_successor(&choice, &path))?;
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
            self.tell_problem();
            watch.report(self.report.clone());
            let mut wait = lock(&self.file).wait(clock::since_boot());
            let mut has_token = false;
            // All that can be heard comes first: what is written must not be over already.
            for _ in 0..MOST_AT_ONCE {
                match watch.next_within(wait) {
                    Ok(None) => break,
                    Ok(Some(Heard::Event(event))) => has_token = self.heard(&event),
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
                wait = SOON;
            }
            lock(&self.file).pass(clock::since_boot());
            if has_token {
                self.has_token();
            }
        }
    }

    /// Returns whether there is a token now.
    fn heard(&mut self, event: &WatchEvent) -> bool {
        self.attempts = 0;
        lock(&self.file).heard(event, clock::since_boot());
        match event {
            WatchEvent::Unavailable(fault) => {
                self.say(&kept_file::unavailable(fault));
                self.ready("no token at present");
                false
            }
            WatchEvent::Retired => {
                self.say(kept_file::RETIRED);
                false
            }
            _ => true,
        }
    }

    fn has_token(&mut self) {
        let is_fresh = lock(&self.file).is_fresh();
        if is_fresh && !self.is_troubled && self.said.take().is_some() {
            self.note("its file has the newest token again");
        }
        self.ready(match is_fresh {
            true => "the file is fresh",
            false => "the file cannot be written",
        });
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
            (file.problem(clock::since_boot()), file.is_fresh())
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

/// Whether a start after this one keeps the same file: the configuration may have changed since.
fn has_successor(choice: &SinkChoice, path: &Path) -> bool {
    let settings = settings_of(choice, &mut Diagnostics::default());
    settings.is_ok_and(|it| it.is_some_and(|it| it.file.path() == path))
}

/// Ends with these signals as programs do, and takes the file along, but for the one that a restart sends. Nobody else looks at the file
/// meanwhile.
fn end_with_signals(
    file: Arc<Mutex<KeptFile>>,
    has_successor: impl Fn() -> bool + Send + 'static,
) -> Result<(), Failure> {
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
            match signal == SIGUSR1 && has_successor() {
                true => file.stop(),
                false => file.end(),
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
