//! The settings that hold from the start of the daemon to its end.
//!
//! Owns which they are. Every other setting takes effect at a reload. Must never name one that a restart would not change either: systemd
//! passed its socket, or the command line overrides it.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use tokend_config::{Config, Limits, Metrics, MetricsListen};
use tokend_policy::Outlet;

/// The sockets that systemd passed. Their settings mean nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Passed {
    /// The one for clients.
    pub(crate) clients: bool,
    /// The one for readers of metrics.
    pub(crate) metrics: bool,
    pub(crate) outlets: Vec<Outlet>,
}

/// The settings that the daemon was started with.
#[derive(Debug)]
pub(super) struct FromStart {
    passed: Passed,
    settings: Vec<Setting>,
    state_dir: PathBuf,
}

#[derive(Debug)]
struct Setting {
    /// Its key, and where that stands.
    name: String,
    value: String,
    /// Whether a restart would look at it.
    matters: bool,
}

impl FromStart {
    pub(super) fn new(config: &Config, passed: Passed) -> Self {
        Self {
            settings: settings(config, &passed),
            state_dir: config.state_dir.clone(),
            passed,
        }
    }

    /// The settings that this configuration has otherwise, so that a restart would change them.
    pub(super) fn differing(&self, config: &Config) -> Vec<String> {
        let now = settings(config, &self.passed).into_iter();
        let differs = |(now, start): &(Setting, &Setting)| now.matters && now.value != start.value;
        let differing = now.zip(&self.settings).filter(differs);
        differing.map(|(now, _)| now.name).collect()
    }

    pub(super) fn state_dir(&self) -> &Path {
        &self.state_dir
    }
}

/// All of them, always in the same order.
fn settings(config: &Config, passed: &Passed) -> Vec<Setting> {
    // Written out, so that nobody adds a setting without a thought of whether a reload applies it.
    let Config {
        socket,
        socket_mode,
        listen,
        state_dir,
        limits,
        metrics,
        admin: _,
        log: _,
        audit: _,
        http: _,
        accounts: _,
        files: _,
        stamps: _,
        unresolved: _,
        names: _,
    } = config;
    let Limits {
        connections,
        connections_per_user,
        requests_per_connection,
        idle_timeout,
        frame_timeout,
        command_timeout: _,
    } = limits;
    let Metrics {
        listen: readers,
        allow: _,
        accounts: _,
    } = metrics;
    let is_passed = |outlet: Outlet| passed.outlets.contains(&outlet);
    let is_made = |outlet: Outlet| !is_passed(outlet) && listen.at(outlet).is_some();
    let makes_one = !passed.clients || Outlet::ALL.into_iter().any(is_made);
    // A Unix socket for readers is made beside one that systemd passes.
    let readers = match readers {
        Some(MetricsListen::Tcp(_)) if passed.metrics => None,
        other => other.as_ref(),
    };
    let outlets = Outlet::ALL.map(|outlet| {
        let path = listen.at(outlet);
        setting(outlet.key(), "listen", &path).only_if(!is_passed(outlet))
    });
    let others = [
        setting("socket", "", socket).only_if(!passed.clients),
        setting("socket_mode", "", socket_mode).only_if(makes_one),
        setting("state_dir", "", state_dir),
        setting("listen", "metrics", &readers),
        setting("connections", "limits", connections),
        setting("connections_per_user", "limits", connections_per_user),
        setting("requests_per_connection", "limits", requests_per_connection),
        setting("idle_timeout", "limits", idle_timeout),
        setting("frame_timeout", "limits", frame_timeout),
    ];
    outlets.into_iter().chain(others).collect()
}

fn setting(key: &str, table: &str, value: &dyn Debug) -> Setting {
    Setting {
        name: match table {
            "" => format!("`{key}`"),
            table => format!("`{key}` in [{table}]"),
        },
        value: format!("{value:?}"),
        matters: true,
    }
}

impl Setting {
    fn only_if(self, matters: bool) -> Self {
        Self { matters, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Site;

    fn differing(start: &str, now: &str, passed: Passed) -> String {
        let from_start = FromStart::new(&Site::new(start).config(), passed);
        from_start.differing(&Site::new(now).config()).join(", ")
    }

    const OUTLETS: &str =
        "[listen]\nhttp = \"/t/h\"\noidc_agent = \"/t/o\"\ncredentials = \"/t/c\"\n";

    #[test]
    fn each_setting_that_holds_from_the_start_is_named_and_no_other() {
        let none = Passed::default;
        let base = "socket = \"/t/s\"\nstate_dir = \"/t/d\"\n";
        for (now, named) in [
            ("", ""),
            ("[listen]\nhttp = \"/t/h\"\n", "`http` in [listen]"),
            ("socket_mode = \"0600\"\n", "`socket_mode`"),
            ("[limits]\nconnections = 7\n", "`connections` in [limits]"),
            (
                "[limits]\nconnections_per_user = 7\n",
                "`connections_per_user` in [limits]",
            ),
            (
                "[limits]\nrequests_per_connection = 7\n",
                "`requests_per_connection` in [limits]",
            ),
            (
                "[limits]\nidle_timeout = \"7s\"\n",
                "`idle_timeout` in [limits]",
            ),
            (
                "[limits]\nframe_timeout = \"7s\"\n",
                "`frame_timeout` in [limits]",
            ),
            ("[limits]\ncommand_timeout = \"7s\"\n", ""),
            (
                "[metrics]\nlisten = \"127.0.0.1:9\"\n",
                "`listen` in [metrics]",
            ),
            ("[metrics]\naccounts = false\n", ""),
            ("[log]\nlevel = \"error\"\n", ""),
            ("[http]\ntimeout = \"7s\"\n", ""),
            ("admin = [{ user = 7 }]\n", ""),
        ] {
            assert_eq!(
                differing(base, &format!("{base}{now}"), none()),
                named,
                "{now}"
            );
        }
        let moved = "socket = \"/t/s2\"\nstate_dir = \"/t/d2\"\n";
        assert_eq!(differing(base, moved, none()), "`socket`, `state_dir`");
        let three = format!("{base}{OUTLETS}");
        let named = "`http` in [listen], `credentials` in [listen], `oidc_agent` in [listen]";
        assert_eq!(differing(&three, base, none()), named);
    }

    #[test]
    fn what_systemd_passes_has_no_setting_that_counts() {
        let (clients, metrics) = (true, true);
        let passed = |outlets: &[Outlet]| Passed {
            clients,
            metrics,
            outlets: outlets.to_vec(),
        };
        let base = "socket = \"/t/s\"\nstate_dir = \"/t/d\"\n";
        let now = format!(
            "socket = \"/t/s2\"\nsocket_mode = \"0600\"\nstate_dir = \"/t/d\"\n[metrics]\nlisten = \"127.0.0.1:9\"\n{OUTLETS}"
        );
        assert_eq!(differing(base, &now, passed(&Outlet::ALL)), "");
        // One that is made here is made with that mode.
        let named = "`oidc_agent` in [listen], `socket_mode`";
        let some = passed(&[Outlet::Http, Outlet::Credentials]);
        assert_eq!(differing(base, &now, some), named);
        let unix = format!("{base}[metrics]\nlisten = \"unix:/t/m\"\n");
        let named = "`listen` in [metrics]";
        assert_eq!(differing(base, &unix, passed(&[])), named);
    }
}
