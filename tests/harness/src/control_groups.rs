//! The control groups of this machine.

use std::{fs, path::PathBuf};

use anyhow::Context as _;

/// Where control groups of version 2 are mounted. With version 1, systemd would make groups in the host's hierarchy.
///
/// # Errors
/// When they are not mounted.
pub fn root() -> anyhow::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .find(|(_, kind)| *kind == "cgroup2")
        .map(|(path, _)| PathBuf::from(path))
        .context("no control groups of version 2 are mounted")
}
