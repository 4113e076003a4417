//! JSON as ordinary clients read it.
//!
//! Owns deviations from RFC 8259 that many parsers accept: invalid or out-of-range numbers, containers of any depth, unpaired surrogates,
//! control characters in strings, and text after the end of the value. It rewrites such a text, and must never decide what is JSON: that
//! is left to serde_json, before and after.

use serde_json::Value;
use zeroize::Zeroizing;

/// How deep containers are kept. serde_json refuses 128, and no pointer reaches deeper than
/// [`POINTER_LIMIT`](super::parsed::POINTER_LIMIT).
const DEEPEST: usize = 100;

/// The JSON value that a text is or begins with.
pub(super) fn read(text: &str) -> Option<Value> {
    let strictly = serde_json::from_str(text).ok();
    strictly.or_else(|| serde_json::from_str(&mended(text)?).ok())
}

/// The object or array that a text begins with, written so that serde_json reads it. `None` where there is none, or no end of it.
fn mended(text: &str) -> Option<Zeroizing<String>> {
    let mut rest = text.trim_start();
    if !rest.starts_with(['{', '[']) {
        return None;
    }
    let mut out = Mended {
        text: Zeroizing::new(String::with_capacity(rest.len())),
        depth: 0,
    };
    loop {
        let next = rest.chars().next()?;
        let length = match next {
            '"' => out.string(rest)?,
            '{' | '[' => out.open(next),
            '}' | ']' => out.close(next),
            '-' | '0'..='9' | 'N' | 'I' => out.number(rest),
            _ => out.keep(rest, next.len_utf8()),
        };
        rest = rest.get(length..)?;
        if out.depth == 0 {
            return Some(out.text);
        }
    }
}

struct Mended {
    text: Zeroizing<String>,
    depth: usize,
}

/// Each method consumes a part at the start of the text and returns its length.
impl Mended {
    fn push(&mut self, text: &str) {
        if self.depth <= DEEPEST {
            self.text.push_str(text);
        }
    }

    fn keep(&mut self, text: &str, length: usize) -> usize {
        self.push(text.get(..length).unwrap_or_default());
        length
    }

    fn open(&mut self, bracket: char) -> usize {
        self.depth += 1;
        if self.depth == DEEPEST + 1 {
            self.text.push_str("null");
        }
        self.push(bracket.encode_utf8(&mut [0; 4]));
        1
    }

    fn close(&mut self, bracket: char) -> usize {
        self.push(bracket.encode_utf8(&mut [0; 4]));
        self.depth = self.depth.saturating_sub(1);
        1
    }

    fn number(&mut self, text: &str) -> usize {
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let length = text.find(|c| !part(c)).unwrap_or(text.len());
        let token = text.get(..length).unwrap_or_default();
        self.push(match token.parse::<f64>() {
            Ok(number) if number.is_nan() => "null",
            Ok(f64::INFINITY) => "1e308",
            Ok(f64::NEG_INFINITY) => "-1e308",
            _ => token,
        });
        length
    }

    fn string(&mut self, text: &str) -> Option<usize> {
        let mut at = self.keep(text, 1);
        loop {
            let rest = text.get(at..)?;
            let next = rest.chars().next()?;
            at += match next {
                '"' => return Some(at + self.keep(rest, 1)),
                '\\' => self.escape(rest),
                ..='\u{1f}' => {
                    self.push(&format!("\\u{:04x}", u32::from(next)));
                    1
                }
                _ => self.keep(rest, next.len_utf8()),
            };
        }
    }

    /// An unpaired surrogate escape (`\ud800` alone) becomes U+FFFD, which no token contains.
    fn escape(&mut self, text: &str) -> usize {
        let unit = |text: &str| {
            let digits = text.strip_prefix("\\u")?.get(..4)?;
            u16::from_str_radix(digits, 16).ok()
        };
        let second = text.get(6..).and_then(unit);
        match (unit(text), second) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => self.keep(text, 12),
            (Some(0xd800..0xe000), _) => {
                self.push("\\ufffd");
                6
            }
            _ => self.keep(text, text.chars().take(2).map(char::len_utf8).sum()),
        }
    }
}
