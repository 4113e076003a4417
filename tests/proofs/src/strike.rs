//! One attempt, killed in the middle: the possible places, and what follows.
//!
//! Counts calls thread by thread; must judge nothing itself.

use std::{collections::BTreeMap, thread, time::Duration};

use super::{
    judge::{Attempt, Life},
    scene::{Death, Outcome, Scene},
    tracer::{Call, Tracer, threads},
};
use tokend_harness::{
    Daemon,
    clock::{PATIENCE, wait_for},
};
use tokend_provider_simulator::spec::Api;

/// How long a death may take that comes after the attempt's answer, at the last calls of its connections.
const AFTERMATH: Duration = Duration::from_millis(500);

/// The calls of all threads of a daemon while `ask` runs, in the order in which they were made.
///
/// # Errors
/// When they cannot be traced, or there are none.
pub(super) fn record(
    scene: &Scene,
    daemon: &Daemon,
    ask: impl FnOnce() -> anyhow::Result<bool>,
) -> anyhow::Result<Vec<Call>> {
    let threads = threads(daemon.pid())?;
    let tracer = Tracer::record(daemon.pid(), &scene.trace_file())?;
    let answered = ask()?;
    let seen = tracer.finish()?;
    anyhow::ensure!(answered, "what is to be killed does not work by itself");
    let mut counts = BTreeMap::new();
    let mut calls = Vec::new();
    for (id, name) in seen {
        let known = threads.iter().enumerate();
        let Some((thread, (_, role))) = known.into_iter().find(|(_, (thread, _))| *thread == id)
        else {
            // Started meanwhile: next time one of the others does its work.
            continue;
        };
        let number = counts.entry((thread, name.clone())).or_insert(0_usize);
        *number += 1;
        calls.push(Call {
            thread,
            role: role.clone(),
            name,
            number: *number,
            beyond: false,
        });
    }
    anyhow::ensure!(!calls.is_empty(), "strace recorded nothing");
    Ok(calls)
}

/// The same calls, and `beyond` more of each kind that may happen.
pub(super) fn and_beyond(mut calls: Vec<Call>, beyond: usize) -> Vec<Call> {
    let mut last = BTreeMap::new();
    for call in &calls {
        last.insert((call.thread, call.name.clone()), call.clone());
    }
    for call in last.into_values() {
        calls.extend((1..=beyond).map(|more| Call {
            number: call.number + more,
            beyond: true,
            ..call.clone()
        }));
    }
    calls
}

/// Every call of one attempt, and of each kind `beyond` more.
///
/// # Errors
/// When the attempt cannot be traced.
pub(super) fn calls(api: Api, attempt: Attempt, beyond: usize) -> anyhow::Result<Vec<Call>> {
    let scene = Scene::new(api, attempt, Death::Process)?;
    let daemon = scene.brink()?;
    let calls = record(&scene, &daemon, || scene.ask())?;
    let (found, requests) = (scene.seen().requests, scene.requests());
    anyhow::ensure!(found == requests, "{found} requests instead of {requests}");
    Ok(and_beyond(calls, beyond))
}

/// Kills a daemon at a call that comes while `ask` runs, or after it if the call does not come; and cuts the power, if the death includes
/// it.
///
/// Returns whether it came, and the life that ended. Read the provider's counts again once everything has arrived.
///
/// # Errors
/// When the proof cannot be run, which is not the daemon's fault.
pub(super) fn strike(
    scene: &mut Scene,
    mut daemon: Daemon,
    call: &Call,
    ask: impl Fn(&Scene) -> anyhow::Result<bool> + Sync,
) -> anyhow::Result<(bool, Life)> {
    let (doubt, fresh) = scene.found()?;
    let before = scene.state()?;
    let ended = |scene: &Scene, answered| -> anyhow::Result<Life> {
        Ok(Life {
            doubt: Some(doubt),
            fresh,
            untouched: scene.state()? == before,
            answered,
            seen: scene.seen(),
        })
    };
    let Some((thread, _)) = threads(daemon.pid())?.into_iter().nth(call.thread) else {
        // The traced daemon had one thread more, which only some start: this call will not come.
        daemon.kill()?;
        scene.lose_power()?;
        return Ok((false, ended(scene, false)?));
    };
    let tracer = Tracer::kill_at(thread, call, &scene.trace_file())?;
    let (reached, answered) = thread::scope(|scope| -> anyhow::Result<(bool, bool)> {
        let asking = scope.spawn(|| ask(scene));
        let dead = wait_for("a death or an answer", PATIENCE, || {
            let dead = daemon.killed();
            (!matches!(dead, Ok(false)) || asking.is_finished()).then_some(dead)
        })??;
        let mut late = || {
            wait_for("a late death", AFTERMATH, || {
                let dead = daemon.killed();
                (!matches!(dead, Ok(false))).then_some(dead)
            })
        };
        let reached = dead || late().unwrap_or(Ok(false))?;
        let answered = asking.join();
        Ok((reached, answered.map_or(Ok(false), |answered| answered)?))
    })?;
    drop(tracer);
    if !reached {
        daemon.kill()?;
    }
    scene.lose_power()?;
    Ok((reached, ended(scene, answered)?))
}

/// Lives up to a call, dies there, lives again, and judges by the provider's log.
///
/// # Errors
/// As [`strike`].
pub(super) fn die(
    api: Api,
    attempt: Attempt,
    call: &Call,
    death: Death,
) -> anyhow::Result<Outcome> {
    let mut scene = Scene::new(api, attempt, death)?;
    let daemon = scene.brink()?;
    let brink = scene.seen();
    let (reached, life) = strike(&mut scene, daemon, call, Scene::ask)?;
    scene.aftermath(brink, vec![life], reached)
}
