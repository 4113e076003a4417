//! The text of a document, and what may be shown of its lines.

use std::fmt;
use std::sync::Arc;

/// What a kind of document is like, as far as its reports depend on it.
pub trait Language: fmt::Debug + Sync {
    /// Whether this value of this key can be no secret, whoever wrote it there, so that it may be shown beside what a mistake is about.
    /// The key is empty where it is not known.
    fn is_plain(&self, key: &str, value: &str) -> bool;

    /// Whether a line with an `=` that TOML does not understand can hold no secret.
    fn is_plain_line(&self, key: &str, value: &str) -> bool;

    /// Where a key belongs that is not known where it stands, if that is known.
    fn belongs(&self, _key: &str) -> Option<String> {
        None
    }

    /// What to say to somebody who wrote YAML or JSON instead.
    fn is_toml(&self) -> &'static str;
}

/// A document as somebody wrote it.
#[derive(Debug)]
pub struct Source {
    name: Arc<str>,
    text: String,
    language: &'static dyn Language,
}

impl Source {
    /// A document; its name is that of its file.
    pub fn new(name: &str, text: String, language: &'static dyn Language) -> Arc<Self> {
        let name = name.into();
        Arc::new(Self {
            name,
            text,
            language,
        })
    }

    /// Its name for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub(crate) fn language(&self) -> &'static dyn Language {
        self.language
    }
}

/// How much of what a mistake is about may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// All of it.
    Shown,
    /// What may be shown of the rest of the line: it holds values of its own.
    Masked,
    /// Nothing: it could be a secret.
    Hidden,
}
