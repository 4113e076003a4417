//! Reads `[fields]` and `[options]`: the names that placeholders and accounts may use.
//!
//! Owns their rules. A name that means something else in an account's configuration is refused here.

use super::words::{entries, is_word};
use tokend_document::{Diagnostics, Key, Section, Value};

use crate::{
    endpoint::check_option_value,
    fields::STANDARD,
    names::{FieldSpec, Names, OptionSpec},
};

/// Keys of an account that are no fields.
const RESERVED: &[&str] = &[
    "provider",
    "dialect",
    "base_url",
    "allow",
    "endpoint",
    "login_path",
    "refresh_path",
    "options",
    "fields",
    "refresh",
    "assumed_lifetime",
    "pacing",
    "proxy",
];

pub(super) fn read(top: &mut Section<'_>, diagnostics: &mut Diagnostics) -> Names {
    let fields = top
        .take("fields")
        .map(|node| fields(node, diagnostics))
        .unwrap_or_default();
    let options = top
        .take("options")
        .map(|node| options(node, &fields, diagnostics))
        .unwrap_or_default();
    Names { fields, options }
}

fn fields(node: Value<'_>, diagnostics: &mut Diagnostics) -> Vec<FieldSpec> {
    entries(node, diagnostics)
        .into_iter()
        .filter_map(|(key, node)| field(key, node, diagnostics))
        .collect()
}

fn field(key: &Key<'_>, node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<FieldSpec> {
    check_name(key, diagnostics);
    let mut section = node.section(diagnostics)?;
    let secret = section
        .read("secret", diagnostics, Value::boolean)
        .unwrap_or(true);
    let description = section
        .read("description", diagnostics, Value::string)
        .unwrap_or_default()
        .to_owned();
    section.finish(diagnostics);
    Some(FieldSpec {
        name: key.name.to_string(),
        secret,
        description,
    })
}

fn options(
    node: Value<'_>,
    fields: &[FieldSpec],
    diagnostics: &mut Diagnostics,
) -> Vec<OptionSpec> {
    for (key, _) in entries(node, diagnostics) {
        if fields.iter().any(|field| field.name == key.name) {
            key.note(
                diagnostics,
                format!("`{}` is both a field and an option", key.name),
                None,
            );
        }
    }
    entries(node, diagnostics)
        .into_iter()
        .filter_map(|(key, node)| option(key, node, diagnostics))
        .collect()
}

fn option(key: &Key<'_>, node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<OptionSpec> {
    check_name(key, diagnostics);
    let mut section = node.section(diagnostics)?;
    let choices = section
        .read("choices", diagnostics, Value::strings)
        .unwrap_or_default();
    let path = section.read("type", diagnostics, |node, diagnostics| {
        node.word(&[("text", false), ("path", true)], diagnostics)
    });
    let description = section
        .read("description", diagnostics, Value::string)
        .unwrap_or_default()
        .to_owned();
    let default_node = section.take("default");
    let default = default_node
        .and_then(|node| node.string(diagnostics))
        .map(str::to_owned);
    section.finish(diagnostics);
    let option = OptionSpec {
        name: key.name.to_string(),
        description,
        default,
        choices,
        path: path.unwrap_or(false),
    };
    if let (Some(value), Some(node)) = (&option.default, default_node)
        && let Err((message, help)) = check_option_value(&option, value)
    {
        node.note(diagnostics, message, Some(help));
    }
    Some(option)
}

fn check_name(key: &Key<'_>, diagnostics: &mut Diagnostics) {
    if !is_word(&key.name, false) {
        let help =
            "a name begins with a small letter and has small letters, digits and `_`, at most 40";
        key.note(
            diagnostics,
            format!("`{}` is no name", key.name),
            Some(help.to_owned()),
        );
    } else if STANDARD.iter().any(|(known, _)| *known == key.name) {
        let help = "every dialect knows this field already; use it without declaring it";
        key.note(
            diagnostics,
            format!("`{}` is a standard field", key.name),
            Some(help.to_owned()),
        );
    } else if RESERVED.contains(&&*key.name) {
        key.note(
            diagnostics,
            format!("`{}` means something else in an account", key.name),
            Some(format!(
                "choose a name that is no key of an account; those are `{}`",
                RESERVED.join("`, `")
            )),
        );
    }
}
