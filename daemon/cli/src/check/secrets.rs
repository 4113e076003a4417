//! Checks whether each secret can be read as the daemon reads it: from its files, its credentials, its environment, through its relay.
//!
//! Owns the findings about missing secrets, and about secrets that only a start can see. Must never keep or show a secret.

use std::collections::HashSet;

use tokend_config::{Account, Config, SecretPlace, SecretRef, is_shortage};

use super::{Findings, start};
use crate::run_as::{RunAs, Unit, UnitCredential, Variable};
use tokend_document::counted;
use tokend_egress::{Egress, NoEgress};
use tokend_upstream::Upstream;
use tokend_upstream::secrets::{self, SecretSource, fetch};

/// How many secrets were not checked, and why.
#[derive(Debug, Default)]
struct Left {
    /// Commands fetch them.
    commands: usize,
    /// systemd hands them over as credentials.
    credentials: usize,
    /// They may be in an environment file, or come with systemd's own environment.
    variables: usize,
}

impl Findings {
    /// Reads each secret once, however many accounts name it, and drops it.
    pub(super) fn secrets(&mut self, config: &Config, run_as: &RunAs, run_commands: bool) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = match runtime.enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let short = is_shortage(&error);
                return self.refused(format!("secrets cannot be fetched: {error}"), short);
            }
        };
        let source = self.source(config, run_as);
        let (mut left, mut ran) = (Left::default(), false);
        let of_accounts = distinct(config).into_iter();
        let of_accounts = of_accounts.map(|(place, it)| (place, format!("account {}", it.name)));
        let of_proxies = config.http.proxies.iter();
        let of_proxies =
            of_proxies.filter_map(|it| Some((it.password.as_ref()?, format!("proxy {it}"))));
        for (place, owner) in of_accounts.chain(of_proxies) {
            if place.is_command() && !run_commands {
                left.commands += 1;
                continue;
            }
            ran |= place.is_command();
            if let Some(unit) = &run_as.unit
                && self.is_units(unit, place, &source, &owner, &mut left)
            {
                continue;
            }
            match runtime.block_on(fetch(place, &source)) {
                Err(error) => {
                    self.refused(format!("{owner}: {error}"), error.is_shortage());
                }
                Ok(fetched) if fetched.left_out > 0 => {
                    self.notes.push(left_out(&owner, place, fetched.left_out));
                }
                Ok(_) => {}
            }
        }
        self.left(&left);
        if ran
            && source.egress.is_none()
            && let Ok(Some(relay)) = relay(run_as)
        {
            self.notes.push(format!(
                "commands were run without the relay {relay}, which is in the daemon's own network; the daemon's go through it"
            ));
        }
    }

    /// The sources of the daemon's secrets. Also reports when the connection settings for providers would keep the daemon from starting.
    fn source(&mut self, config: &Config, run_as: &RunAs) -> SecretSource {
        let egress = relay(run_as).unwrap_or_else(|error| {
            let prefix = run_as.unit.as_ref().map_or("", |_| "tokend.service: ");
            self.errors.push(format!("{prefix}{error}"));
            None
        });
        let timeout = config.limits.command_timeout;
        let source = run_as.secrets(SecretSource::of_this_process(timeout, egress));
        // The error that a start would end with.
        if let Err(error) = Upstream::compile(&config.http, source.clone()) {
            self.refused(error.to_string(), error.is_shortage());
        }
        // A daemon that was given the relay can reach it.
        let is_there = matches!(Egress::of_this_process(), Ok(own) if own == egress);
        let is_apart = run_as.unit.as_ref().is_some_and(Unit::has_own_network) && !is_there;
        SecretSource {
            egress: egress.filter(|_| !is_apart),
            ..source
        }
    }

    /// Whether the unit settles the question about this secret: the secret comes with the daemon's start, or does not come at all.
    fn is_units(
        &mut self,
        unit: &Unit,
        place: &SecretRef,
        source: &SecretSource,
        owner: &str,
        left: &mut Left,
    ) -> bool {
        match &place.place {
            SecretPlace::Credential(name) if source.credentials.is_none() => {
                match unit.credential(name) {
                    UnitCredential::Present | UnitCredential::Unseen => left.credentials += 1,
                    UnitCredential::Missing(path) => self.errors.push(format!("{owner}: {}", start::absent(name, &path))),
                    UnitCredential::Absent => self.errors.push(format!(
                        "{owner}: credential {name} is not given to the daemon: add LoadCredential={name}:PATH to a drop-in of tokend.service \
                         (systemctl edit tokend.service)"
                    )),
                }
                true
            }
            SecretPlace::Env(name) => {
                match unit.variable(name) {
                    Variable::Set(value) => {
                        if let Err(error) = secrets::judge(value.as_bytes(), place) {
                            self.errors.push(format!("{owner}: {error}"));
                        }
                    }
                    Variable::Unseen => left.variables += 1,
                    Variable::Unset => self.errors.push(format!(
                        "{owner}: environment variable {name} is not given to the daemon: add EnvironmentFile=PATH to a drop-in of tokend.service \
                         (systemctl edit tokend.service), with a line {name}=... in that file, or use {{ file = \"PATH\" }}"
                    )),
                }
                true
            }
            _ => false,
        }
    }

    /// The secrets that were not checked.
    fn left(&mut self, left: &Left) {
        let are = if left.commands == 1 { "is" } else { "are" };
        let commands = format!("{are} fetched by commands, which were not run; see --run-commands");
        for (count, why) in [
            (
                left.credentials,
                "come to the daemon as credentials of tokend.service when that starts, and were not looked at",
            ),
            (
                left.variables,
                "come to the daemon as variables by EnvironmentFile= or PassEnvironment= of tokend.service, and were not looked at",
            ),
            (left.commands, &commands),
        ] {
            if count > 0 {
                self.notes
                    .push(format!("{} {why}", counted(count, "secret")));
            }
        }
    }
}

/// The relay that the daemon is given: by its unit, if one runs it.
fn relay(run_as: &RunAs) -> Result<Option<Egress>, NoEgress> {
    let Some(unit) = &run_as.unit else {
        return Egress::of_this_process();
    };
    match unit.variable(Egress::VARIABLE) {
        Variable::Set(text) => Egress::named(&text),
        Variable::Unset | Variable::Unseen => Ok(None),
    }
}

/// The output of a command beside the secret.
fn left_out(owner: &str, place: &SecretRef, lines: usize) -> String {
    let lines = match lines {
        1 => "1 more line, which is".to_owned(),
        count => format!("{count} more lines, which are"),
    };
    format!(
        "{owner}: {place} printed {lines} not sent: only the first line is the secret; \
         if all of them are, add `whole = true` to the reference"
    )
}

/// Each place of a secret, with the first account that names it.
fn distinct(config: &Config) -> Vec<(&SecretRef, &Account)> {
    let mut seen = HashSet::new();
    let accounts = config.accounts.iter();
    let all =
        accounts.flat_map(|account| account.secrets.iter().map(|(_, place)| (place, &**account)));
    all.filter(|(place, _)| seen.insert(*place)).collect()
}
