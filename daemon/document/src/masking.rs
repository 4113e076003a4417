//! Hides the values of a line.
//!
//! Owns the definition of a value: text in quotes, and text after an `=`. It reads one line without the lines before it, and when in doubt
//! it hides text.

use crate::source::Language;

/// Replaces text that is not shown.
pub(crate) const MASK: &str = "***";

/// Replaces values by a mask: text in quotes, and text after an `=`, unless it is plain. Removes comments.
#[derive(Debug)]
pub(crate) struct Masking {
    language: &'static dyn Language,
    quote: Option<char>,
    /// The key that was read last, until its value ends.
    key: String,
    is_list: bool,
    value: bool,
    masked: bool,
}

impl Masking {
    /// At the beginning of a line.
    pub(crate) fn new(language: &'static dyn Language) -> Self {
        Self {
            language,
            quote: None,
            key: String::new(),
            is_list: false,
            value: false,
            masked: false,
        }
    }

    /// The state after a part that was not read here, and that may be the key of the following text.
    pub(crate) fn behind(&self, key: &str) -> Self {
        Self {
            key: key.to_owned(),
            ..Self::new(self.language)
        }
    }

    /// The part of the next piece of the line that may be shown.
    pub(crate) fn pass(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut escaped = false;
        // Text before this index is already in the output.
        let mut shown = 0;
        for (at, c) in text.char_indices() {
            if at < shown {
                continue;
            }
            if let Some(quote) = self.quote {
                let ends = c == quote && !escaped;
                escaped = c == '\\' && quote == '"' && !escaped;
                if ends {
                    self.quote = None;
                }
                self.mask(&mut out);
                continue;
            }
            if let Some(plain) = self.plain(text.get(at..).unwrap_or_default()) {
                out.push_str(plain);
                shown = at + plain.len();
                self.masked = true;
                continue;
            }
            match c {
                '#' => break,
                '"' | '\'' => {
                    self.quote = Some(c);
                    self.mask(&mut out);
                }
                '=' => self.structure(&mut out, c, true),
                ',' | '{' | '}' | '[' | ']' => self.structure(&mut out, c, false),
                c if c.is_whitespace() => out.push(c),
                _ if self.value => self.mask(&mut out),
                c => {
                    out.push(c);
                    self.key.push(c);
                }
            }
        }
        out
    }

    /// A plain value at the start of this text.
    fn plain<'t>(&self, text: &'t str) -> Option<&'t str> {
        if self.masked || !(self.value || self.is_list) {
            return None;
        }
        let first = text.chars().next()?;
        if ['=', ',', '{', '}', '[', ']', '#'].contains(&first) {
            return None;
        }
        let (value, shown) = match text.strip_prefix(['"', '\'']) {
            Some(rest) => {
                let end = rest.find(first)?;
                (rest.get(..end)?, text.get(..end + 2)?)
            }
            None => {
                let ends = |c: char| c.is_whitespace() || [',', '}', ']', '#'].contains(&c);
                let end = text.find(ends).unwrap_or(text.len());
                (text.get(..end)?, text.get(..end)?)
            }
        };
        self.language
            .is_plain(self.key.trim(), value)
            .then_some(shown)
    }

    fn structure(&mut self, out: &mut String, c: char, value: bool) {
        out.push(c);
        match c {
            // The value of the key follows.
            '=' => {}
            '[' if self.value => self.is_list = true,
            ',' if self.is_list => {}
            _ => {
                self.key.clear();
                self.is_list = false;
            }
        }
        self.value = value;
        self.masked = false;
    }

    fn mask(&mut self, out: &mut String) {
        if !self.masked {
            out.push_str(MASK);
            self.masked = true;
        }
    }
}
