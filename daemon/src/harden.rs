//! What the process gives up at start, so that its memory and files stay its own.
//!
//! Owns core dumps, ptrace, umask and privilege gain. Must run before a second thread starts: `no_new_privs` belongs to a thread
//! and is inherited by those it starts. Never fails: what could not be set is reported, and the daemon runs on.

use std::io;

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// One protection that this system refused.
#[derive(Debug, thiserror::Error)]
#[error("could not {what}: {source}")]
pub(crate) struct NotHardened {
    what: &'static str,
    source: io::Error,
}

/// Forbids core dumps, attaching debuggers, new files that others can read, and gaining privileges by exec.
///
/// Not dumpable also makes `/proc/PID/environ` and `/proc/PID/mem` root's, which matters for secrets in the environment. A
/// `command` that fetches a secret cannot use a set-uid program such as `sudo`.
pub(crate) fn harden() -> Vec<NotHardened> {
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
        let core = rustix::process::getrlimit(Resource::Core);
        assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
        assert!(rustix::thread::no_new_privs().expect("prctl"));
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
}
