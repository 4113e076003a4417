//! What an account of a dialect has to say, for programs that write a configuration.
//!
//! Owns the shape of that JSON, which other releases of such programs read: members may be added and never change.

use std::io::Write;

use serde::Serialize;
use tokend_dialect::{Dialect, Endpoint, EndpointSettings, ExchangeKind};

use crate::arguments::Exit;
use crate::printing::Failure;

/// A base URL for what does not depend on one.
const ANY: &str = "https://base-url";

#[derive(Serialize)]
struct Needs<'d> {
    dialect: &'d str,
    /// Whether an account must have a `base_url`.
    base_url: bool,
    /// Whether an account with these options can log in.
    login: bool,
    options: Vec<OptionNeed<'d>>,
    fields: Vec<FieldNeed>,
}

#[derive(Serialize)]
struct OptionNeed<'d> {
    name: &'d str,
    description: &'d str,
    default: Option<&'d str>,
    choices: &'d [String],
    /// Whether its value is a path of the token endpoint.
    path: bool,
    required: bool,
}

#[derive(Serialize)]
struct FieldNeed {
    name: String,
    description: String,
    secret: bool,
    required: bool,
}

/// Prints it for an account with these options.
pub(super) fn print(
    dialect: &Dialect,
    options: &[(String, String)],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let settings = EndpointSettings {
        base_url: ANY.to_owned(),
        options: options.iter().cloned().collect(),
        ..EndpointSettings::default()
    };
    let endpoint = Endpoint::new(dialect, &settings).map_err(|error| {
        Failure::line(Exit::Usage, format!("tokend: {error}; {}", error.help()))
    })?;
    let kinds = [ExchangeKind::Login, ExchangeKind::Refresh];
    let missing = kinds.map(|kind| dialect.missing_options(kind, &endpoint, |_| true));
    let missing = missing.concat();
    let fields = dialect.fields_at(&endpoint).into_iter();
    let needs = Needs {
        dialect: dialect.name(),
        base_url: dialect.own_base_url().is_none(),
        login: dialect.can_login_at(&endpoint),
        options: dialect
            .options()
            .map(|option| OptionNeed {
                name: &option.name,
                description: &option.description,
                default: option.default.as_deref(),
                choices: &option.choices,
                path: option.is_path(),
                required: missing.contains(&option.name),
            })
            .collect(),
        fields: fields
            .filter(|field| !field.internal)
            .map(|field| FieldNeed {
                name: field.name,
                description: field.description,
                secret: field.secret,
                required: field.required,
            })
            .collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &needs).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(())
}
