//! One account at one provider, brought to the brink of a rotation, killed in the middle, and questioned afterwards.
//!
//! Builds everything anew for each death: one that left traces in the next would prove nothing.

use std::{collections::BTreeMap, fs, path::PathBuf, thread, time::Duration};

use anyhow::Context as _;

use super::{
    disk::Disk,
    judge::{Evidence, Findings, Pace, judge},
    tracer::{Call, Tracer, threads},
};
use crate::{
    clock::{PATIENCE, wait_for},
    harness::{Daemon, Site},
    probe,
    simulator::{
        Configuration, Simulator,
        spec::{AccountSpec, Api, Reuse},
    },
};

/// The account's name.
pub(super) const IT: &str = "it";
/// The first login and the attempt that dies use the burst up: whoever forgets a debit is too early with the third.
pub(super) const ATTEMPTS: Pace = Pace {
    burst: 2,
    period: Duration::from_secs(1),
};
/// As tight.
const LOGINS: Pace = Pace {
    burst: 1,
    period: Duration::from_secs(1),
};
/// The same as configuration.
const LINES: &str = r#"
pacing = { attempts = { burst = 2, every = "1s" }, logins = { burst = 1, every = "1s" }, host = { burst = 50, every = "10ms" } }
refresh = "on-demand"
"#;
/// Longer than any pace here makes anybody wait.
const WAIT: [&str; 2] = ["--wait", "20s"];
/// How long a death may take that comes after the rotation's answer, at the last calls of its connections.
const AFTERMATH: Duration = Duration::from_millis(500);

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The process is killed.
    Process,
    /// The process is killed, and its file system forgets what was not synced.
    Power,
}

/// What came of one point.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether the call was reached; otherwise the daemon was killed after the rotation.
    pub reached: bool,
    /// What was found at the provider.
    pub findings: Findings,
}

#[derive(Debug)]
pub(super) struct Scene {
    api: Api,
    pub(super) sim: Simulator,
    // Before the place it is mounted in, so that it is gone first.
    pub(super) disk: Option<Disk>,
    pub(super) site: Site,
}

impl Scene {
    pub(super) fn new(api: Api, death: Death) -> anyhow::Result<Self> {
        let account = AccountSpec::new(IT, api).with(|it| {
            // The pace is judged here; and reuse costs the most it can.
            it.suspension = None;
            it.reuse = Reuse::RevokeFamily;
        });
        let sim = Simulator::start(vec![account])?;
        let site = Site::with(&Configuration::of(&sim).everywhere(LINES))?
            .with_variable("TOKIO_WORKER_THREADS", "1");
        let disk = match death {
            Death::Process => None,
            Death::Power => Some(Disk::mount(&site.state())?),
        };
        Ok(Self {
            api,
            sim,
            disk,
            site,
        })
    }

    /// A daemon that has logged in once and holds a token the API has stopped to accept.
    fn brink(&self) -> anyhow::Result<Daemon> {
        let daemon = self.site.start()?;
        self.site.get(IT)?;
        self.sim.end_access(IT);
        Ok(daemon)
    }

    /// What a person does who wants a new token now.
    fn rotate(&self) -> anyhow::Result<()> {
        self.site
            .tokenctl(&["refresh", IT, WAIT[0], WAIT[1]])
            .map(drop)
    }

    pub(super) fn trace_file(&self) -> PathBuf {
        self.site.path().join("trace")
    }

    /// What a program does that wants to work: ask, try, and report a token that is refused.
    pub(super) fn works(&self) -> anyhow::Result<bool> {
        let said = self.site.tokenctl(&["get", IT, WAIT[0], WAIT[1]])?;
        if said.code == Some(0) && self.accepted(&said.line()?)? {
            return Ok(true);
        }
        let reject = ["reject", IT, "--print", WAIT[0], WAIT[1]];
        let said = self.site.tokenctl_with(&reject, said.out.trim())?;
        Ok(said.code == Some(0) && self.accepted(&said.line()?)?)
    }

    fn accepted(&self, token: &str) -> anyhow::Result<bool> {
        let url = format!("{}{}", self.sim.base_url(self.api), self.api.resource());
        Ok(probe::get(url).bearer(token).send()?.status == 200)
    }

    /// One more refresh, without one more login.
    pub(super) fn goes_on(&self) -> anyhow::Result<bool> {
        let logins = self.sim.log(IT).logins();
        let said = self
            .site
            .tokenctl(&["refresh", IT, "--print", WAIT[0], WAIT[1]])?;
        let by_refresh = self.api == Api::ClientCredentials || self.sim.log(IT).logins() == logins;
        Ok(by_refresh && said.code == Some(0) && self.accepted(&said.line()?)?)
    }

    /// Every file of the state directory.
    fn state(&self) -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(self.site.state())? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                files.insert(entry.path(), fs::read(entry.path())?);
            }
        }
        Ok(files)
    }
}

/// Every call of one rotation, thread by thread, and of each kind `beyond` more that may happen.
///
/// # Errors
/// When the rotation cannot be traced.
pub(super) fn calls(api: Api, beyond: usize) -> anyhow::Result<Vec<Call>> {
    let scene = Scene::new(api, Death::Process)?;
    let daemon = scene.brink()?;
    let threads = threads(daemon.pid())?;
    let tracer = Tracer::record(daemon.pid(), &scene.trace_file())?;
    scene.rotate()?;
    let seen = tracer.finish()?;
    let requests = scene.sim.log(IT).token_requests();
    anyhow::ensure!(
        requests == 2,
        "{requests} requests, not a login and a rotation"
    );
    let mut counts = BTreeMap::new();
    let mut calls = Vec::new();
    for (id, name) in seen {
        let Some(thread) = threads.iter().position(|(thread, _)| *thread == id) else {
            // Started during the rotation: does what one of the others does the next time.
            continue;
        };
        let number = counts.entry((thread, name.clone())).or_insert(0_usize);
        *number += 1;
        calls.push(call(&threads, thread, name, *number));
    }
    anyhow::ensure!(!calls.is_empty(), "strace recorded nothing");
    for ((thread, name), number) in counts {
        let more = (1..=beyond).map(|more| call(&threads, thread, name.clone(), number + more));
        calls.extend(more);
    }
    Ok(calls)
}

fn call(threads: &[(u32, String)], thread: usize, name: String, number: usize) -> Call {
    let role = threads.get(thread).map(|(_, role)| role.clone());
    Call {
        thread,
        role: role.unwrap_or_default(),
        name,
        number,
    }
}

/// Lives up to a call, dies there, lives again, and has the provider judge.
///
/// # Errors
/// When the proof cannot be carried out, which is not the daemon's fault.
pub(super) fn die(api: Api, call: &Call, death: Death) -> anyhow::Result<Outcome> {
    let mut scene = Scene::new(api, death)?;
    let mut daemon = scene.brink()?;
    let before = scene.state()?;
    let (thread, _) = threads(daemon.pid())?
        .into_iter()
        .nth(call.thread)
        .context("this daemon has fewer threads than the one that was traced")?;
    let tracer = Tracer::kill_at(thread, call, &scene.trace_file())?;
    let reached = thread::scope(|scope| -> anyhow::Result<bool> {
        let rotation = scope.spawn(|| scene.rotate());
        let dead = wait_for("a death or an answer", PATIENCE, || {
            let dead = matches!(daemon.ended(), Ok(Some(_)));
            (dead || rotation.is_finished()).then_some(dead)
        })?;
        let mut late = || wait_for("a late death", AFTERMATH, || daemon.ended().ok().flatten());
        Ok(dead || late().is_ok())
    })?;
    drop(tracer);
    if !reached {
        daemon.kill()?;
    }
    if let Some(disk) = &mut scene.disk {
        disk.lose_power()?;
    }
    let untouched = scene.state()? == before;
    let seen = scene.sim.log(IT).token_requests();
    let daemon = scene.site.start()?;
    let status = scene.site.status(IT)?;
    let doubt = status.pointer("/problem/code") == Some(&"in-doubt".into());
    let works = scene.works()?;
    let goes_on = works && scene.goes_on()?;
    let code = daemon.terminate()?;
    let mut findings = judge(&Evidence {
        api,
        log: &scene.sim.log(IT),
        violations: &scene.sim.violations(),
        untouched,
        doubt,
        seen,
        goes_on,
        attempts: ATTEMPTS,
        logins: LOGINS,
    });
    if !code.success() {
        findings.broken.push(format!("tokend ended with {code}"));
    }
    if !findings.broken.is_empty() {
        let log = scene.site.log().unwrap_or_default();
        findings.broken.push(format!("status was {status}"));
        findings.broken.push(format!("log:\n{log}"));
    }
    Ok(Outcome { reached, findings })
}
