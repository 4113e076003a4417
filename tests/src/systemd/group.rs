//! The control group a machine lives in.
//!
//! Owns a group below the root of the unified hierarchy. Its name says which process made it, so that the next test removes the group of a
//! killed one.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::Context as _;

use tokend_harness::{
    clock::{PATIENCE, wait_until},
    control_groups,
};

/// The prefix of the name of every group made here; the process and a number follow.
const PREFIX: &str = "tokend-tests-";
/// Machines this process has booted.
static MADE: AtomicU32 = AtomicU32::new(0);

/// A group; dropping it removes it and all groups below, once nothing runs in them.
#[derive(Debug)]
pub(super) struct Group(PathBuf);

impl Group {
    /// Makes one.
    pub(super) fn new() -> anyhow::Result<Self> {
        let root = control_groups::root()?;
        sweep(&root);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = root.join(format!("{PREFIX}{}-{number}", process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// The file to which a process writes 0 to enter.
    pub(super) fn entrance(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // All processes left in the group belong to the machine. The file exists from Linux 5.14 on; without it the end of the machine's
        // first process does the same.
        drop(fs::write(self.0.join("cgroup.kill"), "1"));
        drop(wait_until(
            "the group of a machine to be empty",
            PATIENCE,
            || remove(&self.0).is_ok(),
        ));
    }
}

/// Ends the machines of processes that are gone, and removes their groups.
fn sweep(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let maker = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|rest| rest.split_once('-'))
            .map(|(maker, _)| Path::new("/proc").join(maker));
        if maker.is_some_and(|maker| !maker.exists()) {
            drop(Group(entry.path()));
        }
    }
}

/// Removes a group, the deepest first.
fn remove(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}
