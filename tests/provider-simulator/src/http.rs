//! The strict reading of requests and the writing of answers, shared by all five APIs.
//!
//! Must never know an account or a token's state.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use serde::Serialize;

/// A request whose body was read.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Without a provider prefix and without the query.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// An answer before any fault is applied.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

/// Why a form could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Another content type or none.
    ContentType,
    /// Not UTF-8, not JSON, not an object.
    Syntax,
    /// This field is missing or empty.
    Missing(&'static str),
    /// This field is not known here, or came twice.
    Extra(String),
    /// This field has a value that is not allowed.
    Value(&'static str),
    /// There is a body where none is allowed.
    Body,
}

impl Answer {
    pub(super) fn json(status: u16, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).unwrap_or_default();
        Self::raw(status, "application/json", body)
    }

    pub(super) fn raw(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![(header::CONTENT_TYPE.to_string(), content_type.to_owned())];
        Self {
            status,
            headers,
            body: body.into(),
        }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl Request {
    /// The fields of a form body; every field must be in `known`, none may come twice.
    pub(super) fn form(&self, known: &[&str]) -> Result<Form, Unfit> {
        if !self.has_type("application/x-www-form-urlencoded") {
            return Err(Unfit::ContentType);
        }
        // `+` and `%` of a value that was not encoded decode to something else; invalid bytes do not decode at all.
        std::str::from_utf8(&self.body).map_err(|_| Unfit::Syntax)?;
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(&self.body) {
            let again = fields.iter().any(|(other, _)| *other == name);
            if again || !(known.is_empty() || known.contains(&name.as_ref())) {
                return Err(Unfit::Extra(name.into_owned()));
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Ok(Form(fields))
    }

    /// The one string under `key` of a JSON object that has no other key.
    pub(super) fn json_string(&self, key: &str) -> Result<String, Unfit> {
        if !self.has_type("application/json") {
            return Err(Unfit::ContentType);
        }
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&self.body).map_err(|_| Unfit::Syntax)?;
        if let Some(extra) = object.keys().find(|name| *name != key) {
            return Err(Unfit::Extra(extra.clone()));
        }
        match object.get(key) {
            None => Err(Unfit::Missing("token")),
            Some(serde_json::Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            Some(_) => Err(Unfit::Value("token")),
        }
    }

    /// Refuses a body.
    pub(super) fn no_body(&self) -> Result<(), Unfit> {
        if self.body.is_empty() {
            Ok(())
        } else {
            Err(Unfit::Body)
        }
    }

    /// The credentials of a Basic header, split at the first colon (RFC 7617).
    pub(super) fn basic(&self) -> Option<(String, String)> {
        let bytes = BASE64_STANDARD.decode(self.authorization("basic")?).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (name, secret) = text.split_once(':')?;
        Some((name.to_owned(), secret.to_owned()))
    }

    /// The token of a Bearer header.
    pub(super) fn bearer(&self) -> Option<String> {
        self.authorization("bearer").map(str::to_owned)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn authorization(&self, scheme: &str) -> Option<&str> {
        let mut all = self.headers.get_all(header::AUTHORIZATION).iter();
        let value = all.next()?.to_str().ok()?;
        let (word, rest) = value.split_once(' ')?;
        (all.next().is_none() && word.eq_ignore_ascii_case(scheme)).then_some(rest.trim())
    }

    fn has_type(&self, wanted: &str) -> bool {
        self.header("content-type")
            .and_then(|value| value.split(';').next())
            .is_some_and(|value| value.trim().eq_ignore_ascii_case(wanted))
    }
}

/// Fields of a form.
#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// A field that may be absent.
    pub(super) fn optional(&self, name: &str) -> Option<String> {
        let (_, value) = self.0.iter().find(|(field, _)| field == name)?;
        Some(value.clone())
    }

    /// A field that must be there and not empty.
    pub(super) fn required(&self, name: &'static str) -> Result<String, Unfit> {
        self.optional(name)
            .filter(|value| !value.is_empty())
            .ok_or(Unfit::Missing(name))
    }

    /// `grant_type` must be `wanted`; it must be absent if `wanted` is `None`.
    pub(super) fn grant_type(&self, wanted: Option<&str>) -> Result<(), Unfit> {
        match (self.optional("grant_type"), wanted) {
            (None, None) => Ok(()),
            (Some(_), None) => Err(Unfit::Extra("grant_type".to_owned())),
            (None, Some(_)) => Err(Unfit::Missing("grant_type")),
            (Some(found), Some(wanted)) if found == wanted => Ok(()),
            (Some(_), Some(_)) => Err(Unfit::Value("grant_type")),
        }
    }
}
