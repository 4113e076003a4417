//! Deterministic simulation: thousands of days of accounts, providers that fail, stores that refuse, daemons that die.
//!
//! Every run comes from one number. `TOKEND_SIM_SEEDS=n` sets how many are run (1,000 by default); `TOKEND_SIM_SEED=n` runs one
//! and prints its trace. Seeds in `seeds.txt` once failed and are always run first.
#![expect(
    clippy::indexing_slicing,
    reason = "a broken simulation may stop loudly"
)]

mod door;
mod effects;
mod happenings;
mod people;
mod provider;
mod random;
mod store;
mod window;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokend_engine::Want;

use crate::window::Window;
use crate::world::{DAY, HOUR, START, Tally, World};

/// How much of the trace of a failed run is printed.
const LAST_LINES: usize = 60;

/// Runs one day and the recovery after it.
fn play(seed: u64, world: &mut World) {
    world.start();
    world.people_begin();
    world.run(START + DAY - HOUR / 2, |_| false);
    // Everything has been well for half an hour. From here on nobody acts but those who want to see every account recover.
    world.queue.retain(|_, happening| {
        use world::Happening::{Act, Crash, Cure, Drain, Edit, Reload};
        !matches!(
            happening,
            Act(_) | Crash | Cure(_) | Drain | Edit(_) | Reload(_)
        )
    });
    world.run(START + DAY, |_| false);
    if world.broken.is_none() && !world.up {
        world.breaks("the daemon did not come up again");
    }
    for a in 0..world.accounts.len() {
        if world.broken.is_none() && world.accounts[a].configured {
            world.want(a, Want::Get, None, u64::MAX, 5 * DAY);
        }
    }
    world.run(START + 6 * DAY, |world| world.waiters.is_empty());
    for host in 0..world.hosts.len() {
        let mut window = Window::new(world.hosts[host].plan.rate);
        let mut debits = world.hosts[host].debits.clone();
        debits.sort_unstable();
        if let Some(at) = debits.into_iter().find(|at| !window.arrive(*at)) {
            let at = at - START;
            world.breaks(format!(
                "host {host} is asked too often {at} ms after the start"
            ));
        }
    }
    assert_eq!(world.seed, seed);
}

/// Runs a seed; the trace, the tally and what was broken.
fn run(seed: u64, traced: bool) -> (Vec<String>, Tally, Option<String>) {
    let mut world = World::new(seed, traced);
    let panicked = catch_unwind(AssertUnwindSafe(|| play(seed, &mut world))).is_err();
    let broken = match panicked {
        true => Some("a panic".to_owned()),
        false => world.broken,
    };
    (world.trace.unwrap_or_default(), world.tally, broken)
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
    )
}

fn once_failed() -> impl Iterator<Item = u64> {
    include_str!("seeds.txt")
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .map(|line| {
            line.parse()
                .unwrap_or_else(|_| panic!("not a seed: {line}"))
        })
}

#[test]
fn every_promise_holds_on_every_seed() {
    if let Some(seed) = number("TOKEND_SIM_SEED") {
        let (trace, tally, broken) = run(seed, true);
        println!("{}\n{tally:?}", trace.join("\n"));
        assert_eq!(broken, None, "seed {seed}");
        return;
    }
    let count = number("TOKEND_SIM_SEEDS").unwrap_or(1_000);
    let mut total = Tally::default();
    for seed in once_failed().chain(0..count) {
        let (_, tally, broken) = run(seed, false);
        if let Some(broken) = broken {
            let (trace, ..) = run(seed, true);
            let last = trace.len().saturating_sub(LAST_LINES);
            panic!(
                "seed {seed}: {broken}\n{}\nreplay with: TOKEND_SIM_SEED={seed} cargo test -p tokend-engine --test simulation -- --nocapture",
                trace[last..].join("\n")
            );
        }
        total.add(tally);
    }
    println!("{count} seeds: {total:?}");
    // A simulation in which nothing happens proves nothing.
    let each = |what: u64| what / count.max(1);
    if count >= 100 {
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
    }
}

#[test]
fn a_seed_is_a_run() {
    for seed in 0..5 {
        assert_eq!(run(seed, true).0, run(seed, true).0);
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.attempts += other.attempts;
        self.crashes += other.crashes;
        self.lost += other.lost;
        self.refusals += other.refusals;
        self.answered += other.answered;
        self.rotations += other.rotations;
    }
}
