//! Document 002, client credentials with a wrapped reply and two error shapes.

use serde::Serialize;
use serde_json::{Number, Value, json};

use super::shapes::seconds;
use crate::{
    calls::{Call, Credentials, Outcome},
    http::{Answer, Request, Unfit},
    spec::{Deployment, Endpoint},
};

pub(super) fn endpoint(path: &str) -> Endpoint {
    match path {
        // The heading has the version in the path, the example does not.
        "/v1/auth/token" | "/auth/token" => Endpoint::Login,
        "/v1/me" => Endpoint::Resource,
        _ => Endpoint::Unknown,
    }
}

pub(super) fn read(deployment: &Deployment, request: &Request) -> Result<Call, Answer> {
    login(deployment, request).map_err(|_| {
        error(
            deployment,
            400,
            "400013",
            "invalid_request",
            "Missing or invalid parameters",
        )
    })
}

fn login(deployment: &Deployment, request: &Request) -> Result<Call, Unfit> {
    let form = request.form(&["grant_type", "client_id", "client_secret"])?;
    form.grant_type(
        deployment
            .grant_type_required
            .then_some("client_credentials"),
    )?;
    let client = Some((form.required("client_id")?, form.required("client_secret")?));
    Ok(Call::Login(Credentials {
        user: None,
        client,
        scope: None,
    }))
}

pub(super) fn write(deployment: &Deployment, outcome: &Outcome) -> Answer {
    #[derive(Serialize)]
    struct Tokens<'a> {
        access_token: &'a str,
        token_type: &'static str,
        expires_in: Number,
    }
    match outcome {
        Outcome::Granted(grant) => {
            let tokens = Tokens {
                access_token: &grant.access,
                token_type: "Bearer",
                expires_in: seconds(grant.lifetime),
            };
            wrapped(deployment, &tokens)
        }
        Outcome::ResourceOpen => wrapped(deployment, &json!({"client": "me"})),
        Outcome::BadCredentials | Outcome::BadClient => {
            let message = "Invalid client_id, client_secret, or session_key";
            error(deployment, 401, "401021", "invalid_client", message)
        }
        Outcome::Suspended { .. } => Answer::json(
            403,
            &json!({"error": "Access forbidden for this resource."}),
        ),
        Outcome::RefreshRefused | Outcome::ResourceRefused | Outcome::Throttled { .. } => error(
            deployment,
            401,
            "401022",
            "invalid_token",
            "Invalid or expired token",
        ),
    }
}

pub(super) fn not_found() -> Answer {
    Answer::json(404, &json!({"error": "Resource or endpoint not found."}))
}

pub(super) fn failure(deployment: &Deployment, status: u16) -> Answer {
    let message = "Api Error, please contact customer service";
    error(deployment, status, "500999", "API_ERROR", message)
}

/// The schema types `data` as "json-string", the sample shows an object.
fn wrapped(deployment: &Deployment, data: &impl Serialize) -> Answer {
    #[derive(Serialize)]
    struct Wrapper<T> {
        data: T,
    }
    if deployment.data_as_string {
        let data = serde_json::to_string(data).unwrap_or_default();
        return Answer::json(
            200,
            &Wrapper {
                data: Value::String(data),
            },
        );
    }
    Answer::json(200, &Wrapper { data })
}

/// The schema has the fields at the top, the sample under `error`.
fn error(
    deployment: &Deployment,
    status: u16,
    code: &'static str,
    code_reason: &'static str,
    message: &'static str,
) -> Answer {
    #[derive(Serialize)]
    struct Problem {
        code: &'static str,
        code_reason: &'static str,
        message: &'static str,
    }
    #[derive(Serialize)]
    struct Nested {
        error: Problem,
    }
    let problem = Problem {
        code,
        code_reason,
        message,
    };
    if deployment.flat_errors {
        return Answer::json(status, &problem);
    }
    Answer::json(status, &Nested { error: problem })
}
