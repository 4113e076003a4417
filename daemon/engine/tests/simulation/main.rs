//! Deterministic simulation: thousands of days of accounts, providers that fail, stores that refuse, clocks that are set, daemons
//! that die.
//!
//! Every run comes from one number. Here a small part is run; `cargo sim` runs as many as asked, and replays one.
#![expect(
    clippy::indexing_slicing,
    reason = "a broken simulation may stop loudly"
)]

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
mod walking;
mod window;
mod world;

use crate::runs::{at_every_boundary, by_chance, checked, once_failed, struck};
use crate::world::Tally;

const BY_CHANCE: u64 = 2_000;
const STRUCK: u64 = 6;

#[test]
fn every_promise_holds_on_every_seed() {
    let mut total = Tally::default();
    for seed in once_failed().into_iter().chain(0..BY_CHANCE) {
        total.add(checked(seed).unwrap_or_else(|failure| panic!("{failure}")));
    }
    println!("{BY_CHANCE} seeds: {total:?}");
    // A simulation in which nothing happens proves nothing.
    let each = |what: u64| what / BY_CHANCE;
    assert!(
        each(total.attempts) >= 50 && each(total.answered) >= 100,
        "{total:?}"
    );
    assert!(
        each(total.crashes) >= 2 && each(total.lost) >= 2,
        "{total:?}"
    );
    assert!(
        each(total.rotations) >= 5 && each(total.refusals) >= 2,
        "{total:?}"
    );
    assert!(total.halves >= BY_CHANCE / 4, "{total:?}");
    let once = [
        total.swaps,
        total.suspends,
        total.steps,
        total.echoes,
        total.unproven,
        total.taken,
    ];
    assert!(once.into_iter().all(|what| each(what) >= 1), "{total:?}");
}

#[test]
fn every_promise_holds_wherever_a_seed_is_struck() {
    let (mut runs, mut total) = (0, Tally::default());
    for seed in 0..STRUCK {
        let (more, tally) = at_every_boundary(seed, seed >= STRUCK / 3)
            .unwrap_or_else(|failure| panic!("{failure}"));
        runs += more;
        total.add(tally);
    }
    println!("{STRUCK} seeds struck {runs} times: {total:?}");
    assert!(runs >= 10_000, "{runs} runs are hardly every boundary");
}

#[test]
fn a_seed_is_a_run() {
    for seed in 0..5 {
        let trace = by_chance(seed, true).trace;
        assert!(!trace.is_empty());
        assert_eq!(trace, by_chance(seed, true).trace);
        let blow = runs::blow(0).expect("there is a first blow");
        assert_eq!(
            struck(seed, 20, blow, true).trace,
            struck(seed, 20, blow, true).trace
        );
    }
}
