//! Reads the request half of `login` and `refresh`.
//!
//! Owns what a request may consist of and which parts exclude each other. What HTTP itself sets cannot be set by a dialect.

use http::{HeaderName, Method, Uri, header};
use url::Url;

use super::{
    body::read as body,
    reply::header_name,
    words::{entries, is_word},
};
use crate::{
    body::Body,
    document::{Key, Node, Value},
    endpoint::{check_path, check_path_text},
    mistake::{Mistakes, choose_from},
    names::Names,
    request::{Auth, BasicEncoding, Condition, Layer, RequestPlan},
    section::{self, Section, one_or_many},
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
pub(super) fn read(section: &mut Section<'_>, names: &Names, m: &mut Mistakes) -> RequestPlan {
    let base = layer(section, names, m);
    let mut endpoints = Vec::new();
    if let Some(node) = section.take("endpoints") {
        for (key, node) in entries(node, m) {
            check_word(key, m);
            if let Some(path) = path(node, names, m) {
                endpoints.push((key.name.clone(), path));
            }
        }
    }
    let mut layers = vec![base];
    if let Some(cases) = section.read("cases", m, section::array) {
        layers.extend(cases.iter().filter_map(|node| case(node, names, m)));
    }
    if layers.iter().all(|layer| layer.path.is_none()) && endpoints.is_empty() && m.is_empty() {
        m.add(section.span, "`path` is missing here", None);
    }
    let get = layers.iter().any(|layer| layer.method == Some(Method::GET));
    if get
        && layers
            .iter()
            .any(|layer| matches!(layer.body, Some(Body::Form(_) | Body::Json(_))))
    {
        m.add(
            section.span,
            "a request with method GET cannot have a body",
            None,
        );
    }
    RequestPlan { layers, endpoints }
}

fn check_word(key: &Key, m: &mut Mistakes) {
    if !is_word(&key.name, true) {
        let help = "a name begins with a small letter and has small letters, digits, `_` and `-`, at most 40";
        m.add(
            &key.span,
            format!("`{}` is no name", key.name),
            Some(help.to_owned()),
        );
    }
}

fn case(node: &Node, names: &Names, m: &mut Mistakes) -> Option<Layer> {
    let mut section = Section::open(node, m)?;
    let when = section
        .require("when", m)
        .map(|node| conditions(node, names, m))
        .unwrap_or_default();
    let available = section.read("available", m, section::boolean);
    let layer = layer(&mut section, names, m);
    section.finish(m);
    Some(Layer {
        when,
        available,
        ..layer
    })
}

fn conditions(node: &Node, names: &Names, m: &mut Mistakes) -> Vec<Condition> {
    let found = entries(node, m);
    if found.is_empty() {
        m.add(
            &node.span,
            "a case needs a condition",
            Some("write `when = { option = \"value\" }`".to_owned()),
        );
    }
    found
        .iter()
        .filter_map(|(key, node)| condition(key, node, names, m))
        .collect()
}

fn condition(key: &Key, node: &Node, names: &Names, m: &mut Mistakes) -> Option<Condition> {
    let values = section::strings(node, m)?;
    let with_choices: Vec<&str> = names
        .options
        .iter()
        .filter(|option| !option.choices.is_empty())
        .map(|option| option.name.as_str())
        .collect();
    let Some(option) = names
        .option(&key.name)
        .filter(|option| !option.choices.is_empty())
    else {
        let message = format!("`{}` is not an option with choices", key.name);
        m.add(
            &key.span,
            message,
            Some(choose_from(&key.name, &with_choices)),
        );
        return None;
    };
    for (value, node) in values.iter().zip(one_or_many(node)) {
        if !option.choices.contains(value) {
            let choices: Vec<&str> = option.choices.iter().map(String::as_str).collect();
            m.add(
                &node.span,
                format!("option `{}` cannot be `{value}`", key.name),
                Some(choose_from(value, &choices)),
            );
        }
    }
    Some(Condition {
        option: key.name.clone(),
        values,
    })
}

fn layer(section: &mut Section<'_>, names: &Names, m: &mut Mistakes) -> Layer {
    let method = section
        .read("method", m, |node, m| section::word(node, METHODS, m))
        .cloned();
    let path = section.read("path", m, |node, m| path(node, names, m));
    let auth_node = section.take("auth");
    let headers = section
        .take("headers")
        .map(|node| headers(node, auth_node.is_some(), names, m));
    Layer {
        when: Vec::new(),
        available: None,
        method,
        path,
        query: section
            .take("query")
            .map(|node| named(node, names, m))
            .unwrap_or_default(),
        headers: headers.unwrap_or_default(),
        cookies: section
            .take("cookies")
            .map(|node| cookies(node, names, m))
            .unwrap_or_default(),
        auth: auth_node.and_then(|node| auth(node, names, m)),
        body: section.read("body", m, |node, m| body(node, names, m)),
    }
}

/// A path below `base_url`, or a whole https URL for a provider whose endpoints are on several hosts.
fn path(node: &Node, names: &Names, m: &mut Mistakes) -> Option<Template> {
    let template = Template::read(node, names, m)?;
    let help = "a path begins with `/`; query parameters go into `query`";
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
    let optional = template.slots().any(|(_, optional)| optional);
    let problem = problem.or_else(|| optional.then_some("has a placeholder that may be absent"));
    if let Some(problem) = problem {
        m.add(
            &node.span,
            format!("this path {problem}"),
            Some(help.to_owned()),
        );
    }
    Some(template)
}

/// The host must be written out: no value of an account may choose where a credential goes.
fn whole_url(text: &str) -> Option<&'static str> {
    let after = text.strip_prefix("https://")?;
    if !after.contains('/') {
        return Some("does not name the whole host before its first placeholder");
    }
    // Both readers a request will meet have to find the same in it: one of them takes `https:///host/` for a URL, the other does not.
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

fn named(node: &Node, names: &Names, m: &mut Mistakes) -> Vec<(String, Template)> {
    let read = |(key, node): &(Key, Node), m: &mut Mistakes| {
        Some((key.name.clone(), Template::read(node, names, m)?))
    };
    entries(node, m)
        .iter()
        .filter_map(|entry| read(entry, m))
        .collect()
}

fn cookies(node: &Node, names: &Names, m: &mut Mistakes) -> Vec<(String, Template)> {
    for (key, _) in entries(node, m) {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if key.name.is_empty() || !key.name.bytes().all(token) {
            m.add(
                &key.span,
                format!("`{}` is not a cookie name", key.name),
                None,
            );
        }
    }
    named(node, names, m)
}

fn headers(
    node: &Node,
    has_auth: bool,
    names: &Names,
    m: &mut Mistakes,
) -> Vec<(HeaderName, Template)> {
    let own = [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
    ];
    let mut found = Vec::new();
    for (key, node) in entries(node, m) {
        let name = Node {
            span: key.span.clone(),
            value: Value::String(key.name.clone()),
        };
        let (Some(name), Some(value)) = (header_name(&name, m), Template::read(node, names, m))
        else {
            continue;
        };
        if own.contains(&name) {
            m.add(
                &key.span,
                format!("`{}` is set by HTTP itself", key.name),
                None,
            );
        }
        if name == header::COOKIE {
            m.add(&key.span, "write cookies into `cookies`", None);
        }
        if name == header::AUTHORIZATION && has_auth {
            m.add(
                &key.span,
                "`auth` sets this header already",
                Some("keep one of the two".to_owned()),
            );
        }
        if value
            .literals()
            .any(|text| !text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()))
        {
            m.add(
                &node.span,
                "a header has only printable ASCII characters",
                None,
            );
        }
        found.push((name, value));
    }
    found
}

fn auth(node: &Node, names: &Names, m: &mut Mistakes) -> Option<Auth> {
    if matches!(&node.value, Value::String(_)) {
        return section::word(node, &[("none", ())], m).map(|()| Auth::None);
    }
    let mut section = Section::open(node, m)?;
    let scheme = section
        .require("scheme", m)
        .and_then(|node| section::word(node, SCHEMES, m))?;
    let template = |section: &mut Section<'_>, key, m: &mut Mistakes| {
        section
            .require(key, m)
            .and_then(|node| Template::read(node, names, m))
            .unwrap_or_default()
    };
    let auth = match scheme {
        Scheme::None => Auth::None,
        Scheme::Basic => {
            let username = template(&mut section, "username", m);
            let password = template(&mut section, "password", m);
            let encoding = section
                .require("encoding", m)
                .and_then(|node| section::word(node, ENCODINGS, m));
            Auth::Basic {
                username,
                password,
                encoding: encoding.unwrap_or(BasicEncoding::Raw),
            }
        }
        Scheme::Bearer => Auth::Bearer(template(&mut section, "token", m)),
        Scheme::Custom => Auth::Custom(template(&mut section, "value", m)),
    };
    section.finish(m);
    Some(auth)
}
