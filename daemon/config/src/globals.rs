//! Reads the settings of the first file that are not accounts.

use std::path::PathBuf;
use std::sync::Arc;

use tokend_document::{Section, Value};
use tokend_policy::{Permissions, Policy, Rule};

use super::Environment;
use super::account::Defaults;
use super::allow::{ADMIN, rules};
use super::audit::Audit;
use super::files::{NotListed, REMEDY};
use super::group::{Groups, Members};
use super::listen::Listen;
use super::metrics::Metrics;
use super::reading::Reading;
use super::rule_origins::Owner;
use super::settings::{Http, Limits, Log, SOCKET_MODE, socket_mode};

/// The settings of the daemon itself.
#[derive(Debug)]
pub(super) struct DaemonSettings {
    pub(super) socket: Option<PathBuf>,
    pub(super) socket_mode: u32,
    pub(super) listen: Listen,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) admin: Arc<Policy>,
    pub(super) limits: Limits,
    pub(super) log: Log,
    pub(super) audit: Audit,
    pub(super) metrics: Metrics,
    pub(super) http: Http,
}

/// Everything but the accounts.
#[derive(Debug)]
pub(super) struct Globals<'p> {
    pub(super) settings: DaemonSettings,
    /// The files of `dialect_dir`; `None` where they are not known.
    pub(super) dialect_files: Option<Vec<PathBuf>>,
    /// The files of `include_dir`; `None` where they are not known.
    pub(super) include_files: Option<Vec<PathBuf>>,
    /// `include_dir`, if there is one that can be read.
    pub(super) include_dir: Option<PathBuf>,
    pub(super) defaults: Defaults,
    pub(super) groups: Groups,
    pub(super) members: Members<'p>,
}

impl<'p> Globals<'p> {
    /// Reads it from the root of the first file.
    pub(super) fn read(
        root: &mut Section<'p>,
        environment: &Environment,
        reading: &mut Reading<'_>,
    ) -> Self {
        let own_user = |may| Arc::new(Policy::new(vec![Rule::user(environment.uid, may)]));
        let mut path = |key| {
            let value = root.take(key)?;
            value.path(&reading.base, &mut reading.diagnostics)
        };
        let (socket, state_dir) = (path("socket"), path("state_dir"));
        let mut directory_of = |key| match root.take(key) {
            Some(value) => files_of(value, reading).map(|(dir, files)| (Some(dir), files)),
            None => Some((None, Vec::new())),
        };
        let (dialects, included) = (directory_of("dialect_dir"), directory_of("include_dir"));
        let (include_dir, include_files) =
            included.map_or((None, None), |(dir, files)| (dir, Some(files)));
        let mode = root.read("socket_mode", &mut reading.diagnostics, socket_mode);
        let admin = root.take("admin");
        let admin = admin.and_then(|value| rules(value, ADMIN, reading));
        reading.origins.end(Owner::Admin);
        let defaults = Defaults::read(root, own_user(Permissions::USE), reading);
        let (groups, members) = Groups::read(root.take("group"), reading);
        let settings = DaemonSettings {
            socket,
            socket_mode: mode.unwrap_or(SOCKET_MODE),
            state_dir,
            admin: admin.map_or_else(
                || own_user(Permissions::ADMINISTER),
                |rules| Arc::new(Policy::new(rules)),
            ),
            listen: Listen::read(root, reading),
            limits: Limits::read(root, &mut reading.diagnostics),
            log: Log::read(root, &mut reading.diagnostics),
            audit: Audit::read(root, reading),
            metrics: Metrics::read(root, reading),
            http: Http::read(root, reading),
        };
        Self {
            settings,
            dialect_files: dialects.map(|(_, files)| files),
            include_files,
            include_dir,
            defaults,
            groups,
            members,
        }
    }
}

/// A directory and its files. If the directory cannot be read, the mistake names the place in the configuration.
fn files_of(value: Value<'_>, reading: &mut Reading<'_>) -> Option<(PathBuf, Vec<PathBuf>)> {
    let diagnostics = &mut reading.diagnostics;
    let dir = value.path(&reading.base, diagnostics)?;
    match reading.files.toml_files(&dir) {
        Ok(files) => Some((dir, files)),
        Err(NotListed {
            message,
            is_shortage,
        }) => {
            let help = match is_shortage {
                true => REMEDY,
                false => "create it, or leave the key out",
            };
            value.wrong(diagnostics, message, help.to_owned())
        }
    }
}
