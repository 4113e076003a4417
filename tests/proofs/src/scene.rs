//! One account at one provider, brought to just before an attempt, and checked afterwards.
//!
//! Built anew for each point: a death that left traces in the next one would prove nothing.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use anyhow::Context as _;

use super::{
    disk::Disk,
    judge::{Attempt, Evidence, Findings, Life, Pace, Seen, judge},
};
use tokend_harness::{Daemon, Site, probe};
use tokend_provider_simulator::{
    Configuration, Simulator,
    spec::{AccountSpec, Api, Reuse},
};

/// The account's name.
pub(super) const IT: &str = "it";
/// The first login and the attempt that dies use up the burst: a daemon that forgets a debit comes too early with the third.
pub(super) const ATTEMPTS: Pace = Pace {
    burst: 2,
    period: Duration::from_secs(1),
};
/// The limit of logins, equally tight.
const LOGINS: Pace = Pace {
    burst: 1,
    period: Duration::from_secs(1),
};
/// Both as configuration.
const LINES: &str = r#"
pacing = { attempts = { burst = 2, every = "1s" }, logins = { burst = 1, every = "1s" }, host = { burst = 50, every = "10ms" } }
refresh = "on-demand"
"#;
/// Longer than any rate limit here makes anybody wait.
const WAIT: [&str; 2] = ["--wait", "20s"];

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The process is killed.
    Process,
    /// The process is killed, and its file system loses everything that was not synced.
    Power,
}

/// The result of one point.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether the call was reached; otherwise the daemon was killed after the attempt.
    pub reached: bool,
    /// The findings at the provider.
    pub findings: Findings,
}

#[derive(Debug)]
pub(super) struct Scene {
    api: Api,
    attempt: Attempt,
    pub(super) sim: Simulator,
    // Declared before the place it is mounted in, so that it is dropped first.
    pub(super) disk: Option<Disk>,
    pub(super) site: Site,
}

impl Scene {
    pub(super) fn new(api: Api, attempt: Attempt, death: Death) -> anyhow::Result<Self> {
        let account = AccountSpec::new(IT, api).with(|it| {
            // The rate limit is under test here; and reuse costs as much as it can.
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
            attempt,
            sim,
            disk,
            site,
        })
    }

    /// A daemon whose next attempt is the one that should die.
    pub(super) fn brink(&self) -> anyhow::Result<Daemon> {
        let daemon = self.site.start()?;
        if self.attempt != Attempt::FirstLogin {
            self.site.get(IT)?;
            self.sim.end_access(IT);
        }
        if self.attempt == Attempt::LoginAgain {
            self.sim.end_refresh(IT);
        }
        Ok(daemon)
    }

    /// How many requests an undisturbed attempt takes, with those before it.
    pub(super) fn requests(&self) -> usize {
        match self.attempt {
            Attempt::FirstLogin => 1,
            Attempt::Rotation => 2,
            Attempt::LoginAgain => 3,
        }
    }

    /// Causes the attempt; returns whether a token came that the API accepts.
    pub(super) fn ask(&self) -> anyhow::Result<bool> {
        let said = match self.attempt {
            Attempt::FirstLogin => self.site.tokenctl(&["get", IT, WAIT[0], WAIT[1]])?,
            Attempt::Rotation | Attempt::LoginAgain => {
                let refresh = ["refresh", IT, "--print", WAIT[0], WAIT[1]];
                self.site.tokenctl(&refresh)?
            }
        };
        Ok(said.code == Some(0) && self.accepted(&said.line()?)?)
    }

    pub(super) fn trace_file(&self) -> PathBuf {
        self.site.path().join("trace")
    }

    /// What a program does that needs a token: ask, use, and reject a token that is refused.
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
    pub(super) fn state(&self) -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(self.site.state()).context("cannot list the state")? {
            let entry = entry.context("cannot list the state")?;
            if entry.file_type()?.is_file() {
                let path = entry.path();
                let bytes = fs::read(&path);
                let bytes = bytes.with_context(|| format!("cannot read {}", path.display()))?;
                files.insert(path, bytes);
            }
        }
        Ok(files)
    }

    /// The counts of the provider.
    pub(super) fn seen(&self) -> Seen {
        let log = self.sim.log(IT);
        Seen {
            logins: log.logins(),
            requests: log.token_requests(),
        }
    }

    /// What a serving daemon found: whether an attempt is in doubt, and whether it holds a token that its API accepts.
    pub(super) fn found(&self) -> anyhow::Result<(bool, bool)> {
        let status = self.site.status(IT)?;
        let doubt = status.pointer("/problem/code") == Some(&"in-doubt".into());
        // The attempt before has ended every earlier token, and the daemon cannot know that.
        let held = status.get("has_token") == Some(&true.into());
        Ok((doubt, held && self.attempt == Attempt::FirstLogin))
    }

    /// Cuts the power, if the death includes it.
    pub(super) fn lose_power(&mut self) -> anyhow::Result<()> {
        self.disk.as_mut().map_or(Ok(()), Disk::lose_power)
    }

    /// The life after the last death: it works, and continues to work. Then all lives are judged by the provider's log.
    pub(super) fn aftermath(
        &self,
        brink: Seen,
        mut lives: Vec<Life>,
        reached: bool,
    ) -> anyhow::Result<Outcome> {
        let daemon = self.site.start()?;
        let (doubt, fresh) = self.found()?;
        if let Some(last) = lives.last_mut() {
            // By now everything that a dying daemon had sent has arrived.
            last.seen = self.seen();
        }
        let works = self.works()?;
        let goes_on = works && self.goes_on()?;
        let status = self.site.status(IT)?;
        let code = daemon.terminate()?;
        lives.push(Life {
            doubt: Some(doubt),
            fresh,
            untouched: false,
            answered: works,
            seen: self.seen(),
        });
        let mut findings = judge(&Evidence {
            api: self.api,
            attempt: self.attempt,
            log: &self.sim.log(IT),
            violations: &self.sim.violations(),
            brink,
            lives: &lives,
            goes_on,
            attempts: ATTEMPTS,
            logins: LOGINS,
        });
        if !code.success() {
            findings.broken.push(format!("tokend ended with {code}"));
        }
        if !findings.broken.is_empty() {
            let log = self.site.log().unwrap_or_default();
            findings.broken.push(format!("lives: {lives:?}"));
            findings.broken.push(format!("status is {status}"));
            findings.broken.push(format!("log:\n{log}"));
        }
        Ok(Outcome { reached, findings })
    }
}
