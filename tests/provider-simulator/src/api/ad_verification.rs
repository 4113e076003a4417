//! Document 000, the Ad Verification API.

use serde::Serialize;
use serde_json::json;

use super::shapes::unprocessable;
use crate::{
    calls::{Call, Credentials, Outcome},
    http::{Answer, Request, Unfit},
    spec::{Deployment, Endpoint},
};

pub(super) fn endpoint(path: &str) -> Endpoint {
    match path {
        "/login" => Endpoint::Login,
        "/refresh_token" => Endpoint::Refresh,
        _ if path.starts_with("/v1/project/") => Endpoint::Resource,
        _ => Endpoint::Unknown,
    }
}

pub(super) fn read(
    deployment: &Deployment,
    endpoint: Endpoint,
    request: &Request,
) -> Result<Call, Answer> {
    let call = match endpoint {
        Endpoint::Login => login(deployment, request),
        _ => refresh(deployment, request),
    };
    call.map_err(|unfit| unprocessable(request, &unfit))
}

fn login(deployment: &Deployment, request: &Request) -> Result<Call, Unfit> {
    let form = request.form(&["grant_type", "username", "password"])?;
    form.grant_type(deployment.grant_type_required.then_some("password"))?;
    let user = Some((form.required("username")?, form.required("password")?));
    Ok(Call::Login(Credentials {
        user,
        client: None,
        scope: None,
    }))
}

fn refresh(deployment: &Deployment, request: &Request) -> Result<Call, Unfit> {
    let token = request.json_string(&deployment.refresh_key)?;
    // 422 is told for "refresh token missing or malformed".
    if token.split('.').count() != 3 {
        return Err(Unfit::Value("refresh_token"));
    }
    Ok(Call::Refresh {
        token,
        client: None,
    })
}

pub(super) fn write(outcome: &Outcome) -> Answer {
    #[derive(Serialize)]
    struct Tokens<'a> {
        access_token: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_token: Option<&'a str>,
        token_type: &'static str,
    }
    let detail = |status, text: &str| Answer::json(status, &json!({ "detail": text }));
    match outcome {
        Outcome::Granted(grant) => Answer::json(
            200,
            &Tokens {
                access_token: &grant.access,
                refresh_token: grant.refresh.as_deref(),
                token_type: "bearer",
            },
        ),
        Outcome::ResourceOpen => Answer::json(200, &json!({"projects": []})),
        Outcome::BadCredentials | Outcome::BadClient => {
            detail(400, "Incorrect username or password")
        }
        Outcome::Suspended { status } => detail(*status, "Account suspended"),
        Outcome::RefreshRefused | Outcome::ResourceRefused | Outcome::Throttled { .. } => {
            detail(400, "Invalid session! Please try again.")
        }
    }
}
