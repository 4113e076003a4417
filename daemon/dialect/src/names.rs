//! The names that placeholders may use: standard fields, and the fields and options of a dialect.

use crate::fields::STANDARD;

/// A place in a template for a value of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placeholder {
    pub(crate) name: String,
    pub(crate) value: ValueKind,
    /// Whether the account may have no value for it.
    pub(crate) optional: bool,
}

/// The kind of value that fills a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    Field,
    Option,
    /// An option that is a path, which is put into a path as it is.
    Path,
}

/// A field that a dialect declares besides the standard ones.
#[derive(Clone, Debug)]
pub(crate) struct FieldSpec {
    pub(crate) name: String,
    pub(crate) secret: bool,
    pub(crate) description: String,
    /// Whether its value may have several lines.
    pub(crate) multiline: bool,
}

/// An option of a dialect that an account may set.
#[derive(Clone, Debug)]
pub struct OptionSpec {
    /// Its name below the account's `options`.
    pub name: String,
    /// The purpose of the option.
    pub description: String,
    /// Its value when an account sets none.
    pub default: Option<String>,
    /// The only values it may have; empty when any text is valid.
    pub choices: Vec<String>,
    /// Whether the value is a path, which is put into a path as it is.
    pub(crate) path: bool,
}

impl OptionSpec {
    /// Whether the value is a path of the provider.
    #[must_use]
    pub fn is_path(&self) -> bool {
        self.path
    }
}

/// The names that a dialect's placeholders may use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) fields: Vec<FieldSpec>,
    pub(crate) options: Vec<OptionSpec>,
}

impl Names {
    pub(crate) fn kind_of(&self, name: &str) -> Option<ValueKind> {
        match self.option(name) {
            Some(option) if option.path => Some(ValueKind::Path),
            Some(_) => Some(ValueKind::Option),
            None => self.all().contains(&name).then_some(ValueKind::Field),
        }
    }

    pub(crate) fn option(&self, name: &str) -> Option<&OptionSpec> {
        self.options.iter().find(|option| option.name == name)
    }

    pub(crate) fn field(&self, name: &str) -> Option<&FieldSpec> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub(crate) fn all(&self) -> Vec<&str> {
        let standard = STANDARD.iter().map(|(name, _)| *name);
        let fields = self.fields.iter().map(|field| field.name.as_str());
        let options = self.options.iter().map(|option| option.name.as_str());
        standard.chain(fields).chain(options).collect()
    }
}
