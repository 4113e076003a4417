//! Looks at what is around the daemon: its unit under systemd, and whether anything keeps the clock right.
//!
//! Asks systemctl and timedatectl, which any user may. Where there is no systemd there is nothing to say.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokend_client::SocketPath;

use super::Finding;
use crate::deadline::within;
use crate::failure::Exit;

/// How long systemd may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn look(socket: Option<&SocketPath>) -> Vec<Finding> {
    if !Path::new("/run/systemd/system").exists() {
        return Vec::new();
    }
    let user = socket.is_some_and(SocketPath::is_own);
    unit(user).into_iter().chain(clock()).collect()
}

fn unit(user: bool) -> Option<Finding> {
    let scope: &[&str] = if user { &["--user"] } else { &[] };
    let shown = said(
        "systemctl",
        &[
            scope,
            &[
                "show",
                "tokend.service",
                "-p",
                "LoadState,ActiveState,SubState,Result",
            ][..],
        ]
        .concat(),
    )?;
    let value = |name: &str| {
        let line = shown.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.strip_prefix('='))
            .unwrap_or("unknown")
    };
    if value("LoadState") != "loaded" {
        return None;
    }
    let option = if user { " --user" } else { "" };
    let (active, sub, result) = (value("ActiveState"), value("SubState"), value("Result"));
    let start = format!("start it: systemctl{option} start tokend");
    let log = if user {
        "journalctl --user -u tokend"
    } else {
        "journalctl -u tokend"
    };
    Some(match active {
        "active" | "reloading" => {
            Finding::ok("unit", format!("tokend.service is {active} ({sub})"))
        }
        "failed" => Finding::problem(
            "unit",
            Exit::Unavailable,
            format!("tokend.service has failed ({result})"),
            format!("see why with `{log}`, then {start}"),
        ),
        _ => Finding::warning("unit", format!("tokend.service is {active} ({sub})"), start),
    })
}

fn clock() -> Option<Finding> {
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

/// What a program prints; `None` where there is none, it fails or takes too long.
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
