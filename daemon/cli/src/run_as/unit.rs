//! The settings of the installed `tokend.service` for the daemon it runs.
//!
//! Owns the reading of unit files: which setting overrides which, and which settings matter to a starting daemon. Asks no systemd, which
//! may not run here; a file that cannot be read counts as absent. Must never open a file that a unit only names.

pub(super) mod environment;

use std::fs;
use std::path::{Path, PathBuf};

use tokend_policy::Outlet;

/// The directories of unit files; earlier ones take precedence (systemd.unit(5)).
const PLACES: [&str; 11] = [
    "etc/systemd/system.control",
    "run/systemd/system.control",
    "run/systemd/transient",
    "run/systemd/generator.early",
    "etc/systemd/system",
    "etc/systemd/system.attached",
    "run/systemd/system",
    "run/systemd/system.attached",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];
/// The directories in which systemd looks for credentials without a path (systemd.exec(5)).
const CREDENTIALS: [&str; 3] = ["etc", "run", "usr/lib"];
/// The longest unit file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// The parts of the unit that matter to the daemon's start.
///
/// Has no `Debug`, since some settings may be secrets.
pub(crate) struct Unit {
    root: PathBuf,
    settings: Vec<(String, String)>,
    /// The credentials that the unit loads, read before privileges are dropped: their stores belong to root.
    credentials: Vec<(String, UnitCredential)>,
    /// Whether systemd creates the socket for clients.
    pub(crate) has_socket: bool,
    /// Whether systemd listens for readers of metrics.
    pub(crate) has_metrics_socket: bool,
    /// The outlets whose sockets systemd passes.
    outlets: Vec<Outlet>,
}

/// Whether the daemon gets a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UnitCredential {
    /// The unit does not load it, or the stores of credentials do not have it.
    Absent,
    /// It exists.
    Present,
    /// The unit loads it from a file that does not exist: the unit does not start.
    Missing(PathBuf),
    /// This user may not see whether it exists.
    Unseen,
}

impl Unit {
    /// The unit that is installed below `root`.
    pub(crate) fn installed(root: &Path) -> Option<Self> {
        let mut settings = Vec::new();
        for text in files(root, "tokend.service")? {
            read(&text, &mut settings);
        }
        let is_enabled = |socket: &str| {
            let dir = root.join("etc/systemd/system");
            let mut wants = ["sockets.target.wants", "tokend.service.requires"].iter();
            files(root, socket).is_some()
                && wants.any(|wants| dir.join(wants).join(socket).symlink_metadata().is_ok())
        };
        let outlets = Outlet::ALL.into_iter();
        let mut unit = Self {
            root: root.to_owned(),
            settings,
            credentials: Vec::new(),
            has_socket: files(root, "tokend.socket").is_some(),
            has_metrics_socket: is_enabled("tokend-metrics.socket"),
            outlets: outlets.filter(|it| is_enabled(it.unit())).collect(),
        };
        unit.credentials = unit.look_for_credentials();
        Some(unit)
    }

    /// Whether systemd listens for this outlet.
    pub(crate) fn passes(&self, outlet: Outlet) -> bool {
        self.outlets.contains(&outlet)
    }

    /// `User=`; none is root.
    pub(crate) fn user(&self) -> Option<&str> {
        self.last("User")
    }

    /// `Group=`
    pub(crate) fn group(&self) -> Option<&str> {
        self.last("Group")
    }

    /// `SupplementaryGroups=`
    pub(crate) fn more_groups(&self) -> Vec<String> {
        self.all("SupplementaryGroups")
    }

    /// Whether the user exists only while the daemon runs.
    pub(crate) fn is_dynamic(&self) -> bool {
        self.is_on("DynamicUser")
    }

    /// The configuration that the daemon's command line names.
    pub(crate) fn config(&self) -> Option<PathBuf> {
        self.option(&["--config", "-c"])
    }

    /// The state directory that the daemon's command line names.
    pub(crate) fn state_dir(&self) -> Option<PathBuf> {
        self.option(&["--state-dir"])
    }

    /// The socket that the daemon's command line names.
    pub(crate) fn socket(&self) -> Option<PathBuf> {
        self.option(&["--socket"])
    }

    /// `$STATE_DIRECTORY`
    pub(crate) fn state_directory(&self) -> Option<PathBuf> {
        self.directories("StateDirectory", "/var/lib").next()
    }

    /// `$RUNTIME_DIRECTORY`
    pub(crate) fn runtime_directory(&self) -> Option<PathBuf> {
        self.directories("RuntimeDirectory", "/run").next()
    }

    /// Whether systemd creates `path` for the daemon, and gives it to its user, before it starts.
    pub(crate) fn makes(&self, path: &Path) -> bool {
        self.own_directories().any(|dir| dir == path)
    }

    /// Why the daemon cannot reach `path` at all, according to the unit.
    pub(crate) fn hides(&self, path: &Path) -> Option<&'static str> {
        let home = self
            .last("ProtectHome")
            .filter(|value| !matches!(*value, "no" | "false" | "off" | "0" | "read-only"));
        let led = resolved(path);
        let below = |places: &[&str]| {
            let is_in = |place| path.starts_with(place) || led.starts_with(place);
            places.iter().any(is_in)
        };
        if home.is_some() && below(&["/home", "/root", "/run/user"]) {
            return Some("ProtectHome=");
        }
        (self.is_on("PrivateTmp") && below(&["/tmp", "/var/tmp"])).then_some("PrivateTmp=")
    }

    /// Why the daemon cannot write below `path`, according to the unit.
    pub(crate) fn keeps_from_writing(&self, path: &Path) -> Option<&'static str> {
        if let Some(why) = self.hides(path) {
            return Some(why);
        }
        let named = |key: &str| {
            let paths = self.all(key).into_iter();
            paths.map(|path| PathBuf::from(path.trim_start_matches(['-', '+'])))
        };
        // The setting for the nearest directory counts, wherever links lead.
        let path = resolved(path);
        let depth = |dirs: &mut dyn Iterator<Item = PathBuf>| {
            let above = dirs
                .map(|dir| resolved(&dir))
                .filter(|dir| path.starts_with(dir));
            above.map(|dir| dir.components().count()).max()
        };
        let open = depth(&mut self.own_directories().chain(named("ReadWritePaths")));
        let at = |places: &[&str]| depth(&mut places.iter().map(PathBuf::from));
        let system = match self.last("ProtectSystem") {
            Some("strict") => (at(&["/"]), "ProtectSystem=strict"),
            _ if self.is_dynamic() => (at(&["/"]), "DynamicUser="),
            Some("full") => (at(&["/usr", "/boot", "/efi", "/etc"]), "ProtectSystem=full"),
            Some("yes" | "true" | "on" | "1") => {
                (at(&["/usr", "/boot", "/efi"]), "ProtectSystem=yes")
            }
            _ => (None, ""),
        };
        let home = match self.last("ProtectHome") {
            Some("read-only") => at(&["/home", "/root", "/run/user"]),
            _ => None,
        };
        let said = depth(&mut named("ReadOnlyPaths"));
        [
            (said, "ReadOnlyPaths="),
            (home, "ProtectHome=read-only"),
            system,
        ]
        .into_iter()
        .find_map(|(locked, why)| (locked > open).then_some(why))
    }

    /// Whether the unit lets the daemon see the programs of other users' processes.
    pub(crate) fn sees_programs(&self) -> bool {
        self.all("AmbientCapabilities")
            .iter()
            .any(|it| it == "CAP_SYS_PTRACE")
    }

    /// Whether the daemon has its own network namespace, in which the machine's listeners take no address.
    pub(crate) fn has_own_network(&self) -> bool {
        self.is_on("PrivateNetwork")
    }

    /// Whether systemd gives the daemon the credential `name`.
    pub(crate) fn credential(&self, name: &str) -> UnitCredential {
        if let Some((_, found)) = self.credentials.iter().find(|(own, _)| own == name) {
            return found.clone();
        }
        let matches = |glob: &str| match glob.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => glob == name,
        };
        match self.all("ImportCredential").iter().any(|it| matches(it)) {
            true => UnitCredential::Unseen,
            false => UnitCredential::Absent,
        }
    }

    fn look_for_credentials(&self) -> Vec<(String, UnitCredential)> {
        let mut all = Vec::new();
        for key in ["SetCredential", "SetCredentialEncrypted"] {
            let values = self.values(key).into_iter();
            let names = values.filter_map(|value| value.split(':').next());
            all.extend(names.map(|name| (name.to_owned(), UnitCredential::Present)));
        }
        for key in ["LoadCredential", "LoadCredentialEncrypted"] {
            for value in self.all(key) {
                let (name, path) = value.split_once(':').unwrap_or((&value, ""));
                let found = self.file_of_credential(name, path, key.ends_with("Encrypted"));
                all.push((name.to_owned(), found));
            }
        }
        all
    }

    fn file_of_credential(&self, name: &str, path: &str, may_be_encrypted: bool) -> UnitCredential {
        if path.starts_with('/') {
            return match self.below(path).try_exists() {
                Ok(true) => UnitCredential::Present,
                Ok(false) => UnitCredential::Missing(path.into()),
                Err(_) => UnitCredential::Unseen,
            };
        }
        let name = if path.is_empty() { name } else { path };
        let encrypted = may_be_encrypted.then_some("credstore.encrypted");
        let mut found = UnitCredential::Absent;
        for place in CREDENTIALS {
            for store in encrypted.into_iter().chain(["credstore"]) {
                match self.root.join(place).join(store).join(name).try_exists() {
                    Ok(true) => return UnitCredential::Present,
                    Ok(false) => {}
                    Err(_) => found = UnitCredential::Unseen,
                }
            }
        }
        found
    }

    fn below(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The directories that systemd creates for the daemon.
    fn own_directories(&self) -> impl Iterator<Item = PathBuf> {
        let kinds = [
            ("StateDirectory", "/var/lib"),
            ("RuntimeDirectory", "/run"),
            ("LogsDirectory", "/var/log"),
            ("CacheDirectory", "/var/cache"),
        ];
        kinds
            .into_iter()
            .flat_map(|(key, below)| self.directories(key, below))
    }

    fn directories(&self, key: &str, below: &'static str) -> impl Iterator<Item = PathBuf> + use<> {
        // `NAME:LINK` makes a link beside.
        let names = self.all(key).into_iter();
        names.map(move |name| Path::new(below).join(name.split(':').next().unwrap_or_default()))
    }

    fn option(&self, names: &[&str]) -> Option<PathBuf> {
        let words = self.all("ExecStart");
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let rest = names.iter().find_map(|name| word.strip_prefix(name));
            match rest.map(|rest| (rest, rest.strip_prefix('='))) {
                Some(("", _)) => return words.next().map(PathBuf::from),
                Some((_, Some(value))) => return Some(value.into()),
                _ => {}
            }
        }
        None
    }

    fn is_on(&self, key: &str) -> bool {
        matches!(self.last(key), Some("yes" | "true" | "on" | "1"))
    }

    fn last(&self, key: &str) -> Option<&str> {
        let (_, value) = self.settings.iter().rev().find(|(own, _)| own == key)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// The values of a setting that may stand several times in a unit; an empty value drops the earlier ones.
    fn values(&self, key: &str) -> Vec<&str> {
        let mut values = Vec::new();
        for (_, value) in self.settings.iter().filter(|(own, _)| own == key) {
            match value.is_empty() {
                true => values.clear(),
                false => values.push(value.as_str()),
            }
        }
        values
    }

    /// The words of such a setting.
    fn all(&self, key: &str) -> Vec<String> {
        let values = self.values(key).into_iter();
        let words = values.flat_map(str::split_whitespace);
        words
            .map(|word| word.trim_matches(['"', '\'']).to_owned())
            .collect()
    }
}

/// The path behind links, as far as it exists and this user may see it.
fn resolved(path: &Path) -> PathBuf {
    let found = path.ancestors().find_map(|above| {
        let rest = path.strip_prefix(above).ok()?;
        Some(fs::canonicalize(above).ok()?.join(rest))
    });
    found.unwrap_or_else(|| path.to_path_buf())
}

/// The texts of a unit: its file, then its drop-ins by the order of their names. None if it is not installed, or is masked.
fn files(root: &Path, name: &str) -> Option<Vec<String>> {
    let mut texts = vec![PLACES.iter().find_map(|place| {
        let path = root.join(place).join(name);
        path.symlink_metadata().ok()?;
        Some(text(&path))
    })??];
    let mut drop_ins: Vec<(std::ffi::OsString, PathBuf)> = Vec::new();
    for place in PLACES {
        for dir in [format!("{name}.d"), "service.d".to_owned()] {
            if dir == "service.d" && !name.ends_with(".service") {
                continue;
            }
            let entries = fs::read_dir(root.join(place).join(dir))
                .into_iter()
                .flatten();
            for entry in entries.flatten() {
                let (name, path) = (entry.file_name(), entry.path());
                let is_drop_in = path.extension().is_some_and(|end| end == "conf");
                if is_drop_in && !drop_ins.iter().any(|(own, _)| *own == name) {
                    drop_ins.push((name, path));
                }
            }
        }
    }
    drop_ins.sort();
    texts.extend(drop_ins.iter().filter_map(|(_, path)| text(path)));
    Some(texts)
}

/// The text of a unit file; a mask (a link to /dev/null, or an empty file) has none.
fn text(path: &Path) -> Option<String> {
    let bytes = tokend_config::read_regular(path, LONGEST).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    (!text.trim().is_empty()).then_some(text)
}

/// Adds the settings of `[Service]` after those of earlier files.
fn read(text: &str, settings: &mut Vec<(String, String)>) {
    let text = text.replace("\\\n", " ");
    let mut is_ours = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with('[') {
            is_ours = line == "[Service]";
        } else if let Some((key, value)) = line.split_once('=').filter(|_| is_ours) {
            settings.push((key.trim().to_owned(), expanded(value.trim())));
        }
    }
}

/// The specifiers that stand for directories of the system (systemd.unit(5)).
fn expanded(value: &str) -> String {
    let known = [
        ("S", "/var/lib"),
        ("t", "/run"),
        ("L", "/var/log"),
        ("C", "/var/cache"),
        ("E", "/etc"),
        ("N", "tokend"),
        ("p", "tokend"),
        ("n", "tokend.service"),
        ("%", "%"),
    ];
    let mut whole = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('%') {
        whole.push_str(before);
        let found = known
            .iter()
            .find_map(|(letter, means)| Some((means, after.strip_prefix(letter)?)));
        match found {
            Some((means, _)) => whole.push_str(means),
            None => whole.push('%'),
        }
        rest = found.map_or(after, |(_, after)| after);
    }
    whole + rest
}

#[cfg(test)]
mod tests;
