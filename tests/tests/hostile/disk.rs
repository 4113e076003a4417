//! Disks that fail under a running daemon: a small file system of our own, and system calls that fail.
//!
//! Needs root, or sudo without a password. Must leave nothing mounted and nothing traced.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tokend_harness::{
    Daemon,
    clock::{PATIENCE, wait_until},
};

/// A command that needs root.
pub(crate) fn as_root(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["--non-interactive", "--", program]);
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// A file system in memory, of the size a test needs.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of this many KiB.
    pub(crate) fn mount(at: &Path, kib: u32) -> Self {
        fs::create_dir_all(at).unwrap();
        let (uid, gid) = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        let options = format!("size={kib}k,mode=0700,uid={uid},gid={gid}");
        run(as_root("mount")
            .args(["-t", "tmpfs", "-o", &options, "tokend-test"])
            .arg(at));
        Self(at.to_owned())
    }

    /// Changes its size or whether it can be written: `size=4096k`, `ro`, `rw`.
    pub(crate) fn remount(&self, options: &str) {
        run(as_root("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(&self.0));
    }

    /// Uses every byte that is left.
    pub(crate) fn fill(&self) -> Ballast {
        let path = self.0.join("ballast");
        let mut file = File::create(&path).unwrap();
        for piece in [4096, 1] {
            while file.write_all(&vec![0; piece]).is_ok() {}
        }
        Ballast(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(as_root("umount").arg("--lazy").arg(&self.0).output());
    }
}

/// The file that fills a disk, until it is dropped.
pub(crate) struct Ballast(PathBuf);

impl Drop for Ballast {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// Every write of a running daemon to its files fails, until this is dropped.
pub(crate) struct FailingWrites(Child);

impl FailingWrites {
    /// Starts, with this error: `ENOSPC`, `EIO`, `EROFS`. Returns once every thread is traced.
    pub(crate) fn of(daemon: &Daemon, error: &str) -> Self {
        let calls = "pwrite64,fsync,fdatasync,ftruncate,fallocate";
        let child = as_root("strace")
            .args([
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-p",
                &daemon.pid().to_string(),
            ])
            .args([
                "-e",
                &format!("trace={calls}"),
                "-e",
                &format!("inject={calls}:error={error}"),
            ])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let failing = Self(child);
        wait_until("strace to hold every thread", PATIENCE, || {
            traced(daemon) == Some((true, true))
        })
        .unwrap();
        failing
    }

    /// Stops, and waits until the daemon is no longer traced.
    pub(crate) fn end(mut self, daemon: &Daemon) {
        self.stop();
        wait_until("strace to let go", PATIENCE, || {
            traced(daemon).is_some_and(|(some, _)| !some)
        })
        .unwrap();
    }

    fn stop(&mut self) {
        // strace detaches when it is asked to end; it would also do so when killed.
        let pid = self.0.id().to_string();
        drop(as_root("kill").args(["-TERM", &pid]).output());
        drop(self.0.wait());
    }
}

impl Drop for FailingWrites {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            self.stop();
        }
    }
}

/// Whether some, and whether all, threads are traced; `None` if the process is gone.
fn traced(daemon: &Daemon) -> Option<(bool, bool)> {
    let threads = fs::read_dir(format!("/proc/{}/task", daemon.pid())).ok()?;
    let (mut some, mut all) = (false, true);
    for thread in threads {
        let status = fs::read_to_string(thread.ok()?.path().join("status")).unwrap_or_default();
        let traced = !status.contains("TracerPid:\t0\n");
        (some, all) = (some || traced, all && traced);
    }
    Some((some, all))
}
