//! The user a command checks for: the user who runs the daemon, with that daemon's environment.
//!
//! Owns the choice of that user, which only root has: `--user`, else the user of the installed unit that runs this configuration, else the
//! owner of the state directory. Any other user checks for themselves. Files of a daemon are never judged as if root ran it.

mod unit;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use tokend_config::{Config, Environment, Overrides};
use tokend_document::Medium;
use tokend_policy::Directory;
use tokend_upstream::secrets::{KEPT_VARIABLES, Person, SecretSource};

use crate::printing::Failure;

pub(crate) use unit::environment::Variable;
pub(crate) use unit::{Unit, UnitCredential};

/// The user id assumed for a daemon with `DynamicUser=` that does not run: the first id that systemd may assign.
const DYNAMIC: u32 = 61184;

/// The command line's options for the choice.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RunAsOptions<'a> {
    pub(crate) config: Option<&'a Path>,
    pub(crate) state_dir: Option<&'a Path>,
    pub(crate) user: Option<&'a str>,
}

/// The daemon that a command checks for.
pub(crate) struct RunAs {
    /// The configuration.
    pub(crate) file: PathBuf,
    /// The settings that override the configuration.
    pub(crate) overrides: Overrides,
    /// The environment of the daemon.
    pub(crate) environment: Environment,
    /// The unit that runs the daemon, if one does.
    pub(crate) unit: Option<Unit>,
    /// Unknown users and groups in that unit; a unit with an unknown user is ignored.
    pub(crate) unknown: Vec<UnknownName>,
    /// The reason why this user is the daemon's.
    pub(crate) why: Reason,
    /// The user who runs the command.
    pub(crate) asker: u32,
    groups: Vec<u32>,
}

/// The reason why a user is the daemon's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The user runs this command, and no other reason applies.
    Own,
    /// `--user` names the user.
    Requested,
    /// `User=` of the unit that runs this configuration.
    Unit,
    /// The state directory is that user's.
    StateDir,
}

/// A name in a unit that is unknown on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UnknownName {
    /// `User=`
    User(String),
    /// `Group=` or `SupplementaryGroups=`
    Group(String),
}

impl RunAs {
    /// Finds the daemon's user on this machine.
    ///
    /// # Errors
    /// When the user is unknown, or this user cannot check for another.
    pub(crate) fn find(
        options: RunAsOptions<'_>,
        environment: &Environment,
    ) -> Result<Self, String> {
        Self::below(Path::new("/"), options, environment)
    }

    /// As [`RunAs::find`], with the unit files below `root`.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn below(
        root: &Path,
        options: RunAsOptions<'_>,
        environment: &Environment,
    ) -> Result<Self, String> {
        let own = environment.uid;
        let requested = options.user.map(id).transpose()?;
        if let Some(uid) = requested.filter(|uid| own != 0 && *uid != own) {
            return Err(format!(
                "only root can look as another user: run it with sudo, or as {}",
                name(uid)
            ));
        }
        let installed = Installed::find(root, own, requested);
        let meant = installed.as_ref().filter(|it| it.is_meant);
        let file = match (options.config, meant.and_then(|it| it.config.as_deref())) {
            (Some(file), _) | (None, Some(file)) => file.to_path_buf(),
            (None, None) => match requested.filter(|uid| *uid != own) {
                Some(uid) => of_user(uid).config_file(),
                None => environment.config_file(),
            },
        };
        // A unit counts only for its own configuration. Another user than the unit's runs that only if it is named.
        let installed = installed.filter(|it| {
            let is_its = it.config.as_ref().is_some_and(|own| is_same(own, &file));
            is_its && (it.is_meant || options.config.is_some())
        });
        let owner = || owner_of_state(&file, options, environment).filter(|uid| *uid != own);
        let (uid, why) = match (requested, installed.as_ref().and_then(|it| it.uid)) {
            (Some(uid), _) => (uid, Reason::Requested),
            (None, Some(uid)) => (uid, Reason::Unit),
            (None, None) => match (own == 0).then(owner).flatten() {
                Some(uid) => (uid, Reason::StateDir),
                None => (own, Reason::Own),
            },
        };
        let (unit, unknown_user) = match installed {
            Some(Installed {
                unit, uid: None, ..
            }) => (None, unit.user().map(str::to_owned)),
            installed => (installed.map(|it| it.unit), None),
        };
        let runs = unit.as_ref();
        let state_dir = options.state_dir.map(Path::to_path_buf);
        let unknown_groups = runs.map(unknown_groups).unwrap_or_default();
        let unknown_user = unknown_user.into_iter().map(UnknownName::User);
        Ok(Self {
            file,
            overrides: Overrides {
                socket: runs.and_then(Unit::socket),
                state_dir: state_dir.or_else(|| runs.and_then(Unit::state_dir)),
                included: None,
            },
            environment: environment_of(uid, why, runs, environment),
            unknown: unknown_user.chain(unknown_groups).collect(),
            why,
            asker: own,
            groups: groups(uid, runs),
            unit,
        })
    }

    /// The daemon's configuration.
    ///
    /// # Errors
    /// All mistakes in it, for `medium`.
    pub(crate) fn load(&self, medium: Medium) -> Result<Config, Failure> {
        let loaded = Config::load(&self.file, &self.overrides, &self.environment);
        loaded.map_err(|error| Failure::config(&error, medium))
    }

    /// The daemon's user.
    pub(crate) fn uid(&self) -> u32 {
        self.environment.uid
    }

    /// That user, by name where it has one.
    pub(crate) fn name(&self) -> String {
        name(self.uid())
    }

    /// Whether systemd creates the state directory, and gives it to the user that the daemon has then.
    pub(crate) fn is_dynamic(&self) -> bool {
        self.why == Reason::Unit && self.unit.as_ref().is_some_and(Unit::is_dynamic)
    }

    /// Continues as the daemon's user, with its groups, if this process is root. This cannot be undone. Call it before any other thread is
    /// started: each thread has its own user ids.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn become_them(&self) -> io::Result<()> {
        match self.is_another() {
            true => act_as(self.uid(), &self.groups),
            false => Ok(()),
        }
    }

    /// The sources of secrets for that daemon, derived from those of this process.
    pub(crate) fn secrets(&self, own: SecretSource) -> SecretSource {
        let stands_in = matches!(
            self.why,
            Reason::Unit | Reason::StateDir | Reason::Requested
        );
        let person = stands_in.then(|| Person {
            name: self.name(),
            home: self.environment.home.clone(),
            runtime: self.environment.xdg_runtime_dir.clone(),
            variables: self.variables(),
        });
        SecretSource { person, ..own }
    }

    /// The variables that the unit sets, of those that a command gets.
    fn variables(&self) -> Vec<(&'static str, String)> {
        let unit = self.unit.iter();
        let all = unit.flat_map(|unit| KEPT_VARIABLES.map(|name| (name, unit.variable(name))));
        all.filter_map(|(name, variable)| Some((name, variable.value()?)))
            .collect()
    }

    /// Whether the daemon's user differs from this process's.
    pub(crate) fn is_another(&self) -> bool {
        self.uid() != rustix::process::geteuid().as_raw()
    }

    /// `checked as user tokend, who runs tokend.service`
    pub(crate) fn describe(&self) -> String {
        let name = self.name();
        match self.why {
            Reason::Own | Reason::Requested => format!("as user {name}"),
            Reason::Unit => format!("as user {name}, who runs tokend.service"),
            Reason::StateDir => {
                format!("as user {name}, to whom the state directory belongs; --user names another")
            }
        }
    }
}

/// The installed unit, as far as it concerns the user who asks.
struct Installed {
    unit: Unit,
    /// The unit's user; `None` if there is no such user.
    uid: Option<u32>,
    /// The configuration of the unit's daemon; `None` if that depends on the unknown user.
    config: Option<PathBuf>,
    /// Whether the command line names the unit's user, or none.
    is_meant: bool,
}

impl Installed {
    fn find(root: &Path, own: u32, requested: Option<u32>) -> Option<Self> {
        let unit = Unit::installed(root)?;
        let uid = user_of(&unit, root);
        // A user whom root names checks for a daemon of their own, and so does any user but root.
        let is_for_us = match uid {
            Some(uid) => own == 0 || uid == own,
            None => own == 0 && requested.is_none(),
        };
        let config = unit.config();
        is_for_us.then(|| Self {
            config: config.or_else(|| Some(of_user(uid?).config_file())),
            is_meant: requested.is_none_or(|requested| uid == Some(requested)),
            uid,
            unit,
        })
    }
}

/// The environment of the daemon that a user runs.
fn environment_of(uid: u32, why: Reason, unit: Option<&Unit>, own: &Environment) -> Environment {
    match (unit, why) {
        (Some(unit), _) => Environment {
            state_directory: unit.state_directory(),
            runtime_directory: unit.runtime_directory(),
            xdg_runtime_dir: None,
            ..of_user(uid)
        },
        (None, Reason::Requested) if uid != own.uid => of_user(uid),
        (None, Reason::StateDir) => Environment {
            state_directory: Some(own.state_dir()),
            runtime_directory: own.socket().parent().map(Path::to_path_buf),
            ..of_user(uid)
        },
        _ => own.clone(),
    }
}

/// Continues as the owner of a directory, if this process is root and root does not own it. See [`RunAs::become_them`].
///
/// # Errors
/// When the system refuses.
pub(crate) fn become_owner(dir: &Path) -> io::Result<()> {
    match owner_to_be(dir) {
        Some(owner) => act_as(owner, &groups(owner, None)),
        None => Ok(()),
    }
}

/// The user as whom [`become_owner`] continues, if that is another.
pub(crate) fn owner_to_be(dir: &Path) -> Option<u32> {
    let owner = fs::metadata(dir).map_or(0, |found| found.uid());
    (owner != 0 && rustix::process::geteuid().is_root()).then_some(owner)
}

fn act_as(uid: u32, groups: &[u32]) -> io::Result<()> {
    let groups: Vec<Gid> = groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    let gid = groups.first().copied().unwrap_or(Gid::from_raw(uid));
    let uid = Uid::from_raw(uid);
    set_thread_groups(&groups)?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// The user of a unit. `None` if the name is unknown.
fn user_of(unit: &Unit, root: &Path) -> Option<u32> {
    let user = unit.user();
    if unit.is_dynamic() {
        let running = user.or(Some("tokend")).and_then(|name| id(name).ok());
        let kept = unit.state_directory().and_then(|dir| {
            let dir = root.join(dir.strip_prefix("/").unwrap_or(&dir));
            Some(fs::metadata(dir).ok()?.uid())
        });
        return Some(running.or(kept).filter(|uid| *uid != 0).unwrap_or(DYNAMIC));
    }
    user.map_or(Some(0), |name| id(name).ok())
}

fn owner_of_state(
    file: &Path,
    options: RunAsOptions<'_>,
    environment: &Environment,
) -> Option<u32> {
    let dir = options.state_dir.map(Path::to_path_buf).or_else(|| {
        // The code that uses the configuration reports its mistakes.
        let config = Config::load(file, &Overrides::default(), environment).ok()?;
        Some(config.state_dir)
    });
    let dir = dir.unwrap_or_else(|| environment.state_dir());
    Some(fs::metadata(dir).ok()?.uid())
}

/// A user by name or number.
fn id(user: &str) -> Result<u32, String> {
    let found = Directory::system().user(user);
    found.ok_or_else(|| format!("there is no user {user} on this machine"))
}

/// A user, by name where there is one.
pub(crate) fn name(uid: u32) -> String {
    Directory::name_of_user(uid).unwrap_or_else(|| uid.to_string())
}

/// The environment of a user's own daemon, as after a login.
fn of_user(uid: u32) -> Environment {
    let runtime = PathBuf::from(format!("/run/user/{uid}"));
    Environment {
        uid,
        home: Directory::home_of_user(uid),
        xdg_runtime_dir: Some(runtime).filter(|dir| dir.is_dir()),
        ..Environment::default()
    }
}

/// The groups of the daemon, its primary group first.
fn groups(uid: u32, unit: Option<&Unit>) -> Vec<u32> {
    let mut directory = Directory::system();
    let own = unit.and_then(Unit::group);
    let mut all: Vec<u32> = own
        .and_then(|name| directory.group(name))
        .into_iter()
        .collect();
    // With fewer groups fewer files can be read, which is reported; no decision depends on the groups here.
    all.extend(Directory::groups_of(uid).unwrap_or_default());
    let more = unit.map(Unit::more_groups).unwrap_or_default();
    all.extend(more.iter().filter_map(|name| directory.group(name)));
    if all.is_empty() {
        all.push(uid);
    }
    all
}

/// Groups of a unit that are unknown.
fn unknown_groups(unit: &Unit) -> Vec<UnknownName> {
    let mut directory = Directory::system();
    // systemd creates the group of a user it creates.
    let own = unit.group().filter(|_| !unit.is_dynamic());
    let all = own.map(str::to_owned).into_iter().chain(unit.more_groups());
    all.filter(|name| directory.group(name).is_none())
        .map(UnknownName::Group)
        .collect()
}

fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    whole(one) == whole(other)
}

#[cfg(test)]
mod tests;
