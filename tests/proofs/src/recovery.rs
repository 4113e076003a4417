//! Two deaths in a row: a rotation is killed, and so is the daemon that recovers from that.
//!
//! Every first death with every second one would be thousands of lives for each dialect, most of them the same: what the second daemon
//! finds depends only on how far the first had come. So the first death is one of five, and the second is everywhere.

use std::{fmt, time::Duration};

use super::{
    birth,
    judge::{Attempt, Life, Seen},
    place::Place,
    scene::{Death, Outcome, Scene},
    strike::{and_beyond, calls as calls_of, record, strike},
    tracer::{Call, born_under, recorded},
};
use tokend_harness::clock::{PATIENCE, wait_for};
use tokend_provider_simulator::spec::Api;

/// How long the last requests of a dead daemon may take to arrive over loopback.
const ARRIVAL: Duration = Duration::from_secs(2);
/// Scheduling sometimes moves a call, and with it a first death: the search for another place is repeated this often.
const TRIES: usize = 5;
/// The thread that writes to the store.
const STORE_THREAD: &str = "store-thread";

/// How far the rotation had come when the first daemon died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Its intent was written and not yet synced.
    NotBegun,
    /// Its intent was durable, and there was no connection yet.
    Begun,
    /// The request had left.
    Sent,
    /// The reply had arrived, and nothing of it was written.
    Answered,
    /// The outcome was durable, and no client had been answered.
    Committed,
}

impl Progress {
    const ALL: [Self; 5] = [
        Self::NotBegun,
        Self::Begun,
        Self::Sent,
        Self::Answered,
        Self::Committed,
    ];

    /// The call at which a daemon that came exactly this far dies.
    fn place(self, calls: &[Call]) -> Option<&Call> {
        let connect = calls.iter().position(|call| call.name == "connect")?;
        let (before, after) = calls.split_at(connect);
        // The thread may still be waking others after the intent.
        let stores = |call: &Call| call.role == STORE_THREAD && call.name.starts_with("pwrite");
        let synced = |call: &Call| call.role == STORE_THREAD && call.name.contains("sync");
        let answer = after.iter().position(stores)?;
        match self {
            Self::NotBegun => before.iter().find(|call| synced(call)),
            Self::Begun => after.first(),
            // The first attempt to read after all of it was written.
            Self::Sent => {
                let sends = |call: &Call| matches!(call.name.as_str(), "sendto" | "writev");
                let until_answer = after.get(..answer)?;
                let sent = until_answer.iter().rposition(sends)?;
                let reads = until_answer.get(sent..)?.iter();
                reads.into_iter().find(|call| call.name == "recvfrom")
            }
            Self::Answered => after.get(answer),
            // The answer to the client: how often the threads wake each other before that is a matter of timing.
            Self::Committed => {
                let mut rest = after.get(after.iter().rposition(synced)? + 1..)?.iter();
                rest.find(|call| call.name == "sendto")
            }
        }
    }

    /// Requests the provider has seen by then, after the first login.
    fn requests(self) -> usize {
        match self {
            Self::NotBegun | Self::Begun => 0,
            Self::Sent | Self::Answered | Self::Committed => 1,
        }
    }
}

/// Where the second daemon dies.
#[derive(Clone, Debug)]
enum Second {
    /// While it starts.
    Start(Call),
    /// While it makes up for the first daemon's death.
    Attempt(Call),
}

/// A first and a second death.
#[derive(Clone, Debug)]
pub(super) struct Point {
    progress: Progress,
    first: Call,
    second: Second,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            progress,
            first,
            second,
        } = self;
        let (when, second) = match second {
            Second::Start(call) => ("as it starts", call),
            Second::Attempt(call) => ("as it recovers", call),
        };
        write!(f, "{second}, {when} after {progress:?} ({first})")
    }
}

impl Place for Point {
    fn beyond(&self) -> bool {
        let (Second::Start(call) | Second::Attempt(call)) = &self.second;
        call.beyond
    }
}

/// A scene whose first daemon is dead, and that life.
fn after_first(
    api: Api,
    progress: Progress,
    first: &Call,
    death: Death,
) -> anyhow::Result<(Scene, Vec<Life>, bool)> {
    let mut scene = Scene::new(api, Attempt::Rotation, death)?;
    let daemon = scene.brink()?;
    let (reached, life) = strike(&mut scene, daemon, first, Scene::ask)?;
    let arrived = || (scene.seen().requests == 1 + progress.requests()).then_some(());
    let as_meant = reached && wait_for("the request to arrive", ARRIVAL, arrived).is_ok();
    Ok((scene, vec![life], as_meant))
}

/// Every second death after each first one: at each call of the attempt that makes up for it, and, for one dialect only (dialects do not
/// matter there), at each call of the start that changes something.
///
/// # Errors
/// When they cannot be traced, or a first death does not come where it should.
pub(super) fn points(api: Api, beyond: usize) -> anyhow::Result<Vec<Point>> {
    let mut points = Vec::new();
    for progress in Progress::ALL {
        let (first, scene) = meant(api, progress)?;
        let point = |second| Point {
            progress,
            first: first.clone(),
            second,
        };
        if api == birth::API {
            points.extend(starting(&scene)?.into_iter().map(Second::Start).map(point));
        }
        let daemon = scene.site.start()?;
        let calls = record(&scene, &daemon, || scene.works())?;
        daemon.kill()?;
        let calls = and_beyond(calls, beyond);
        points.extend(calls.into_iter().map(Second::Attempt).map(point));
    }
    Ok(points)
}

/// A call at which a daemon that came exactly this far dies, and what it leaves there.
fn meant(api: Api, progress: Progress) -> anyhow::Result<(Call, Scene)> {
    for _ in 0..TRIES {
        let rotation = calls_of(api, Attempt::Rotation, 0)?;
        let Some(first) = progress.place(&rotation) else {
            continue;
        };
        let (scene, _, as_meant) = after_first(api, progress, first, Death::Process)?;
        if as_meant {
            return Ok((first.clone(), scene));
        }
    }
    anyhow::bail!("no call was found at which {api} is {progress:?}")
}

/// The calls of a start that change something.
fn starting(scene: &Scene) -> anyhow::Result<Vec<Call>> {
    let daemon = born_under(&scene.site, None, &scene.trace_file())?;
    wait_for("a traced daemon to serve", PATIENCE, || {
        birth::serves(scene)
    })?;
    let calls = recorded(daemon.pid(), &scene.trace_file())?;
    daemon.kill()?;
    Ok(calls)
}

/// Lives through both deaths, lives again, and judges by the provider's log.
///
/// # Errors
/// When the proof cannot be run, which is not the daemon's fault.
pub(super) fn die(api: Api, point: &Point, death: Death) -> anyhow::Result<Outcome> {
    let (mut scene, mut lives, as_meant) = after_first(api, point.progress, &point.first, death)?;
    let brink = Seen {
        logins: 1,
        requests: 1,
    };
    let (reached, second) = match &point.second {
        Second::Start(call) => {
            if let Some(first) = lives.last_mut() {
                first.seen = scene.seen();
            }
            let reached = birth::die_starting(&mut scene, call)?;
            let unserved = Life {
                doubt: None,
                fresh: false,
                untouched: false,
                answered: false,
                seen: scene.seen(),
            };
            (reached, unserved)
        }
        Second::Attempt(call) => {
            let daemon = scene.site.start()?;
            if let Some(first) = lives.last_mut() {
                first.seen = scene.seen();
            }
            strike(&mut scene, daemon, call, Scene::works)?
        }
    };
    // More is judged than the daemon's own view: this outcome was durable, so nothing is in doubt and no login may follow.
    let durable = point.progress == Progress::Committed && as_meant;
    let doubted = durable && second.doubt == Some(true);
    lives.push(second);
    let mut outcome = scene.aftermath(brink, lives, as_meant && reached)?;
    if doubted {
        let broken = "an attempt is in doubt whose outcome was durable";
        outcome.findings.broken.push(broken.to_owned());
    }
    Ok(outcome)
}
