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
    let mut names = Names::default();
    for (key, node) in entries(top.take("fields"), diagnostics) {
        names.fields.extend(field(key, node, diagnostics));
    }
    for (key, node) in entries(top.take("options"), diagnostics) {
        if names.field(&key.name).is_some() {
            let message = format!("`{}` is both a field and an option", key.name);
            key.note(diagnostics, message, None);
        }
        names.options.extend(option(key, node, diagnostics));
    }
    names
}

fn field(key: &Key<'_>, node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<FieldSpec> {
    check_name(key, diagnostics);
    let mut section = node.section(diagnostics)?;
    let secret = section.read("secret", diagnostics, Value::boolean);
    let description = section.read("description", diagnostics, Value::string);
    let several = section.take("multiline");
    let multiline = several.and_then(|value| value.boolean(diagnostics));
    if let Some(value) = several.filter(|_| multiline == Some(true) && secret == Some(false)) {
        let help = "leave out `multiline`, or `secret = false`";
        value.note(
            diagnostics,
            "only a secret may have several lines",
            help.to_owned(),
        );
    }
    section.finish(diagnostics);
    Some(FieldSpec {
        name: key.name.to_string(),
        secret: secret.unwrap_or(true),
        description: description.unwrap_or_default().to_owned(),
        multiline: multiline.unwrap_or(false),
    })
}

fn option(key: &Key<'_>, node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<OptionSpec> {
    check_name(key, diagnostics);
    let mut section = node.section(diagnostics)?;
    let choices = section.read("choices", diagnostics, Value::strings);
    let path = section.word("type", &[("text", false), ("path", true)], diagnostics);
    let description = section.read("description", diagnostics, Value::string);
    let default_node = section.take("default");
    let default = default_node.and_then(|node| node.string(diagnostics));
    section.finish(diagnostics);
    let option = OptionSpec {
        name: key.name.to_string(),
        description: description.unwrap_or_default().to_owned(),
        default: default.map(str::to_owned),
        choices: choices.unwrap_or_default(),
        path: path.unwrap_or(false),
    };
    if let (Some(value), Some(node)) = (default, default_node)
        && let Err((message, help)) = check_option_value(&option, value)
    {
        node.note(diagnostics, message, help);
    }
    Some(option)
}

fn check_name(key: &Key<'_>, diagnostics: &mut Diagnostics) {
    let name = &*key.name;
    let (problem, help) = if !is_word(name, false) {
        let help =
            "a name begins with a small letter and has small letters, digits and `_`, at most 40";
        ("is no name", help.to_owned())
    } else if STANDARD.iter().any(|(known, _)| *known == name) {
        let help = "every dialect knows this field already; use it without declaring it";
        ("is a standard field", help.to_owned())
    } else if RESERVED.contains(&name) {
        let keys = RESERVED.join("`, `");
        let help = format!("choose a name that is no key of an account; those are `{keys}`");
        ("means something else in an account", help)
    } else {
        return;
    };
    key.note(diagnostics, format!("`{name}` {problem}"), help);
}
