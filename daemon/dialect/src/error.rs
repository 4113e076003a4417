//! A dialect that cannot be used.

use tokend_document::Diagnostics;

/// A dialect that cannot be used, with everything found wrong in it.
#[derive(Debug, thiserror::Error)]
#[error("dialect `{name}` has {}", count(diagnostics.count()))]
pub struct DialectError {
    name: String,
    diagnostics: Diagnostics,
    missing_base: Option<String>,
}

fn count(number: usize) -> String {
    match number {
        1 => "a mistake".to_owned(),
        number => format!("{number} mistakes"),
    }
}

impl DialectError {
    pub(crate) fn new(name: &str, diagnostics: Diagnostics) -> Self {
        Self {
            name: name.to_owned(),
            diagnostics: diagnostics.sorted(),
            missing_base: None,
        }
    }

    /// The error for a dialect whose base does not exist.
    pub(crate) fn without_base(name: &str, base: &str, diagnostics: Diagnostics) -> Self {
        Self {
            missing_base: Some(base.to_owned()),
            ..Self::new(name, diagnostics)
        }
    }

    /// Name of the dialect, which is the file's name without `.toml`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the missing base, if that is the only mistake.
    #[must_use]
    pub fn missing_base(&self) -> Option<&str> {
        self.missing_base.as_deref()
    }

    /// All mistakes, at least one, in the order of the file.
    #[must_use]
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }

    /// The same, without a loan.
    #[must_use]
    pub fn into_diagnostics(self) -> Diagnostics {
        self.diagnostics
    }
}
