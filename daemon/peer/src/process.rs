//! What the kernel says of a process: files of `/proc/PID` (proc(5)).
//!
//! Owns reading and understanding them, within bounds. Every one of these files is made by the kernel while it
//! is read, so none can hang. A process is always named by its id here; whether that id still belongs to the
//! peer is for the pin to say.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::sync::OnceLock;

use tokend_policy::Executable;

use super::executable;

/// The longest file that is read: 65,536 groups of eleven characters fit.
const LONGEST: u64 = 1 << 20;

/// The source of facts: the kernel, or a test.
pub(crate) trait Processes: fmt::Debug + Send + Sync {
    /// The effective user and group as they are now.
    fn ids(&self, pid: u32) -> io::Result<(u32, u32)>;
    /// The file of `/proc/PID` with this name.
    fn file(&self, pid: u32, name: &str) -> io::Result<String>;
    /// The program that runs, and a descriptor that names its file.
    fn executable(&self, pid: u32) -> io::Result<(Executable, OwnedFd)>;
}

#[derive(Debug)]
pub(crate) struct Kernel;

impl Processes for Kernel {
    fn ids(&self, pid: u32) -> io::Result<(u32, u32)> {
        // The directory belongs to the effective user and group, or to root where others may not look into the
        // process. So any owner but root is the truth, and costs a fifth of reading the file.
        let owner = std::fs::metadata(format!("/proc/{pid}"))?;
        if owner.uid() != 0 {
            return Ok((owner.uid(), owner.gid()));
        }
        let status = self.file(pid, "status")?;
        effective(&status, "Uid:")
            .zip(effective(&status, "Gid:"))
            .ok_or_else(|| io::Error::other("the kernel does not say whose it is"))
    }

    fn file(&self, pid: u32, name: &str) -> io::Result<String> {
        read(pid, name)
    }

    fn executable(&self, pid: u32) -> io::Result<(Executable, OwnedFd)> {
        executable::open(pid)
    }
}

/// The second of the four ids in a line of `status`.
fn effective(status: &str, line: &str) -> Option<u32> {
    field(status, line)?.split_whitespace().nth(1)?.parse().ok()
}

/// The supplementary groups in a `status`.
///
/// Read here because the group database would name groups that a service has dropped, and the socket option for
/// them takes unsafe code.
pub(crate) fn groups(status: &str) -> Option<Box<[u32]>> {
    let groups = field(status, "Groups:")?.split_whitespace();
    groups.map(|group| group.parse().ok()).collect()
}

/// Whether a `status` names a process of a PID namespace below ours.
pub(crate) fn is_nested(status: &str) -> Option<bool> {
    Some(field(status, "NSpid:")?.split_whitespace().count() > 1)
}

fn field<'s>(status: &'s str, name: &str) -> Option<&'s str> {
    status.lines().find_map(|line| line.strip_prefix(name))
}

/// When a process started, in milliseconds since the machine booted, cut to the kernel's ticks.
pub(crate) fn started_ms(pid: u32) -> io::Result<u64> {
    let stat = read(pid, "stat")?;
    let ticks =
        ticks(&stat).ok_or_else(|| io::Error::other("the kernel does not say when it started"))?;
    let second = rustix::param::clock_ticks_per_second().max(1);
    Ok(ticks.saturating_mul(1000) / second)
}

/// Field 22 of a `stat`. The name of the program, field 2, may hold blanks and brackets.
fn ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

/// Whether the daemon's user namespace has a number for every id. It cannot change while the daemon runs.
pub(crate) fn maps_every_id() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        ["uid_map", "gid_map"].iter().all(|map| {
            std::fs::read_to_string(format!("/proc/self/{map}"))
                .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]))
        })
    })
}

/// Why facts cannot be read at all: `/proc` is missing, or is that of another PID namespace, in which our numbers are not valid.
pub(crate) fn why_blind() -> Option<&'static str> {
    let own = std::process::id().to_string();
    match std::fs::read_link("/proc/self") {
        Ok(link) if link.as_os_str() == own.as_str() => None,
        Ok(_) => Some("/proc is that of another PID namespace than the daemon's"),
        Err(_) => Some("/proc is not there"),
    }
}

fn read(pid: u32, name: &str) -> io::Result<String> {
    let mut bytes = Vec::with_capacity(4096);
    let file = File::open(format!("/proc/{pid}/{name}"))?;
    let count = file.take(LONGEST).read_to_end(&mut bytes)?;
    if u64::try_from(count).is_ok_and(|count| count >= LONGEST) {
        return Err(io::Error::other(
            "the kernel has more to say of it than is read",
        ));
    }
    // Names of control groups need not be text; a name that is not text is no unit.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str =
        "Name:\tGroups: 1\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t50 60 \nNSpid:\t30\t1\n";

    #[test]
    fn a_status_is_read() {
        assert_eq!(effective(STATUS, "Uid:"), Some(2));
        assert_eq!(effective(STATUS, "Gid:"), Some(6));
        assert_eq!(groups(STATUS), Some([50, 60].into()));
        assert_eq!(groups("Groups:\t \n"), Some([].into()));
        assert_eq!(groups("Groups:\t50 x\n"), None);
        assert_eq!(groups("Uid:\t1\n"), None);
        assert_eq!(is_nested(STATUS), Some(true));
        assert_eq!(is_nested("NSpid:\t30\n"), Some(false));
        assert_eq!(is_nested(""), None);
    }

    #[test]
    fn a_program_of_any_name_has_a_start() {
        let rest = "S 1 1 1 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4242 1000";
        for name in ["cat", "a b", "x) S 1 2 3", "((("] {
            assert_eq!(ticks(&format!("30 ({name}) {rest}")), Some(4242), "{name}");
        }
        assert_eq!(ticks("30 (cat) S 1"), None);
        assert_eq!(ticks(""), None);
    }

    #[test]
    fn this_process_is_known() {
        let own = std::process::id();
        let ids = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        assert_eq!(Kernel.ids(own).unwrap(), ids);
        assert!(groups(&Kernel.file(own, "status").unwrap()).is_some());
        assert!(Kernel.file(own, "cgroup").unwrap().contains(':'));
        assert!(started_ms(own).unwrap() > 0);
        assert_eq!(why_blind(), None);
        let (program, _fd) = Kernel.executable(own).unwrap();
        assert!(program.is_there);
        assert_eq!(*program.path, *std::env::current_exe().unwrap());
        assert!(Kernel.file(u32::MAX, "status").is_err());
    }
}
