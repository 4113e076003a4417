//! The control groups of this machine.

use std::{fs, path::PathBuf};

use anyhow::Context as _;

/// Where control groups of version 2 are mounted. With those of version 1 systemd would make groups in the host's.
///
/// # Errors
/// When they are not.
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
