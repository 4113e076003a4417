//! Files that a version of tokend left on a disk, kept so that every later version can be tested against them.
//!
//! Owns making such a folder (`cargo kept DIR`), laying a copy of one out for a daemon, and the provider both
//! talk to. A folder that is checked in is never changed: a later version adds one of its own.

mod provider;

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

pub use provider::{Asked, Mood, PROVIDER, Provider, TYPED_PASSWORD};

use tokend_harness::{
    Daemon, Site,
    clock::{PATIENCE, wait_until},
};

/// The configuration every kept state directory was made with. `base_url` is part of an account's identity, so the
/// provider must be found at the same address ever after.
pub(crate) const CONFIGURATION: &str = include_str!("kept/tokend.toml");
/// The refresh token that an operator pasted for the account `rotating`.
const PASTED: &str = "rt-rotating-1";
/// The refresh token that an operator pasted for the account `doubt`.
const PASTED_DOUBT: &str = "rt-doubt-1";
/// The client secret of the account `refused`. Not a file, because the path of a file would be part of what was refused.
const REFUSED: (&str, &str) = ("KEPT_CLIENT_SECRET", "kept-refused-secret");

/// The folders that are kept, one for each version.
///
/// # Errors
/// When they cannot be listed.
pub fn folders() -> io::Result<Vec<PathBuf>> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("kept");
    let mut folders = Vec::new();
    for entry in fs::read_dir(all)? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// Runs the built daemon through a first day and leaves its configuration, secrets, state and frames in `into`.
///
/// # Errors
/// When a step fails.
pub fn make(into: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(!into.exists(), "{} exists already", into.display());
    let site = place()?;
    fs::write(site.configuration(), CONFIGURATION)?;
    lay_secrets(&site)?;
    fs::set_permissions(site.path(), fs::Permissions::from_mode(0o700))?;
    let provider = Provider::start(Mood::Silent)?;
    let daemon = site.start()?;
    first_day(&site, &provider)?;
    // In the middle of the attempt, as after a crash: the state directory holds an intent and no outcome.
    daemon.kill()?;
    let state = site.state();
    copy(&state, &into.join("state"), |name| name != "tokend.lock")?;
    copy(&site.path().join("secrets"), &into.join("secrets"), |_| {
        true
    })?;
    fs::copy(site.configuration(), into.join("tokend.toml"))?;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/tests/golden");
    copy(&golden, &into.join("frames"), |name| name.ends_with(".hex"))
}

/// Writes the one secret that is a file.
pub(crate) fn lay_secrets(site: &Site) -> anyhow::Result<()> {
    fs::create_dir(site.path().join("secrets"))?;
    let secret = site.path().join("secrets/client");
    fs::write(&secret, "kept-client-secret\n")?;
    Ok(fs::set_permissions(
        &secret,
        fs::Permissions::from_mode(0o600),
    )?)
}

pub(crate) fn place() -> anyhow::Result<Site> {
    let (name, value) = REFUSED;
    Ok(Site::new()?.with_variable(name, value))
}

/// Makes a record of every kind, and leaves a login of `doubt` in flight.
pub(crate) fn first_day(site: &Site, provider: &Provider) -> anyhow::Result<()> {
    let ok = |what: &str, code: Option<i32>| {
        anyhow::ensure!(code == Some(0), "{what} ended with {code:?}");
        Ok(())
    };
    site.get("unending")?;
    let said = site.tokenctl_with(&["login", "typed"], TYPED_PASSWORD)?;
    ok("a login with a password", said.code)?;
    let said = site.tokenctl_with(&["login", "rotating", "--refresh-token"], PASTED)?;
    ok("a login with a refresh token", said.code)?;
    let said = site.tokenctl(&["get", "refused"])?;
    anyhow::ensure!(said.code == Some(79), "a refused client: {said:?}");
    // Nothing answers: the attempt stays in flight until the daemon is killed.
    let mut waiting = std::process::Command::new(&site.binaries().tokenctl)
        .arg("--socket")
        .arg(site.socket())
        .args(["login", "doubt", "--refresh-token"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    let mut input = waiting.stdin.take().context("no standard input")?;
    io::Write::write_all(&mut input, PASTED_DOUBT.as_bytes())?;
    drop(input);
    let asked = wait_until("the refresh token to be sent", PATIENCE, || {
        provider.asked("/doubt").len() == 1
    });
    waiting.kill()?;
    waiting.wait()?;
    asked
}

/// A place with a copy of a kept folder, laid out as on its machine.
///
/// # Errors
/// When it cannot be copied.
pub fn lay_out(folder: &Path) -> anyhow::Result<Site> {
    let site = place()?;
    fs::copy(folder.join("tokend.toml"), site.configuration())?;
    for part in ["state", "secrets"] {
        copy(&folder.join(part), &site.path().join(part), |_| true)?;
    }
    Ok(site)
}

/// Starts the built daemon on a copy of a kept folder.
///
/// # Errors
/// When it does not start to serve.
pub fn open(folder: &Path) -> anyhow::Result<(Site, Daemon)> {
    let site = lay_out(folder)?;
    let daemon = site.start()?;
    Ok((site, daemon))
}

/// Copies the files of a directory, readable by their owner only: a checkout does not keep modes.
fn copy(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name();
        if wanted(&name.to_string_lossy()) {
            let target = to.join(&name);
            fs::copy(entry.path(), &target)?;
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}
