//! A file system that can lose its power: ext4 on a loop device.
//!
//! The kernel's own way to cut the power (EXT4_IOC_SHUTDOWN without a flush of the journal) drops everything that was not synced.
//! Writeback and journal commits are delayed, so that a file survives because the daemon synced it and not because time passed.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use tempfile::TempDir;

use tokend_harness::clock::{PATIENCE, wait_for};

/// Several times the room that a store of a few accounts needs.
const SIZE: u64 = 24 << 20;
/// `noauto_da_alloc`: no flush the program did not ask for. `commit`: no journal commit by the clock.
const OPTIONS: &str = "loop,noauto_da_alloc,commit=300";
/// This workspace forbids unsafe code, and no command exists for this one call. 0x8004587d: EXT4_IOC_SHUTDOWN; 2: without a flush.
const SHUTDOWN: &str = "import fcntl, os, struct, sys; \
                        fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

/// A mounted file system; dropping it unmounts it.
#[derive(Debug)]
pub struct Disk {
    place: TempDir,
    at: PathBuf,
    mounted: bool,
}

impl Disk {
    /// Makes a file system and mounts it at `at`, which is created if missing.
    ///
    /// # Errors
    /// When this process lacks the right, or a program is missing; the error says which.
    pub fn mount(at: &Path) -> anyhow::Result<Self> {
        let place = tempfile::Builder::new().prefix("disk-").tempdir()?;
        let mut disk = Self {
            place,
            at: at.to_owned(),
            mounted: false,
        };
        fs::create_dir_all(at)?;
        File::create(disk.image())?.set_len(SIZE)?;
        let image = disk.image();
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-m", "0"])
            .arg(&image))?;
        disk.attach()?;
        fs::set_permissions(at, Permissions::from_mode(0o700))?;
        // As a boot would find it: the file system itself is not under test.
        sync(at)?;
        Ok(disk)
    }

    /// Cuts the power and restores it: everything that was not synced is gone.
    ///
    /// # Errors
    /// When a process still uses the file system, or the kernel refuses.
    pub fn lose_power(&mut self) -> anyhow::Result<()> {
        run(Command::new("python3").args(["-c", SHUTDOWN]).arg(&self.at))?;
        self.detach()?;
        self.let_go()?;
        self.attach()
    }

    fn image(&self) -> PathBuf {
        self.place.path().join("image")
    }

    fn attach(&mut self) -> anyhow::Result<()> {
        let image = self.image();
        run(Command::new("mount")
            .args(["-t", "ext4", "-o", OPTIONS])
            .arg(&image)
            .arg(&self.at))?;
        self.mounted = true;
        Ok(())
    }

    fn detach(&mut self) -> anyhow::Result<()> {
        run(Command::new("umount").arg(&self.at))?;
        self.mounted = false;
        Ok(())
    }

    /// Waits until no process uses the file system any more. A process that made a mount namespace meanwhile (a test that boots a machine
    /// does) has a copy of the mount and keeps the file system as it is, without power. Mounting it again would give the same.
    fn let_go(&self) -> anyhow::Result<()> {
        let image = self.image();
        let gone = || {
            let devices = run(Command::new("losetup").arg("--associated").arg(&image));
            match devices {
                Ok(devices) => devices.is_empty().then_some(Ok(())),
                Err(error) => Some(Err(error)),
            }
        };
        wait_for("other namespaces to let go of the disk", PATIENCE * 4, gone)?
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted && self.detach().is_err() {
            // A daemon that a failed test left behind disappears from here as soon as it ends.
            drop(run(Command::new("umount").arg("--lazy").arg(&self.at)));
        }
    }
}

/// Makes everything on the file system at `at` durable.
fn sync(at: &Path) -> anyhow::Result<()> {
    let root = File::open(at).context("cannot open the disk")?;
    // Another file system on the same loop device may have failed to write when it lost its power; the next sync reports that once, to any
    // caller.
    let synced = match rustix::fs::syncfs(&root) {
        Err(rustix::io::Errno::IO) => rustix::fs::syncfs(&root),
        synced => synced,
    };
    synced.context("cannot sync the disk")
}

/// Runs a program and returns its standard output.
fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "{command:?} failed (it takes root and a loop device): {}",
        said.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
