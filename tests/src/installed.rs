//! What `tests/setup` installs in the folder of build results.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// A file of something that `tests/setup` has installed under this name.
///
/// # Errors
/// When it is not installed.
pub fn installed(name: &str, file: &str) -> anyhow::Result<PathBuf> {
    let test = env::current_exe().context("cannot tell where this program is")?;
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let beside = test.ancestors().map(Path::to_owned);
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    target
        .into_iter()
        .chain(beside)
        .chain([default])
        .map(|directory| directory.join("real-servers").join(name))
        .find(|directory| directory.join(".installed").exists())
        .map(|directory| directory.join(file))
        .with_context(|| format!("{name} is not installed; run tests/setup"))
}
