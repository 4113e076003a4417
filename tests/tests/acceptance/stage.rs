//! A simulator with accounts and a place for a daemon that is configured for them.

use std::time::Duration;

use tokend_harness::{
    Said, Site,
    clock::{PATIENCE, wait_for, wait_until},
    probe,
};
use tokend_provider_simulator::{
    Configuration, Simulator,
    fault::{Fault, FaultKind, Rule},
    spec::{AccountSpec, Api},
};

/// A rate limit that never matters in tests about something else.
pub(crate) const FAST: &str = r#"
pacing = { attempts = { burst = 5000, every = "10ms" }, logins = { burst = 5000, every = "10ms" }, host = { burst = 5000, every = "10ms" }, host_in_flight = 1000 }
"#;

/// Nothing is refreshed ahead of time.
pub(crate) const ON_DEMAND: &str = "refresh = \"on-demand\"";

pub(crate) struct Stage {
    pub(crate) sim: Simulator,
    pub(crate) site: Site,
}

impl Stage {
    /// Providers and a configured place; no daemon yet.
    pub(crate) fn new(accounts: Vec<AccountSpec>, lines: &str) -> Self {
        let sim = Simulator::start(accounts).unwrap();
        let site = Site::with(&Configuration::of(&sim).everywhere(lines)).unwrap();
        Self { sim, site }
    }

    /// One account called `it` that is never suspended, at a fast pace.
    pub(crate) fn of(api: Api) -> Self {
        Self::new(vec![account("it", api)], FAST)
    }

    /// The same, refreshed only when asked.
    pub(crate) fn on_demand(api: Api) -> Self {
        Self::new(vec![account("it", api)], &format!("{FAST}{ON_DEMAND}"))
    }

    /// A token, sooner or later.
    pub(crate) fn eventually(&self, account: &str) -> String {
        let what = format!("a token for {account}");
        let got = wait_for(&what, PATIENCE, || self.site.get(account).ok());
        got.unwrap_or_else(|error| {
            let last = self.site.tokenctl(&["get", account]);
            panic!("{error}: {last:?}\n{}", self.site.log().unwrap_or_default())
        })
    }

    /// Whether the account's API accepts this token.
    pub(crate) fn accepted(&self, api: Api, token: &str) -> bool {
        let url = format!("{}{}", self.sim.base_url(api), api.resource());
        probe::get(url).bearer(token).send().unwrap().status == 200
    }

    /// A token of `it` that has expired; those after it live for an hour.
    pub(crate) fn expired(&self, api: Api) -> String {
        let life = |life| self.sim.change("it", |it| it.access_lifetime = life);
        life(Duration::from_secs(2));
        let token = self.site.get("it").unwrap();
        life(Duration::from_secs(3600));
        let expired = || !self.accepted(api, &token);
        wait_until("the token to expire", PATIENCE, expired).unwrap();
        token
    }

    /// Reports a refused token and returns the new one.
    pub(crate) fn reject(&self, account: &str, token: &str) -> Said {
        self.site
            .tokenctl_with(&["reject", account, "--print"], token)
            .unwrap()
    }

    /// Fails one request of `it`.
    pub(crate) fn once(&self, fault: Fault) {
        self.sim.fail(Rule::once("it", fault));
    }

    pub(crate) fn requests(&self) -> usize {
        self.sim.log("it").token_requests()
    }
}

/// An account of `api` that is never suspended.
pub(crate) fn account(name: &str, api: Api) -> AccountSpec {
    AccountSpec::new(name, api).with(|behaviour| behaviour.suspension = None)
}

/// A right answer that comes late.
pub(crate) fn slow(time: Duration) -> FaultKind {
    FaultKind::Slow {
        ms: u64::try_from(time.as_millis()).unwrap(),
    }
}
