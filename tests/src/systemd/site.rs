//! tokend in a machine, installed from the programs and units of this source tree.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Machine;
use tokend_harness::built;

/// The unit files of this source tree, and where each is installed.
const FILES: [(&str, &str); 16] = [
    ("tokend.service", "/usr/lib/systemd/system/tokend.service"),
    ("tokend.socket", "/usr/lib/systemd/system/tokend.socket"),
    (
        "tokend-egress.service",
        "/usr/lib/systemd/system/tokend-egress.service",
    ),
    (
        "tokend-egress.socket",
        "/usr/lib/systemd/system/tokend-egress.socket",
    ),
    (
        "tokend-metrics.socket",
        "/usr/lib/systemd/system/tokend-metrics.socket",
    ),
    (
        "tokend-sink@.service",
        "/usr/lib/systemd/system/tokend-sink@.service",
    ),
    (
        "tokend-endpoint@.service",
        "/usr/lib/systemd/system/tokend-endpoint@.service",
    ),
    (
        "tokend-endpoint@.socket",
        "/usr/lib/systemd/system/tokend-endpoint@.socket",
    ),
    (
        "tokend-http.socket",
        "/usr/lib/systemd/system/tokend-http.socket",
    ),
    (
        "tokend-credentials.socket",
        "/usr/lib/systemd/system/tokend-credentials.socket",
    ),
    (
        "tokend-oidc-agent.socket",
        "/usr/lib/systemd/system/tokend-oidc-agent.socket",
    ),
    (
        "user/tokend.service",
        "/usr/lib/systemd/user/tokend.service",
    ),
    ("user/tokend.socket", "/usr/lib/systemd/user/tokend.socket"),
    (
        "user/tokend-sink@.service",
        "/usr/lib/systemd/user/tokend-sink@.service",
    ),
    ("tokend.sysusers", "/usr/lib/sysusers.d/tokend.conf"),
    ("tokend.tmpfiles", "/usr/lib/tmpfiles.d/tokend.conf"),
];

/// The directory of unit files in this source tree.
#[must_use]
pub fn unit_files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd")
}

/// Installs programs, units, the daemon's user and its directories, as a package does. Starts nothing.
///
/// # Errors
/// When the programs have not been built, or systemd refuses a file.
pub fn install(machine: &Machine) -> anyhow::Result<()> {
    let binaries = built()?;
    machine.copy(&binaries.tokend, "/usr/bin/tokend", "755")?;
    machine.copy(&binaries.tokenctl, "/usr/bin/tokenctl", "755")?;
    for (from, to) in FILES {
        machine
            .copy(&unit_files().join(from), to, "644")
            .with_context(|| format!("installing {from}"))?;
    }
    machine.shell("systemd-sysusers tokend.conf\nsystemd-tmpfiles --create tokend.conf\nsystemctl daemon-reload")?;
    Ok(())
}
