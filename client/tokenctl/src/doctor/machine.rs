//! Checks the surroundings of the daemon: its units under systemd, and whether anything keeps the clock right.
//!
//! Asks systemctl and timedatectl, which any user may. Without systemd there are no findings.

mod beside;
mod last_words;
mod state;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokend_client::SocketPath;

use self::beside::{BESIDE, Beside};
use self::last_words::start_error;
use self::state::State;
use super::finding::Finding;
use crate::deadline::within;
use crate::failure::Exit;

/// How long systemd may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// The units to ask systemd about; a user's daemon has the first two.
const UNITS: [&str; 3] = ["tokend.service", "tokend.socket", "tokend-egress.socket"];

/// What to ask of each.
const PROPERTIES: &str = "LoadState,ActiveState,SubState,Result,ExecMainStatus,NRestarts,InvocationID,UnitFileState,Listen";

/// The state of the daemon's units, as systemd reports it.
#[derive(Debug)]
pub(super) struct Units {
    is_users: bool,
    service: State,
    socket: State,
    relays_socket: State,
    beside: Vec<Beside>,
    /// The reason why the service's last run did not start, if the journal may be read.
    start_error: Option<String>,
}

/// Why no daemon answers although its socket exists, and what to do.
#[derive(Debug)]
pub(super) struct Absence {
    /// The state of the daemon, as the end of a sentence.
    pub(super) why: &'static str,
    pub(super) exit: Exit,
    pub(super) advice: String,
}

impl Units {
    /// The units of a daemon at `socket`; `None` without systemd, or without such a service.
    pub(super) fn of(socket: Option<&SocketPath>) -> Option<Self> {
        if !Path::new("/run/systemd/system").exists() {
            return None;
        }
        let is_users = socket.is_some_and(SocketPath::is_own);
        let shown = said(
            "systemctl",
            &[
                scope(is_users),
                &["show"][..],
                &UNITS,
                &BESIDE.map(|(unit, _)| unit),
                &["-p", PROPERTIES],
            ]
            .concat(),
        )?;
        let mut states = shown.split("\n\n").map(State::read);
        let service = states.next().filter(|it| it.load == "loaded")?;
        let mut units = Self {
            is_users,
            service,
            socket: states.next().unwrap_or_default(),
            relays_socket: states.next().unwrap_or_default(),
            beside: Beside::all(states),
            start_error: None,
        };
        units.start_error = (units.has_failed() || units.fails_again_and_again())
            .then(|| units.last_words())
            .flatten();
        Some(units)
    }

    /// Whether systemd no longer restarts the daemon by itself.
    fn has_failed(&self) -> bool {
        [&self.service, &self.socket]
            .iter()
            .any(|it| it.active == "failed")
    }

    /// Whether the daemon ended and waits to be started again, or is being started after it ended more than
    /// once. After a single end, a slow start may still be a good one.
    fn fails_again_and_again(&self) -> bool {
        let again = self.service.restarts().is_some_and(|times| times >= 2);
        self.service.sub.starts_with("auto-restart") || (self.is_being_started() && again)
    }

    fn is_being_started(&self) -> bool {
        self.service.active == "activating"
    }

    /// Why no daemon answers at the socket, as far as systemd knows.
    pub(super) fn absence(&self) -> Option<Absence> {
        let option = if self.is_users { " --user" } else { "" };
        match self.way_out() {
            Some(advice) => Some(Absence {
                why: match self.fails_again_and_again() {
                    true => "it ended, and systemd starts it again",
                    false => "it cannot start",
                },
                exit: Exit::Unavailable,
                advice,
            }),
            None if self.is_being_started() => Some(Absence {
                why: "it is being started",
                exit: Exit::TryLater,
                advice: format!(
                    "check again once it is up; if nothing changes, see what it waits for: systemctl{option} status tokend"
                ),
            }),
            None => None,
        }
    }

    /// The reason why the service's last run did not start.
    fn last_words(&self) -> Option<String> {
        let run = format!("_SYSTEMD_INVOCATION_ID={}", self.service.invocation);
        let options = ["--quiet", "--no-pager", "--output=cat", "--lines=200"];
        let lines = said(
            "journalctl",
            &[scope(self.is_users), &options[..], &[run.as_str()][..]].concat(),
        )?;
        start_error(&lines)
    }

    /// The advice for a failure, if there is one.
    fn way_out(&self) -> Option<String> {
        if self.fails_again_and_again() {
            let option = if self.is_users { "--user " } else { "" };
            return Some(format!(
                "see why with `journalctl {option}-u tokend` and correct it; systemd keeps starting it"
            ));
        }
        if !self.has_failed() {
            return None;
        }
        let (sudo, option, check) = match self.is_users {
            true => ("", " --user", "tokend check"),
            false => ("sudo ", "", "sudo tokend check"),
        };
        let mend = match (&self.start_error, self.service.status.as_str()) {
            (None, "78") => format!("`{check}` shows what is wrong; correct it"),
            (Some(_), "78") => format!("correct it (`{check}` shows all that is wrong)"),
            (_, "64") => format!(
                "correct its command line or environment (`systemctl{option} cat tokend.service` shows ExecStart= and Environment=, \
                 `{sudo}systemctl{option} edit tokend.service` changes them, `{sudo}journalctl{option} -u tokend` says what is wrong)"
            ),
            // systemd's own number: it could not even start the daemon.
            (_, "243") => format!(
                "correct its credentials (`systemctl{option} cat tokend.service` has a line LoadCredential= or LoadCredentialEncrypted= \
                 for each: the file must exist, and an encrypted one must have been made on this machine under the same name)"
            ),
            _ => format!("see why with `{sudo}journalctl{option} -u tokend`, correct it"),
        };
        // Before the daemon: systemd cannot start the socket of a service that is running.
        let failed = self.beside.iter().filter_map(Beside::failed);
        let beside: String = failed.map(|unit| format!(" {unit}")).collect();
        Some(format!(
            "{mend}, then: {sudo}systemctl{option} reset-failed tokend.service tokend.socket{beside} && \
             {sudo}systemctl{option} start{beside} tokend.socket tokend.service"
        ))
    }

    /// The findings about the units.
    pub(super) fn findings(&self) -> Vec<Finding> {
        std::iter::once(self.finding())
            .chain(self.relay_finding())
            .chain(self.findings_beside())
            .collect()
    }

    /// The sockets beside the daemon's own that should be there. While it is stopped or its own way out names them, there is nothing to add.
    fn findings_beside(&self) -> impl Iterator<Item = Finding> {
        let is_up = |state: &State| state.active == "active";
        let stands = self.way_out().is_none() && (is_up(&self.service) || is_up(&self.socket));
        let beside = self.beside.iter().filter(move |_| stands);
        beside.filter_map(Beside::finding)
    }

    /// The finding that the relay is missing, if systemd gave it up.
    fn relay_finding(&self) -> Option<Finding> {
        let failed = |state: &State| state.active == "failed";
        failed(&self.relays_socket).then(|| {
            Finding::problem(
                "relay",
                Exit::Unavailable,
                format!(
                    "tokend-egress.socket has failed ({}): the relay, by which the daemon reaches its providers, could not be started",
                    self.relays_socket.result
                ),
                "see why with `sudo journalctl -u tokend-egress`, correct it, then: sudo systemctl reset-failed tokend-egress.service \
                 tokend-egress.socket && sudo systemctl start tokend-egress.socket tokend-egress.service",
            )
        })
    }

    fn finding(&self) -> Finding {
        let option = if self.is_users { " --user" } else { "" };
        let State {
            active,
            sub,
            result,
            ..
        } = &self.service;
        let why = match (&self.start_error, self.service.active.as_str()) {
            (Some(error), _) => format!(": {error}"),
            _ => String::new(),
        };
        match (self.way_out(), active.as_str()) {
            (Some(way_out), _) if self.fails_again_and_again() => Finding::problem(
                "unit",
                Exit::Unavailable,
                format!(
                    "tokend.service does not come up: it ended, and is started again by systemd{}{why}",
                    self.service.so_far()
                ),
                way_out,
            ),
            (Some(way_out), "failed") => Finding::problem(
                "unit",
                Exit::Unavailable,
                format!("tokend.service has failed ({result}){why}"),
                way_out,
            ),
            (Some(way_out), _) => Finding::problem(
                "unit",
                Exit::Unavailable,
                format!(
                    "tokend.service is {active} and tokend.socket has failed ({}){why}",
                    self.socket.result
                ),
                way_out,
            ),
            (None, "active" | "reloading") => {
                Finding::ok("unit", format!("tokend.service is {active} ({sub})"))
            }
            (None, "activating" | "deactivating") => Finding::warning(
                "unit",
                format!("tokend.service is {active} ({sub})"),
                format!(
                    "if nothing changes, see what it waits for: systemctl{option} status tokend"
                ),
            ),
            (None, _) => Finding::warning(
                "unit",
                format!("tokend.service is {active} ({sub})"),
                format!("start it: systemctl{option} start tokend"),
            ),
        }
    }
}

fn scope(is_users: bool) -> &'static [&'static str] {
    if is_users { &["--user"] } else { &[] }
}

/// Whether the clock is synchronised; no finding without systemd.
pub(super) fn clock() -> Option<Finding> {
    if !Path::new("/run/systemd/system").exists() {
        return None;
    }
    let shown = said("timedatectl", &["show", "-p", "NTPSynchronized", "--value"])?;
    Some(match shown.trim() {
        "yes" => Finding::ok("clock", "it is kept right by a time server"),
        _ => Finding::warning(
            "clock",
            "no time server keeps it right",
            "after a restart of the machine stored tokens are judged by it: timedatectl set-ntp true",
        ),
    })
}

/// The output of a program; `None` if it is missing, fails or takes too long.
fn said(program: &'static str, arguments: &[&str]) -> Option<String> {
    let arguments: Vec<String> = arguments.iter().map(|&it| it.to_owned()).collect();
    let output = within(PATIENCE, move || {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        command.output()
    })?;
    let output = output.ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(service: &str, socket: &str) -> Units {
        Units {
            is_users: false,
            service: State::read(service),
            socket: State::read(socket),
            relays_socket: State::default(),
            beside: Vec::new(),
            start_error: None,
        }
    }

    #[test]
    fn a_failure_has_a_way_out_and_nothing_else_has() {
        let failed = "LoadState=loaded\nActiveState=failed\nResult=exit-code\nExecMainStatus=78";
        let active = "LoadState=loaded\nActiveState=active\nSubState=running";
        let dead = "LoadState=loaded\nActiveState=inactive\nSubState=dead";
        let again = "sudo systemctl reset-failed tokend.service tokend.socket && sudo systemctl start tokend.socket tokend.service";
        for units in [
            units(failed, active),
            units(dead, failed),
            units(failed, failed),
        ] {
            let way_out = units.way_out().unwrap();
            assert!(way_out.ends_with(again), "{way_out}");
            assert_eq!(units.finding().advice, Some(way_out));
        }
        assert!(
            units(failed, active)
                .way_out()
                .unwrap()
                .contains("tokend check")
        );
        let killed = "LoadState=loaded\nActiveState=failed\nResult=signal\nExecMainStatus=9";
        let way_out = units(killed, active).way_out().unwrap();
        assert!(
            way_out.starts_with("see why with `sudo journalctl -u tokend`"),
            "{way_out}"
        );
        let mistyped = "LoadState=loaded\nActiveState=failed\nResult=exit-code\nExecMainStatus=64";
        let way_out = units(mistyped, failed).way_out().unwrap();
        assert!(way_out.contains("Environment="), "{way_out}");
        assert!(way_out.ends_with(again), "{way_out}");
        let uncredited =
            "LoadState=loaded\nActiveState=failed\nResult=exit-code\nExecMainStatus=243";
        let way_out = units(uncredited, failed).way_out().unwrap();
        assert!(way_out.contains("LoadCredential"), "{way_out}");
        assert!(way_out.ends_with(again), "{way_out}");
        let again_and_again =
            "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nNRestarts=7";
        let found = units(again_and_again, active).finding();
        let expected = "tokend.service does not come up: it ended, and is started again by systemd, so far 7 times";
        assert_eq!(found.message, expected);
        let starting = "LoadState=loaded\nActiveState=activating\nSubState=start-pre\nNRestarts=0";
        let found = units(starting, active).finding();
        assert!(
            !found.advice.unwrap().contains("start it"),
            "it is being started"
        );
        assert_eq!(units(active, active).way_out(), None);
        assert_eq!(units(dead, active).way_out(), None);
    }

    #[test]
    fn a_start_that_takes_its_time_is_not_taken_for_one_that_fails() {
        let active = "LoadState=loaded\nActiveState=active\nSubState=running";
        let service = |sub: &str, restarts: &str| {
            let shown =
                format!("LoadState=loaded\nActiveState=activating\nSubState={sub}{restarts}");
            units(&shown, active)
        };
        // A long load after one crash, a first load, and one where systemd does not count.
        for restarts in ["\nNRestarts=1", "\nNRestarts=0", "\nNRestarts=", ""] {
            let it = service("start", restarts);
            let absence = it.absence().unwrap();
            assert_eq!(absence.why, "it is being started", "{restarts}");
            assert_eq!(absence.exit, Exit::TryLater, "{restarts}");
            let found = it.finding();
            assert_eq!(found.message, "tokend.service is activating (start)");
            assert_eq!(found.severity, tokend_client::Severity::Warning);
        }
        // A unit without an answer counts as working.
        let mut unknown = service("start", "");
        unknown.service.restarts = String::new();
        assert_eq!(unknown.absence().unwrap().why, "it is being started");
        // A unit that has ended, whatever the count.
        let expected = "tokend.service does not come up: it ended, and is started again by systemd";
        for (sub, restarts, so_far) in [
            ("auto-restart", "\nNRestarts=0", ""),
            ("auto-restart", "\nNRestarts=1", ", so far once"),
            ("auto-restart-queued", "\nNRestarts=3", ", so far 3 times"),
            ("auto-restart", "", ""),
            ("start-pre", "\nNRestarts=2", ", so far 2 times"),
        ] {
            let it = service(sub, restarts);
            assert_eq!(it.finding().message, format!("{expected}{so_far}"));
            let absence = it.absence().unwrap();
            assert_eq!(absence.why, "it ended, and systemd starts it again");
            assert_eq!(absence.exit, Exit::Unavailable);
        }
        assert!(units(active, active).absence().is_none());
    }

    #[test]
    fn sockets_that_failed_beside_the_daemon_are_in_the_way_out() {
        let failed = "LoadState=loaded\nActiveState=failed\nResult=trigger-limit-hit";
        let mut it = units(failed, failed);
        let states = || BESIDE.iter().map(|_| State::read(failed));
        it.beside = Beside::all(states());
        let way_out = it.way_out().unwrap();
        let all = "tokend-metrics.socket tokend-http.socket tokend-credentials.socket tokend-oidc-agent.socket";
        let again = format!(
            "sudo systemctl reset-failed tokend.service tokend.socket {all} && sudo systemctl start {all} tokend.socket tokend.service"
        );
        assert!(way_out.ends_with(&again), "{way_out}");
        assert_eq!(it.findings().len(), 1, "the way out has all of them");
        let active = "LoadState=loaded\nActiveState=active\nSubState=running";
        let mut it = units(active, active);
        assert_eq!(it.findings().len(), 1);
        it.relays_socket = State::read(failed);
        let relay = it.findings().pop().unwrap();
        assert!(
            relay.message.contains("trigger-limit-hit"),
            "{}",
            relay.message
        );
        it.relays_socket = State::default();
        it.beside = Beside::all(states());
        assert_eq!(it.findings().len(), 1 + BESIDE.len());
    }

    #[test]
    fn sockets_beside_the_daemon_are_missed_where_they_should_be_there() {
        let active = "LoadState=loaded\nActiveState=active\nSubState=running";
        let dead = "LoadState=loaded\nActiveState=inactive\nSubState=dead";
        let found = |service: &str, beside: &str| {
            let mut it = units(service, service);
            it.beside = Beside::all([State::default(), State::read(beside)].into_iter());
            it.findings_beside().next()
        };
        let listening = "ActiveState=active\nUnitFileState=enabled";
        let disabled = format!("{dead}\nUnitFileState=disabled");
        let enabled = format!("{dead}\nUnitFileState=enabled");
        let gone = format!("{listening}\nListen=/nonexistent/http.sock (Stream)");
        let there = format!("{listening}\nListen=/proc/self/exe (Stream)");
        let port = format!("{listening}\nListen=127.0.0.1:9464 (Stream)");
        for fine in [
            listening,
            &disabled,
            &there,
            &port,
            "LoadState=not-found\nActiveState=inactive\nUnitFileState=",
        ] {
            assert!(found(active, fine).is_none(), "{fine}");
        }
        // Who stopped all of it has not lost this one.
        assert!(found(dead, &enabled).is_none());
        let start = "sudo systemctl stop tokend-http.socket tokend.socket tokend.service && \
                     sudo systemctl start tokend-http.socket tokend.socket tokend.service";
        for (state, why, reset) in [
            (enabled, "is enabled and does not listen", ""),
            (
                gone,
                "listens at /nonexistent/http.sock, which is not there any more",
                "",
            ),
            (
                "ActiveState=failed\nResult=trigger-limit-hit".to_owned(),
                "has failed (trigger-limit-hit)",
                "sudo systemctl reset-failed tokend-http.socket && ",
            ),
        ] {
            let found = found(active, &state).unwrap();
            let message = format!("tokend-http.socket {why}: nobody gets tokens over HTTP");
            assert_eq!(found.message, message);
            let advice = found.advice.unwrap();
            assert!(
                advice.ends_with(&format!("then: {reset}{start}")),
                "{advice}"
            );
        }
    }
}
