//! Document 001, the JWT API.

use serde_json::json;

use super::shapes::{bearer, detail, seconds, unprocessable};
use crate::{
    calls::{Call, Outcome},
    http::{Answer, Request, Unfit},
    spec::Endpoint,
};

const POSTMAN: &str = "/auth/jwt/postman-refresh";

pub(super) fn endpoint(path: &str) -> Endpoint {
    match path {
        "/auth/jwt/login" => Endpoint::Login,
        "/auth/jwt/refresh" | POSTMAN => Endpoint::Refresh,
        "/users/me" => Endpoint::Resource,
        _ => Endpoint::Unknown,
    }
}

pub(super) fn read(endpoint: Endpoint, request: &Request) -> Result<Call, Answer> {
    let call = match endpoint {
        Endpoint::Login => login(request),
        _ => refresh(request),
    };
    call.map_err(|unfit| unprocessable(request, &unfit))
}

fn login(request: &Request) -> Result<Call, Unfit> {
    let listed = [
        "grant_type",
        "username",
        "password",
        "scope",
        "client_id",
        "client_secret",
    ];
    let form = request.form(&listed)?;
    form.grant_type(Some("password"))?;
    let user = (form.required("username")?, form.required("password")?);
    // "At the moment, the API does not use/process Client ID and Client Secret."
    Ok(Call::login_of(user))
}

fn refresh(request: &Request) -> Result<Call, Unfit> {
    if let Some(token) = request
        .header("refresh-token")
        .filter(|token| !token.is_empty())
    {
        request.no_body()?;
        return Ok(Call::Refresh {
            token: token.to_owned(),
            client: None,
        });
    }
    // The document does not say how Postman sends it; Postman itself posts the form of RFC 6749, section 6.
    if request.path == POSTMAN && !request.body.is_empty() {
        let listed = [
            "grant_type",
            "refresh_token",
            "scope",
            "client_id",
            "client_secret",
        ];
        let form = request.form(&listed)?;
        form.grant_type(Some("refresh_token"))?;
        return Ok(Call::Refresh {
            token: form.required("refresh_token")?,
            client: None,
        });
    }
    Err(Unfit::Missing("refresh-token"))
}

pub(super) fn write(outcome: &Outcome) -> Answer {
    match outcome {
        Outcome::Granted(grant) => bearer(grant, Some(seconds(grant.lifetime))),
        Outcome::ResourceOpen => Answer::json(200, &json!({"is_active": true})),
        Outcome::BadCredentials | Outcome::BadClient => detail(400, "LOGIN_BAD_CREDENTIALS"),
        Outcome::Suspended { status } => detail(*status, "ACCOUNT_SUSPENDED"),
        Outcome::RefreshRefused | Outcome::ResourceRefused | Outcome::Throttled { .. } => {
            detail(401, "Unauthorized")
        }
    }
}
