//! Checks of the daemon's own files: the configuration on disk against the one in force, and the disk of the store.
//!
//! Reads and compares; writes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{StatVfsMountFlags, statvfs};
use tokend_config::{Config, Unresolved};
use tokend_process::listen::SocketOrigin;
use tokend_process::systemd;
use tokend_proto::{Finding, Topic};

use super::finding::{ok, problem, warning};
use crate::broker::registry::Snapshot;
use crate::reload::{ConfigSource, FileThreads, InForce};
use tokend_record::StoreReader;
use tokend_store::KEY_CREDENTIAL;

/// Less free space than this is reported before it causes failures.
const LITTLE_ROOM: u64 = 64 << 20;

/// The time limit of a check: the peer waits for it.
const LIMIT: Duration = Duration::from_secs(10);

/// The daemon's own files.
#[derive(Debug)]
pub(crate) struct OwnFiles {
    pub(crate) source: ConfigSource,
    pub(crate) in_force: Arc<InForce>,
    pub(crate) sockets: Vec<SocketOrigin>,
    pub(crate) store: StoreReader,
    /// Files may lie on a disk that hangs; these checks do not use the threads of sessions.
    pub(crate) threads: FileThreads,
}

/// The findings about the files.
pub(super) async fn check(files: &OwnFiles, snapshot: Arc<Snapshot>) -> Vec<Finding> {
    let names = unresolved(&files.in_force);
    let (source, in_force) = (files.source.clone(), Arc::clone(&files.in_force));
    let own_store = files.store.clone();
    let sockets = files.sockets.clone();
    let checking = files.threads.run(LIMIT, move || match source.load() {
        Err(mistakes) => vec![problem(
            Topic::Configuration,
            format!("the configuration on disk has mistakes, so it will not be loaded: {mistakes}"),
            format!(
                "see all of them with: tokend check --config {}; the one in force stays",
                source.file().display()
            ),
        )],
        Ok(config) => {
            let same = *in_force.stamps() == config.stamps && is_in_force(&config, &snapshot);
            let lost = sockets.iter().filter_map(SocketOrigin::lost).map(lost);
            let own = [
                configuration(source.file(), same, in_force.remedy()),
                store(in_force.state_dir(), &own_store),
            ];
            own.into_iter().chain(lost).collect()
        }
    });
    let mut findings = checking.await.unwrap_or_else(|why| {
        vec![problem(
            Topic::Configuration,
            format!("the configuration on disk cannot be looked at: {why}"),
            "the one in force stays".to_owned(),
        )]
    });
    findings.extend(names);
    findings
}

/// The rules in force that match nobody, because their names are unknown.
fn unresolved(in_force: &InForce) -> Vec<Finding> {
    let names = in_force.unresolved();
    let (shown, more) = Unresolved::listed(&names);
    let warn = |message| {
        warning(
            Topic::Configuration,
            message,
            "create it, correct the name, or repair the service that knows it",
        )
    };
    let shown = shown
        .iter()
        .map(|name| warn(format!("{name}; {}", in_force.when(name))));
    let more = (more > 0).then(|| warn(format!("{more} more names of rules are not known")));
    shown.chain(more).collect()
}

/// Whether these accounts are the served ones. Changes outside of accounts show in the files' stamps.
fn is_in_force(config: &Config, snapshot: &Snapshot) -> bool {
    let same = config.accounts.iter().filter(|account| {
        snapshot.served(&account.name).is_some_and(|served| {
            let held = &served.account;
            held.fingerprint == account.fingerprint
                && held.allow == account.allow
                && held.pacing == account.pacing
                && held.refresh == account.refresh
        })
    });
    same.count() == config.accounts.len() && config.accounts.len() == snapshot.count()
}

fn configuration(file: &Path, same: bool, remedy: Option<String>) -> Finding {
    let shown = file.display();
    match (same, remedy) {
        (true, Some(remedy)) => warning(
            Topic::Configuration,
            format!("{shown} is in force but for settings that hold from the daemon's start"),
            remedy,
        ),
        (true, None) => ok(
            Topic::Configuration,
            format!("{shown} is in force as it is on disk"),
        ),
        (false, _) => warning(
            Topic::Configuration,
            format!("{shown}, or a file it includes, was changed and is not in force"),
            "check it with `tokend check`, then: tokenctl reload",
        ),
    }
}

/// A socket that nobody can connect to any more.
fn lost(path: &Path) -> Finding {
    problem(
        Topic::Configuration,
        format!(
            "the socket that the daemon made at {} is not there any more: nobody can connect to it",
            path.display()
        ),
        "restart tokend, which makes it again",
    )
}

fn store(dir: &Path, store: &StoreReader) -> Finding {
    let shown = dir.display();
    let stat = match statvfs(dir) {
        Ok(stat) => stat,
        Err(error) => {
            return problem(
                Topic::Store,
                format!("state directory {shown} cannot be looked at: {error}"),
                "mount or restore it; until then no attempt begins",
            );
        }
    };
    if stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return problem(
            Topic::Store,
            format!("state directory {shown} is on a file system that is mounted read-only"),
            "mount it for writing; until then no attempt begins, and tokens that are held are served",
        );
    }
    if let Err(why) = store.in_place() {
        return problem(
            Topic::Store,
            why.to_string(),
            "until it is in its place no attempt begins, and tokens that are held are served",
        );
    }
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let is_given = |dir: PathBuf| dir.join(KEY_CREDENTIAL).exists();
    let key = match systemd::credentials().is_some_and(is_given) {
        true => "its key is a systemd credential",
        false => "its key is beside it",
    };
    let message = format!("state directory {shown} has {} MiB left; {key}", free >> 20);
    match free {
        ..LITTLE_ROOM => warning(
            Topic::Store,
            message,
            "make room: an attempt begins only while there is some for its outcome",
        ),
        _ => ok(Topic::Store, message),
    }
}
