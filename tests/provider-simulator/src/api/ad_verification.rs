//! Document 000, the Ad Verification API.

use serde_json::json;

use super::shapes::{bearer, detail, unprocessable};
use crate::{
    calls::{Call, Outcome},
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
    let user = (form.required("username")?, form.required("password")?);
    Ok(Call::login_of(user))
}

fn refresh(deployment: &Deployment, request: &Request) -> Result<Call, Unfit> {
    let token = request.json_string(&deployment.refresh_key)?;
    // The document: 422 means "refresh token missing or malformed".
    if token.split('.').count() != 3 {
        return Err(Unfit::Value("refresh_token"));
    }
    Ok(Call::Refresh {
        token,
        client: None,
    })
}

pub(super) fn write(outcome: &Outcome) -> Answer {
    match outcome {
        Outcome::Granted(grant) => bearer(grant, None),
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
