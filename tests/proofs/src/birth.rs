//! A first start, killed before it serves: key, database and marker come into being one after the other.
//!
//! The next start must neither refuse what it finds nor lose what it then stores. The first life asked no provider, so everything that the
//! provider sees comes from the second.

use super::{
    judge::{Attempt, Findings, arrivals, excess},
    scene::{ATTEMPTS, Death, IT, Outcome, Scene},
    tracer::{Call, born_under, recorded},
};
use tokend_harness::clock::{PATIENCE, wait_for};
use tokend_provider_simulator::{log::Entry, spec::Api};

/// The account of these lives; a first start does not depend on the dialect.
pub(super) const API: Api = Api::JwtApi;

/// Every call that changes something, until the daemon serves.
///
/// # Errors
/// When a start cannot be traced.
pub(super) fn calls() -> anyhow::Result<Vec<Call>> {
    let scene = Scene::new(API, Attempt::FirstLogin, Death::Process)?;
    let daemon = born_under(&scene.site, None, &scene.trace_file())?;
    wait_for("a traced daemon to serve", PATIENCE, || serves(&scene))?;
    let calls = recorded(daemon.pid(), &scene.trace_file())?;
    daemon.kill()?;
    Ok(calls)
}

pub(super) fn serves(scene: &Scene) -> Option<()> {
    let said = scene.site.tokenctl(&["list"]).ok()?;
    (said.code == Some(0)).then_some(())
}

/// Starts a daemon that dies at a call of its start, or once it serves; returns whether the call came. The power fails too, if the scene's death
/// says so.
///
/// # Errors
/// When the proof cannot be carried out.
pub(super) fn die_starting(scene: &mut Scene, call: &Call) -> anyhow::Result<bool> {
    let mut daemon = born_under(&scene.site, Some(call), &scene.trace_file())?;
    let reached = wait_for("a death or a daemon that serves", PATIENCE, || {
        let dead = daemon.killed();
        (!matches!(dead, Ok(false)) || serves(scene).is_some()).then_some(dead)
    })??;
    // The last calls of a start come when the daemon already serves.
    let reached = reached || daemon.killed()?;
    if !reached {
        daemon.kill()?;
    }
    scene.lose_power()?;
    Ok(reached)
}

/// Dies at a call of its first start, starts again, logs in, starts once more, and continues without a login.
///
/// # Errors
/// When the proof cannot be run, or a start is refused.
pub(super) fn die(call: &Call, death: Death) -> anyhow::Result<Outcome> {
    let mut scene = Scene::new(API, Attempt::FirstLogin, death)?;
    let reached = die_starting(&mut scene, call)?;
    let daemon = scene.site.start()?;
    let works = scene.works()?;
    daemon.kill()?;
    scene.lose_power()?;
    let daemon = scene.site.start()?;
    let goes_on = scene.goes_on()?;
    let code = daemon.terminate()?;
    let log = scene.sim.log(IT);
    let mut broken = Vec::new();
    let mut demand = |kept: bool, promise: String| {
        if !kept {
            broken.push(promise);
        }
    };
    demand(works, "the account does not answer".to_owned());
    demand(goes_on, "the login of the second life is lost".to_owned());
    demand(log.logins() == 1, format!("{} logins", log.logins()));
    demand(code.success(), format!("tokend ended with {code}"));
    for violation in scene.sim.violations() {
        demand(false, format!("the provider complains: {violation:?}"));
    }
    if let Some(excess) = excess(&arrivals(&log, Entry::is_token_request), ATTEMPTS) {
        demand(
            false,
            format!("more attempts than the rate limit allows: {excess}"),
        );
    }
    if !broken.is_empty() {
        broken.push(format!("log:\n{}", scene.site.log()?));
    }
    let findings = Findings {
        broken,
        in_the_window: false,
    };
    Ok(Outcome { reached, findings })
}
