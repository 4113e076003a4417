//! Reads the settings of the first file that are not accounts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokend_engine::RefreshPolicy;
use tokend_policy::{Directory, Rule};

use super::account::{Defaults, refresh};
use super::mistake::Mistakes;
use super::rules::{PacingTable, rules};
use super::section::Section;
use super::settings::{Http, Limits, Log, SOCKET_MODE, socket_mode};
use super::value::Value;
use super::{Environment, files};

/// Everything but the accounts.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) socket: Option<PathBuf>,
    pub(super) socket_mode: u32,
    pub(super) state_dir: Option<PathBuf>,
    /// The files of `dialect_dir`.
    pub(super) dialect_files: Vec<PathBuf>,
    /// The files of `include_dir`.
    pub(super) include_files: Vec<PathBuf>,
    pub(super) admin: Arc<[Rule]>,
    pub(super) limits: Limits,
    pub(super) log: Log,
    pub(super) http: Http,
    pub(super) defaults: Defaults,
}

impl Head {
    /// Reads it from the root of the first file; relative paths are taken from `base`.
    pub(super) fn read(
        root: &mut Section<'_>,
        base: &Path,
        environment: &Environment,
        directory: &mut Directory,
        mistakes: &mut Mistakes,
    ) -> Self {
        let own_user: Arc<[Rule]> = [Rule::User(environment.uid)].into();
        let mut path = |key| root.take(key).and_then(|value| value.path(base, mistakes));
        let (socket, state_dir) = (path("socket"), path("state_dir"));
        let mut directory_of = |key| files_of(root.take(key)?, base, mistakes);
        let (dialect_files, include_files) =
            (directory_of("dialect_dir"), directory_of("include_dir"));
        let mode = root
            .take("socket_mode")
            .and_then(|value| socket_mode(&value, mistakes));
        let admin = root
            .take("admin")
            .and_then(|value| rules(&value, directory, mistakes));
        let defaults = root.section("defaults", mistakes);
        Self {
            socket,
            socket_mode: mode.unwrap_or(SOCKET_MODE),
            state_dir,
            dialect_files: dialect_files.unwrap_or_default(),
            include_files: include_files.unwrap_or_default(),
            limits: Limits::read(root.section("limits", mistakes), mistakes),
            log: Log::read(root.section("log", mistakes), mistakes),
            http: Http::read(root.section("http", mistakes), base, mistakes),
            defaults: read_defaults(defaults, &own_user, directory, mistakes),
            admin: admin.map_or(own_user, Arc::from),
        }
    }
}

/// The files of a directory, told with the place that names it when it cannot be read.
fn files_of(value: Value<'_>, base: &Path, mistakes: &mut Mistakes) -> Option<Vec<PathBuf>> {
    let dir = value.path(base, mistakes)?;
    match files::toml_files(&dir) {
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
    own_user: &Arc<[Rule]>,
    directory: &mut Directory,
    mistakes: &mut Mistakes,
) -> Defaults {
    let mut defaults = Defaults {
        allow: Arc::clone(own_user),
        refresh: RefreshPolicy::default(),
        pacing: PacingTable::default(),
    };
    let Some(mut section) = section else {
        return defaults;
    };
    if let Some(rules) = section
        .take("allow")
        .and_then(|value| rules(&value, directory, mistakes))
    {
        defaults.allow = rules.into();
    }
    defaults.refresh = refresh(section.take("refresh"), mistakes).unwrap_or_default();
    defaults.pacing = PacingTable::read(section.take("pacing"), mistakes);
    section.finish(mistakes);
    defaults
}
