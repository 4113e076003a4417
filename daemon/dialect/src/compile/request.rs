//! Reads the request half of `login` and `refresh`.
//!
//! Owns which parts a request can have and which of them exclude each other. A dialect cannot set what HTTP itself sets.

use http::{HeaderName, Method, Uri, header};
use url::Url;

use super::{
    body::read as body,
    reply::header_name,
    words::{NOT_PRINTABLE, SET_BY_HTTP, entries, is_printable, is_token, is_word},
};
use tokend_document::{Content, Diagnostics, Key, Section, Value, choose_from};

use crate::{
    body::Body,
    endpoint::{check_choice, check_path, check_path_text},
    names::Names,
    request::{Auth, BasicEncoding, Condition, Layer, RequestPlan},
    template::{Beginning, Template},
};

const METHODS: &[(&str, &Method)] = &[
    ("GET", &Method::GET),
    ("POST", &Method::POST),
    ("PUT", &Method::PUT),
    ("PATCH", &Method::PATCH),
];
const ENCODINGS: &[(&str, BasicEncoding)] =
    &[("raw", BasicEncoding::Raw), ("form", BasicEncoding::Form)];
const SCHEMES: &[(&str, Scheme)] = &[
    ("none", Scheme::None),
    ("basic", Scheme::Basic),
    ("bearer", Scheme::Bearer),
    ("custom", Scheme::Custom),
];

#[derive(Clone, Copy)]
enum Scheme {
    None,
    Basic,
    Bearer,
    Custom,
}

/// Reads everything of a request; the caller reads the other keys and finishes the section.
pub(super) fn read(
    section: &mut Section<'_>,
    names: &Names,
    diagnostics: &mut Diagnostics,
) -> RequestPlan {
    let mut layers = vec![layer(section, names, diagnostics)];
    let mut endpoints = Vec::new();
    for (key, node) in entries(section.take("endpoints"), diagnostics) {
        if !is_word(&key.name, true) {
            let message = format!("`{}` is no name", key.name);
            let help = "a name begins with a small letter and has small letters, digits, `_` and `-`, at most 40";
            key.note(diagnostics, message, help.to_owned());
        }
        let path = path_template(node, names, diagnostics);
        endpoints.extend(path.map(|path| (key.name.to_string(), path)));
    }
    let cases = section.read("cases", diagnostics, Value::array);
    let cases = cases.into_iter().flatten();
    layers.extend(cases.filter_map(|node| case(node, names, diagnostics)));
    let has_path = !endpoints.is_empty() || layers.iter().any(|layer| layer.path.is_some());
    if !has_path && diagnostics.is_empty() {
        let help = "add `path`: where the request goes below `base_url`, such as \"/token\"";
        section.note(diagnostics, "`path` is missing", help.to_owned());
    }
    let get = layers.iter().any(|layer| layer.method == Some(Method::GET));
    let is_body = |layer: &Layer| matches!(layer.body, Some(Body::Form(_) | Body::Json(_)));
    if get && layers.iter().any(is_body) {
        let message = "a request with method GET cannot have a body";
        section.note(diagnostics, message, None);
    }
    RequestPlan { layers, endpoints }
}

fn case(node: Value<'_>, names: &Names, diagnostics: &mut Diagnostics) -> Option<Layer> {
    let mut section = node.section(diagnostics)?;
    let which = "the options it is for, such as `when = { grant = \"password\" }`";
    let when = section
        .require("when", which, diagnostics)
        .map(|node| conditions(node, names, diagnostics));
    let available = section.read("available", diagnostics, Value::boolean);
    let layer = layer(&mut section, names, diagnostics);
    section.finish(diagnostics);
    Some(Layer {
        when: when.unwrap_or_default(),
        available,
        ..layer
    })
}

fn conditions(node: Value<'_>, names: &Names, diagnostics: &mut Diagnostics) -> Vec<Condition> {
    let found = entries(Some(node), diagnostics);
    if found.is_empty() {
        let help = "write `when = { option = \"value\" }`".to_owned();
        node.note(diagnostics, "a case needs a condition", help);
    }
    found
        .into_iter()
        .filter_map(|(key, node)| condition(key, node, names, diagnostics))
        .collect()
}

fn condition(
    key: &Key<'_>,
    node: Value<'_>,
    names: &Names,
    diagnostics: &mut Diagnostics,
) -> Option<Condition> {
    let values = node.strings(diagnostics)?;
    let with_choices = || names.options.iter().filter(|it| !it.choices.is_empty());
    let Some(option) = with_choices().find(|it| it.name == key.name) else {
        let valid: Vec<&str> = with_choices().map(|it| it.name.as_str()).collect();
        let message = format!("`{}` is not an option with choices", key.name);
        key.note(diagnostics, message, choose_from(&key.name, &valid));
        return None;
    };
    for (value, node) in values.iter().zip(node.one_or_many()) {
        if let Err((message, help)) = check_choice(option, value) {
            node.note(diagnostics, message, help);
        }
    }
    Some(Condition {
        option: key.name.to_string(),
        values,
    })
}

fn layer(section: &mut Section<'_>, names: &Names, diagnostics: &mut Diagnostics) -> Layer {
    let method = section.word("method", METHODS, diagnostics).cloned();
    let path = section.take("path");
    let path = path.and_then(|node| path_template(node, names, diagnostics));
    let auth_node = section.take("auth");
    let headers = headers(section, auth_node.is_some(), names, diagnostics);
    let query = entries(section.take("query"), diagnostics);
    let query = named(query, names, diagnostics);
    let cookies = entries(section.take("cookies"), diagnostics);
    for (key, _) in cookies.iter().filter(|(key, _)| !is_token(&key.name)) {
        let message = format!("`{}` is not a cookie name", key.name);
        key.note(diagnostics, message, None);
    }
    let body_node = section.take("body");
    Layer {
        when: Vec::new(),
        available: None,
        method,
        path,
        query,
        headers,
        cookies: named(cookies, names, diagnostics),
        auth: auth_node.and_then(|node| auth(node, names, diagnostics)),
        body: body_node.and_then(|node| body(node, names, diagnostics)),
    }
}

/// A path below `base_url`, or a whole https URL for a provider whose endpoints are on several hosts.
fn path_template(
    node: Value<'_>,
    names: &Names,
    diagnostics: &mut Diagnostics,
) -> Option<Template> {
    let template = Template::read(node, names, diagnostics)?;
    let problem = match template.beginning() {
        Beginning::Text(text) if text.starts_with("https://") => whole_url(text),
        Beginning::Text(text) if text.starts_with('/') => {
            let pieces: Vec<&str> = template.literals().collect();
            check_path(&pieces.join("x")).err()
        }
        Beginning::Path => template
            .literals()
            .find_map(|text| check_path_text(text).err()),
        Beginning::Text(_) | Beginning::Other => Some("does not begin with one `/`"),
    };
    let optional = template.placeholders().any(|it| it.optional);
    let problem = problem.or_else(|| optional.then_some("has a placeholder that may be absent"));
    if let Some(problem) = problem {
        let help = "a path begins with `/`; query parameters go into `query`".to_owned();
        node.note(diagnostics, format!("this path {problem}"), help);
    }
    Some(template)
}

/// The host must be written out: no value of an account may choose where a credential goes.
fn whole_url(text: &str) -> Option<&'static str> {
    let after = text.strip_prefix("https://")?;
    if !after.contains('/') {
        return Some("does not name the whole host before its first placeholder");
    }
    // The two parsers that a request passes through must agree on the host: one of them accepts `https:///host/` as a URL, the other does
    // not.
    let (Ok(url), Ok(uri)) = (Url::parse(text), Uri::try_from(text)) else {
        return Some("is not a valid URL");
    };
    if uri.authority().is_some_and(|it| it.as_str().contains('@')) {
        return Some("holds a user name");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Some("has a query or fragment");
    }
    None
}

fn named(
    entries: Vec<(&Key<'_>, Value<'_>)>,
    names: &Names,
    diagnostics: &mut Diagnostics,
) -> Vec<(String, Template)> {
    let mut found = Vec::new();
    for (key, node) in entries {
        let value = Template::read(node, names, diagnostics);
        found.extend(value.map(|value| (key.name.to_string(), value)));
    }
    found
}

fn headers(
    section: &mut Section<'_>,
    has_auth: bool,
    names: &Names,
    diagnostics: &mut Diagnostics,
) -> Vec<(HeaderName, Template)> {
    let mut found = Vec::new();
    for (key, node) in entries(section.take("headers"), diagnostics) {
        let name = header_name(Value::from(&key.to_node()), diagnostics);
        let value = Template::read(node, names, diagnostics);
        let (Some(name), Some(value)) = (name, value) else {
            continue;
        };
        if SET_BY_HTTP.contains(&name) || name == header::UPGRADE {
            let message = format!("`{}` is set by HTTP itself", key.name);
            key.note(diagnostics, message, None);
        }
        if name == header::COOKIE {
            key.note(diagnostics, "write cookies into `cookies`", None);
        }
        if name == header::AUTHORIZATION && has_auth {
            let help = "keep one of the two".to_owned();
            key.note(diagnostics, "`auth` sets this header already", help);
        }
        if !value.literals().all(is_printable) {
            node.note(diagnostics, NOT_PRINTABLE, None);
        }
        found.push((name, value));
    }
    found
}

fn auth(node: Value<'_>, names: &Names, diagnostics: &mut Diagnostics) -> Option<Auth> {
    if matches!(&node.content, Content::String(_)) {
        return node.word(&[("none", ())], diagnostics).map(|()| Auth::None);
    }
    let mut section = node.section(diagnostics)?;
    let scheme = section
        .require(
            "scheme",
            "`none`, `basic`, `bearer` or `custom`",
            diagnostics,
        )
        .and_then(|node| node.word(SCHEMES, diagnostics))?;
    let mut template = |key, what| {
        let node = section.require(key, what, diagnostics);
        node.and_then(|node| Template::read(node, names, diagnostics))
            .unwrap_or_default()
    };
    let auth = match scheme {
        Scheme::None => Auth::None,
        Scheme::Bearer => Auth::Bearer(template("token", "the token, such as \"{password}\"")),
        Scheme::Custom => {
            let what = "what the header says, such as \"Key {password}\"";
            Auth::Custom(template("value", what))
        }
        Scheme::Basic => {
            let username = template("username", "the user name, such as \"{client_id}\"");
            let password = template("password", "the password, such as \"{client_secret}\"");
            let what = "`raw`, or `form` for the escapes of RFC 6749";
            let encoding = section.require("encoding", what, diagnostics);
            let encoding = encoding.and_then(|node| node.word(ENCODINGS, diagnostics));
            Auth::Basic {
                username,
                password,
                encoding: encoding.unwrap_or(BasicEncoding::Raw),
            }
        }
    };
    section.finish(diagnostics);
    Some(auth)
}
