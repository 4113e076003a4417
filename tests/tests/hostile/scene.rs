//! A daemon's place whose accounts each have a provider of their own, most of them failing, and one healthy account.

use std::fs;

use tokend_harness::{Daemon, Site};
use tokend_provider_simulator::{
    Configuration, Simulator,
    spec::{AccountSpec, Api},
};

/// A rate limit that never matters in tests about something else.
pub(crate) const FAST: &str = r#"
refresh = "on-demand"
pacing = { attempts = { burst = 5000, every = "10ms" }, logins = { burst = 5000, every = "10ms" }, host = { burst = 5000, every = "10ms" }, host_in_flight = 1000 }
"#;

/// The account whose provider works.
pub(crate) const WELL: &str = "well";

pub(crate) struct Scene {
    pub(crate) sim: Simulator,
    pub(crate) site: Site,
}

impl Scene {
    /// Accounts of the JWT API by name and base URL, beside [`WELL`] at a simulator. `preamble` is TOML before the accounts,
    /// `lines` goes into each of theirs.
    pub(crate) fn new(preamble: &str, lines: &str, accounts: &[(&str, String)]) -> Self {
        let sim = Simulator::start(vec![account(WELL)]).unwrap();
        let mut configuration = Configuration::of(&sim).everywhere(FAST);
        configuration.preamble = preamble.to_owned();
        for (name, base_url) in accounts {
            configuration = configuration.account(account(name), base_url, lines);
        }
        let site = Site::with(&configuration).unwrap();
        Self { sim, site }
    }

    /// Makes every provider one that, by its dialect, hangs up on a wrong password.
    pub(crate) fn hanging_up(&self) {
        let dialects = self.site.path().join("dialects");
        fs::create_dir(&dialects).unwrap();
        let rule = "extends = \"jwt-api\"\n\n[[login.rules]]\nno_answer = true\nclass = \"credential-rejected\"\nsay = \"it hangs up on a wrong password\"\n";
        fs::write(dialects.join("silent.toml"), rule).unwrap();
        let text = fs::read_to_string(self.site.configuration()).unwrap();
        let text = text.replace("provider = \"jwt-api\"", "provider = \"silent\"");
        let text = format!("dialect_dir = {dialects:?}\n{text}");
        fs::write(self.site.configuration(), text).unwrap();
    }

    /// The healthy account works from one end to the other, and its provider is asked.
    pub(crate) fn well(&self) {
        let said = self.site.tokenctl(&["refresh", WELL]).unwrap();
        assert_eq!(said.code, Some(0), "{said:?}");
        let token = self.site.get(WELL).unwrap();
        assert_eq!(Some(token), self.sim.newest_access(WELL));
    }
}

/// An account of the JWT API that is never suspended.
pub(crate) fn account(name: &str) -> AccountSpec {
    AccountSpec::new(name, Api::JwtApi)
        .known_as(name)
        .with(|behaviour| behaviour.suspension = None)
}

/// A line of `/proc/PID/status` that is a size, in KiB.
pub(crate) fn kib(daemon: &Daemon, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.unwrap().trim_start_matches(':').trim();
    number.trim_end_matches("kB").trim().parse().unwrap()
}

/// How many descriptors a daemon has open.
pub(crate) fn descriptors(daemon: &Daemon) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.pid()))
        .unwrap()
        .count()
}
