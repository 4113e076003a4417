//! RFC 6749: the token endpoint with the password, client credentials and refresh token grants.

use serde::Serialize;
use serde_json::Number;

use super::shapes::seconds;
use crate::{
    calls::{Call, Credentials, Outcome, Pair},
    http::{Answer, Form, Request, Unfit},
    spec::{ClientAuth, Deployment, Endpoint},
};

/// The grant type decides, not the path.
pub(super) fn endpoint(request: &Request) -> Endpoint {
    match request.path.as_str() {
        "/token" => match grant_type(request).as_deref() {
            Some("refresh_token") => Endpoint::Refresh,
            _ => Endpoint::Login,
        },
        "/resource" => Endpoint::Resource,
        _ => Endpoint::Unknown,
    }
}

fn grant_type(request: &Request) -> Option<String> {
    request.form(&[]).ok()?.optional("grant_type")
}

pub(super) fn read(
    deployment: &Deployment,
    endpoint: Endpoint,
    request: &Request,
) -> Result<Call, Answer> {
    // Unknown parameters are ignored, but none may come twice (section 3.2).
    let form = request
        .form(&[])
        .map_err(|_| error(400, "invalid_request"))?;
    let client = client(deployment, request, &form)?;
    let call = match endpoint {
        Endpoint::Refresh => refresh(client, &form),
        _ => match form.optional("grant_type").as_deref() {
            Some("password") => password(client, &form),
            Some("client_credentials") => {
                let scope = form.optional("scope");
                Ok(Call::Login(Credentials {
                    user: None,
                    client: Some(client),
                    scope,
                }))
            }
            Some(_) => return Err(error(400, "unsupported_grant_type")),
            None => Err(Unfit::Missing("grant_type")),
        },
    };
    call.map_err(|_| error(400, "invalid_request"))
}

fn password(client: Pair, form: &Form) -> Result<Call, Unfit> {
    let user = Some((form.required("username")?, form.required("password")?));
    let scope = form.optional("scope");
    Ok(Call::Login(Credentials {
        user,
        client: Some(client),
        scope,
    }))
}

fn refresh(client: Pair, form: &Form) -> Result<Call, Unfit> {
    let token = form.required("refresh_token")?;
    Ok(Call::Refresh {
        token,
        client: Some(client),
    })
}

/// The client's credentials, in the one way the deployment accepts (section 2.3.1).
fn client(deployment: &Deployment, request: &Request, form: &Form) -> Result<Pair, Answer> {
    let in_body = form
        .optional("client_id")
        .zip(form.optional("client_secret"));
    let found = match deployment.client_auth {
        ClientAuth::Body if request.basic().is_none() => in_body,
        ClientAuth::BasicRaw if in_body.is_none() => request.basic(),
        ClientAuth::BasicEncoded if in_body.is_none() => request
            .basic()
            .map(|(id, secret)| (decoded(&id), decoded(&secret))),
        _ => None,
    };
    found.ok_or_else(bad_client)
}

fn decoded(text: &str) -> String {
    let as_value = format!("v={text}");
    form_urlencoded::parse(as_value.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

pub(super) fn write(outcome: &Outcome) -> Answer {
    // The order of the example in section 5.1.
    #[derive(Serialize)]
    struct Tokens<'a> {
        access_token: &'a str,
        token_type: &'static str,
        expires_in: Number,
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_token: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        scope: Option<&'a str>,
    }
    match outcome {
        Outcome::Granted(grant) => Answer::json(
            200,
            &Tokens {
                access_token: &grant.access,
                token_type: "Bearer",
                expires_in: seconds(grant.lifetime),
                refresh_token: grant.refresh.as_deref(),
                scope: grant.scope.as_deref(),
            },
        )
        .with("cache-control", "no-store")
        .with("pragma", "no-cache"),
        Outcome::ResourceOpen => Answer::json(200, &serde_json::json!({"open": true})),
        Outcome::BadClient => bad_client(),
        Outcome::BadCredentials | Outcome::RefreshRefused => error(400, "invalid_grant"),
        Outcome::Suspended { status } => error(*status, "access_denied"),
        Outcome::ResourceRefused | Outcome::Throttled { .. } => error(401, "invalid_token").with(
            "www-authenticate",
            r#"Bearer realm="simulator", error="invalid_token""#,
        ),
    }
}

fn bad_client() -> Answer {
    error(401, "invalid_client").with("www-authenticate", r#"Basic realm="simulator""#)
}

fn error(status: u16, code: &'static str) -> Answer {
    #[derive(Serialize)]
    struct Problem {
        error: &'static str,
    }
    Answer::json(status, &Problem { error: code })
}
