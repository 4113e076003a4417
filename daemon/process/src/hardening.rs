//! What the process gives up at start, so that its memory and files stay its own.
//!
//! Owns core dumps, ptrace, umask, privilege gain, inherited capabilities and swap. Must run before a second
//! thread starts: `no_new_privs` and capabilities belong to a thread and are inherited by those it starts.
//! Never fails: a protection that could not be set is reported, and the daemon runs on.

use std::fmt;
use std::io;

use rustix::fs::Mode;
use rustix::mm::MlockAllFlags;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit};
use rustix::thread::CapabilitySet;

/// One protection that this system refused.
#[derive(Debug, thiserror::Error)]
#[error("could not {what}: {source}")]
pub struct NotHardened {
    what: &'static str,
    source: io::Error,
}

/// Forbids core dumps, attaching debuggers, new files that others can read, and gaining or passing on privileges by exec.
///
/// A capability that systemd gave (`AmbientCapabilities=`) stays the daemon's, and a `command` that fetches a
/// secret starts without it. Only a daemon that runs as root passes its privileges on to programs it starts.
///
/// Not dumpable also makes `/proc/PID/environ` and `/proc/PID/mem` root's, which matters for secrets in the environment. A
/// `command` that fetches a secret cannot use a set-uid program such as `sudo`.
pub fn harden() -> Vec<NotHardened> {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let no_core = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let steps = [
        (
            "make the process undumpable",
            rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable),
        ),
        (
            "forbid core dumps",
            rustix::process::setrlimit(Resource::Core, no_core),
        ),
        (
            "forbid new privileges",
            rustix::thread::set_no_new_privs(true),
        ),
        // Not by capset(2), which the unit's system call filter refuses.
        (
            "keep capabilities from programs it starts",
            rustix::thread::clear_ambient_capability_set(),
        ),
    ];
    steps
        .into_iter()
        .filter_map(|(what, done)| {
            done.err().map(|errno| NotHardened {
                what,
                source: errno.into(),
            })
        })
        .collect()
}

/// Whether the memory of this process is kept out of the swap.
#[derive(Debug)]
pub enum Swap {
    /// Every page is locked, those to come too.
    Never,
    /// Locking would be cut off at this many bytes, and then every later allocation fails: worse than what it prevents.
    Limited(u64),
    /// The system refused.
    Refused(io::Error),
}

/// Locks all memory, unless a limit would make later allocations fail.
///
/// Pages are locked as they are used, so that what is only reserved (the stacks of threads, above all) takes no memory.
pub fn keep_out_of_swap() -> Swap {
    let limit = getrlimit(Resource::Memlock).current;
    let exempt = rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    if let (Some(bytes), false) = (limit, exempt) {
        return Swap::Limited(bytes);
    }
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    if let Err(errno) = rustix::mm::mlockall(flags) {
        return Swap::Refused(errno.into());
    }
    match limit {
        // In a user namespace the capability may be there and count for nothing.
        Some(bytes) if !can_reserve_beyond(bytes) => {
            let _undone = rustix::mm::munlockall();
            Swap::Limited(bytes)
        }
        _ => Swap::Never,
    }
}

/// Whether more memory than this can be reserved: the stack of a thread that ends at once.
fn can_reserve_beyond(bytes: u64) -> bool {
    let Some(size) = usize::try_from(bytes)
        .ok()
        .and_then(|size| size.checked_add(1 << 20))
    else {
        return false;
    };
    let thread = std::thread::Builder::new().stack_size(size).spawn(|| {});
    thread.is_ok_and(|thread| thread.join().is_ok())
}

impl fmt::Display for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self {
            Self::Never => return f.write_str("memory is locked: no secret reaches the swap"),
            Self::Limited(bytes) => format!("it is limited to {bytes} bytes"),
            Self::Refused(error) => format!("the system refused it ({error})"),
        };
        write!(
            f,
            "memory is not locked, so secrets may reach the swap: {why}; set LimitMEMLOCK=infinity in the unit (or ulimit -l unlimited), or have no swap or an encrypted one"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each test is its own process under nextest; under plain `cargo test` the protections hold for the whole test binary,
    // which does no harm.
    #[test]
    fn the_kernel_confirms_each_protection() {
        let refused = harden();
        assert!(refused.is_empty(), "{refused:?}");
        let dumpable = rustix::process::dumpable_behavior().expect("prctl");
        assert_eq!(dumpable, DumpableBehavior::NotDumpable);
        let core = getrlimit(Resource::Core);
        assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
        assert!(rustix::thread::no_new_privs().expect("prctl"));
        let passed_on = std::fs::read_to_string("/proc/thread-self/status").expect("/proc");
        assert!(
            passed_on.contains("\nCapAmb:\t0000000000000000\n"),
            "{passed_on}"
        );
        let umask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
        assert_eq!(umask, Mode::RWXG | Mode::RWXO);
    }

    #[test]
    fn a_refusal_says_what_was_refused() {
        let refused = NotHardened {
            what: "forbid core dumps",
            source: io::Error::from_raw_os_error(1),
        };
        assert_eq!(
            refused.to_string(),
            "could not forbid core dumps: Operation not permitted (os error 1)"
        );
    }

    #[test]
    fn what_is_not_locked_says_why_and_what_to_do() {
        let message = Swap::Limited(8192).to_string();
        assert!(message.contains("8192") && message.contains("LimitMEMLOCK=infinity"));
        let message = Swap::Refused(io::Error::from_raw_os_error(12)).to_string();
        assert!(message.contains("os error 12") && message.contains("swap"));
    }

    #[test]
    fn memory_that_can_be_had_can_be_reserved() {
        assert!(can_reserve_beyond(8 << 20));
        assert!(!can_reserve_beyond(u64::MAX) && !can_reserve_beyond(1 << 60));
    }
}
