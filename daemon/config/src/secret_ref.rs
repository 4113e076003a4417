//! Where secrets are: references to them, never a secret itself.
//!
//! Owns [`SecretRef`] and its reading. A value in the place of a reference is kept out of reports, since it may be the secret itself.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use tokend_document::{Diagnostics, Value, choose_from};

use super::reading::Reading;

/// A secret, by the place to fetch it from. Shared by all accounts that name the same place.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SecretRef {
    /// Where it is.
    pub place: SecretPlace,
    /// Whether all lines of the place are the secret.
    pub whole: bool,
}

/// Where a secret is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum SecretPlace {
    /// A file of this name in `$CREDENTIALS_DIRECTORY` (systemd.exec(5), `LoadCredential=`).
    Credential(Box<str>),
    /// A file.
    File {
        /// Where it is.
        path: Box<Path>,
        /// Who may have access to the file.
        mode: FileMode,
    },
    /// A variable of the daemon's own environment.
    ///
    /// It stays there for the life of the process: removing a variable from a running process is not safe. `harden` keeps other processes
    /// from reading `/proc/PID/environ`.
    Env(Box<str>),
    /// The output of a program, run without a shell.
    Command(Box<[Box<str>]>),
}

/// Who may have access to a secret's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileMode {
    /// Only the daemon's user and root.
    Private,
    /// Any user that its mode allows: a container runtime mounted it, and its mode cannot be changed here.
    AsMounted,
}

/// How long a command may take unless the configuration says otherwise.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

impl SecretRef {
    /// Whether fetching it runs a program.
    pub fn is_command(&self) -> bool {
        matches!(self.place, SecretPlace::Command(_))
    }
}

impl From<SecretPlace> for SecretRef {
    /// A secret of one line at this place.
    fn from(place: SecretPlace) -> Self {
        Self {
            place,
            whole: false,
        }
    }
}

/// Names the place without its contents. Of a command only the program is named, as an argument may be a secret.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            SecretPlace::Credential(name) => write!(f, "credential {name}"),
            SecretPlace::File { path, .. } => write!(f, "file {}", path.display()),
            SecretPlace::Env(name) => write!(f, "environment variable {name}"),
            SecretPlace::Command(argv) => {
                let program = argv.first().map_or("", |word| &**word);
                write!(f, "command {program}")
            }
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretRef({self})")
    }
}

/// The kinds of places, and the keys beside one.
const KEYS: [&str; 6] = ["credential", "file", "env", "command", "whole", "mode"];

/// The most words of a command, and the longest of them in bytes.
const MOST_WORDS: usize = 64;
const LONGEST_WORD: usize = 4096;

/// Reads `{ credential = "…" }`, `{ file = "…" }`, `{ env = "…" }` or `{ command = ["…"] }` of the key `name`. `whole = true` makes all
/// lines the secret; `mode = "as-mounted"` allows a file that others may read.
pub(super) fn secret(name: &str, value: Value<'_>, reading: &mut Reading<'_>) -> Option<SecretRef> {
    let Reading {
        base, diagnostics, ..
    } = reading;
    let value = value.hidden();
    let example = || {
        format!(
            "put it in a file with mode 600 and write `{name} = {{ file = \"/path/to/it\" }}`, \
             or use `{{ credential = ... }}`, `{{ env = ... }}` or `{{ command = [...] }}`"
        )
    };
    if !value.is_table() {
        let message = format!("`{name}` must not stand in the configuration itself");
        return value.wrong(diagnostics, message, example());
    }
    let mut section = value.section(diagnostics)?;
    let whole = section.take("whole");
    let mode = section.take("mode");
    let entries: Vec<_> = section.entries().collect();
    if let Some((key, _)) = entries.iter().find(|(key, _)| !KEYS.contains(&&*key.name)) {
        let help = choose_from(&key.name, &KEYS);
        key.note(diagnostics, format!("unknown key `{}`", key.name), help);
        return None;
    }
    let mut places = entries
        .into_iter()
        .filter(|(key, _)| !["whole", "mode"].contains(&&*key.name));
    let (Some((kind, place)), None) = (places.next(), places.next()) else {
        let message = "a reference to a secret names exactly one place";
        return value.wrong(diagnostics, message, example());
    };
    let place = place.hidden();
    let place = match &*kind.name {
        "credential" => credential(place, diagnostics)?,
        "file" => SecretPlace::File {
            path: place.path(base, diagnostics)?.into(),
            mode: match &mode {
                Some(mode) => mode.word(&[("as-mounted", FileMode::AsMounted)], diagnostics)?,
                None => FileMode::Private,
            },
        },
        "env" => variable(place, diagnostics)?,
        _ => command(place, diagnostics)?,
    };
    if let Some(mode) = mode.filter(|_| kind.name != "file") {
        let help = "leave it out".to_owned();
        return mode.wrong(diagnostics, "only a file has a `mode`", help);
    }
    let whole = whole.map_or(Some(false), |whole| whole.boolean(diagnostics))?;
    Some(SecretRef { place, whole })
}

/// The name of a file in systemd's directory, never a path that leaves it.
fn credential(place: Value<'_>, diagnostics: &mut Diagnostics) -> Option<SecretPlace> {
    let name = place.text(diagnostics)?;
    let plain = name.len() <= 255 && !name.starts_with('.') && !name.contains(['/', '\0']);
    if !plain {
        let help = "use the name given in LoadCredential=NAME:PATH".to_owned();
        return place.wrong(diagnostics, "this is not the name of a credential", help);
    }
    Some(SecretPlace::Credential(name.into()))
}

fn variable(place: Value<'_>, diagnostics: &mut Diagnostics) -> Option<SecretPlace> {
    let name = place.text(diagnostics)?;
    let word = name
        .bytes()
        .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    if !word || name.len() > 255 || name.starts_with(|c: char| c.is_ascii_digit()) {
        let help = "write the variable's name, without `$`: letters, digits and `_`".to_owned();
        let message = "this is not the name of an environment variable";
        return place.wrong(diagnostics, message, help);
    }
    Some(SecretPlace::Env(name.into()))
}

fn command(place: Value<'_>, diagnostics: &mut Diagnostics) -> Option<SecretPlace> {
    let help = || {
        "write the program and its arguments as a list: `[\"pass\", \"show\", \"ads\"]`".to_owned()
    };
    if !place.is_array() {
        let message = "a command is a list, since no shell runs it";
        return place.wrong(diagnostics, message, help());
    }
    let before = diagnostics.count();
    let words: Vec<Box<str>> = place
        .array(diagnostics)?
        .filter_map(|word| Some(word.written(diagnostics)?.into()))
        .collect();
    if diagnostics.count() > before {
        return None;
    }
    let program = words.first().map_or("", |word| &**word);
    if program.is_empty() {
        return place.wrong(diagnostics, "a command needs a program", help());
    }
    if program.contains('/') && !program.starts_with('/') {
        let help = "write its full path, or only its name to look it up on $PATH".to_owned();
        return place.wrong(diagnostics, "the path of the program is relative", help);
    }
    let is_wrong = |word: &str| word.len() > LONGEST_WORD || word.contains('\0');
    if words.len() > MOST_WORDS || words.iter().any(|word| is_wrong(word)) {
        let message = format!("a command has at most {MOST_WORDS} words of {LONGEST_WORD} bytes");
        return place.wrong(diagnostics, message, None);
    }
    Some(SecretPlace::Command(words.into()))
}
