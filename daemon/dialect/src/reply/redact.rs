//! Takes secrets out of text that a provider sent back.
//!
//! Real servers echo requests: in validation errors, in SQL errors, percent-encoded, JSON-escaped, in base64. Owns finding the known
//! secrets of a request in all those forms, whole or cut off, and anything else that looks like a token. When in doubt, it hides text.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use zeroize::Zeroizing;

/// What stands in place of a secret.
pub(crate) const MASK: &str = "[redacted]";
/// A text with this many leading characters of a secret is redacted there.
const PREFIX: usize = 8;
/// At the end of a text that may be cut off, this many are enough.
const PREFIX_AT_END: usize = 4;
/// The most backslashes in front of an escape that are read: JSON in JSON in JSON needs seven.
const SLASHES: usize = 32;
/// The most parallel readings of a text as the start of a secret. Only backslashes are ambiguous.
const READINGS: usize = 32;
/// An unbroken run of this many characters with letters and digits is taken for a token.
const RUN: usize = 20;

/// The secrets of one request, in the forms in which a reply may echo them.
pub(crate) struct Secrets {
    needles: Vec<Zeroizing<String>>,
    /// A secret this short would match everywhere; a text that contains one is withheld as a whole.
    tiny: Vec<Zeroizing<String>>,
}

impl Secrets {
    pub(crate) fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let mut found = Self {
            needles: Vec::new(),
            tiny: Vec::new(),
        };
        for secret in secrets.filter(|secret| !secret.is_empty()) {
            found.add(secret);
        }
        // Most secrets look the same in both alphabets, and each form costs time at every character of a text.
        found.needles.sort_unstable_by(|a, b| a.as_str().cmp(b));
        found.needles.dedup_by(|a, b| a.as_str() == b.as_str());
        found
    }

    /// Adds a token from a reply. A value of a few letters is more likely a word about the failure.
    pub(crate) fn add_token(&mut self, token: Zeroizing<String>) {
        if token.len() >= PREFIX {
            self.needles.push(token);
        }
    }

    fn add(&mut self, secret: &str) {
        if secret.chars().count() < 4 {
            self.tiny.push(Zeroizing::new(secret.to_owned()));
            return;
        }
        let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let form = Zeroizing::new(form);
        self.needles.extend(base64_forms(secret));
        if form.as_str() != secret {
            self.needles.extend(base64_forms(&form));
        }
        self.needles.push(Zeroizing::new(secret.to_owned()));
    }

    /// The text without secrets. `cut` means that it may end in the middle of a secret.
    pub(crate) fn redact(&self, text: &str, cut: bool) -> String {
        if self.tiny.iter().any(|secret| text.contains(&***secret)) {
            return MASK.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let needles = self.needles.iter();
            let found = needles.filter_map(|needle| occurrence(rest, needle, cut));
            match found.max() {
                Some(length) if length > 0 => {
                    out.push_str(MASK);
                    rest = rest.get(length..).unwrap_or_default();
                }
                _ => {
                    out.push(next);
                    rest = rest.get(next.len_utf8()..).unwrap_or_default();
                }
            }
        }
        redact_runs(&out)
    }
}

/// Base64 of the secret, alone or after one or two other bytes (as in `user:password`), in both alphabets.
/// Characters that depend on the neighbouring bytes are left off.
fn base64_forms(secret: &str) -> Vec<Zeroizing<String>> {
    let mut forms = Vec::new();
    for shift in 0..3_usize {
        let mut bytes = Zeroizing::new(vec![0_u8; shift]);
        bytes.extend_from_slice(secret.as_bytes());
        let stable = (bytes.len() * 8) / 6;
        let start = (shift * 8).div_ceil(6);
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let encoded = Zeroizing::new(engine.encode(&*bytes));
            if let Some(core) = encoded.get(start..stable).filter(|core| core.len() >= 4) {
                forms.push(Zeroizing::new(core.to_owned()));
            }
        }
    }
    forms
}

/// Length of the needle, or of enough of its start, at the start of `text`, in any mixture of encodings.
fn occurrence(text: &str, needle: &str, cut: bool) -> Option<usize> {
    // A cheap test first: most places of a text cannot begin a secret in any encoding.
    if !(text.starts_with(needle.chars().next()?) || text.starts_with(['%', '\\', '&', '+'])) {
        return None;
    }
    let mut positions = vec![0_usize];
    let mut matched = 0;
    for wanted in needle.chars() {
        let mut next: Vec<usize> = positions
            .iter()
            .flat_map(|at| encodings(text, *at, wanted))
            .collect();
        next.sort_unstable();
        next.dedup();
        // Keep the longest readings, which hide most.
        next.drain(..next.len().saturating_sub(READINGS));
        if next.is_empty() {
            break;
        }
        positions = next;
        matched += 1;
    }
    let end = positions.last().copied()?;
    let whole = needle.chars().count();
    let enough = match end == text.len() {
        true if cut => 1,
        true => PREFIX_AT_END,
        false => PREFIX,
    };
    (matched >= enough.min(whole)).then_some(end)
}

/// Ends of every encoding of the character `wanted` that begins at `at`.
fn encodings(text: &str, at: usize, wanted: char) -> impl Iterator<Item = usize> {
    let rest = text.get(at..).unwrap_or_default();
    let literal = rest.starts_with(wanted).then(|| wanted.len_utf8());
    let plus = (wanted == ' ' && rest.starts_with('+')).then_some(1);
    let found = [
        literal,
        plus,
        percent(rest, wanted),
        json_escape(rest, wanted),
        entity(rest, wanted),
    ];
    found.into_iter().flatten().map(move |length| at + length)
}

fn percent(rest: &str, wanted: char) -> Option<usize> {
    let mut buffer = [0_u8; 4];
    let bytes = wanted.encode_utf8(&mut buffer).bytes();
    let mut length = 0;
    for byte in bytes {
        let digits = rest.get(length..)?.strip_prefix('%')?.get(..2)?;
        if u8::from_str_radix(digits, 16).ok()? != byte {
            return None;
        }
        length += 3;
    }
    Some(length)
}

/// `\"`, `\\`, `\/`, `\n`, `\u00e9`, with any number of backslashes in front: JSON in JSON doubles them.
fn json_escape(rest: &str, wanted: char) -> Option<usize> {
    let count = slashes(rest);
    if count == 0 {
        return None;
    }
    if wanted == '\\' {
        return Some(if count >= 2 { 2 } else { 1 });
    }
    let after = rest.get(count..)?;
    let short = match wanted {
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        other => other,
    };
    if after.starts_with(short) && (short != wanted || !wanted.is_ascii_alphanumeric()) {
        return Some(count + short.len_utf8());
    }
    let mut units = [0_u16; 2];
    let mut length = count;
    for (index, unit) in wanted.encode_utf16(&mut units).iter().enumerate() {
        if index > 0 {
            length += slashes(rest.get(length..)?);
        }
        let digits = rest.get(length..)?.strip_prefix('u')?.get(..4)?;
        if u16::from_str_radix(digits, 16).ok()? != *unit {
            return None;
        }
        length += 5;
    }
    Some(length)
}

/// How many backslashes a text begins with, up to a bound.
fn slashes(rest: &str) -> usize {
    let bytes = rest.bytes().take(SLASHES);
    bytes.take_while(|byte| *byte == b'\\').count()
}

fn entity(rest: &str, wanted: char) -> Option<usize> {
    let (name, _) = rest
        .strip_prefix('&')?
        .get(..rest.len().min(9) - 1)?
        .split_once(';')?;
    let stands_for = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(number.ok()?)?
        }
    };
    (stands_for == wanted).then_some(name.len() + 2)
}

/// Hides JWTs and long runs of letters and digits, which are tokens that this request did not send.
fn redact_runs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let jwt = rest.starts_with("eyJ");
        let end = rest.find(|c: char| !in_run(c, jwt)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        if run.is_empty() {
            out.push(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
            continue;
        }
        out.push_str(if looks_like_token(run) { MASK } else { run });
        rest = after;
    }
    out
}

fn in_run(c: char, jwt: bool) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(c, '-' | '_' | '+' | '=' | '~' | '%')
        || (jwt && matches!(c, '.' | '/'))
}

fn looks_like_token(run: &str) -> bool {
    let digits = run.bytes().any(|byte| byte.is_ascii_digit());
    let letters = run.bytes().any(|byte| byte.is_ascii_alphabetic());
    let jwt = run.starts_with("eyJ") && run.len() >= 12;
    jwt || (run.len() >= RUN && digits && letters)
}
