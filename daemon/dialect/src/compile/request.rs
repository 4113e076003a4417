//! Reads the request half of `login` and `refresh`.
//!
//! Owns which parts a request can have and which of them exclude each other. A dialect cannot set what HTTP itself sets.

use http::{HeaderName, Method, Uri, header};
use url::Url;

use super::{
    body::read as body,
    reply::header_name,
    words::{entries, is_word},
};
use tokend_document::{Content, Diagnostics, Key, Section, Value, choose_from};

use crate::{
    body::Body,
    endpoint::{check_path, check_path_text},
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
    let base = layer(section, names, diagnostics);
    let mut endpoints = Vec::new();
    if let Some(node) = section.take("endpoints") {
        for (key, node) in entries(node, diagnostics) {
            check_word(key, diagnostics);
            if let Some(path) = path(node, names, diagnostics) {
                endpoints.push((key.name.to_string(), path));
            }
        }
    }
    let mut layers = vec![base];
    if let Some(cases) = section.read("cases", diagnostics, Value::array) {
        layers.extend(cases.filter_map(|node| case(node, names, diagnostics)));
    }
    if layers.iter().all(|layer| layer.path.is_none())
        && endpoints.is_empty()
        && diagnostics.is_empty()
    {
        section.note(
            diagnostics,
            "`path` is missing",
            "add `path`: where the request goes below `base_url`, such as \"/token\"".to_owned(),
        );
    }
    let get = layers.iter().any(|layer| layer.method == Some(Method::GET));
    if get
        && layers
            .iter()
            .any(|layer| matches!(layer.body, Some(Body::Form(_) | Body::Json(_))))
    {
        section.note(
            diagnostics,
            "a request with method GET cannot have a body",
            None,
        );
    }
    RequestPlan { layers, endpoints }
}

fn check_word(key: &Key<'_>, diagnostics: &mut Diagnostics) {
    if !is_word(&key.name, true) {
        let help = "a name begins with a small letter and has small letters, digits, `_` and `-`, at most 40";
        key.note(
            diagnostics,
            format!("`{}` is no name", key.name),
            Some(help.to_owned()),
        );
    }
}

fn case(node: Value<'_>, names: &Names, diagnostics: &mut Diagnostics) -> Option<Layer> {
    let mut section = node.section(diagnostics)?;
    let when = section
        .require(
            "when",
            "the options it is for, such as `when = { grant = \"password\" }`",
            diagnostics,
        )
        .map(|node| conditions(node, names, diagnostics))
        .unwrap_or_default();
    let available = section.read("available", diagnostics, Value::boolean);
    let layer = layer(&mut section, names, diagnostics);
    section.finish(diagnostics);
    Some(Layer {
        when,
        available,
        ..layer
    })
}

fn conditions(node: Value<'_>, names: &Names, diagnostics: &mut Diagnostics) -> Vec<Condition> {
    let found = entries(node, diagnostics);
    if found.is_empty() {
        node.note(
            diagnostics,
            "a case needs a condition",
            Some("write `when = { option = \"value\" }`".to_owned()),
        );
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
        key.note(
            diagnostics,
            message,
            Some(choose_from(&key.name, &with_choices)),
        );
        return None;
    };
    for (value, node) in values.iter().zip(node.one_or_many()) {
        if !option.choices.contains(value) {
            let choices: Vec<&str> = option.choices.iter().map(String::as_str).collect();
            node.note(
                diagnostics,
                format!("option `{}` cannot be `{value}`", key.name),
                Some(choose_from(value, &choices)),
            );
        }
    }
    Some(Condition {
        option: key.name.to_string(),
        values,
    })
}

fn layer(section: &mut Section<'_>, names: &Names, diagnostics: &mut Diagnostics) -> Layer {
    let method = section
        .read("method", diagnostics, |node, diagnostics| {
            node.word(METHODS, diagnostics)
        })
        .cloned();
    let path = section.read("path", diagnostics, |node, diagnostics| {
        path(node, names, diagnostics)
    });
    let auth_node = section.take("auth");
    let headers = section
        .take("headers")
        .map(|node| headers(node, auth_node.is_some(), names, diagnostics));
    Layer {
        when: Vec::new(),
        available: None,
        method,
        path,
        query: section
            .take("query")
            .map(|node| named(node, names, diagnostics))
            .unwrap_or_default(),
        headers: headers.unwrap_or_default(),
        cookies: section
            .take("cookies")
            .map(|node| cookies(node, names, diagnostics))
            .unwrap_or_default(),
        auth: auth_node.and_then(|node| auth(node, names, diagnostics)),
        body: section.read("body", diagnostics, |node, diagnostics| {
            body(node, names, diagnostics)
        }),
    }
}

/// A path below `base_url`, or a whole https URL for a provider whose endpoints are on several hosts.
fn path(node: Value<'_>, names: &Names, diagnostics: &mut Diagnostics) -> Option<Template> {
    let template = Template::read(node, names, diagnostics)?;
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
    let optional = template.placeholders().any(|(_, optional)| optional);
    let problem = problem.or_else(|| optional.then_some("has a placeholder that may be absent"));
    if let Some(problem) = problem {
        node.note(
            diagnostics,
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

fn named(node: Value<'_>, names: &Names, diagnostics: &mut Diagnostics) -> Vec<(String, Template)> {
    let read = |(key, node): (&Key<'_>, Value<'_>), diagnostics: &mut Diagnostics| {
        Some((
            key.name.to_string(),
            Template::read(node, names, diagnostics)?,
        ))
    };
    entries(node, diagnostics)
        .into_iter()
        .filter_map(|entry| read(entry, diagnostics))
        .collect()
}

fn cookies(
    node: Value<'_>,
    names: &Names,
    diagnostics: &mut Diagnostics,
) -> Vec<(String, Template)> {
    for (key, _) in entries(node, diagnostics) {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if key.name.is_empty() || !key.name.bytes().all(token) {
            key.note(
                diagnostics,
                format!("`{}` is not a cookie name", key.name),
                None,
            );
        }
    }
    named(node, names, diagnostics)
}

fn headers(
    node: Value<'_>,
    has_auth: bool,
    names: &Names,
    diagnostics: &mut Diagnostics,
) -> Vec<(HeaderName, Template)> {
    let own = [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
    ];
    let mut found = Vec::new();
    for (key, node) in entries(node, diagnostics) {
        let name = key.to_node();
        let (Some(name), Some(value)) = (
            header_name(Value::from(&name), diagnostics),
            Template::read(node, names, diagnostics),
        ) else {
            continue;
        };
        if own.contains(&name) {
            key.note(
                diagnostics,
                format!("`{}` is set by HTTP itself", key.name),
                None,
            );
        }
        if name == header::COOKIE {
            key.note(diagnostics, "write cookies into `cookies`", None);
        }
        if name == header::AUTHORIZATION && has_auth {
            key.note(
                diagnostics,
                "`auth` sets this header already",
                Some("keep one of the two".to_owned()),
            );
        }
        if value
            .literals()
            .any(|text| !text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()))
        {
            node.note(
                diagnostics,
                "a header has only printable ASCII characters",
                None,
            );
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
    let template = |section: &mut Section<'_>, key, what, diagnostics: &mut Diagnostics| {
        section
            .require(key, what, diagnostics)
            .and_then(|node| Template::read(node, names, diagnostics))
            .unwrap_or_default()
    };
    let auth = match scheme {
        Scheme::None => Auth::None,
        Scheme::Basic => {
            let username = template(
                &mut section,
                "username",
                "the user name, such as \"{client_id}\"",
                diagnostics,
            );
            let password = template(
                &mut section,
                "password",
                "the password, such as \"{client_secret}\"",
                diagnostics,
            );
            let encoding = section
                .require(
                    "encoding",
                    "`raw`, or `form` for the escapes of RFC 6749",
                    diagnostics,
                )
                .and_then(|node| node.word(ENCODINGS, diagnostics));
            Auth::Basic {
                username,
                password,
                encoding: encoding.unwrap_or(BasicEncoding::Raw),
            }
        }
        Scheme::Bearer => Auth::Bearer(template(
            &mut section,
            "token",
            "the token, such as \"{password}\"",
            diagnostics,
        )),
        Scheme::Custom => Auth::Custom(template(
            &mut section,
            "value",
            "what the header says, such as \"Key {password}\"",
            diagnostics,
        )),
    };
    section.finish(diagnostics);
    Some(auth)
}
