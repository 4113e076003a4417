//! Reads the settings of the first file that are not accounts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokend_engine::RefreshPolicy;
use tokend_policy::{Directory, Permissions, Policy, Rule};

use super::account::{Defaults, refresh};
use super::allow::{ADMIN, allow, rules};
use super::audit::Audit;
use super::group::{Groups, Members};
use super::marks::{Marks, Owner};
use super::metrics::Metrics;
use super::mistake::Mistakes;
use super::pacing::PacingTable;
use super::section::Section;
use super::settings::{Http, Limits, Log, SOCKET_MODE, socket_mode};
use super::value::Value;
use super::{Environment, Files};

/// Everything but the accounts.
#[derive(Debug)]
pub(super) struct Head<'p> {
    pub(super) socket: Option<PathBuf>,
    pub(super) socket_mode: u32,
    pub(super) state_dir: Option<PathBuf>,
    /// The files of `dialect_dir`.
    pub(super) dialect_files: Vec<PathBuf>,
    /// The files of `include_dir`.
    pub(super) include_files: Vec<PathBuf>,
    pub(super) admin: Arc<Policy>,
    pub(super) limits: Limits,
    pub(super) log: Log,
    pub(super) audit: Audit,
    pub(super) metrics: Metrics,
    pub(super) http: Http,
    pub(super) defaults: Defaults,
    pub(super) groups: Groups,
    pub(super) members: Members<'p>,
}

impl<'p> Head<'p> {
    /// Reads it from the root of the first file; relative paths are taken from `base`.
    pub(super) fn read(
        root: &mut Section<'p>,
        base: &Path,
        environment: &Environment,
        files: &Files,
        directory: &mut Directory,
        marks: &mut Marks,
        mistakes: &mut Mistakes,
    ) -> Self {
        let own_user = |may| Arc::new(Policy::new(vec![Rule::user(environment.uid, may)]));
        let mut path = |key| root.take(key).and_then(|value| value.path(base, mistakes));
        let (socket, state_dir) = (path("socket"), path("state_dir"));
        let mut directory_of = |key| files_of(files, root.take(key)?, base, mistakes);
        let (dialect_files, include_files) =
            (directory_of("dialect_dir"), directory_of("include_dir"));
        let mode = root
            .take("socket_mode")
            .and_then(|value| socket_mode(&value, mistakes));
        let admin = root
            .take("admin")
            .and_then(|value| rules(&value, ADMIN, directory, marks, mistakes));
        marks.end(Owner::Admin);
        let defaults = root.section("defaults", mistakes);
        let defaults = read_defaults(
            defaults,
            own_user(Permissions::USE),
            directory,
            marks,
            mistakes,
        );
        let (groups, members) = Groups::read(root.take("group"), directory, marks, mistakes);
        Self {
            socket,
            socket_mode: mode.unwrap_or(SOCKET_MODE),
            state_dir,
            dialect_files: dialect_files.unwrap_or_default(),
            include_files: include_files.unwrap_or_default(),
            limits: Limits::read(root.section("limits", mistakes), mistakes),
            log: Log::read(root.section("log", mistakes), mistakes),
            audit: Audit::read(root.section("audit", mistakes), base, mistakes),
            metrics: Metrics::read(root.section("metrics", mistakes), base, directory, mistakes),
            http: Http::read(root.section("http", mistakes), base, files, mistakes),
            defaults,
            groups,
            members,
            admin: admin.map_or_else(
                || own_user(Permissions::ADMINISTER),
                |rules| Arc::new(Policy::new(rules)),
            ),
        }
    }
}

/// The files of a directory, told with the place that names it when it cannot be read.
fn files_of(
    files: &Files,
    value: Value<'_>,
    base: &Path,
    mistakes: &mut Mistakes,
) -> Option<Vec<PathBuf>> {
    let dir = value.path(base, mistakes)?;
    match files.toml_files(&dir) {
        Ok(files) => Some(files),
        Err(message) => value.wrong(
            mistakes,
            message,
            "create it, or leave the key out".to_owned(),
        ),
    }
}

/// Reads `[defaults]`. Without `allow` only the daemon's own user may have a token.
fn read_defaults(
    section: Option<Section<'_>>,
    own_user: Arc<Policy>,
    directory: &mut Directory,
    marks: &mut Marks,
    mistakes: &mut Mistakes,
) -> Defaults {
    let mut defaults = Defaults {
        allow: own_user,
        refresh: RefreshPolicy::default(),
        pacing: PacingTable::default(),
    };
    let Some(mut section) = section else {
        return defaults;
    };
    if let Some(rules) = allow(&mut section, directory, marks, mistakes) {
        defaults.allow = Arc::new(Policy::new(rules));
    }
    marks.end(Owner::Defaults);
    defaults.refresh = refresh(section.take("refresh"), mistakes).unwrap_or_default();
    defaults.pacing = PacingTable::read(section.take("pacing"), mistakes);
    section.finish(mistakes);
    defaults
}
