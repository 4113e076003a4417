//! The address of an account's provider: base URL, a named or custom path, and the dialect's options.
//!
//! Owns the checks of an account's settings; an `Endpoint` that exists fits its dialect. It never holds a secret.

use tokend_document::{choose_from, nearest};

use crate::{
    fields::ExchangeKind,
    names::{Names, OptionSpec},
};

/// The longest path an account may set, in bytes.
const PATH_LIMIT: usize = 2048;
/// The longest value of an option, in bytes.
const OPTION_LIMIT: usize = 4096;

/// A checked endpoint of one account. Small: it refers to the dialect's plan instead of copying it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    pub(crate) base_url: Box<str>,
    pub(crate) named: Option<Box<str>>,
    pub(crate) login_path: Option<Box<str>>,
    pub(crate) refresh_path: Option<Box<str>>,
    pub(crate) options: Box<[(Box<str>, Box<str>)]>,
}

impl Endpoint {
    /// The dialect's own defaults, for questions that concern no account.
    pub(crate) fn defaults() -> Self {
        Self {
            base_url: "https://example.com".into(),
            ..Self::default()
        }
    }

    /// Base URL without a slash at its end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The account's own path for requests of this kind.
    pub(crate) fn own_path(&self, kind: ExchangeKind) -> Option<&str> {
        match kind {
            ExchangeKind::Login => self.login_path.as_deref(),
            ExchangeKind::Refresh => self.refresh_path.as_deref(),
        }
    }

    /// The same endpoint with a value for one more option.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let own = std::mem::take(&mut self.options).into_iter();
        self.options = own.chain([(name.into(), value.into())]).collect();
        self
    }

    /// The value of an option: the account's, else the dialect's default; an empty one counts as absent.
    pub(crate) fn option<'a>(&'a self, names: &'a Names, name: &str) -> Option<&'a str> {
        let own = self.options.iter().find(|(own, _)| **own == *name);
        let own = own.map(|(_, value)| &**value);
        own.or_else(|| names.option(name)?.default.as_deref())
            .filter(|value| !value.is_empty())
    }
}

pub(crate) const PATH_HELP: &str =
    "a path begins with `/` and has no query, fragment, blank or `..`";

/// Checks a value for an option, set by an account or as the dialect's default. The error is a sentence and its help.
pub(crate) fn check_option_value(option: &OptionSpec, value: &str) -> Result<(), (String, String)> {
    if value.len() > OPTION_LIMIT {
        let message = format!("the value of option `{}` is too long", option.name);
        let help = format!("an option is at most {OPTION_LIMIT} bytes long");
        return Err((message, help));
    }
    if !option.choices.is_empty() {
        check_choice(option, value)?;
    }
    if option.path {
        check_path(value)
            .map_err(|reason| (format!("`{value}` {reason}"), PATH_HELP.to_owned()))?;
    }
    Ok(())
}

/// Checks that a value is one of the choices of an option.
pub(crate) fn check_choice(option: &OptionSpec, value: &str) -> Result<(), (String, String)> {
    let choices: Vec<&str> = option.choices.iter().map(String::as_str).collect();
    if choices.contains(&value) {
        return Ok(());
    }
    let message = format!("option `{}` cannot be `{value}`", option.name);
    Err((message, choose_from(value, &choices)))
}

/// Checks a path that is put into a URL as it is.
pub(crate) fn check_path(path: &str) -> Result<(), &'static str> {
    if path.len() > PATH_LIMIT {
        return Err("is too long for a path");
    }
    if !path.starts_with('/') || path.starts_with("//") {
        return Err("does not begin with one `/`");
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("has a segment of only dots");
    }
    check_path_text(path)
}

/// Checks a piece of a path for characters that RFC 3986 section 3.3 does not allow there.
pub(crate) fn check_path_text(text: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:@/".contains(&byte);
    if text.bytes().all(allowed) {
        Ok(())
    } else {
        Err("has a character that cannot stand in a path")
    }
}

/// The nearest of several names, for messages of other modules.
pub(crate) fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    nearest(name, &known)
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default()
}
