//! The use of a token that a subscription holds, against one reading of the clock, which it cannot do without.

use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};
use tokend_client::{Client, Deadlines, GetOptions};

use super::{Figure, Stand, Times};
use tokend_harness::clock::Stopwatch;

const ROUNDS: usize = 2_000;
/// The stopwatch costs as much as what it measures, so it is started once for all of these.
const IN_A_ROUND: u32 = 500;

/// Measures one use.
///
/// # Errors
/// When something cannot be started.
pub fn measure() -> anyhow::Result<Vec<Figure>> {
    let stand = Stand::start("", "")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let _entered = runtime.enter();
    let client = Client::lazy_with(Some(stand.site.socket().into()), Deadlines::default());
    let subscription = client.subscribe(GetOptions::new("ads".parse()?));
    runtime.block_on(subscription.ready())?;
    let (mut used, mut clock) = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
        let watch = Stopwatch::start();
        for _ in 0..IN_A_ROUND {
            drop(black_box(subscription.token()?));
        }
        used.add(watch.elapsed() / IN_A_ROUND);
        let watch = Stopwatch::start();
        for _ in 0..IN_A_ROUND {
            black_box(clock_gettime(ClockId::Boottime));
        }
        clock.add(watch.elapsed() / IN_A_ROUND);
    }
    let [used, clock] = [used, clock].map(|times| times.quantile(0.5) * 1000.0);
    drop(subscription);
    stand.daemon.terminate()?;
    let from = format!("{ROUNDS} rounds of {IN_A_ROUND}, p50 {used:.0} ns against {clock:.0} ns");
    let figure = |what, found, most, unit| Figure {
        what,
        found,
        most,
        unit,
        from: from.clone(),
    };
    Ok(vec![
        figure("a subscribed token, each use", used, 100.0, " ns"),
        figure(
            "a subscribed token, each use",
            used / clock,
            4.0,
            " x reading the clock",
        ),
    ])
}
