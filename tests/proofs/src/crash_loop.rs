//! A daemon that dies again and again, with expired tokens and a failing provider, stays within its rate limits.
//!
//! Counts at the provider, in every window. A client asks for new tokens all the time, because forced requests are what a rate limit is
//! for.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use super::judge::{Pace, arrivals, excess};
use tokend_harness::{
    Daemon, Site,
    clock::{PATIENCE, Stopwatch, wait_until},
};
use tokend_provider_simulator::{
    Configuration, Simulator,
    fault::{Fault, FaultKind, Rule},
    log::Entry,
    spec::{AccountSpec, Api, Endpoint},
};

/// How long each daemon lives.
const LIFE: Duration = Duration::from_millis(200);
/// Time between two requests of an impatient client.
const PRESSING: Duration = Duration::from_millis(40);
const ATTEMPTS: Pace = Pace {
    burst: 4,
    period: Duration::from_secs(2),
};
const LOGINS: Pace = Pace {
    burst: 3,
    period: Duration::from_secs(4),
};
const LINES: &str = r#"
pacing = { attempts = { burst = 4, every = "2s" }, logins = { burst = 3, every = "4s" }, host = { burst = 50, every = "10ms" } }
refresh = "always"
"#;

/// From when the 200 ms of a life are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// From the moment it serves, so that each life asks as often as it can.
    FromServing,
    /// From the start of the process, so that it may die before it serves.
    FromStart,
}

/// The result of a crash loop.
#[derive(Clone, Debug)]
pub struct Report {
    /// From when each life was counted.
    pub counted: Counted,
    /// The number of daemons killed.
    pub kills: usize,
    /// How long the loop ran.
    pub time: Duration,
    /// Accounts, with the token requests their providers counted.
    pub requests: Vec<(Api, usize)>,
    /// Broken promises, in words.
    pub failures: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, kills) = (self.time.as_secs(), self.kills);
        let allowed = allowed(self.time);
        write!(
            f,
            "crash loop, 200 ms {}: {kills} deaths in {seconds} s, {} failed",
            match self.counted {
                Counted::FromServing => "of serving",
                Counted::FromStart => "from the start of the process",
            },
            self.failures.len()
        )?;
        for (api, requests) in &self.requests {
            write!(f, "\n  {api:<18} {requests:>3} requests, {allowed} allowed")?;
        }
        Ok(())
    }
}

fn allowed(time: Duration) -> u128 {
    let refilled = time.as_millis() / ATTEMPTS.period.as_millis();
    refilled.saturating_add(u128::try_from(ATTEMPTS.burst).unwrap_or(u128::MAX))
}

/// How each provider fails; it processes the request where that is worse for the account.
fn fault(api: Api) -> Fault {
    match api {
        Api::AdVerification => Fault::after(FaultKind::Reset),
        Api::JwtApi => Fault::before(FaultKind::status(503)),
        Api::ClientCredentials => Fault::before(FaultKind::Hang),
        Api::FirebaseAccounts => Fault::after(FaultKind::Truncated),
        Api::Oauth2 => Fault::after(FaultKind::Hang),
    }
}

/// Runs for `time`, then lets the providers recover and asks every account once more.
///
/// # Errors
/// When a daemon does not start, which must never follow from a death.
pub fn run(counted: Counted, time: Duration) -> anyhow::Result<Report> {
    let account = |api: Api| {
        AccountSpec::new(api.dialect(), api).with(|it| {
            it.suspension = None;
            it.access_lifetime = Duration::from_secs(1);
        })
    };
    let sim = Simulator::start(Api::ALL.map(account).to_vec())?;
    let site = Site::with(&Configuration::of(&sim).everywhere(LINES))?;
    let daemon = site.start()?;
    for api in Api::ALL {
        site.get(api.dialect())?;
        sim.fail(Rule::once(api.dialect(), fault(api)).forever());
    }
    daemon.kill()?;
    let (kills, time) = kill_for(&site, counted, time)?;
    let mut failures = Vec::new();
    let mut requests = Vec::new();
    for api in Api::ALL {
        let log = sim.log(api.dialect());
        // A daemon that never asked would keep every rate limit. One that dies before it serves may do so.
        if log.token_requests() < 2 && counted == Counted::FromServing {
            failures.push(format!("{api}: no attempt was made, nothing is proved"));
        }
        requests.push((api, log.token_requests()));
    }
    sim.heal();
    for api in Api::ALL {
        sim.change(api.dialect(), |it| {
            it.access_lifetime = Duration::from_secs(3600);
        });
    }
    let daemon = site.start()?;
    failures.extend(answers_again(&site, &sim)?);
    if !failures.is_empty() {
        failures.push(format!("log:\n{}", site.log()?));
    }
    let ended = daemon.terminate()?;
    if !ended.success() {
        failures.push(format!("tokend ended with {ended}"));
    }
    Ok(Report {
        counted,
        kills,
        time,
        requests,
        failures,
    })
}

/// What is wrong with accounts whose providers work again: one has no token, or was asked for more often than its rate limit allows.
fn answers_again(site: &Site, sim: &Simulator) -> anyhow::Result<Vec<String>> {
    let mut failures = Vec::new();
    for api in Api::ALL {
        let name = api.dialect();
        let mut said = site.tokenctl(&["get", name, "--wait", "10s"])?;
        if said.code != Some(0) {
            // The daemon alone waits for its backoff, which is long by now; a person's request shortens the backoff and no rate limit.
            said = site.tokenctl(&["refresh", name, "--wait", "20s"])?;
        }
        if said.code != Some(0) || site.get(name).is_err() {
            failures.push(format!("{name} does not answer again: {said:?}"));
        }
        let log = sim.log(name);
        let logins = arrivals(&log, |entry| entry.endpoint == Endpoint::Login);
        let attempts = arrivals(&log, Entry::is_token_request);
        let found = [excess(&attempts, ATTEMPTS), excess(&logins, LOGINS)];
        failures.extend(
            found
                .into_iter()
                .flatten()
                .map(|excess| format!("{name}: {excess}")),
        );
    }
    Ok(failures)
}

/// Starts and kills daemons while clients ask for tokens; returns how many died, and in which time.
fn kill_for(site: &Site, counted: Counted, time: Duration) -> anyhow::Result<(usize, Duration)> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for api in Api::ALL {
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    // Refused by the rate limit, or cut off by a death: both are expected here.
                    drop(site.tokenctl(&["refresh", api.dialect(), "--timeout", "1s"]));
                    thread::park_timeout(PRESSING);
                }
            });
        }
        let watch = Stopwatch::start();
        let mut kills = 0;
        let ended = (|| {
            while watch.elapsed() < time {
                let (daemon, life) = match counted {
                    Counted::FromServing => (site.start()?, Stopwatch::start()),
                    Counted::FromStart => {
                        let life = Stopwatch::start();
                        (Daemon::spawn(site)?, life)
                    }
                };
                wait_until("the end of a life", PATIENCE, || life.elapsed() >= LIFE)?;
                daemon.kill()?;
                kills += 1;
            }
            Ok((kills, watch.elapsed()))
        })();
        over.store(true, Ordering::Relaxed);
        ended
    })
}
