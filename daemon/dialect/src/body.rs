//! Request bodies: form, JSON of any shape, or none.
//!
//! Owns encoding. Values are always escaped by the encoder of their format, never pasted into text.

use std::mem::discriminant;

use bytes::Bytes;
use serde_json::{Map, Number, Value};
use zeroize::Zeroizing;

use crate::{
    fields::RequestError,
    names::Placeholder,
    overlay::{effective, overlay},
    template::{Place, Template, Values},
};

/// A body as a dialect describes it.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    None,
    /// Names are templates too: an option may set the name of a key.
    Form(Vec<(Template, Template)>),
    Json(Json),
}

/// JSON with templates in place of strings and keys.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    Null,
    Boolean(bool),
    Number(Number),
    Text(Template),
    Array(Vec<Self>),
    Object(Vec<(Template, Self)>),
}

/// A body ready to be sent.
#[derive(Default)]
pub(crate) struct FilledBody {
    /// The media type, without a charset: the definitions of both formats fix it.
    pub(crate) media: Option<&'static str>,
    pub(crate) bytes: Bytes,
}

impl Body {
    /// Fills the body in the format of the last layer; earlier bodies of the same format supply the names that it does not set itself.
    pub(crate) fn fill(bodies: &[&Self], values: Values<'_>) -> Result<FilledBody, RequestError> {
        let Some(last) = bodies.last() else {
            return Ok(FilledBody::default());
        };
        let is_other = |body: &&Self| discriminant(*body) != discriminant(*last);
        let bodies = bodies.rsplit(is_other).next().unwrap_or_default();
        match last {
            Self::None => Ok(FilledBody::default()),
            Self::Form(_) => form(bodies, values),
            Self::Json(_) => json(bodies, values),
        }
    }

    pub(crate) fn placeholders(&self) -> Vec<&Placeholder> {
        match self {
            Self::None => Vec::new(),
            Self::Form(entries) => entries
                .iter()
                .flat_map(|(name, value)| name.placeholders().chain(value.placeholders()))
                .collect(),
            Self::Json(json) => json.placeholders(),
        }
    }
}

fn form(bodies: &[&Body], values: Values<'_>) -> Result<FilledBody, RequestError> {
    let entries = bodies.iter().flat_map(|body| match body {
        Body::Form(entries) => &**entries,
        Body::None | Body::Json(_) => &[],
    });
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in effective(entries) {
        if let (Some(name), Some(value)) = (
            name.fill(values, Place::Encoded)?,
            value.fill(values, Place::Encoded)?,
        ) {
            form.append_pair(&name.text, &value.text);
        }
    }
    let form = Zeroizing::new(form.finish());
    Ok(FilledBody {
        media: Some("application/x-www-form-urlencoded"),
        bytes: Bytes::copy_from_slice(form.as_bytes()),
    })
}

fn json(bodies: &[&Body], values: Values<'_>) -> Result<FilledBody, RequestError> {
    let mut filled = Value::Null;
    for body in bodies {
        let Body::Json(json) = body else { continue };
        match json.fill(values)? {
            Some(own) => overlay(&mut filled, own),
            // The body itself stays, even when nothing in it has a value.
            None if filled.is_null() && matches!(json, Json::Object(_)) => {
                filled = Value::Object(Map::new());
            }
            None => {}
        }
    }
    Ok(FilledBody {
        media: Some("application/json"),
        bytes: filled.to_string().into(),
    })
}

impl Json {
    /// `None` if the whole value is left out because an optional field is missing.
    fn fill(&self, values: Values<'_>) -> Result<Option<Value>, RequestError> {
        Ok(Some(match self {
            Self::Null => Value::Null,
            Self::Boolean(flag) => Value::Bool(*flag),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(template) => match template.fill(values, Place::Encoded)? {
                Some(filled) => Value::String(filled.text.to_string()),
                None => return Ok(None),
            },
            Self::Array(items) => {
                let items: Result<Vec<Option<Value>>, RequestError> =
                    items.iter().map(|item| item.fill(values)).collect();
                Value::Array(items?.into_iter().flatten().collect())
            }
            Self::Object(members) => {
                let mut map = Map::new();
                for (name, member) in members {
                    if let (Some(name), Some(value)) =
                        (name.fill(values, Place::Encoded)?, member.fill(values)?)
                    {
                        map.insert(name.text.to_string(), value);
                    }
                }
                // An object that lost all its members is left out too; one that is written empty is intended.
                if map.is_empty() && !members.is_empty() {
                    return Ok(None);
                }
                Value::Object(map)
            }
        }))
    }

    fn placeholders(&self) -> Vec<&Placeholder> {
        match self {
            Self::Null | Self::Boolean(_) | Self::Number(_) => Vec::new(),
            Self::Text(template) => template.placeholders().collect(),
            Self::Array(items) => items.iter().flat_map(Self::placeholders).collect(),
            Self::Object(members) => members
                .iter()
                .flat_map(|(name, member)| name.placeholders().chain(member.placeholders()))
                .collect(),
        }
    }
}
