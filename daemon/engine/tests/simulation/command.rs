//! `cargo sim`: the simulation with as many seeds as wanted, and the replay of one.
//!
//! Owns the command line of it and the spreading over processors. What is run and checked is the same as in the tests.
#![expect(
    clippy::indexing_slicing,
    reason = "a broken simulation may stop loudly"
)]
#![expect(clippy::print_stdout, reason = "a command speaks")]

mod account;
mod arrival;
mod blows;
mod clocks;
mod effects;
mod events;
mod happenings;
mod history;
mod people;
mod process;
mod provider;
mod random;
mod runs;
mod step;
mod store;
mod tree;
mod window;
mod world;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::history::{Step, lines, walk};
use crate::runs::{at_every_boundary, blow, by_chance, checked, once_failed, struck};
use crate::world::Tally;

const USAGE: &str = "\
cargo sim [SEEDS [FROM]]          so many days, each by chance (100,000 from 0 without numbers)
cargo sim boundaries [SEEDS [FROM]]  so many short seeds (100), each struck at every boundary by every blow
cargo sim replay SEED             one day, with its trace
cargo sim replay SEED AT BLOW     one short seed struck at one boundary, with its trace
cargo sim step RUN [FROM [TO]]    event by event, with the engine's effects and what changed in its state
cargo sim events RUN              the events of a run as lines that `step` reads
RUN is SEED, SEED:AT:BLOW, or for `step` a file of such lines";

/// What there is to do.
enum Task {
    ByChance(u64, u64),
    Boundaries(u64, u64),
    Replay(u64),
    ReplayStruck(u64, u64, usize),
    Step(String, usize, usize),
    Events(String),
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(task) = parse(&words) else {
        println!("{USAGE}");
        return ExitCode::from(64);
    };
    let good = match task {
        Task::ByChance(count, from) => {
            let known = once_failed();
            known.iter().all(|seed| report(checked(*seed)))
                && spread("seeds", count, from, |seed| checked(seed).map(|it| (1, it)))
        }
        Task::Boundaries(count, from) => {
            spread("seeds", count, from, |seed| at_every_boundary(seed, false))
        }
        Task::Replay(seed) => replayed(&by_chance(seed, true)),
        Task::ReplayStruck(seed, at, number) => match blow(number) {
            Some(blow) => replayed(&struck(seed, at, blow, true)),
            None => report(Err::<(), _>(format!("there is no blow {number}"))),
        },
        Task::Step(run, from, to) => report(stepped(&run, from, to)),
        Task::Events(run) => report(events(&run)),
    };
    match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn parse(words: &[&str]) -> Option<Task> {
    let number = |word: &&str| word.replace([',', '_'], "").parse::<u64>().ok();
    let place = |word: &&str| usize::try_from(number(word)?).ok();
    Some(match words {
        [] => Task::ByChance(100_000, 0),
        ["boundaries"] => Task::Boundaries(100, 0),
        ["boundaries", count] => Task::Boundaries(number(count)?, 0),
        ["boundaries", count, from] => Task::Boundaries(number(count)?, number(from)?),
        ["replay", seed] => Task::Replay(number(seed)?),
        ["replay", seed, at, blow] => Task::ReplayStruck(
            number(seed)?,
            number(at)?,
            usize::try_from(number(blow)?).ok()?,
        ),
        ["events", run] => Task::Events((*run).to_owned()),
        ["step", run] => Task::Step((*run).to_owned(), 1, usize::MAX),
        ["step", run, from] => Task::Step((*run).to_owned(), place(from)?, usize::MAX),
        ["step", run, from, to] => Task::Step((*run).to_owned(), place(from)?, place(to)?),
        [count] => Task::ByChance(number(count)?, 0),
        [count, from] => Task::ByChance(number(count)?, number(from)?),
        _ => return None,
    })
}

/// Runs seeds on all processors until one fails.
fn spread(
    what: &str,
    count: u64,
    from: u64,
    run: impl Fn(u64) -> Result<(u64, Tally), String> + Sync,
) -> bool {
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let total = Mutex::new((0, Tally::default()));
    let every = (count / 20).max(1);
    let worker = || {
        while failed.load(Ordering::Relaxed) == 0 {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            match run(from + index) {
                Ok((runs, tally)) => {
                    if let Ok(mut total) = total.lock() {
                        total.0 += runs;
                        total.1.add(tally);
                    }
                }
                Err(failure) => {
                    failed.fetch_add(1, Ordering::Relaxed);
                    println!("{failure}");
                }
            }
            if index % every == every - 1 {
                println!("{} of {count} {what}", index + 1);
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(worker);
        }
    });
    let failed = failed.into_inner() > 0;
    if let Ok((runs, tally)) = total.into_inner() {
        let verdict = if failed { "FAILED" } else { "held" };
        println!("{verdict}: {count} {what} from {from}, {runs} runs: {tally:?}");
    }
    !failed
}

/// The steps of a run, and the promise it breaks.
fn lines_of(run: &str) -> Result<(Vec<Step>, Option<String>), String> {
    let numbers: Result<Vec<u64>, _> = run.split(':').map(str::parse).collect();
    let outcome = match numbers.as_deref() {
        Ok([seed]) => by_chance(*seed, true),
        Ok([seed, at, number]) => {
            let blow = usize::try_from(*number).ok().and_then(blow);
            let blow = blow.ok_or_else(|| format!("there is no blow {number}"))?;
            struck(*seed, *at, blow, true)
        }
        _ => {
            let text = std::fs::read_to_string(run)
                .map_err(|error| format!("{run} is no seed, and cannot be read: {error}"))?;
            let steps = walk(text.lines()).map_err(|why| format!("{run}: {why}"))?;
            return Ok((steps, None));
        }
    };
    let mut steps = walk(outcome.lines.iter().map(String::as_str))?;
    for step in &mut steps {
        // A simulation carries them out later, where something happens in between.
        step.effects_before.clear();
    }
    Ok((steps, outcome.broken))
}

/// What came of writing: whoever closes the pipe has seen enough.
fn written(result: io::Result<()>) -> Result<(), String> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| error.to_string()),
    }
}

fn events(run: &str) -> Result<(), String> {
    let (steps, _) = lines_of(run)?;
    written(io::stdout().lock().write_all(lines(&steps).as_bytes()))
}

fn stepped(run: &str, from: usize, to: usize) -> Result<(), String> {
    let (steps, broken) = lines_of(run)?;
    let (mut input, mut out) = (io::stdin().lock(), io::stdout().lock());
    let is_person = input.is_terminal() && out.is_terminal();
    let person = is_person.then_some(&mut input as &mut dyn io::BufRead);
    written(step::walk_through(&steps, from, to, person, &mut out))?;
    drop(out);
    broken.map_or(Ok(()), Err)
}

fn replayed(outcome: &runs::Outcome) -> bool {
    println!("{}\n{:?}", outcome.trace.join("\n"), outcome.tally);
    report(outcome.broken.clone().map_or(Ok(()), Err))
}

fn report<T>(result: Result<T, String>) -> bool {
    match result {
        Ok(_) => true,
        Err(failure) => {
            println!("{failure}");
            false
        }
    }
}
