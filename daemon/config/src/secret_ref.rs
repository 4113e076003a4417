//! Where secrets are: references to them, never a secret itself.
//!
//! Owns [`SecretRef`] and its reading. Whatever stands where a reference belongs is kept out of reports: it may be the secret itself.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::mistake::{Mistakes, choose_from};
use super::value::Value;

/// Where a secret can be fetched. Shared by all accounts that name the same place.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// A file of this name in `$CREDENTIALS_DIRECTORY` (systemd.exec(5), `LoadCredential=`).
    Credential(Box<str>),
    /// A file only the daemon and root can read.
    File(Box<Path>),
    /// A variable of the daemon's own environment.
    ///
    /// It stays there for the life of the process: taking a variable out of a running process is not safe. `harden` keeps
    /// others from reading `/proc/PID/environ`.
    Env(Box<str>),
    /// What a program prints. Run without a shell.
    Command(Box<[Box<str>]>),
}

/// How long a command may take unless the configuration says otherwise.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

impl SecretRef {
    /// Whether fetching it runs a program.
    pub fn is_command(&self) -> bool {
        matches!(self, Self::Command(_))
    }
}

/// Names the place without its contents; of a command only the program, as an argument may be a secret.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(name) => write!(f, "credential {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Command(argv) => {
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

const KINDS: [&str; 4] = ["credential", "file", "env", "command"];

/// The most words of a command, and the longest of them in bytes.
const MOST_WORDS: usize = 64;
const LONGEST_WORD: usize = 4096;

/// Reads `{ credential = "…" }`, `{ file = "…" }`, `{ env = "…" }` or `{ command = ["…"] }` of the key `name`.
pub(super) fn secret(
    name: &str,
    value: Value<'_>,
    base: &Path,
    mistakes: &mut Mistakes,
) -> Option<SecretRef> {
    let value = value.hidden();
    let example = || {
        format!(
            "put it in a file with mode 600 and write `{name} = {{ file = \"/path/to/it\" }}`, \
             or use `{{ credential = ... }}`, `{{ env = ... }}` or `{{ command = [...] }}`"
        )
    };
    if !value.is_table() {
        let message = format!("`{name}` must not stand in the configuration itself");
        return value.wrong(mistakes, message, example());
    }
    let mut entries = value.clone().section(mistakes)?.entries();
    let (Some((kind, place)), None) = (entries.next(), entries.next()) else {
        return value.wrong(
            mistakes,
            "a reference to a secret has exactly one key",
            example(),
        );
    };
    let place = place.hidden();
    match kind.name {
        "credential" => credential(&place, mistakes),
        "file" => Some(SecretRef::File(place.path(base, mistakes)?.into())),
        "env" => variable(&place, mistakes),
        "command" => command(&place, mistakes),
        other => {
            kind.wrong(
                mistakes,
                format!("unknown kind of secret `{other}`"),
                choose_from(other, &KINDS),
            );
            None
        }
    }
}

/// The name of a file in systemd's directory, and not a way out of it.
fn credential(place: &Value<'_>, mistakes: &mut Mistakes) -> Option<SecretRef> {
    let name = place.string(mistakes)?;
    let plain = name.len() <= 255 && !name.starts_with('.') && !name.contains(['/', '\0']);
    if !plain {
        let help = "use the name given in LoadCredential=NAME:PATH".to_owned();
        return place.wrong(mistakes, "this is not the name of a credential", help);
    }
    Some(SecretRef::Credential(name.into()))
}

fn variable(place: &Value<'_>, mistakes: &mut Mistakes) -> Option<SecretRef> {
    let name = place.string(mistakes)?;
    let word = name
        .bytes()
        .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    if !word || name.len() > 255 || name.starts_with(|c: char| c.is_ascii_digit()) {
        let help = "write the variable's name, without `$`: letters, digits and `_`".to_owned();
        return place.wrong(
            mistakes,
            "this is not the name of an environment variable",
            help,
        );
    }
    Some(SecretRef::Env(name.into()))
}

fn command(place: &Value<'_>, mistakes: &mut Mistakes) -> Option<SecretRef> {
    let help = || {
        "write the program and its arguments as a list: `[\"pass\", \"show\", \"ads\"]`".to_owned()
    };
    if place.kind() != "an array" {
        return place.wrong(
            mistakes,
            "a command is a list, since no shell runs it",
            help(),
        );
    }
    let before = mistakes.count();
    let words: Vec<Box<str>> = place
        .array(mistakes)?
        .filter_map(|word| Some(word.text(mistakes)?.into()))
        .collect();
    if mistakes.count() > before {
        return None;
    }
    let program = words.first().map_or("", |word| &**word);
    if program.is_empty() {
        return place.wrong(mistakes, "a command needs a program", help());
    }
    if program.contains('/') && !program.starts_with('/') {
        let help = "write its full path, or only its name to look it up on $PATH".to_owned();
        return place.wrong(mistakes, "the program is told by a relative path", help);
    }
    let too_long = words
        .iter()
        .any(|word| word.len() > LONGEST_WORD || word.contains('\0'));
    if words.len() > MOST_WORDS || too_long {
        let message = format!("a command has at most {MOST_WORDS} words of {LONGEST_WORD} bytes");
        return place.wrong(mistakes, message, None);
    }
    Some(SecretRef::Command(words.into()))
}
