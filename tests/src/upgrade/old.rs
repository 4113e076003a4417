//! The programs of another commit.
//!
//! Owns where its tree is laid out and built: below `target/upgrade`, so that a second run builds nothing. The checkout that it is built
//! from is only read.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use tokend_harness::Binaries;

/// Lays out the tree of a commit and builds its programs.
///
/// # Errors
/// When there is no such commit, or it does not build.
pub fn build(commit: &str) -> anyhow::Result<Binaries> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let revision = format!("{commit}^{{commit}}");
    let named = Command::new("git")
        .arg("-C")
        .arg(&repository)
        .args(["rev-parse", "--verify", "--quiet", &revision])
        .output()
        .context("cannot run git")?;
    anyhow::ensure!(
        named.status.success(),
        "there is no commit {commit} here; a shallow clone has none but its last, `git fetch --unshallow` gets them"
    );
    let id = String::from_utf8(named.stdout)?.trim().to_owned();
    let place = target()?.join("upgrade").join(&id);
    let source = place.join("source");
    if !source.join("Cargo.toml").is_file() {
        lay_out(&repository, &id, &place)?;
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--locked", "--package", "tokend"])
        .args(["--package", "tokenctl", "--bins"])
        .env("CARGO_TARGET_DIR", place.join("build"))
        .current_dir(&source);
    succeeds(&mut command)?;
    let built = place.join("build/debug");
    Ok(Binaries {
        tokend: built.join("tokend"),
        tokenctl: built.join("tokenctl"),
    })
}

/// The build directory this program is in.
fn target() -> anyhow::Result<PathBuf> {
    let program = env::current_exe()?;
    let directory = program.ancestors().nth(2);
    Ok(directory.context("not in a build directory")?.to_owned())
}

/// The tree as an archive has it, with the times of the commit, so that a built tree stays built.
fn lay_out(repository: &Path, id: &str, place: &Path) -> anyhow::Result<()> {
    let (source, archive) = (place.join("source"), place.join("source.tar"));
    fs::create_dir_all(&source)?;
    let mut git = Command::new("git");
    git.arg("-C").arg(repository).args(["archive", "--output"]);
    succeeds(git.arg(&archive).arg(id))?;
    let mut tar = Command::new("tar");
    succeeds(tar.arg("-xf").arg(&archive).arg("-C").arg(&source))?;
    Ok(fs::remove_file(archive)?)
}

fn succeeds(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("cannot run {name}"))?;
    anyhow::ensure!(status.success(), "{name} ended with {status}");
    Ok(())
}
