//! The text of a document, and which parts of its lines may be shown.

use std::fmt;
use std::sync::Arc;

/// The properties of a kind of document that its reports need.
pub trait Language: fmt::Debug + Sync {
    /// Whether this value of this key cannot be a secret, so that it may be shown next to a mistake. The key is empty if it is unknown.
    fn is_plain(&self, key: &str, value: &str) -> bool;

    /// Whether a line with an `=` that is not valid TOML cannot hold a secret.
    fn is_plain_line(&self, key: &str, value: &str) -> bool;

    /// The table that a misplaced key belongs in, if known.
    fn belongs(&self, _key: &str) -> Option<String> {
        None
    }

    /// The message for a person who wrote YAML or JSON instead.
    fn is_toml(&self) -> &'static str;
}

/// The text of a document.
#[derive(Debug)]
pub struct Source {
    name: Arc<str>,
    text: String,
    language: &'static dyn Language,
}

impl Source {
    /// A document; its name is the name of its file.
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

/// How much of the marked text a report may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// All of it.
    Shown,
    /// The parts that may be shown of any line: the marked text has values of its own.
    Masked,
    /// Nothing: it could be a secret.
    Hidden,
}
