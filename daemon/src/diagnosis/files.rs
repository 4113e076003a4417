//! Looks at the daemon's own files: the configuration on disk against the one in force, and the disk of the store.
//!
//! Owns what makes a file another one than it was. Reads and compares; writes nothing.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{StatVfsMountFlags, statvfs};
use tokend_config::Config;
use tokend_proto::{Finding, Severity, Topic};
use tokend_store::Store;

use super::{found, ok};
use crate::registry::Epoch;
use crate::reload::Reloader;

/// Less room than this is told before it hurts.
const LITTLE_ROOM: u64 = 64 << 20;

/// How long a look may take: whoever asks waits for it.
const LIMIT: Duration = Duration::from_secs(10);

/// What the files of a configuration were like when it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stamps(Vec<(PathBuf, Option<Stamp>)>);

/// Device, file, size, and the time of the last change in seconds and nanoseconds.
type Stamp = (u64, u64, u64, i64, i64);

impl Stamps {
    /// Of these files as they are now.
    pub(crate) fn of(files: &[PathBuf]) -> Self {
        Self(
            files
                .iter()
                .map(|path| (path.clone(), stamp(path)))
                .collect(),
        )
    }

    /// Whether the files are what they were.
    pub(crate) fn are_as_they_were(&self) -> bool {
        self.0.iter().all(|(path, before)| stamp(path) == *before)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let it = std::fs::metadata(path).ok()?;
    Some((it.dev(), it.ino(), it.size(), it.mtime(), it.mtime_nsec()))
}

/// What is to be said about the files.
pub(super) async fn look(reloader: &Arc<Reloader>, epoch: Arc<Epoch>) -> Vec<Finding> {
    let threads = reloader.files.clone();
    let reloader = Arc::clone(reloader);
    // Files may lie on a disk that hangs; the threads for that are not those of sessions.
    let looking = threads.run(LIMIT, move || {
        let loaded = Config::load(&reloader.file, &reloader.overrides, &reloader.environment);
        match loaded {
            Err(mistakes) => vec![found(
                Severity::Problem,
                Topic::Configuration,
                format!(
                    "the configuration on disk has mistakes, so it will not be loaded: {mistakes}"
                ),
                format!(
                    "see all of them with: tokend check --config {}; the one in force stays",
                    reloader.file.display()
                ),
            )],
            Ok(config) => {
                let same = **reloader.stamps.load() == Stamps::of(&config.files)
                    && is_in_force(&config, &epoch);
                let mut findings = vec![configuration(&reloader.file, same)];
                findings.extend(config.unresolved.iter().map(|name| {
                    found(
                        Severity::Warning,
                        Topic::Configuration,
                        name.to_string(),
                        "create it, correct the name, or see to the service that knows it; it is tried again every minute",
                    )
                }));
                findings.extend(store(&config.state_dir, &*reloader.store));
                findings
            }
        }
    });
    looking.await.unwrap_or_else(|why| {
        vec![found(
            Severity::Problem,
            Topic::Configuration,
            format!("the configuration on disk cannot be looked at: {why}"),
            "the one in force stays".to_owned(),
        )]
    })
}

/// Whether the accounts are those that are served. What is not about accounts shows in the files' stamps.
fn is_in_force(config: &Config, epoch: &Epoch) -> bool {
    let same = config.accounts.iter().filter(|account| {
        epoch.slot(&account.name).is_some_and(|slot| {
            let held = &slot.account;
            held.fingerprint == account.fingerprint
                && held.allow == account.allow
                && held.pacing == account.pacing
                && held.refresh == account.refresh
        })
    });
    same.count() == config.accounts.len() && config.accounts.len() == epoch.count()
}

fn configuration(file: &Path, same: bool) -> Finding {
    let shown = file.display();
    match same {
        true => ok(
            Topic::Configuration,
            format!("{shown} is in force as it stands on disk"),
        ),
        false => found(
            Severity::Warning,
            Topic::Configuration,
            format!("{shown}, or a file it includes, was changed and is not in force"),
            "check it with `tokend check`, then: tokenctl reload",
        ),
    }
}

fn store(dir: &Path, store: &dyn Store) -> Option<Finding> {
    let shown = dir.display();
    let stat = match statvfs(dir) {
        Ok(stat) => stat,
        Err(error) => {
            return Some(found(
                Severity::Problem,
                Topic::Store,
                format!("state directory {shown} cannot be looked at: {error}"),
                "mount or restore it; until then no attempt begins",
            ));
        }
    };
    if stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Some(found(
            Severity::Problem,
            Topic::Store,
            format!("state directory {shown} is on a file system that is mounted read-only"),
            "mount it for writing; until then no attempt begins, and tokens that are held are served",
        ));
    }
    if let Err(why) = store.in_place() {
        return Some(found(
            Severity::Problem,
            Topic::Store,
            why.to_string(),
            "until it is in its place no attempt begins, and tokens that are held are served",
        ));
    }
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let key = match std::env::var_os("CREDENTIALS_DIRECTORY") {
        Some(dir) if Path::new(&dir).join(crate::app::KEY_CREDENTIAL).exists() => {
            "its key is a systemd credential"
        }
        _ => "its key is beside it",
    };
    let message = format!("state directory {shown} has {} MiB left; {key}", free >> 20);
    Some(match free {
        ..LITTLE_ROOM => found(
            Severity::Warning,
            Topic::Store,
            message,
            "make room: an attempt begins only while there is some for its outcome",
        ),
        _ => ok(Topic::Store, message),
    })
}
