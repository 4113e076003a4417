//! Reads the `body` of a request: form, JSON, or none.
//!
//! Owns the two ways of writing JSON, as TOML or as JSON text. Strings and keys become templates; depth is bounded.

use serde_json::Number;

use super::words::entries;
use tokend_document::{Content, Diagnostics, Key, Value};

use crate::{
    body::{Body, Json},
    names::Names,
    template::Template,
};

/// The deepest JSON body, in levels.
const JSON_DEPTH: usize = 16;

/// `"none"`, or a table with `form` or `json`.
pub(super) fn read(node: Value<'_>, names: &Names, diagnostics: &mut Diagnostics) -> Option<Body> {
    if matches!(&node.content, Content::String(_)) {
        return node.word(&[("none", ())], diagnostics).map(|()| Body::None);
    }
    let mut section = node.section(diagnostics)?;
    let form_node = section.take("form");
    let json_node = section.take("json");
    section.finish(diagnostics);
    match (form_node, json_node) {
        (Some(node), None) => Some(Body::Form(form(node, names, diagnostics))),
        (None, Some(node)) => json_body(node, names, diagnostics).map(Body::Json),
        _ => {
            let help = "write `form = { .. }`, `json = ..`, or `body = \"none\"`";
            node.wrong(
                diagnostics,
                "a body is either `form` or `json`",
                help.to_owned(),
            )
        }
    }
}

fn form(
    node: Value<'_>,
    names: &Names,
    diagnostics: &mut Diagnostics,
) -> Vec<(Template, Template)> {
    let mut found = Vec::new();
    for (key, node) in entries(Some(node), diagnostics) {
        if let Some(name) = key_template(key, names, diagnostics) {
            let value = Template::read(node, names, diagnostics);
            found.extend(value.map(|value| (name, value)));
        }
    }
    found
}

fn key_template(key: &Key<'_>, names: &Names, diagnostics: &mut Diagnostics) -> Option<Template> {
    let node = key.to_node();
    Template::read(Value::from(&node), names, diagnostics)
}

/// A TOML value, or a string that holds JSON text (which can say `null`).
fn json_body(node: Value<'_>, names: &Names, diagnostics: &mut Diagnostics) -> Option<Json> {
    let Content::String(text) = &node.content else {
        return json(node, names, 0, diagnostics);
    };
    match serde_json::from_str(text) {
        Ok(value) => json_text(&value, node, names, diagnostics),
        Err(error) => {
            let help = "a string here is JSON text: `'{\"user\": \"{username}\"}'`";
            let message = format!("this is not JSON: {error}");
            node.wrong(diagnostics, message, help.to_owned())
        }
    }
}

fn json(
    node: Value<'_>,
    names: &Names,
    depth: usize,
    diagnostics: &mut Diagnostics,
) -> Option<Json> {
    if depth > JSON_DEPTH {
        let message = format!("a JSON body has at most {JSON_DEPTH} levels");
        return node.wrong(diagnostics, message, None);
    }
    Some(match &node.content {
        Content::String(_) => Json::Text(Template::read(node, names, diagnostics)?),
        Content::Integer(number, _) => Json::Number(Number::from(*number)),
        Content::Float(number) => match Number::from_f64(*number) {
            Some(number) => Json::Number(number),
            None => return node.wrong(diagnostics, "JSON has no such number", None),
        },
        Content::Boolean(flag) => Json::Boolean(*flag),
        Content::Datetime(_) => {
            let help = "write it as a string".to_owned();
            return node.wrong(diagnostics, "JSON has no dates", help);
        }
        Content::Array(items) => {
            let items = items.iter().map(Value::from);
            let items: Option<_> = items
                .map(|item| json(item, names, depth + 1, diagnostics))
                .collect();
            Json::Array(items?)
        }
        Content::Unfit(_) => {
            let message = "this number does not fit into 64 bits";
            let help = "write the body as JSON text, which takes any number".to_owned();
            return node.wrong(diagnostics, message, help);
        }
        Content::Table(table) => {
            let mut members = Vec::new();
            for (key, node) in &table.entries {
                let name = key_template(key, names, diagnostics)?;
                let value = json(Value::from(node), names, depth + 1, diagnostics)?;
                members.push((name, value));
            }
            Json::Object(members)
        }
    })
}

fn json_text(
    value: &serde_json::Value,
    node: Value<'_>,
    names: &Names,
    diagnostics: &mut Diagnostics,
) -> Option<Json> {
    Some(match value {
        serde_json::Value::Null => Json::Null,
        serde_json::Value::Bool(flag) => Json::Boolean(*flag),
        serde_json::Value::Number(number) => Json::Number(number.clone()),
        serde_json::Value::String(text) => {
            Json::Text(Template::parse(text, node, names, diagnostics)?)
        }
        serde_json::Value::Array(items) => {
            let items: Option<_> = items
                .iter()
                .map(|item| json_text(item, node, names, diagnostics))
                .collect();
            Json::Array(items?)
        }
        serde_json::Value::Object(map) => {
            let mut members = Vec::new();
            for (key, value) in map {
                let name = Template::parse(key, node, names, diagnostics)?;
                members.push((name, json_text(value, node, names, diagnostics)?));
            }
            Json::Object(members)
        }
    })
}
