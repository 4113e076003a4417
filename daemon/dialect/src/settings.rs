//! An account's settings, checked against its dialect.

use std::collections::BTreeMap;

use tokend_document::choose_from;
use url::Url;

use crate::{
    dialect::Dialect,
    endpoint::{Endpoint, PATH_HELP, check_option_value, check_path},
};

/// The endpoint settings of an account, not yet checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Scheme, host and an optional path in front of the dialect's own paths.
    pub base_url: String,
    /// One of the dialect's named alternatives (`login.endpoints`, `refresh.endpoints`).
    pub endpoint: Option<String>,
    /// A path for the login that replaces the dialect's.
    pub login_path: Option<String>,
    /// A path for the refresh that replaces the dialect's.
    pub refresh_path: Option<String>,
    /// Values for the dialect's `[options]`.
    pub options: BTreeMap<String, String>,
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

    /// The account's wrong key: `base_url`, `endpoint`, `login_path`, `refresh_path` or `options.NAME`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The valid values, with the nearest word.
    #[must_use]
    pub fn help(&self) -> &str {
        &self.help
    }
}

impl Endpoint {
    /// Checks an account's settings against its dialect.
    ///
    /// # Errors
    /// The first wrong setting, with the account's key and the valid values.
    pub fn new(dialect: &Dialect, settings: &EndpointSettings) -> Result<Self, EndpointError> {
        let base_url = check_base(&settings.base_url)?;
        if let Some(name) = &settings.endpoint {
            let known: Vec<&str> = dialect.endpoints().collect();
            if !known.contains(&name.as_str()) {
                let message = format!("dialect `{}` has no endpoint `{name}`", dialect.name());
                let help = choose_from(name, &known);
                return Err(EndpointError::new("endpoint", message, help));
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
        let options = settings.options.iter();
        Ok(Self {
            base_url: base_url.into(),
            named: boxed(&settings.endpoint),
            login_path: boxed(&settings.login_path),
            refresh_path: boxed(&settings.refresh_path),
            options: options
                .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
                .collect(),
        })
    }
}

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
    let Some(option) = dialect.names.option(name) else {
        let known: Vec<&str> = dialect.options().map(|option| &*option.name).collect();
        let message = format!("dialect `{}` has no option `{name}`", dialect.name());
        let help = choose_from(name, &known);
        return Err(EndpointError::new(key(), message, help));
    };
    check_option_value(option, value)
        .map_err(|(message, help)| EndpointError::new(key(), message, help))
}
