//! Short ways to build what the tests need; nothing here decides whether a test passes.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that cannot help ends its test"
)]

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response};
use secrecy::ExposeSecret;
use tokend_dialect::{
    Catalog, Dialect, DialectError, Endpoint, EndpointSettings, ExchangeKind, Fields, Grant,
    ProviderMessage, ProviderReply, parse,
};
use tokend_document::{Medium, report};

pub(crate) const BASE: &str = "https://api.example.com";
/// `Date` of a reply, and the same in Unix seconds.
pub(crate) const DATE: &str = "Sat, 21 Nov 2026 12:00:00 GMT";
pub(crate) const DATE_UNIX: u64 = 1_795_262_400;

pub(crate) fn builtin(name: &str) -> Arc<Dialect> {
    Arc::clone(Catalog::builtin().find(name).unwrap())
}

/// Compiles a dialect; the summary every dialect needs is put in front.
pub(crate) fn dialect(text: &str) -> Dialect {
    try_dialect(text).unwrap_or_else(|error| panic!("{}", shown(&error)))
}

pub(crate) fn try_dialect(text: &str) -> Result<Dialect, DialectError> {
    parse(
        "test.toml",
        &format!("summary = \"a test\"\n{text}"),
        &Catalog::builtin(),
    )
}

/// What a person is shown of a dialect that cannot be used.
pub(crate) fn shown(error: &DialectError) -> String {
    report(error.diagnostics(), Medium::Plain)
}

pub(crate) fn settings() -> EndpointSettings {
    EndpointSettings {
        base_url: BASE.to_owned(),
        ..EndpointSettings::default()
    }
}

pub(crate) fn endpoint(dialect: &Dialect) -> Endpoint {
    Endpoint::new(dialect, &settings()).unwrap()
}

pub(crate) fn with_options(dialect: &Dialect, options: &[(&str, &str)]) -> Endpoint {
    let options = options
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Endpoint::new(
        dialect,
        &EndpointSettings {
            options,
            ..settings()
        },
    )
    .unwrap()
}

/// Fields with the given values; those that are secrets are set as such.
pub(crate) fn fields(values: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in values {
        if matches!(*name, "username" | "client_id" | "scope") {
            fields.set(*name, *value);
        } else {
            fields.set_secret(*name, (*value).to_owned().into());
        }
    }
    fields
}

pub(crate) fn body(request: &Request<Bytes>) -> &str {
    std::str::from_utf8(request.body()).unwrap()
}

pub(crate) fn header<'a>(request: &'a Request<Bytes>, name: &str) -> Option<&'a str> {
    request
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

pub(crate) fn response(
    status: u16,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body.into()).unwrap()
}

/// What a dialect makes of a reply with this status and body.
pub(crate) fn read(
    dialect: &Dialect,
    kind: ExchangeKind,
    status: u16,
    body: &str,
) -> ProviderReply {
    dialect.read_reply(
        kind,
        &response(status, &[], body.to_owned()),
        &Fields::new(),
    )
}

pub(crate) fn granted(reply: ProviderReply) -> Grant {
    match reply {
        ProviderReply::Granted(grant) => grant,
        other => panic!("expected a grant, got {other:?}"),
    }
}

/// A grant out of a 200 reply.
pub(crate) fn grant(dialect: &Dialect, kind: ExchangeKind, body: &str) -> Grant {
    granted(read(dialect, kind, 200, body))
}

pub(crate) fn message(reply: &ProviderReply) -> &ProviderMessage {
    reply
        .provider_message()
        .unwrap_or_else(|| panic!("expected a failure, got {reply:?}"))
}

pub(crate) fn access(grant: &Grant) -> &str {
    grant.access_token.expose_secret()
}

pub(crate) fn refresh(grant: &Grant) -> Option<&str> {
    grant
        .refresh_token
        .as_ref()
        .map(|token| token.expose_secret())
}

pub(crate) fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

/// An unsigned JWT with this payload.
pub(crate) fn jwt(payload: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!(
        "{}.{}.c2lnbmF0dXJl",
        part(r#"{"alg":"none"}"#),
        part(payload)
    )
}

/// A form body as pairs, in order.
pub(crate) fn form(request: &Request<Bytes>) -> Vec<(String, String)> {
    form_urlencoded::parse(request.body())
        .into_owned()
        .collect()
}

pub(crate) fn secret(token: &secrecy::SecretString) -> &str {
    token.expose_secret()
}
