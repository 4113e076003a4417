//! Reads the `body` of a request: form, JSON, or none.
//!
//! Owns the two ways of writing JSON, as TOML or as JSON text. Strings and keys become templates; depth is bounded.

use serde_json::Number;

use super::words::entries;
use crate::{
    body::{Body, Json},
    document::{Key, Node, Value},
    mistake::Mistakes,
    names::Names,
    section::{self, Section},
    template::Template,
};

/// The deepest JSON body, in levels.
const JSON_DEPTH: usize = 16;

/// `"none"`, or a table with `form` or `json`.
pub(super) fn read(node: &Node, names: &Names, m: &mut Mistakes) -> Option<Body> {
    if matches!(&node.value, Value::String(_)) {
        return section::word(node, &[("none", ())], m).map(|()| Body::None);
    }
    let mut section = Section::open(node, m)?;
    let form_node = section.take("form");
    let json_node = section.take("json");
    let span = section.span;
    section.finish(m);
    match (form_node, json_node) {
        (Some(node), None) => Some(Body::Form(form(node, names, m))),
        (None, Some(node)) => json_body(node, names, m).map(Body::Json),
        _ => {
            let help = "write `form = { .. }`, `json = ..`, or `body = \"none\"`";
            m.add(
                span,
                "a body is either `form` or `json`",
                Some(help.to_owned()),
            );
            None
        }
    }
}

fn form(node: &Node, names: &Names, m: &mut Mistakes) -> Vec<(Template, Template)> {
    let read = |(key, node): &(Key, Node), m: &mut Mistakes| {
        Some((
            key_template(key, names, m)?,
            Template::read(node, names, m)?,
        ))
    };
    entries(node, m)
        .iter()
        .filter_map(|entry| read(entry, m))
        .collect()
}

fn key_template(key: &Key, names: &Names, m: &mut Mistakes) -> Option<Template> {
    let node = Node {
        span: key.span.clone(),
        value: Value::String(key.name.clone()),
    };
    Template::read(&node, names, m)
}

/// A TOML value, or a string that holds JSON text (which can say `null`).
fn json_body(node: &Node, names: &Names, m: &mut Mistakes) -> Option<Json> {
    let Value::String(text) = &node.value else {
        return json(node, names, 0, m);
    };
    match serde_json::from_str(text) {
        Ok(value) => json_text(&value, node, names, m),
        Err(error) => {
            let help = "a string here is JSON text: `'{\"user\": \"{username}\"}'`";
            m.add(
                &node.span,
                format!("this is not JSON: {error}"),
                Some(help.to_owned()),
            );
            None
        }
    }
}

fn json(node: &Node, names: &Names, depth: usize, m: &mut Mistakes) -> Option<Json> {
    if depth > JSON_DEPTH {
        m.add(
            &node.span,
            format!("a JSON body has at most {JSON_DEPTH} levels"),
            None,
        );
        return None;
    }
    Some(match &node.value {
        Value::String(_) => Json::Text(Template::read(node, names, m)?),
        Value::Integer(number) => Json::Number(Number::from(*number)),
        Value::Float(number) => match Number::from_f64(*number) {
            Some(number) => Json::Number(number),
            None => {
                m.add(&node.span, "JSON has no such number", None);
                return None;
            }
        },
        Value::Boolean(flag) => Json::Boolean(*flag),
        Value::Datetime(_) => {
            m.add(
                &node.span,
                "JSON has no dates",
                Some("write it as a string".to_owned()),
            );
            return None;
        }
        Value::Array(items) => {
            let items: Option<Vec<Json>> = items
                .iter()
                .map(|item| json(item, names, depth + 1, m))
                .collect();
            Json::Array(items?)
        }
        Value::Table(table) => {
            let member = |(key, node): &(Key, Node), m: &mut Mistakes| {
                Some((
                    key_template(key, names, m)?,
                    json(node, names, depth + 1, m)?,
                ))
            };
            let members: Option<Vec<(Template, Json)>> =
                table.entries.iter().map(|entry| member(entry, m)).collect();
            Json::Object(members?)
        }
    })
}

fn json_text(
    value: &serde_json::Value,
    node: &Node,
    names: &Names,
    m: &mut Mistakes,
) -> Option<Json> {
    Some(match value {
        serde_json::Value::Null => Json::Null,
        serde_json::Value::Bool(flag) => Json::Boolean(*flag),
        serde_json::Value::Number(number) => Json::Number(number.clone()),
        serde_json::Value::String(text) => Json::Text(Template::parse(text, node, names, m)?),
        serde_json::Value::Array(items) => {
            let items: Option<Vec<Json>> = items
                .iter()
                .map(|item| json_text(item, node, names, m))
                .collect();
            Json::Array(items?)
        }
        serde_json::Value::Object(map) => {
            let member = |(key, value): (&String, &serde_json::Value), m: &mut Mistakes| {
                Some((
                    Template::parse(key, node, names, m)?,
                    json_text(value, node, names, m)?,
                ))
            };
            let members: Option<Vec<(Template, Json)>> =
                map.iter().map(|entry| member(entry, m)).collect();
            Json::Object(members?)
        }
    })
}
