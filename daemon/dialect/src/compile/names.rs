//! Reads `[fields]` and `[options]`: the names that placeholders and accounts may use.
//!
//! Owns their rules. A name that means something else in an account's configuration is refused here.

use super::words::{entries, is_word};
use crate::{
    document::{Key, Node},
    endpoint::check_option_value,
    fields::STANDARD,
    mistake::Mistakes,
    names::{FieldSpec, Names, OptionSpec},
    section::{self, Section},
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

pub(super) fn read(top: &mut Section<'_>, m: &mut Mistakes) -> Names {
    let fields = top
        .take("fields")
        .map(|node| fields(node, m))
        .unwrap_or_default();
    let options = top
        .take("options")
        .map(|node| options(node, &fields, m))
        .unwrap_or_default();
    Names { fields, options }
}

fn fields(node: &Node, m: &mut Mistakes) -> Vec<FieldSpec> {
    entries(node, m)
        .iter()
        .filter_map(|(key, node)| field(key, node, m))
        .collect()
}

fn field(key: &Key, node: &Node, m: &mut Mistakes) -> Option<FieldSpec> {
    check_name(key, m);
    let mut section = Section::open(node, m)?;
    let secret = section.read("secret", m, section::boolean).unwrap_or(true);
    let description = section
        .read("description", m, section::string)
        .unwrap_or_default()
        .to_owned();
    section.finish(m);
    Some(FieldSpec {
        name: key.name.clone(),
        secret,
        description,
    })
}

fn options(node: &Node, fields: &[FieldSpec], m: &mut Mistakes) -> Vec<OptionSpec> {
    for (key, _) in entries(node, m) {
        if fields.iter().any(|field| field.name == key.name) {
            m.add(
                &key.span,
                format!("`{}` is both a field and an option", key.name),
                None,
            );
        }
    }
    entries(node, m)
        .iter()
        .filter_map(|(key, node)| option(key, node, m))
        .collect()
}

fn option(key: &Key, node: &Node, m: &mut Mistakes) -> Option<OptionSpec> {
    check_name(key, m);
    let mut section = Section::open(node, m)?;
    let choices = section
        .read("choices", m, section::strings)
        .unwrap_or_default();
    let path = section.read("type", m, |node, m| {
        section::word(node, &[("text", false), ("path", true)], m)
    });
    let description = section
        .read("description", m, section::string)
        .unwrap_or_default()
        .to_owned();
    let default_node = section.take("default");
    let default = default_node
        .and_then(|node| section::string(node, m))
        .map(str::to_owned);
    section.finish(m);
    let option = OptionSpec {
        name: key.name.clone(),
        description,
        default,
        choices,
        path: path.unwrap_or(false),
    };
    if let (Some(value), Some(node)) = (&option.default, default_node)
        && let Err((message, help)) = check_option_value(&option, value)
    {
        m.add(&node.span, message, Some(help));
    }
    Some(option)
}

fn check_name(key: &Key, m: &mut Mistakes) {
    if !is_word(&key.name, false) {
        let help =
            "a name begins with a small letter and has small letters, digits and `_`, at most 40";
        m.add(
            &key.span,
            format!("`{}` is no name", key.name),
            Some(help.to_owned()),
        );
    } else if STANDARD.iter().any(|(known, _)| *known == key.name) {
        let help = "every dialect knows this field already; use it without declaring it";
        m.add(
            &key.span,
            format!("`{}` is a standard field", key.name),
            Some(help.to_owned()),
        );
    } else if RESERVED.contains(&key.name.as_str()) {
        m.add(
            &key.span,
            format!("`{}` means something else in an account", key.name),
            Some(format!(
                "choose a name that is no key of an account; those are `{}`",
                RESERVED.join("`, `")
            )),
        );
    }
}
