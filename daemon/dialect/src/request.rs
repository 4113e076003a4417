//! The request of a login or refresh: the plan a dialect compiles to, and filling it in for one account.
//!
//! Owns method, URL, headers, cookies, authentication and body. It must never follow, retry or send anything, and it marks
//! every header that holds a secret as sensitive.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use zeroize::Zeroizing;

use crate::{
    body::{Body, FilledBody},
    endpoint::Endpoint,
    fields::{ExchangeKind, RequestError},
    names::{Names, Placeholder, ValueKind},
    overlay::effective,
    template::{Beginning, Filled, Place, Template, Values},
};

/// One request of a dialect: layers, each under a condition on options. Later layers override earlier ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestPlan {
    pub(crate) layers: Vec<Layer>,
    /// Named alternatives for the path.
    pub(crate) endpoints: Vec<(String, Template)>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    pub(crate) when: Vec<Condition>,
    pub(crate) available: Option<bool>,
    pub(crate) method: Option<Method>,
    pub(crate) path: Option<Template>,
    pub(crate) query: Vec<(String, Template)>,
    pub(crate) headers: Vec<(HeaderName, Template)>,
    pub(crate) cookies: Vec<(String, Template)>,
    pub(crate) auth: Option<Auth>,
    pub(crate) body: Option<Body>,
}

/// An option that must have one of some values.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) option: String,
    pub(crate) values: Vec<String>,
}

/// The content of the `Authorization` header.
#[derive(Clone, Debug)]
pub(crate) enum Auth {
    None,
    Basic {
        username: Template,
        password: Template,
        encoding: BasicEncoding,
    },
    Bearer(Template),
    /// The whole header value.
    Custom(Template),
}

/// How user name and password are written before base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BasicEncoding {
    /// As they are, in UTF-8: RFC 7617.
    Raw,
    /// Form-encoded each: RFC 6749 section 2.3.1.
    Form,
}

impl Layer {
    fn applies(&self, names: &Names, endpoint: &Endpoint) -> bool {
        self.when.iter().all(|condition| {
            let value = endpoint
                .option(names, &condition.option)
                .unwrap_or_default();
            condition.values.iter().any(|wanted| wanted == value)
        })
    }

    /// Whether it has a placeholder for this field.
    pub(crate) fn uses(&self, field: &str) -> bool {
        let mut placeholders = self.placeholders().into_iter();
        placeholders.any(|it| it.value == ValueKind::Field && it.name == field)
    }

    /// Every placeholder, with whether it may be absent.
    pub(crate) fn placeholders(&self) -> Vec<&Placeholder> {
        let auth: &[&Template] = match &self.auth {
            Some(Auth::Basic {
                username, password, ..
            }) => &[username, password],
            Some(Auth::Bearer(value) | Auth::Custom(value)) => &[value],
            Some(Auth::None) | None => &[],
        };
        let query_and_cookies = self.query.iter().chain(&self.cookies);
        let templates = (self.path.iter())
            .chain(query_and_cookies.map(|(_, value)| value))
            .chain(self.headers.iter().map(|(_, value)| value))
            .chain(auth.iter().copied());
        let body = self.body.iter().flat_map(Body::placeholders);
        templates
            .flat_map(Template::placeholders)
            .chain(body)
            .collect()
    }
}

impl RequestPlan {
    /// The layers that apply with an account's options.
    pub(crate) fn active<'a>(
        &'a self,
        names: &'a Names,
        endpoint: &'a Endpoint,
    ) -> impl Iterator<Item = &'a Layer> {
        self.layers
            .iter()
            .filter(move |layer| layer.applies(names, endpoint))
    }

    /// Whether the request exists with an account's options.
    pub(crate) fn available(&self, names: &Names, endpoint: &Endpoint) -> bool {
        self.active(names, endpoint)
            .filter_map(|layer| layer.available)
            .last()
            .unwrap_or(true)
    }

    /// The whole URL at the start of the request, as far as it has no placeholders; `None` if the request goes below `base_url`.
    pub(crate) fn whole_url<'a>(
        &'a self,
        kind: ExchangeKind,
        names: &'a Names,
        endpoint: &'a Endpoint,
    ) -> Option<&'a str> {
        if endpoint.own_path(kind).is_some() {
            return None;
        }
        let layers: Vec<&Layer> = self.active(names, endpoint).collect();
        self.path(&layers, endpoint).and_then(whole)
    }

    /// The path of the endpoint's name, else that of the last layer with one.
    fn path<'a>(&'a self, layers: &[&'a Layer], endpoint: &Endpoint) -> Option<&'a Template> {
        let named = endpoint.named.as_deref();
        let named = named.and_then(|name| self.endpoints.iter().find(|(known, _)| known == name));
        let last = || layers.iter().rev().find_map(|layer| layer.path.as_ref());
        named.map(|(_, path)| path).or_else(last)
    }

    /// The first whole URL among its paths, if all of them are whole.
    pub(crate) fn only_whole_urls(&self) -> Option<&str> {
        let own = self.layers.iter().filter_map(|layer| layer.path.as_ref());
        let mut paths = own.chain(self.endpoints.iter().map(|(_, path)| path));
        let first = whole(paths.next()?)?;
        paths.all(|path| whole(path).is_some()).then_some(first)
    }

    /// Writes the request with an account's values.
    pub(crate) fn build(&self, values: Values<'_>) -> Result<Request<Bytes>, RequestError> {
        let layers: Vec<&Layer> = self.active(values.names, values.endpoint).collect();
        let method = layers
            .iter()
            .rev()
            .find_map(|layer| layer.method.clone())
            .unwrap_or(Method::POST);
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let body = body(&layers, values)?;
        if let Some(media) = body.media {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        } else if method != Method::GET {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        authorize(&layers, values, &mut headers)?;
        for (name, template) in layers.iter().flat_map(|layer| &layer.headers) {
            if let Some(filled) = template.fill(values, Place::Header)? {
                headers.insert(name, header_value(&filled, values.kind)?);
            }
        }
        if let Some(cookies) = cookies(&layers, values)? {
            headers.insert(header::COOKIE, header_value(&cookies, values.kind)?);
        }
        let uri = self.uri(&layers, values)?;
        let mut request = Request::new(body.bytes);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn uri(&self, layers: &[&Layer], values: Values<'_>) -> Result<Uri, RequestError> {
        let own_path = values.endpoint.own_path(values.kind);
        let invalid = |reason, key| RequestError::Invalid {
            kind: values.kind,
            reason,
            key,
        };
        let path = match (own_path, self.path(layers, values.endpoint)) {
            (Some(own), _) => Zeroizing::new(own.to_owned()),
            (None, Some(template)) => template.fill(values, Place::Path)?.unwrap_or_default().text,
            (None, None) => return Err(invalid("there is no path", "login_path")),
        };
        let base = match path.starts_with("https://") {
            true => "",
            false => values.endpoint.base_url(),
        };
        let mut uri = Zeroizing::new(format!("{base}{}", path.as_str()));
        if let Some(query) = query(layers, values)? {
            uri.push('?');
            uri.push_str(&query);
        }
        Uri::try_from(uri.as_str())
            .map_err(|_| invalid("its URL is not valid or too long", "base_url"))
    }
}

fn whole(path: &Template) -> Option<&str> {
    match path.beginning() {
        Beginning::Text(text) if text.starts_with("https://") => Some(text),
        _ => None,
    }
}

fn query(layers: &[&Layer], values: Values<'_>) -> Result<Option<Zeroizing<String>>, RequestError> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let mut any = false;
    for (name, template) in effective(layers.iter().flat_map(|layer| &layer.query)) {
        if let Some(value) = template.fill(values, Place::Encoded)? {
            query.append_pair(name, &value.text);
            any = true;
        }
    }
    Ok(any.then(|| Zeroizing::new(query.finish())))
}

fn cookies(layers: &[&Layer], values: Values<'_>) -> Result<Option<Filled>, RequestError> {
    let mut line = Filled::default();
    for (name, template) in effective(layers.iter().flat_map(|layer| &layer.cookies)) {
        if let Some(value) = template.fill(values, Place::Cookie)? {
            if !line.text.is_empty() {
                line.text.push_str("; ");
            }
            line.text.push_str(name);
            line.text.push('=');
            line.text.push_str(&value.text);
            line.secret |= value.secret;
        }
    }
    Ok((!line.text.is_empty()).then_some(line))
}

fn body(layers: &[&Layer], values: Values<'_>) -> Result<FilledBody, RequestError> {
    let bodies = layers.iter().filter_map(|layer| layer.body.as_ref());
    Body::fill(&bodies.collect::<Vec<_>>(), values)
}

fn authorize(
    layers: &[&Layer],
    values: Values<'_>,
    headers: &mut HeaderMap,
) -> Result<(), RequestError> {
    let auth = layers.iter().rev().find_map(|layer| layer.auth.as_ref());
    let filled = match auth {
        Some(Auth::Basic {
            username,
            password,
            encoding,
        }) => basic(username, password, *encoding, values)?,
        Some(Auth::Bearer(token)) => token.fill(values, Place::Header)?.map(|mut token| {
            token.text.insert_str(0, "Bearer ");
            token
        }),
        Some(Auth::Custom(value)) => value.fill(values, Place::Header)?,
        Some(Auth::None) | None => None,
    };
    if let Some(mut filled) = filled {
        filled.secret = true;
        headers.insert(header::AUTHORIZATION, header_value(&filled, values.kind)?);
    }
    Ok(())
}

/// If an optional user name is absent, the header is left out; an optional absent password is empty.
fn basic(
    username: &Template,
    password: &Template,
    encoding: BasicEncoding,
    values: Values<'_>,
) -> Result<Option<Filled>, RequestError> {
    let (user_place, password_place) = match encoding {
        BasicEncoding::Raw => (Place::BasicUser, Place::BasicPassword),
        BasicEncoding::Form => (Place::Encoded, Place::Encoded),
    };
    let Some(username) = username.fill(values, user_place)? else {
        return Ok(None);
    };
    let password = password.fill(values, password_place)?.unwrap_or_default();
    let encode = |text: &str| match encoding {
        BasicEncoding::Raw => Zeroizing::new(text.to_owned()),
        BasicEncoding::Form => {
            Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect())
        }
    };
    let (username, password) = (encode(&username.text), encode(&password.text));
    let pair = Zeroizing::new(format!("{}:{}", *username, *password));
    // One line whatever the length: GNU base64 would wrap at 76 characters and break the header.
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    Ok(Some(Filled { text, secret: true }))
}

fn header_value(filled: &Filled, kind: ExchangeKind) -> Result<HeaderValue, RequestError> {
    let mut value = HeaderValue::from_str(&filled.text).map_err(|_| RequestError::Invalid {
        kind,
        reason: "a header value is not valid",
        key: "options",
    })?;
    value.set_sensitive(filled.secret);
    Ok(value)
}
