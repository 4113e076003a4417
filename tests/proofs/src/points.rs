//! Every point at which a daemon can die, and the results.
//!
//! Runs several at once, because each mostly waits for a rate limit.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

pub use super::scene::{Death, Outcome};
use super::{birth, judge::Attempt, place::Place, recovery, replaced, strike};
use tokend_provider_simulator::spec::Api;

/// Scheduling moves a call from one run to the next: this many more are tried of each thread and kind.
const BEYOND: usize = 1;

/// How often a recorded call that does not come is tried again.
const TRIES: usize = 4;

/// The results of all points of one dialect.
#[derive(Clone, Debug)]
pub struct Report {
    /// The dialect.
    pub api: Api,
    /// Points at which the daemon died.
    pub points: usize,
    /// How many of them were not in the record.
    pub beyond: usize,
    /// Recorded points that came in none of several runs: the daemon died after the attempt instead, which is judged as well.
    pub not_reached: Vec<String>,
    /// Deaths after which the unavoidable window cost a login.
    pub in_the_window: usize,
    /// Broken promises, with the place.
    pub failures: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            api,
            points,
            beyond,
            not_reached,
            in_the_window,
            failures,
        } = self;
        let (missed, failed) = (not_reached.len(), failures.len());
        write!(
            f,
            "{api:<18} {points:>4} points ({beyond} beyond the record), {missed} not reached, {in_the_window:>3} in the unavoidable window, {failed} failed"
        )
    }
}

/// Kills at every point of an attempt, or with `sample` at this many points spread evenly; `at_once` lives run in parallel.
///
/// # Errors
/// When the attempt cannot be traced. A failure at one point counts as a failure of that point.
pub fn run(
    api: Api,
    attempt: Attempt,
    death: Death,
    sample: Option<usize>,
    at_once: usize,
) -> anyhow::Result<Report> {
    let points = strike::calls(api, attempt, beyond(sample))?;
    let die = |call: &_| strike::die(api, attempt, call, death);
    Ok(each(api, points, sample, at_once, die))
}

/// Kills at five points of a rotation, and the daemon that recovers at every point of that.
///
/// # Errors
/// As [`run`].
pub fn recovery(
    api: Api,
    death: Death,
    sample: Option<usize>,
    at_once: usize,
) -> anyhow::Result<Report> {
    let points = recovery::points(api, beyond(sample))?;
    let die = |point: &_| recovery::die(api, point, death);
    Ok(each(api, points, sample, at_once, die))
}

fn beyond(sample: Option<usize>) -> usize {
    if sample.is_none() { BEYOND } else { 0 }
}

/// The same at every point of a first start that changes something, until the daemon serves. It does not depend on the dialect.
///
/// # Errors
/// As [`run`].
pub fn first_start(death: Death, sample: Option<usize>, at_once: usize) -> anyhow::Result<Report> {
    let points = birth::calls()?;
    let die = |call: &_| birth::die(call, death);
    Ok(each(birth::API, points, sample, at_once, die))
}

/// An error, or a death, at every system call that makes, replaces or settles the sealing key, in the command and in a start. A `sample`
/// still has all errors of a commit.
///
/// # Errors
/// As [`run`].
pub fn key(sample: Option<usize>, at_once: usize) -> anyhow::Result<Report> {
    let held = replaced::Held::new()?;
    let strike = |point: &_| held.strike(point);
    let (mut points, others): (Vec<_>, Vec<_>) = held
        .points()?
        .into_iter()
        .partition(replaced::Point::is_a_commit_that_fails);
    points.extend(spread(others, sample));
    Ok(each(replaced::API, points, None, at_once, strike))
}

/// This many of them, spread evenly.
fn spread<P>(points: Vec<P>, sample: Option<usize>) -> Vec<P> {
    let Some(sample) = sample else { return points };
    let stride = points.len().div_ceil(sample.max(1)).max(1);
    points.into_iter().step_by(stride).collect()
}

fn each<P: Place>(
    api: Api,
    points: Vec<P>,
    sample: Option<usize>,
    at_once: usize,
    die: impl Fn(&P) -> anyhow::Result<Outcome> + Sync,
) -> Report {
    let points = spread(points, sample);
    let report = Mutex::new(Report {
        api,
        points: 0,
        beyond: 0,
        not_reached: Vec::new(),
        in_the_window: 0,
        failures: Vec::new(),
    });
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..at_once.max(1) {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for tries_left in (0..TRIES).rev() {
                        let outcome = die(point);
                        let again = tries_left > 0 && came_not(point, &outcome);
                        let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                        report.add(point, outcome, again);
                        if !again {
                            break;
                        }
                    }
                }
            });
        }
    });
    report.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a run did not reach a recorded point, and broke nothing.
fn came_not(point: &impl Place, outcome: &anyhow::Result<Outcome>) -> bool {
    let came = |outcome: &Outcome| outcome.reached || !outcome.findings.broken.is_empty();
    !point.beyond() && !outcome.as_ref().map_or(true, came)
}

impl Report {
    /// Counts the result of a run, after which the point may be tried `again`.
    fn add(&mut self, point: &impl Place, outcome: anyhow::Result<Outcome>, again: bool) {
        match outcome {
            Ok(Outcome { reached, findings }) => {
                self.points += usize::from(reached);
                self.beyond += usize::from(reached && point.beyond());
                if !reached && !again && !point.beyond() {
                    self.not_reached.push(point.to_string());
                }
                self.in_the_window += usize::from(findings.in_the_window && !again);
                if !findings.broken.is_empty() {
                    let broken = findings.broken.join("\n    ");
                    self.failures
                        .push(format!("{} at {point}:\n    {broken}", self.api));
                }
            }
            Err(error) => {
                self.points += 1;
                self.failures
                    .push(format!("{} at {point}: {error:#}", self.api));
            }
        }
    }
}
