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
            node.note(
                diagnostics,
                "a body is either `form` or `json`",
                Some(help.to_owned()),
            );
            None
        }
    }
}

fn form(
    node: Value<'_>,
    names: &Names,
    diagnostics: &mut Diagnostics,
) -> Vec<(Template, Template)> {
    let read = |(key, node): (&Key<'_>, Value<'_>), diagnostics: &mut Diagnostics| {
        Some((
            key_template(key, names, diagnostics)?,
            Template::read(node, names, diagnostics)?,
        ))
    };
    entries(node, diagnostics)
        .into_iter()
        .filter_map(|entry| read(entry, diagnostics))
        .collect()
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
            node.note(
                diagnostics,
                format!("this is not JSON: {error}"),
                Some(help.to_owned()),
            );
            None
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
        node.note(
            diagnostics,
            format!("a JSON body has at most {JSON_DEPTH} levels"),
            None,
        );
        return None;
    }
    Some(match &node.content {
        Content::String(_) => Json::Text(Template::read(node, names, diagnostics)?),
        Content::Integer(number, _) => Json::Number(Number::from(*number)),
        Content::Float(number) => match Number::from_f64(*number) {
            Some(number) => Json::Number(number),
            None => {
                node.note(diagnostics, "JSON has no such number", None);
                return None;
            }
        },
        Content::Boolean(flag) => Json::Boolean(*flag),
        Content::Datetime(_) => {
            node.note(
                diagnostics,
                "JSON has no dates",
                Some("write it as a string".to_owned()),
            );
            return None;
        }
        Content::Array(items) => {
            let items: Option<Vec<Json>> = items
                .iter()
                .map(|item| json(Value::from(item), names, depth + 1, diagnostics))
                .collect();
            Json::Array(items?)
        }
        Content::Unfit(_) => {
            let message = "this number does not fit into 64 bits";
            let help = "write the body as JSON text, which takes any number".to_owned();
            return node.wrong(diagnostics, message, help);
        }
        Content::Table(table) => {
            let member = |(key, node): (&Key<'_>, Value<'_>), diagnostics: &mut Diagnostics| {
                Some((
                    key_template(key, names, diagnostics)?,
                    json(node, names, depth + 1, diagnostics)?,
                ))
            };
            let members: Option<Vec<(Template, Json)>> = table
                .entries
                .iter()
                .map(|(key, node)| member((key, Value::from(node)), diagnostics))
                .collect();
            Json::Object(members?)
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
            let items: Option<Vec<Json>> = items
                .iter()
                .map(|item| json_text(item, node, names, diagnostics))
                .collect();
            Json::Array(items?)
        }
        serde_json::Value::Object(map) => {
            let member = |(key, value): (&String, &serde_json::Value),
                          diagnostics: &mut Diagnostics| {
                Some((
                    Template::parse(key, node, names, diagnostics)?,
                    json_text(value, node, names, diagnostics)?,
                ))
            };
            let members: Option<Vec<(Template, Json)>> =
                map.iter().map(|entry| member(entry, diagnostics)).collect();
            Json::Object(members?)
        }
    })
}
