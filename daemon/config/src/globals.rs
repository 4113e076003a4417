//! Reads the settings of the first file that are not accounts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokend_document::{Diagnostics, Section, Value};
use tokend_engine::RefreshPolicy;
use tokend_policy::{Permissions, Policy, Rule};

use super::account::{Defaults, refresh};
use super::allow::{ADMIN, allow, rules};
use super::audit::Audit;
use super::files::{NotListed, REMEDY};
use super::group::{Groups, Members};
use super::metrics::Metrics;
use super::pacing::PacingTable;
use super::rule_origins::{Owner, RuleOrigins};
use super::settings::{Http, Limits, Log, SOCKET_MODE, socket_mode};
use super::unresolved::Principals;
use super::{Environment, Files};

/// The settings of the daemon itself.
#[derive(Debug)]
pub(super) struct DaemonSettings {
    pub(super) socket: Option<PathBuf>,
    pub(super) socket_mode: u32,
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
    pub(super) defaults: Defaults,
    pub(super) groups: Groups,
    pub(super) members: Members<'p>,
}

impl<'p> Globals<'p> {
    /// Reads it from the root of the first file; relative paths are taken from `base`.
    pub(super) fn read(
        root: &mut Section<'p>,
        base: &Path,
        environment: &Environment,
        files: &Files,
        principals: &mut Principals,
        origins: &mut RuleOrigins,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let own_user = |may| Arc::new(Policy::new(vec![Rule::user(environment.uid, may)]));
        let mut path = |key| {
            root.take(key)
                .and_then(|value| value.path(base, diagnostics))
        };
        let (socket, state_dir) = (path("socket"), path("state_dir"));
        let mut directory_of = |key| match root.take(key) {
            Some(value) => files_of(files, value, base, diagnostics),
            None => Some(Vec::new()),
        };
        let (dialect_files, include_files) =
            (directory_of("dialect_dir"), directory_of("include_dir"));
        let mode = root
            .take("socket_mode")
            .and_then(|value| socket_mode(value, diagnostics));
        let admin = root
            .take("admin")
            .and_then(|value| rules(value, ADMIN, principals, origins, diagnostics));
        origins.end(Owner::Admin);
        let defaults = root.section("defaults", diagnostics);
        let defaults = read_defaults(
            defaults,
            own_user(Permissions::USE),
            principals,
            origins,
            diagnostics,
        );
        let (groups, members) = Groups::read(root.take("group"), principals, origins, diagnostics);
        let settings = DaemonSettings {
            socket,
            socket_mode: mode.unwrap_or(SOCKET_MODE),
            state_dir,
            admin: admin.map_or_else(
                || own_user(Permissions::ADMINISTER),
                |rules| Arc::new(Policy::new(rules)),
            ),
            limits: Limits::read(root.section("limits", diagnostics), diagnostics),
            log: Log::read(root.section("log", diagnostics), diagnostics),
            audit: Audit::read(root.section("audit", diagnostics), base, diagnostics),
            metrics: Metrics::read(
                root.section("metrics", diagnostics),
                base,
                principals,
                diagnostics,
            ),
            http: Http::read(root.section("http", diagnostics), base, files, diagnostics),
        };
        Self {
            settings,
            dialect_files,
            include_files,
            defaults,
            groups,
            members,
        }
    }
}

/// The files of a directory. If the directory cannot be read, the mistake names the place in the configuration.
fn files_of(
    files: &Files,
    value: Value<'_>,
    base: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<PathBuf>> {
    let dir = value.path(base, diagnostics)?;
    match files.toml_files(&dir) {
        Ok(files) => Some(files),
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

/// Reads `[defaults]`. Without `allow` only the daemon's own user may have a token.
fn read_defaults(
    section: Option<Section<'_>>,
    own_user: Arc<Policy>,
    principals: &mut Principals,
    origins: &mut RuleOrigins,
    diagnostics: &mut Diagnostics,
) -> Defaults {
    let mut defaults = Defaults {
        allow: own_user,
        refresh: RefreshPolicy::default(),
        pacing: PacingTable::default(),
    };
    let Some(mut section) = section else {
        return defaults;
    };
    if let Some(rules) = allow(&mut section, principals, origins, diagnostics) {
        defaults.allow = Arc::new(Policy::new(rules));
    }
    origins.end(Owner::Defaults);
    defaults.refresh = refresh(section.take("refresh"), diagnostics).unwrap_or_default();
    defaults.pacing = PacingTable::read(section.take("pacing"), diagnostics);
    section.finish(diagnostics);
    defaults
}
