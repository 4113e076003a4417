//! A file system that can lose its power: ext4 on a loop device.
//!
//! The kernel's own way to pull the plug (EXT4_IOC_SHUTDOWN without a flush of the journal) drops what was not synced. Writeback and
//! the journal's commit are put off, so that a file survives because the daemon synced it and not because time went by.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use tempfile::TempDir;

use tokend_harness::clock::{PATIENCE, wait_for};

/// Room for a store of a few accounts several times over.
const SIZE: u64 = 24 << 20;
/// `noauto_da_alloc`: no flush the program did not ask for. `commit`: no journal commit by the clock.
const OPTIONS: &str = "loop,noauto_da_alloc,commit=300";
/// This workspace forbids unsafe code, and there is no command for this one call. 0x8004587d: EXT4_IOC_SHUTDOWN; 2: without a flush.
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
    /// Makes one and mounts it at `at`, which is made if it is missing.
    ///
    /// # Errors
    /// When this process may not, or a program is missing; the error says which.
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
        // What a boot would find: the file system itself is not what is proved.
        sync(at)?;
        Ok(disk)
    }

    /// The power fails, and comes back: what was not synced is gone.
    ///
    /// # Errors
    /// When somebody still uses the file system, or the kernel refuses.
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

    /// Waits until nobody uses the file system any more. Whoever made a mount namespace of its own meanwhile (a test that boots a
    /// machine does) has a copy of the mount, and keeps the file system as it is: without power. To mount it again would give the same.
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
            // A daemon that a failed test left behind: gone from here as soon as it ends.
            drop(run(Command::new("umount").arg("--lazy").arg(&self.at)));
        }
    }
}

/// Everything on the file system at `at` becomes durable.
fn sync(at: &Path) -> anyhow::Result<()> {
    let root = File::open(at).context("cannot open the disk")?;
    // What another file system on the same loop device could not write when it lost its power is told once, to whoever syncs next.
    let synced = match rustix::fs::syncfs(&root) {
        Err(rustix::io::Errno::IO) => rustix::fs::syncfs(&root),
        synced => synced,
    };
    synced.context("cannot sync the disk")
}

/// Runs a program and gives what it said on standard output.
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
