//! Where an account reaches its provider: base URL, a named or an own path, and the dialect's options.
//!
//! Owns the checks of what an account sets; an `Endpoint` that exists fits its dialect. It never holds a secret.

use std::collections::BTreeMap;

use url::Url;

use crate::{
    Dialect,
    mistake::{choose_from, nearest},
    template::{Names, OptionSpec},
};

/// The longest path an account may set, in bytes.
const PATH_LIMIT: usize = 2048;
/// The longest value of an option, in bytes.
const OPTION_LIMIT: usize = 4096;

/// What an account's configuration says about its endpoint, not yet checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Scheme, host and an optional path in front of the dialect's own paths.
    pub base_url: String,
    /// One of the dialect's named alternatives (`login.endpoints`, `refresh.endpoints`).
    pub endpoint: Option<String>,
    /// A path to use for the login instead of the dialect's.
    pub login_path: Option<String>,
    /// A path to use for the refresh instead of the dialect's.
    pub refresh_path: Option<String>,
    /// Values for the dialect's `[options]`.
    pub options: BTreeMap<String, String>,
}

/// A checked endpoint of one account. Small: it refers to the dialect's plan instead of copying it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    base_url: Box<str>,
    named: Option<Box<str>>,
    login_path: Option<Box<str>>,
    refresh_path: Option<Box<str>>,
    options: Box<[(Box<str>, Box<str>)]>,
}

/// A setting of an account that does not fit its dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EndpointError {
    key: String,
    message: String,
    help: String,
}

impl EndpointError {
    fn new(key: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
            help: help.into(),
        }
    }

    /// The account's key that is wrong: `base_url`, `endpoint`, `login_path`, `refresh_path` or `options.NAME`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What would be valid, with the nearest word.
    #[must_use]
    pub fn help(&self) -> &str {
        &self.help
    }
}

impl Endpoint {
    /// Checks an account's settings against its dialect.
    ///
    /// # Errors
    /// The first setting that does not fit, with the account's key and what would be valid.
    pub fn new(dialect: &Dialect, settings: &EndpointSettings) -> Result<Self, EndpointError> {
        let base_url = check_base(&settings.base_url)?;
        if let Some(name) = &settings.endpoint {
            let known: Vec<&str> = dialect.endpoints().collect();
            if !known.contains(&name.as_str()) {
                let message = format!("dialect `{}` has no endpoint `{name}`", dialect.name());
                return Err(EndpointError::new(
                    "endpoint",
                    message,
                    choose_from(name, &known),
                ));
            }
        }
        for (key, path) in [
            ("login_path", &settings.login_path),
            ("refresh_path", &settings.refresh_path),
        ] {
            if let Some(path) = path {
                check_path(path).map_err(|reason| {
                    EndpointError::new(key, format!("`{path}` {reason}"), PATH_HELP)
                })?;
            }
        }
        for (name, value) in &settings.options {
            check_option(dialect, name, value)?;
        }
        let boxed = |text: &Option<String>| text.as_deref().map(Box::from);
        Ok(Self {
            base_url: base_url.into(),
            named: boxed(&settings.endpoint),
            login_path: boxed(&settings.login_path),
            refresh_path: boxed(&settings.refresh_path),
            options: settings
                .options
                .iter()
                .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
                .collect(),
        })
    }

    /// No account's endpoint: the dialect's own defaults, to ask what it would use.
    pub(crate) fn defaults() -> Self {
        Self {
            base_url: "https://example.com".into(),
            named: None,
            login_path: None,
            refresh_path: None,
            options: Box::new([]),
        }
    }

    /// Base URL without a slash at its end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(crate) fn named(&self) -> Option<&str> {
        self.named.as_deref()
    }

    pub(crate) fn login_path(&self) -> Option<&str> {
        self.login_path.as_deref()
    }

    pub(crate) fn refresh_path(&self) -> Option<&str> {
        self.refresh_path.as_deref()
    }

    /// The same with a value for one more option.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let own = std::mem::take(&mut self.options).into_iter();
        self.options = own.chain([(name.into(), value.into())]).collect();
        self
    }

    /// The value of an option: the account's, else the dialect's default; an empty one counts as absent.
    pub(crate) fn option<'a>(&'a self, names: &'a Names, name: &str) -> Option<&'a str> {
        let own = self
            .options
            .iter()
            .find(|(own, _)| **own == *name)
            .map(|(_, value)| &**value);
        own.or_else(|| names.option(name)?.default.as_deref())
            .filter(|value| !value.is_empty())
    }
}

const PATH_HELP: &str = "a path begins with `/` and has no query, fragment, blank or `..`";

fn check_base(base_url: &str) -> Result<String, EndpointError> {
    let refuse = |message: &str| {
        let help =
            "write scheme, host and, if the API lives below one, a path: `https://api.example.com`";
        EndpointError::new("base_url", message, help)
    };
    let url = Url::parse(base_url)
        .map_err(|error| refuse(&format!("`base_url` is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse(
            "`base_url` must begin with https:// (or http:// for a loopback address)",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("`base_url` must not hold a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("`base_url` must not hold a query or fragment"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn check_option(dialect: &Dialect, name: &str, value: &str) -> Result<(), EndpointError> {
    let key = || format!("options.{name}");
    let Some(option) = dialect.option(name) else {
        let known: Vec<&str> = dialect.options().map(|option| option.name).collect();
        let message = format!("dialect `{}` has no option `{name}`", dialect.name());
        return Err(EndpointError::new(
            key(),
            message,
            choose_from(name, &known),
        ));
    };
    check_option_value(option, value)
        .map_err(|(message, help)| EndpointError::new(key(), message, help))
}

/// Checks a value for an option, set by an account or as the dialect's default. The error is a sentence and its help.
pub(crate) fn check_option_value(option: &OptionSpec, value: &str) -> Result<(), (String, String)> {
    if value.len() > OPTION_LIMIT {
        let help = format!("an option is at most {OPTION_LIMIT} bytes long");
        return Err((
            format!("the value of option `{}` is too long", option.name),
            help,
        ));
    }
    if !option.choices.is_empty() && !option.choices.iter().any(|choice| choice == value) {
        let choices: Vec<&str> = option.choices.iter().map(String::as_str).collect();
        return Err((
            format!("option `{}` cannot be `{value}`", option.name),
            choose_from(value, &choices),
        ));
    }
    if option.path {
        check_path(value)
            .map_err(|reason| (format!("`{value}` {reason}"), PATH_HELP.to_owned()))?;
    }
    Ok(())
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
    nearest(name, known)
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default()
}
