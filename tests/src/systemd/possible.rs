//! Whether this machine allows booting another one in it. Only checks; says what is missing.

use std::{path::Path, process::Command};

use anyhow::Context as _;

use tokend_harness::control_groups;

/// Where distributions install systemd.
const PLACES: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// Whether a machine can be booted: root, systemd with a message bus, namespaces, and control groups of version 2.
///
/// # Errors
/// What is missing.
pub fn possible() -> anyhow::Result<()> {
    anyhow::ensure!(
        rustix::process::geteuid().is_root(),
        "booting systemd takes root"
    );
    systemd()?;
    anyhow::ensure!(
        Path::new("/usr/bin/dbus-daemon").exists() || Path::new("/usr/bin/dbus-broker").exists(),
        "there is no message bus; tests/setup installs dbus"
    );
    control_groups::root()?;
    let namespaces = [
        "--mount", "--cgroup", "--ipc", "--uts", "--net", "--pid", "--fork", "true",
    ];
    let output = Command::new("unshare")
        .args(namespaces)
        .output()
        .context("there is no unshare; tests/setup installs util-linux")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "namespaces cannot be made: {}",
        said.trim()
    );
    Ok(())
}

/// Path of systemd.
pub(super) fn systemd() -> anyhow::Result<&'static str> {
    PLACES
        .into_iter()
        .find(|path| Path::new(path).exists())
        .context("there is no systemd; tests/setup installs it")
}
