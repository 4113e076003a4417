//! How each API reads a request and writes an outcome; one module per document.
//!
//! Must never decide whether a credential is right or a token valid: the ledger decides.

mod ad_verification;
mod client_credentials;
mod firebase_accounts;
mod jwt_api;
mod oauth2;
mod shapes;

use http::Method;

use super::{
    calls::{Call, Outcome},
    http::{Answer, Request},
    spec::{Api, Deployment, Endpoint},
};

/// The call that a request makes, or the answer to a request that cannot be understood.
pub(super) fn read(
    api: Api,
    deployment: &Deployment,
    request: &Request,
) -> (Endpoint, Result<Call, Answer>) {
    let path = request.path.as_str();
    let endpoint = match api {
        Api::AdVerification => ad_verification::endpoint(path),
        Api::JwtApi => jwt_api::endpoint(path),
        Api::ClientCredentials => client_credentials::endpoint(path),
        Api::FirebaseAccounts => firebase_accounts::endpoint(path),
        Api::Oauth2 => oauth2::endpoint(request),
    };
    if endpoint == Endpoint::Unknown {
        return (endpoint, Err(not_found(api)));
    }
    let method = if endpoint == Endpoint::Resource {
        Method::GET
    } else {
        Method::POST
    };
    if request.method != method {
        return (endpoint, Err(wrong_method(api, &method)));
    }
    if endpoint == Endpoint::Resource {
        // A missing token and a wrong token get the same answer everywhere.
        return (
            endpoint,
            Ok(Call::Resource {
                token: request.bearer().unwrap_or_default(),
            }),
        );
    }
    let call = match api {
        Api::AdVerification => ad_verification::read(deployment, endpoint, request),
        Api::JwtApi => jwt_api::read(endpoint, request),
        Api::ClientCredentials => client_credentials::read(deployment, request),
        Api::FirebaseAccounts => firebase_accounts::read(deployment, endpoint, request),
        Api::Oauth2 => oauth2::read(deployment, endpoint, request),
    };
    (endpoint, call)
}

/// The answer that reports `outcome`.
pub(super) fn write(api: Api, deployment: &Deployment, outcome: &Outcome) -> Answer {
    if let Outcome::Throttled { retry_after } = outcome {
        let seconds = retry_after.as_millis().div_ceil(1000);
        return shapes::detail(429, "Request was throttled.")
            .with("retry-after", seconds.to_string());
    }
    match api {
        Api::AdVerification => ad_verification::write(outcome),
        Api::JwtApi => jwt_api::write(outcome),
        Api::ClientCredentials => client_credentials::write(deployment, outcome),
        Api::FirebaseAccounts => firebase_accounts::write(outcome),
        Api::Oauth2 => oauth2::write(outcome),
    }
}

/// The answer to a failure of the server itself, as the document shows it.
pub(super) fn failure(api: Api, deployment: &Deployment, status: u16) -> Answer {
    match api {
        Api::ClientCredentials => client_credentials::failure(deployment, status),
        _ => Answer::raw(status, "text/plain; charset=utf-8", "Internal Server Error"),
    }
}

fn not_found(api: Api) -> Answer {
    match api {
        Api::ClientCredentials => client_credentials::not_found(),
        _ => shapes::detail(404, "Not Found"),
    }
}

fn wrong_method(api: Api, allowed: &Method) -> Answer {
    match api {
        // Document 002 lists 404 for a "resource or endpoint not found" and no 405.
        Api::ClientCredentials => client_credentials::not_found(),
        Api::FirebaseAccounts => {
            shapes::detail(405, "Method not allowed.").with("allow", allowed.as_str())
        }
        _ => shapes::detail(405, "Method Not Allowed").with("allow", allowed.as_str()),
    }
}
