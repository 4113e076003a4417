//! The results of `systemd/package`, and their content.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// The Debian package.
pub(crate) fn deb() -> PathBuf {
    built(".deb", "deb")
}

/// The tarball of static programs.
pub(crate) fn tarball() -> PathBuf {
    built(".tar.gz", "tarball")
}

/// The files of either, in a directory that is deleted with the value.
pub(crate) fn unpacked(released: &Path) -> TempDir {
    let into = tempfile::tempdir().unwrap();
    let mut unpack = match released.extension().is_some_and(|end| end == "deb") {
        true => {
            let mut unpack = Command::new("dpkg-deb");
            unpack.arg("--extract").arg(released).arg(into.path());
            unpack
        }
        false => {
            let mut unpack = Command::new("tar");
            unpack.arg("--extract").arg("--strip-components=1");
            unpack
                .arg("--file")
                .arg(released)
                .arg("--directory")
                .arg(into.path());
            unpack
        }
    };
    assert!(unpack.status().unwrap().success(), "{unpack:?}");
    into
}

fn built(end: &str, what: &str) -> PathBuf {
    let directory = env::var_os("TOKEND_PACKAGES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/package"),
        PathBuf::from,
    );
    let found = std::fs::read_dir(&directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.to_string_lossy().ends_with(end));
    found.unwrap_or_else(|| {
        panic!(
            "there is no {end} in {}; run systemd/package {what}",
            directory.display()
        )
    })
}
