//! Shapes that several APIs share.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Number, json};

use crate::{
    calls::Grant,
    http::{Answer, Request, Unfit},
};

/// A refusal in one sentence, as FastAPI and Django REST framework write it.
pub(super) fn detail(status: u16, text: &str) -> Answer {
    Answer::json(status, &json!({ "detail": text }))
}

/// The tokens of a grant, as documents 000 and 001 write them; only 001 has `expires_in`.
pub(super) fn bearer(grant: &Grant, expires_in: Option<Number>) -> Answer {
    #[derive(Serialize)]
    struct Tokens<'a> {
        access_token: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_token: Option<&'a str>,
        token_type: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_in: Option<Number>,
    }
    Answer::json(
        200,
        &Tokens {
            access_token: &grant.access,
            refresh_token: grant.refresh.as_deref(),
            token_type: "bearer",
            expires_in,
        },
    )
}

/// A FastAPI validation error. Like the original it repeats what it was sent, secrets included.
pub(super) fn unprocessable(request: &Request, unfit: &Unfit) -> Answer {
    #[derive(Serialize)]
    struct Detail<'a> {
        detail: [Problem<'a>; 1],
    }
    #[derive(Serialize)]
    struct Problem<'a> {
        r#type: &'static str,
        loc: Vec<&'a str>,
        msg: &'static str,
        input: serde_json::Value,
    }
    let sent = String::from_utf8_lossy(&request.body);
    let echo = serde_json::from_slice(&request.body)
        .unwrap_or_else(|_| serde_json::Value::String(sent.into_owned()));
    let (r#type, field, msg) = match unfit {
        Unfit::Missing(field) => ("missing", Some(*field), "Field required"),
        Unfit::Extra(field) => (
            "extra_forbidden",
            Some(field.as_str()),
            "Extra inputs are not permitted",
        ),
        Unfit::Value(field) => (
            "string_type",
            Some(*field),
            "Input should be a valid string",
        ),
        Unfit::Syntax => ("json_invalid", None, "JSON decode error"),
        Unfit::Body => ("extra_forbidden", None, "Extra inputs are not permitted"),
        Unfit::ContentType => (
            "model_attributes_type",
            None,
            "Input should be a valid dictionary or object to extract fields from",
        ),
    };
    let loc = std::iter::once("body").chain(field).collect();
    Answer::json(
        422,
        &Detail {
            detail: [Problem {
                r#type,
                loc,
                msg,
                input: echo,
            }],
        },
    )
}

/// Seconds as providers write them: a whole number if it is one.
pub(super) fn seconds(lifetime: Duration) -> Number {
    let fraction = lifetime.subsec_nanos() != 0;
    fraction
        .then(|| Number::from_f64(lifetime.as_secs_f64()))
        .flatten()
        .unwrap_or_else(|| lifetime.as_secs().into())
}
