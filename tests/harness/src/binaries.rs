//! Finds the two programs under test.
//!
//! Must never build them: a test that compiles takes minutes and hides which program it tested.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// Paths of the programs under test.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The daemon.
    pub tokend: PathBuf,
    /// The command line.
    pub tokenctl: PathBuf,
}

/// `tokend` and `tokenctl` in `$TOKEND_BIN_DIR`, else in the build directory of this test.
///
/// # Errors
/// When one of them has not been built; the error says how to build it.
pub fn built() -> anyhow::Result<Binaries> {
    let directories: Vec<PathBuf> = match env::var_os("TOKEND_BIN_DIR") {
        Some(directory) => vec![PathBuf::from(directory)],
        None => {
            let test = env::current_exe().context("cannot tell where this program is")?;
            test.ancestors()
                .skip(1)
                .take(3)
                .map(Path::to_owned)
                .collect()
        }
    };
    let find = |name: &str| {
        directories
            .iter()
            .map(|directory| directory.join(name))
            .find(|path| path.is_file())
            .with_context(|| {
                format!("there is no {name} in {directories:?}; build it: cargo build -p tokend -p tokenctl")
            })
    };
    Ok(Binaries {
        tokend: find("tokend")?,
        tokenctl: find("tokenctl")?,
    })
}
