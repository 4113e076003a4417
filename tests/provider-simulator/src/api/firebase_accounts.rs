//! Document 003, the accounts API with Google Firebase behind it.

use serde::Serialize;
use serde_json::json;

use super::shapes::detail;
use crate::{
    calls::{Call, Outcome},
    http::{Answer, Request, Unfit},
    spec::{Deployment, Endpoint},
};

pub(super) fn endpoint(path: &str) -> Endpoint {
    match path {
        "/auth/api/v1/accounts/login" => Endpoint::Login,
        "/auth/api/v1/accounts/token" => Endpoint::Refresh,
        "/me" => Endpoint::Resource,
        _ => Endpoint::Unknown,
    }
}

pub(super) fn read(
    deployment: &Deployment,
    endpoint: Endpoint,
    request: &Request,
) -> Result<Call, Answer> {
    match endpoint {
        Endpoint::Login => login(request),
        _ => refresh(deployment, request),
    }
}

fn login(request: &Request) -> Result<Call, Answer> {
    // The three examples send no body.
    request
        .no_body()
        .map_err(|_| detail(400, "Unexpected request body."))?;
    let Some(user) = request.basic() else {
        let text = "Authentication credentials were not provided.";
        return Err(detail(401, text).with("www-authenticate", r#"Basic realm="api""#));
    };
    Ok(Call::login_of(user))
}

fn refresh(deployment: &Deployment, request: &Request) -> Result<Call, Answer> {
    let key = &deployment.refresh_key;
    let token = request.json_string(key).map_err(|unfit| match unfit {
        Unfit::ContentType => detail(415, "Unsupported media type in request."),
        Unfit::Syntax => detail(400, "JSON parse error"),
        Unfit::Missing(_) => Answer::json(400, &json!({ key: ["This field is required."] })),
        Unfit::Extra(name) => Answer::json(400, &json!({ name: ["Unexpected field."] })),
        Unfit::Value(_) | Unfit::Body => {
            Answer::json(400, &json!({ key: ["Not a valid string."] }))
        }
    })?;
    Ok(Call::Refresh {
        token,
        client: None,
    })
}

pub(super) fn write(outcome: &Outcome) -> Answer {
    #[derive(Serialize)]
    struct Tokens<'a> {
        access: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct Invalid {
        detail: &'static str,
        code: &'static str,
    }
    let invalid = |detail| {
        Answer::json(
            401,
            &Invalid {
                detail,
                code: "token_not_valid",
            },
        )
    };
    match outcome {
        Outcome::Granted(grant) => Answer::json(
            200,
            &Tokens {
                access: &grant.access,
                refresh: grant.refresh.as_deref(),
            },
        ),
        Outcome::ResourceOpen => Answer::json(200, &json!({"user": "me"})),
        Outcome::BadCredentials | Outcome::BadClient => detail(401, "Invalid username/password."),
        Outcome::Suspended { status } => detail(*status, "User account is suspended."),
        Outcome::RefreshRefused => invalid("Token is invalid or expired"),
        Outcome::ResourceRefused | Outcome::Throttled { .. } => {
            invalid("Given token not valid for any token type")
        }
    }
}
