//! The variables that a unit gives the daemon.
//!
//! Owns the reading of `Environment=` and of the settings that remove variables or add others, with systemd's quotes (systemd.syntax(7)).
//! Opens no environment file: its variables count as unseen. Must never show a value, which may be a secret.

use super::Unit;

/// The unit's setting of a variable.
pub(crate) enum Variable {
    /// `Environment=` sets it, and no other source may.
    Set(String),
    /// The unit does not set it.
    Unset,
    /// An environment file, or systemd's own environment, may set it.
    Unseen,
}

impl Variable {
    /// The value that the unit sets.
    pub(crate) fn value(self) -> Option<String> {
        match self {
            Self::Set(value) => Some(value),
            Self::Unset | Self::Unseen => None,
        }
    }
}

impl Unit {
    /// The unit's setting of the variable `name`.
    pub(crate) fn variable(&self, name: &str) -> Variable {
        let of = |word: &str| Some(word.strip_prefix(name)?.strip_prefix('=')?.to_owned());
        let value = self.words("Environment").iter().rev().find_map(|it| of(it));
        let taken = self.words("UnsetEnvironment");
        if taken.iter().any(|word| word == name) {
            return Variable::Unset;
        }
        // A variable from a file takes precedence over `Environment=`, wherever either stands.
        if !self.values("EnvironmentFile").is_empty() {
            return Variable::Unseen;
        }
        // With a value, the variable is removed only if it has that value.
        let is_taken = |value: &String| taken.iter().any(|word| of(word).as_ref() == Some(value));
        match value {
            Some(value) if is_taken(&value) => Variable::Unset,
            Some(value) => Variable::Set(value),
            None if self.words("PassEnvironment").iter().any(|it| it == name) => Variable::Unseen,
            None => Variable::Unset,
        }
    }

    /// The words of a setting that may be given several times, without their quotes.
    fn words(&self, key: &str) -> Vec<String> {
        let values = self.values(key).into_iter();
        values.flat_map(words).collect()
    }
}

/// The words of a value. The rest after an invalid word is left out, as systemd does.
fn words(value: &str) -> Vec<String> {
    let mut rest = value.trim_start();
    let mut all = Vec::new();
    while !rest.is_empty()
        && let Some((word, after)) = word(rest)
    {
        all.push(word);
        rest = after.trim_start();
    }
    all
}

/// The first word, and the rest. `None` if a quote or an escape does not end.
fn word(text: &str) -> Option<(String, &str)> {
    let mut bytes = Vec::new();
    let mut quote = None;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if quote.is_none() && next.is_whitespace() {
            break;
        }
        rest = rest.get(next.len_utf8()..)?;
        match (next, quote) {
            ('\\', _) => rest = escaped(rest, &mut bytes)?,
            ('"' | '\'', None) => quote = Some(next),
            (_, Some(open)) if open == next => quote = None,
            _ => bytes.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    let word = String::from_utf8(bytes).ok()?;
    quote.is_none().then_some((word, rest))
}

/// Adds the character that an escape stands for; returns the rest.
fn escaped<'a>(after: &'a str, bytes: &mut Vec<u8>) -> Option<&'a str> {
    let letter = after.chars().next()?;
    let rest = after.get(letter.len_utf8()..)?;
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok();
    let (code, length) = match letter {
        'a' => (7, 1),
        'b' => (8, 1),
        't' => (9, 1),
        'n' => (10, 1),
        'v' => (11, 1),
        'f' => (12, 1),
        'r' => (13, 1),
        's' => (32, 1),
        '\\' | '"' | '\'' => (u32::from(letter), 1),
        'x' => (number(rest.get(..2)?, 16)?, 3),
        'u' => (number(rest.get(..4)?, 16)?, 5),
        'U' => (number(rest.get(..8)?, 16)?, 9),
        '0'..='7' => (number(after.get(..3)?, 8)?, 3),
        _ => return None,
    };
    match letter {
        'u' | 'U' => {
            let letter = char::from_u32(code)?;
            bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
        _ => bytes.push(u8::try_from(code).ok()?),
    }
    after.get(length..)
}
