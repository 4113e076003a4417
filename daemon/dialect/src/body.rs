//! Request bodies: form, JSON of any shape, or none.
//!
//! Owns encoding. Values are always escaped by the encoder of their format, never pasted into text.

use bytes::Bytes;
use serde_json::{Map, Number, Value};
use zeroize::Zeroizing;

use crate::{
    fields::RequestError,
    names::Placeholder,
    overlay::overlay,
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
pub(crate) enum FilledBody {
    None,
    Form(Zeroizing<String>),
    Json(Vec<u8>),
}

impl FilledBody {
    /// The media type, without a charset: the definitions of both formats fix it.
    pub(crate) fn media(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Form(_) => Some("application/x-www-form-urlencoded"),
            Self::Json(_) => Some("application/json"),
        }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::None => Bytes::new(),
            Self::Form(text) => Bytes::copy_from_slice(text.as_bytes()),
            Self::Json(json) => Bytes::from(json),
        }
    }
}

impl Body {
    /// Fills the body in the format of the last layer; earlier bodies of the same format supply the names that it does not set itself.
    pub(crate) fn fill(bodies: &[&Self], values: Values<'_>) -> Result<FilledBody, RequestError> {
        match bodies.last() {
            None | Some(Self::None) => Ok(FilledBody::None),
            Some(Self::Form(_)) => form(bodies, values),
            Some(Self::Json(_)) => json(bodies, values),
        }
    }

    pub(crate) fn placeholders(&self) -> Vec<(&Placeholder, bool)> {
        match self {
            Self::None => Vec::new(),
            Self::Form(entries) => entries
                .iter()
                .flat_map(|(name, value)| name.placeholders().chain(value.placeholders()))
                .collect(),
            Self::Json(json) => {
                let mut placeholders = Vec::new();
                json.collect_placeholders(&mut placeholders);
                placeholders
            }
        }
    }
}

fn form(bodies: &[&Body], values: Values<'_>) -> Result<FilledBody, RequestError> {
    let mut entries: Vec<&(Template, Template)> = Vec::new();
    for body in bodies {
        match body {
            Body::Form(own) => {
                for entry in own {
                    entries.retain(|earlier| earlier.0 != entry.0);
                    entries.push(entry);
                }
            }
            Body::None | Body::Json(_) => entries.clear(),
        }
    }
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in entries {
        if let (Some(name), Some(value)) = (
            name.fill(values, Place::Encoded)?,
            value.fill(values, Place::Encoded)?,
        ) {
            form.append_pair(&name.text, &value.text);
        }
    }
    Ok(FilledBody::Form(Zeroizing::new(form.finish())))
}

fn json(bodies: &[&Body], values: Values<'_>) -> Result<FilledBody, RequestError> {
    let mut filled = Value::Null;
    for body in bodies {
        match body {
            Body::Json(json) => match json.fill(values)? {
                Some(own) => overlay(&mut filled, own),
                // The body itself stays, even when nothing in it has a value.
                None if filled.is_null() => filled = json.hollow(),
                None => {}
            },
            Body::None | Body::Form(_) => filled = Value::Null,
        }
    }
    Ok(FilledBody::Json(filled.to_string().into_bytes()))
}

impl Json {
    /// The value with everything left out that has no value.
    fn hollow(&self) -> Value {
        match self {
            Self::Object(_) => Value::Object(Map::new()),
            _ => Value::Null,
        }
    }

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

    fn collect_placeholders<'a>(&'a self, placeholders: &mut Vec<(&'a Placeholder, bool)>) {
        match self {
            Self::Null | Self::Boolean(_) | Self::Number(_) => {}
            Self::Text(template) => placeholders.extend(template.placeholders()),
            Self::Array(items) => items
                .iter()
                .for_each(|item| item.collect_placeholders(placeholders)),
            Self::Object(members) => {
                for (name, member) in members {
                    placeholders.extend(name.placeholders());
                    member.collect_placeholders(placeholders);
                }
            }
        }
    }
}
