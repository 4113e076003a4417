//! Whole runs: a seed played by chance, and a seed struck at every boundary.
//!
//! Owns how a run begins and ends, what is checked when it is over, and how a failure is reported so that one command replays it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokend_engine::Want;

use crate::blows::{Blow, CRASHES, OTHERS};
use crate::world::{DAY, Happening, LONG, Length, SHORT, START, Tally, World};

/// How much of the trace of a failed run is printed.
const LAST_LINES: usize = 80;

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) trace: Vec<String>,
    /// The input of the engines and what they did, as `history` reads it.
    pub(crate) lines: Vec<String>,
    pub(crate) tally: Tally,
    pub(crate) boundaries: u64,
    pub(crate) broken: Option<String>,
}

/// A blow by its number, as a replay names it.
pub(crate) fn blow(number: usize) -> Option<Blow> {
    CRASHES.iter().chain(&OTHERS).nth(number).copied()
}

/// Runs a seed by chance alone.
pub(crate) fn by_chance(seed: u64, traced: bool) -> Outcome {
    run(seed, LONG, None, traced)
}

/// Runs a short seed and strikes it at one boundary.
pub(crate) fn struck(seed: u64, at: u64, blow: Blow, traced: bool) -> Outcome {
    run(seed, SHORT, Some((at, blow)), traced)
}

/// Strikes a short seed at every boundary with every blow in turn; how many runs that were.
///
/// # Errors
/// The first failure, as a report.
pub(crate) fn at_every_boundary(seed: u64, crashes_only: bool) -> Result<(u64, Tally), String> {
    let whole = run(seed, SHORT, None, false);
    if let Some(broken) = whole.broken {
        return Err(format!("seed {seed}, short and not struck: {broken}"));
    }
    let count = match crashes_only {
        true => CRASHES.len(),
        false => CRASHES.len() + OTHERS.len(),
    };
    let (mut runs, mut total) = (0, Tally::default());
    for at in 1..=whole.boundaries {
        for number in 0..count {
            let Some(blow) = blow(number) else { continue };
            let outcome = struck(seed, at, blow, false);
            if let Some(broken) = outcome.broken {
                let trace = struck(seed, at, blow, true).trace;
                return Err(failure(
                    &format!("seed {seed} struck at {at} by {blow:?}: {broken}"),
                    &trace,
                    &format!("{seed} {at} {number}"),
                ));
            }
            runs += 1;
            total.add(outcome.tally);
        }
    }
    Ok((runs, total))
}

/// The same as an error, for a run by chance.
///
/// # Errors
/// The failure, as a report.
pub(crate) fn checked(seed: u64) -> Result<Tally, String> {
    let outcome = by_chance(seed, false);
    match outcome.broken {
        None => Ok(outcome.tally),
        Some(broken) => Err(failure(
            &format!("seed {seed}: {broken}"),
            &by_chance(seed, true).trace,
            &seed.to_string(),
        )),
    }
}

/// Seeds that once failed.
pub(crate) fn once_failed() -> Vec<u64> {
    let seed = |line: &str| {
        line.parse()
            .unwrap_or_else(|_| panic!("not a seed: {line}"))
    };
    include_str!("seeds.txt")
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .map(seed)
        .collect()
}

/// A failure with the end of its trace. Where it is about one account, what happened to the others is left out.
fn failure(what: &str, trace: &[String], replay: &str) -> String {
    let account = what
        .split_once("account ")
        .and_then(|(_, rest)| rest.split([' ', ':']).next())
        .map(|number| format!("AccountKey({number})"));
    let concerns = |line: &&String| {
        let of_one = line.contains("AccountKey(");
        account
            .as_ref()
            .is_none_or(|account| !of_one || line.contains(account.as_str()))
    };
    let lines: Vec<&str> = trace.iter().filter(concerns).map(String::as_str).collect();
    let last = lines.len().saturating_sub(LAST_LINES);
    format!(
        "{what}\n{}\nwalk through it with: cargo sim step {}\nreplay with: cargo sim replay {replay}",
        lines[last..].join("\n"),
        replay.replace(' ', ":")
    )
}

fn run(seed: u64, length: Length, blow: Option<(u64, Blow)>, traced: bool) -> Outcome {
    let mut world = World::new(seed, length, blow, traced);
    let panicked = catch_unwind(AssertUnwindSafe(|| play(&mut world))).is_err();
    let broken = match panicked {
        true => Some("a panic".to_owned()),
        false => world.broken,
    };
    Outcome {
        trace: world.trace.unwrap_or_default(),
        lines: world.lines,
        tally: world.tally,
        boundaries: world.boundaries,
        broken,
    }
}

/// Runs the storm, the calm, and the recovery after it.
fn play(world: &mut World) {
    let Length { span, storm } = world.length;
    world.start();
    world.people_begin();
    world.run(START + storm + (span - storm) / 2, |_| false);
    // Everything has been well for a while. From here on nobody acts but those who want to see every account recover.
    world.queue.retain(|_, happening| {
        use Happening::{Act, Crash, Cure, Drain, Edit, Reload, Step, Suspend};
        !matches!(
            happening,
            Act(_) | Crash | Cure(_) | Drain | Edit(_) | Reload(_) | Step | Suspend
        )
    });
    world.run(START + span, |_| false);
    if world.broken.is_none() && !world.up {
        world.breaks("the daemon did not come up again");
    }
    for a in 0..world.accounts.len() {
        if world.broken.is_none() && world.accounts[a].configured {
            world.want(a, Want::Get, None, u64::MAX, 5 * DAY);
        }
    }
    world.run(START + span + 5 * DAY + DAY / 2, |world| {
        world.waiters.is_empty()
    });
    for host in 0..world.hosts.len() {
        world.count_host(host);
    }
}

impl Tally {
    /// Counts what another run did as well.
    pub(crate) fn add(&mut self, other: Self) {
        self.attempts += other.attempts;
        self.crashes += other.crashes;
        self.lost += other.lost;
        self.refusals += other.refusals;
        self.answered += other.answered;
        self.rotations += other.rotations;
        self.halves += other.halves;
        self.swaps += other.swaps;
        self.unproven += other.unproven;
        self.taken += other.taken;
        self.suspends += other.suspends;
        self.steps += other.steps;
        self.echoes += other.echoes;
    }
}
