//! `get` on a healthy account while providers fail and clients are hostile, alternating with the same `get` in quiet.
//!
//! The disturbances run on the same processors, at a bounded rate: the daemon's work on them is measured, not a lack of processors. Each
//! group of provider failures and of hostile clients has a figure of its own.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use tokend_client::{BlockingClient, GetOptions, SocketPath};

use super::{
    Figure, Times,
    disturbances::{self, Disturbance},
    place::Place,
};
use tokend_harness::{
    Site,
    clock::{PATIENCE, Stopwatch, wait_until},
};
use tokend_provider_simulator::{
    Configuration, Simulator,
    spec::{AccountSpec, Api},
};

/// Many short rounds, so that both sides of one share whatever else the machine does. The median counts.
const ROUNDS: usize = 31;
/// How long each side of a round lasts: a thousand answers and more.
const SIDE: Duration = Duration::from_millis(100);
/// The account whose provider works.
const WELL: &str = "well";
/// A rate limit that never stands in the way of the disturbances.
pub(super) const FAST: &str = r#"
refresh = "on-demand"
pacing = { attempts = { burst = 100000, every = "1ms" }, logins = { burst = 100000, every = "1ms" }, host = { burst = 100000, every = "1ms" }, host_in_flight = 1000 }
"#;
const PREAMBLE: &str = r#"
[http]
connect_timeout = "2s"
timeout = "3s"
[limits]
connections = 256
connections_per_user = 128
idle_timeout = "2s"
frame_timeout = "2s"
"#;

/// Measures every group.
///
/// # Errors
/// When something cannot be started or does not answer.
pub fn measure() -> anyhow::Result<Vec<Figure>> {
    disturbances::all()?.into_iter().map(beside).collect()
}

fn beside(disturbance: Disturbance) -> anyhow::Result<Figure> {
    let (_simulator, place) = place(&disturbance)?;
    let options = GetOptions::new(WELL.parse()?);
    let mut client = BlockingClient::connect(&SocketPath::from(place.site.socket()))?;
    client.get(&options)?;
    let (mut calm, mut disturbed, mut ratios) = (Times::default(), Times::default(), Vec::new());
    for _ in 0..ROUNDS {
        let usual = sample(&mut client, &options)?;
        let beside = while_disturbed(&disturbance, &place, || sample(&mut client, &options))?;
        ratios.push(beside.quantile(0.99) / usual.quantile(0.99));
        calm.append(usual);
        disturbed.append(beside);
    }
    place.daemon.kill()?;
    let (worst, usual) = (disturbed.quantile(0.99), calm.quantile(0.99));
    ratios.sort_unstable_by(f64::total_cmp);
    let at = |quarter: usize| ratios.get(quarter * (ROUNDS - 1) / 4).copied();
    let at = |quarter| at(quarter).unwrap_or(f64::NAN);
    Ok(Figure {
        what: disturbance.what,
        found: at(2),
        most: 2.0,
        unit: " x usual",
        from: format!(
            "half of {ROUNDS} rounds between {:.2} and {:.2}; {} and {} times, {worst:.0} us against {usual:.0} us in all",
            at(1),
            at(3),
            disturbed.len(),
            calm.len(),
        ),
    })
}

/// A provider, and a daemon with one healthy account there and those of the disturbance, which another user may also ask for.
fn place(disturbance: &Disturbance) -> anyhow::Result<(Simulator, Place)> {
    let account = |name: &str| {
        AccountSpec::new(name, Api::JwtApi)
            .known_as(name)
            .with(|it| it.suspension = None)
    };
    let simulator = Simulator::start(vec![account(WELL)])?;
    let mut configuration = Configuration::of(&simulator).everywhere(FAST);
    PREAMBLE.clone_into(&mut configuration.preamble);
    for (name, url) in &disturbance.accounts {
        configuration = configuration.account(account(name), url, FAST);
    }
    let user = rustix::process::geteuid().as_raw();
    let allow = format!(
        "\nallow = [{{ user = {user} }}, {{ user = {} }}]",
        disturbances::NOBODY
    );
    let site = Site::with(&configuration.everywhere(&allow))?;
    let daemon = site.start()?;
    let place = Place {
        site,
        daemon,
        over: AtomicBool::new(false),
    };
    Ok((simulator, place))
}

/// What is measured while the disturbance runs; it must run from before the first measurement to after the last.
fn while_disturbed(
    disturbance: &Disturbance,
    place: &Place,
    measure: impl FnOnce() -> anyhow::Result<Times>,
) -> anyhow::Result<Times> {
    let Disturbance { what, play, .. } = disturbance;
    place.over.store(false, Ordering::Relaxed);
    let started = AtomicBool::new(false);
    thread::scope(|scope| {
        let playing = scope.spawn(|| play(place, &started));
        let begun = wait_until("a disturbance to begin", PATIENCE, || {
            started.load(Ordering::Relaxed) || playing.is_finished()
        });
        let beside = begun.and_then(|()| measure());
        let went_on = !playing.is_finished();
        place.over.store(true, Ordering::Relaxed);
        let played = playing.join();
        played.unwrap_or_else(|_| anyhow::bail!("{what} panicked"))?;
        anyhow::ensure!(went_on, "{what} was over too early");
        beside
    })
}

pub(super) fn sample(client: &mut BlockingClient, options: &GetOptions) -> anyhow::Result<Times> {
    let mut times = Times::default();
    let side = Stopwatch::start();
    while side.elapsed() < SIDE {
        let watch = Stopwatch::start();
        client.get(options)?;
        times.add(watch.elapsed());
    }
    Ok(times)
}
