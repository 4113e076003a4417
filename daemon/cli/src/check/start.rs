//! Checks, without a start, the requirements of a start: state directory, key, socket, audit file, metrics.
//!
//! Owns the wording of errors that a person can mend. The checks are those of the start itself, next to the code that makes them. A lock, a
//! socket or an address that a running daemon holds is no mistake.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tokend_config::{Config, MetricsListen, SecretPlace, is_shortage};
use tokend_policy::Outlet;
use tokend_process::systemd;
use tokend_store::{KeyError, OpenError, Refusal, SealingKey};

use super::Findings;
use crate::run_as::{self, Reason, RunAs, Unit, UnitCredential, UnknownName};
use tokend_audit::Audit;
use tokend_process::listen::{self, PathState, Usage};
use tokend_store::{KEY_CREDENTIAL, KEY_FILE};

/// How many files of a state directory are checked. It holds seven.
const MOST_FILES: usize = 64;

impl Findings {
    /// All requirements of a start beside the configuration itself.
    pub(super) fn start(&mut self, config: &Config, run_as: &RunAs) {
        let held = tokend_store::is_held(&config.state_dir);
        self.nobody(run_as);
        if let Some(unit) = &run_as.unit {
            self.hidden(config, unit);
        }
        self.state(&config.state_dir, run_as);
        self.socket(config, run_as, held);
        self.outlets(config, run_as, held);
        self.audit(config, run_as);
        self.metrics(config, run_as, held);
    }

    /// A unit with an unknown user or group does not start at all.
    fn nobody(&mut self, run_as: &RunAs) {
        for unknown in &run_as.unknown {
            let (kind, name, status, program) = match unknown {
                UnknownName::User(name) => ("User", name, "217/USER", "useradd"),
                UnknownName::Group(name) => ("Group", name, "216/GROUP", "groupadd"),
            };
            let what = kind.to_lowercase();
            self.errors.push(format!(
                "tokend.service has {kind}={name}, and there is no {what} {name} on this machine, so systemd does not start the daemon \
                 (status={status}): make it ({program} --system {name}), or correct the unit (systemctl edit tokend.service)"
            ));
        }
    }

    /// The paths that the unit keeps the daemon from reading, whoever owns them.
    fn hidden(&mut self, config: &Config, unit: &Unit) {
        let accounts = config.accounts.iter().flat_map(|account| &account.secrets);
        let proxies = config.http.proxies.iter();
        let passwords = proxies.filter_map(|proxy| proxy.password.as_ref());
        let places = accounts.map(|(_, place)| place).chain(passwords);
        let secrets = places.filter_map(|place| match &place.place {
            SecretPlace::File { path, .. } => Some(&**path),
            _ => None,
        });
        let read = config.stamps.paths().chain(config.http.extra_ca.as_deref());
        let files = config.files.iter().map(PathBuf::as_path);
        let mut all: Vec<&Path> = files.chain(read).chain(secrets).collect();
        // Compared by components: a directory comes before the files in it.
        all.sort_unstable();
        let mut reported: Option<&Path> = None;
        for path in all {
            let is_reported = reported.is_some_and(|above| path.starts_with(above));
            if let Some(why) = unit.hides(path).filter(|_| !is_reported) {
                reported = Some(path);
                let path = path.display();
                self.errors.push(format!(
                    "{path}: the daemon cannot see it, since tokend.service has {why}; move it to /etc/tokend"
                ));
            }
        }
    }

    /// Whether the unit keeps the daemon from writing in `dir`. The finding names `what` and the place that the unit has for it.
    fn kept_from(
        &mut self,
        what: &str,
        dir: &Path,
        unit: Option<&Unit>,
        usual: Option<PathBuf>,
    ) -> bool {
        let Some((unit, why)) = unit.and_then(|unit| Some((unit, unit.keeps_from_writing(dir)?)))
        else {
            return false;
        };
        let shown = dir.display();
        let usual = usual.map(|usual| format!("use {}", usual.display()));
        // A hidden path stays hidden. A unit does not start for a path that does not exist.
        let make = match dir.exists() {
            true => String::new(),
            false => format!("make {shown} and "),
        };
        let open = unit.hides(dir).is_none().then(|| {
            format!(
                "{make}add ReadWritePaths={shown} to a drop-in of tokend.service (systemctl edit tokend.service)"
            )
        });
        let choices: Vec<String> = usual.into_iter().chain(open).collect();
        let choices = match &choices[..] {
            [] => "use another place".to_owned(),
            choices => choices.join(", or "),
        };
        self.errors.push(format!(
            "{what}: the daemon cannot write in {shown}, since tokend.service has {why}; {choices}"
        ));
        true
    }

    fn state(&mut self, dir: &Path, run_as: &RunAs) {
        let shown = dir.display();
        let unit = run_as.unit.as_ref();
        let usual = unit.and_then(Unit::state_directory);
        if self.kept_from("the state directory", dir, unit, usual) {
            return;
        }
        if run_as.is_dynamic() {
            return self.notes.push(format!(
                "state directory {shown} is made by systemd for the user the daemon has then (DynamicUser=), and was not looked at"
            ));
        }
        if matches!(fs::metadata(dir), Err(error) if error.kind() == io::ErrorKind::NotFound) {
            self.notes.push(format!(
                "state directory {shown} does not exist yet; it is made at the first start"
            ));
            if makes(unit)(dir) {
                return;
            }
        }
        self.modes(dir);
        let key = self.key(dir, run_as);
        if self.owners(dir, run_as) {
            // All other errors there follow from that.
            return;
        }
        for refusal in tokend_store::inspect(dir, key.as_deref()) {
            // Owners and modes are reported above, for all files and with the command that mends them.
            let is_reported = matches!(
                refusal,
                Refusal::Open(OpenError::WrongOwner { .. } | OpenError::TooOpen { .. })
                    | Refusal::Key(KeyError::WrongOwner { .. } | KeyError::TooOpen { .. })
            );
            if !is_reported {
                self.refused(refusal.to_string(), is_short(&refusal));
            }
        }
    }

    /// The key file that a start would read, if it would read one.
    fn key(&mut self, dir: &Path, run_as: &RunAs) -> Option<PathBuf> {
        let file = dir.join(KEY_FILE);
        if let Some(credentials) = systemd::credentials() {
            match SealingKey::from_credentials_dir(&credentials, KEY_CREDENTIAL) {
                Ok(Some(_)) => return None,
                Ok(None) => {}
                Err(error) => {
                    let refusal = Refusal::Key(error);
                    self.refused(refusal.to_string(), is_short(&refusal));
                }
            }
        }
        let unit = run_as.unit.as_ref();
        match unit.map(|unit| unit.credential(KEY_CREDENTIAL)) {
            Some(UnitCredential::Present) => None,
            Some(UnitCredential::Missing(path)) => {
                self.errors.push(absent(KEY_CREDENTIAL, &path));
                None
            }
            // An existing key file is used; only root can see whether it is.
            Some(UnitCredential::Unseen) if !file.exists() => None,
            _ => Some(file),
        }
    }

    /// The files of the store must belong to the daemon. Returns whether one does not.
    fn owners(&mut self, dir: &Path, run_as: &RunAs) -> bool {
        let uid = run_as.uid();
        let strangers: Vec<(PathBuf, u32)> = std::iter::once(dir.to_path_buf())
            .chain(files(dir))
            .filter_map(|path| {
                let owner = fs::symlink_metadata(&path).ok()?.uid();
                (owner != uid).then_some((path, owner))
            })
            .collect();
        let Some((first, owner)) = strangers.first() else {
            return false;
        };
        let (first, owner) = (first.display(), run_as::name(*owner));
        let more = match strangers.len() {
            1 => String::new(),
            2 => " (and so does 1 more file there)".to_owned(),
            count => format!(" (and so do {} more files there)", count - 1),
        };
        let (name, shown) = (run_as.name(), dir.display());
        let sudo = if run_as.asker == 0 { "" } else { "sudo " };
        self.errors.push(match run_as.why {
            Reason::Own if uid == 0 => format!(
                "{first} belongs to user {owner}{more}, but {shown} to root: say with --user who runs the daemon"
            ),
            Reason::Own if strangers.iter().any(|(path, _)| path == dir) => format!(
                "state directory {shown} belongs to user {owner}, and this is user {name}: run the check with sudo, which checks as the daemon's user, \
                 or give {name} another directory (--state-dir)"
            ),
            _ => format!(
                "{first} belongs to user {owner}{more}, but {name} runs the daemon: {sudo}chown -R {name} {shown}"
            ),
        });
        true
    }

    /// The files of the store must also be closed to all others.
    fn modes(&mut self, dir: &Path) {
        let all = std::iter::once((dir.to_path_buf(), "state directory", "700"));
        for (path, what, mode) in all.chain(files(dir).map(|path| (path, "file", "600"))) {
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            if metadata.mode() & 0o077 != 0 && !metadata.is_symlink() {
                let (shown, found) = (path.display(), metadata.mode() & 0o7777);
                self.errors.push(format!(
                    "{what} {shown} has mode {found:04o}, open to others: chmod {mode} {shown}"
                ));
            }
        }
    }

    fn socket(&mut self, config: &Config, run_as: &RunAs, held: bool) {
        let (unit, usage) = (run_as.unit.as_ref(), Usage::Clients);
        // A socket that systemd passes takes precedence over the configuration's, which then only has to be a path.
        match unit {
            Some(unit) if unit.has_socket => {
                let seen = listen::must_fit(&config.socket, usage).map(|()| PathState::Free);
                self.listens(seen, &config.socket, usage, held);
            }
            _ => self.place(usage, &config.socket, unit, held),
        }
    }

    /// The sockets of outlets. One that systemd passes takes precedence over the configuration's path.
    fn outlets(&mut self, config: &Config, run_as: &RunAs, held: bool) {
        let unit = run_as.unit.as_ref();
        for outlet in Outlet::ALL {
            let is_passed = unit.is_some_and(|unit| unit.passes(outlet));
            if let Some(path) = config.listen.at(outlet).filter(|_| !is_passed) {
                self.place(Usage::Outlet(outlet), path, unit, held);
            }
        }
    }

    /// A socket that the daemon creates itself.
    fn place(&mut self, usage: Usage, path: &Path, unit: Option<&Unit>, held: bool) {
        let what = match usage {
            Usage::Metrics => "the socket of metrics".to_owned(),
            Usage::Outlet(outlet) => format!("the socket of {outlet}"),
            Usage::Clients | Usage::Relay => "the socket".to_owned(),
        };
        let what = format!("{what} {}", path.display());
        let dir = path.parent().unwrap_or(path);
        let usual = unit.and_then(Unit::runtime_directory);
        if !self.kept_from(&what, dir, unit, usual) {
            let seen = listen::check(path, usage, makes(unit));
            self.listens(seen, path, usage, held);
        }
    }

    fn listens(
        &mut self,
        seen: Result<PathState, listen::ListenError>,
        path: &Path,
        usage: Usage,
        held: bool,
    ) {
        let error = match seen {
            Ok(PathState::InUse) if !held => listen::ListenError {
                path: path.into(),
                usage,
                obstacle: listen::Obstacle::Taken,
            },
            Ok(_) => return,
            Err(error) => error,
        };
        self.refused(error.to_string(), error.is_shortage());
    }

    fn audit(&mut self, config: &Config, run_as: &RunAs) {
        let unit = run_as.unit.as_ref();
        if let Some(file) = &config.audit.file
            && let Some(why) = unit.and_then(|unit| unit.keeps_from_writing(&file.path))
        {
            let path = file.path.display();
            return self.errors.push(format!(
                "the audit file {path}: the daemon cannot write there, since tokend.service has {why}; put it below /var/log/tokend"
            ));
        }
        if let Err(error) = Audit::check(&config.audit, makes(unit)) {
            self.refused(error.to_string(), error.is_shortage());
        }
    }

    fn metrics(&mut self, config: &Config, run_as: &RunAs, held: bool) {
        let unit = run_as.unit.as_ref();
        match &config.metrics.listen {
            None => {}
            Some(MetricsListen::Unix(path)) => self.place(Usage::Metrics, path, unit, held),
            Some(MetricsListen::Tcp(_))
                if unit.is_some_and(|it| it.has_metrics_socket || it.has_own_network()) => {}
            Some(MetricsListen::Tcp(address)) => match listen::check_address(address) {
                Err(error) if held && error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => {
                    let message = listen::cannot_serve(address, &error);
                    self.refused(message, is_shortage(&error));
                }
                Ok(()) => {}
            },
        }
    }
}

/// Whether a temporary shortage of the machine kept the state directory or the key from being checked.
pub(super) fn is_short(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::Open(OpenError::Io(failure)) | Refusal::Key(KeyError::Io(failure)) => {
            is_shortage(&failure.source)
        }
        _ => false,
    }
}

/// The finding about a credential that systemd would not find.
pub(super) fn absent(name: &str, path: &Path) -> String {
    let path = path.display();
    format!(
        "credential {name}: tokend.service loads it from {path}, which is not there, and does not start without it: put it there, or take the line out of the unit"
    )
}

/// Which directories will exist at the daemon's start, owned by the daemon's user.
fn makes(unit: Option<&Unit>) -> impl Fn(&Path) -> bool {
    move |dir| unit.is_some_and(|unit| unit.makes(dir))
}

fn files(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = entries.take(MOST_FILES).map(|entry| entry.path()).collect();
    all.sort();
    all.into_iter()
}
