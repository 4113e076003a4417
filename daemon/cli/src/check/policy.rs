//! Checks whether rules can match on this machine: a rule that can never match looks like any other.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;
use std::ops::BitOr as _;
use std::path::Path;
use std::sync::Arc;

use tokend_config::Config;
use tokend_policy::{Needs, Policy, units};

use crate::run_as::{RunAs, Unit};

/// CAP_SYS_PTRACE in a mask of capabilities (capabilities(7)).
const SYS_PTRACE: u64 = 1 << 19;

/// The warnings about the rules of a configuration that is read for this daemon.
pub(super) fn notes(config: &Config, run_as: &RunAs) -> Vec<String> {
    let mut seen = HashSet::new();
    let policies = config.accounts.iter().map(|account| &account.allow);
    let mut policies: Vec<&Arc<Policy>> = policies.chain([&config.admin]).collect();
    policies.retain(|policy| seen.insert(Arc::as_ptr(policy)));
    let needs = policies.iter().map(|policy| policy.needs());
    let needs = needs.fold(Needs::NONE, Needs::bitor);
    let mut notes = Vec::new();
    let unit = run_as.unit.as_ref();
    let sees = unit.map_or_else(sees_programs, Unit::sees_programs);
    if needs.has(Needs::EXECUTABLE | Needs::SHA256) && !sees {
        let uid = run_as.uid();
        let which = match unit {
            Some(_) => "its unit",
            None => "this check",
        };
        notes.push(format!(
            "rules by `exe` and `sha256` match only processes of user {uid} itself, unless the daemon has CAP_SYS_PTRACE, which {which} \
             has not: systemd/examples/executable-rules.conf gives it"
        ));
    }
    if needs.has(Needs::UNITS)
        && let Some(why) = why_no_units()
    {
        let note = format!("rules by `unit` and `user_unit` match nobody here: {why}");
        notes.push(note);
    }
    if !needs.is_empty() && std::fs::metadata("/proc/1/status").is_err() {
        notes.push(
            "rules by anything but a user or its own group match nobody here: /proc does not show processes of others \
             (hidepid=, or ProtectProc= of the unit)"
                .to_owned(),
        );
    }
    let rules = policies.iter().flat_map(|policy| policy.rules());
    let mut paths: Vec<&Path> = rules.filter_map(|rule| rule.exe.as_deref()).collect();
    paths.sort_unstable();
    paths.dedup();
    notes.extend(paths.into_iter().filter_map(program));
    notes
}

/// Reason a rule with this program never matches, if that can be seen.
fn program(path: &Path) -> Option<String> {
    let shown = path.display();
    let never = format!("a rule by `exe = \"{shown}\"` never matches:");
    let target = match std::fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) => return Some(format!("{never} {error}")),
    };
    if target != path {
        return Some(format!(
            "{never} it is a link, and the kernel says what it leads to: write `{}`",
            target.display()
        ));
    }
    let mut start = [0; 2];
    let script = File::open(path)
        .and_then(|mut file| file.read_exact(&mut start))
        .is_ok_and(|()| start == *b"#!");
    script.then(|| {
        format!("{never} it is a script, and what runs is its interpreter: go by user or unit")
    })
}

/// Whether this process may see the programs of other users' processes.
fn sees_programs() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & SYS_PTRACE != 0)
}

/// Reason no unit is known on this machine.
fn why_no_units() -> Option<String> {
    match std::fs::read_to_string("/proc/self/cgroup") {
        Ok(text) => units(&text).err().map(str::to_owned),
        Err(error) => Some(format!("/proc/self/cgroup: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_never_match_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let dir = std::fs::canonicalize(dir.path()).unwrap();
        let path = |name: &str| dir.join(name);
        std::fs::write(path("binary"), b"\x7fELF").unwrap();
        std::fs::write(path("script"), "#!/bin/sh\n").unwrap();
        std::fs::write(path("short"), "#").unwrap();
        std::os::unix::fs::symlink(path("binary"), path("link")).unwrap();
        assert_eq!(program(&path("binary")), None);
        assert_eq!(program(&path("short")), None);
        for (name, why) in [
            ("script", "its interpreter"),
            ("link", "/binary`"),
            ("nothing", "No such file"),
        ] {
            let note = program(&path(name)).unwrap();
            assert!(note.contains(why), "{note}");
        }
    }
}
