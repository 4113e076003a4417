//! The identity endpoint of Azure App Service, which azure-identity asks wherever `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` are set.
//!
//! Source: learn.microsoft.com/azure/app-service/overview-managed-identity, "REST endpoint reference", version 2019-08-01, and azure-identity
//! 1.27 with msal 1.39 for what is asked and which answers are tried again: 408, 429 and 5xx are, 400, 401 and 403 are not.

use serde::Serialize;
use tokend_client::{AccountName, Token};

use super::message::{Answer, Request};
use super::secret::Secret;
use crate::failure::Failure;
use crate::{clock, output, token};

pub(super) const PATH: &str = "/msi/token";
const VERSION: &str = "2019-08-01";
/// The SDK asks anew each time if less than five minutes are left.
pub(super) const MARGIN: u64 = 300;
/// By these an SDK names one of several identities.
const IDENTITIES: [&str; 5] = [
    "client_id",
    "mi_res_id",
    "msi_res_id",
    "object_id",
    "principal_id",
];

/// The resource that a token is asked for.
pub(super) fn read(request: &Request, secret: &Secret) -> Result<String, Answer> {
    if request.method != "GET" {
        return Err(refusal(405, "only GET is served here"));
    }
    if request.path != PATH {
        return Err(refusal(404, "nothing is served at this address"));
    }
    if !request
        .header("x-identity-header")
        .is_some_and(|it| secret.is(it))
    {
        let sentence = "the header X-IDENTITY-HEADER is not what IDENTITY_HEADER says";
        return Err(refusal(401, sentence));
    }
    if request.parameter("api-version") != Some(VERSION) {
        let sentence = format!("only api-version={VERSION} is served here");
        return Err(refusal(400, &sentence));
    }
    if let Some(named) = IDENTITIES
        .into_iter()
        .find(|it| request.parameter(it).is_some())
    {
        let sentence = format!(
            "{named} names an identity, and there is one here: leave it out, and unset AZURE_CLIENT_ID"
        );
        return Err(refusal(400, &sentence));
    }
    if request
        .other_parameter(&["api-version", "resource"])
        .is_some()
    {
        return Err(refusal(400, "a parameter is not known here"));
    }
    match request.parameter("resource") {
        Some(resource) if !resource.is_empty() => Ok(resource.to_owned()),
        _ => Err(refusal(400, "the resource is missing")),
    }
}

/// The token for this resource.
pub(super) fn answer(
    account: &AccountName,
    token: &Token,
    resource: &str,
) -> Result<Answer, Failure> {
    #[derive(Serialize)]
    struct Body<'t> {
        access_token: &'t str,
        expires_on: String,
        resource: &'t str,
        token_type: &'static str,
        client_id: &'t str,
    }
    let secret = token::bearer(token)?;
    // It has to have an end here. With this one the SDK asks again for each use.
    let left = token.remaining.map_or(MARGIN, |it| it.as_secs());
    let now = u64::try_from(clock::now().as_second()).unwrap_or_default();
    let body = output::json_line(&Body {
        access_token: secret,
        expires_on: now.saturating_add(left).to_string(),
        resource,
        token_type: "Bearer",
        client_id: account.as_str(),
    })?;
    Ok(Answer::new(200, "application/json", body))
}

/// A refusal, in the words of this protocol.
pub(super) fn refusal(status: u16, sentence: &str) -> Answer {
    #[derive(Serialize)]
    struct Body<'t> {
        #[serde(rename = "statusCode")]
        status: u16,
        message: &'t str,
    }
    let body = output::json_line(&Body {
        status,
        message: sentence,
    });
    Answer::new(status, "application/json", body.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::request;
    use super::*;

    fn asked(target: &str, secret: &str) -> Result<String, u16> {
        let line = format!("GET {target} HTTP/1.1\r\nX-IDENTITY-HEADER: {secret}\r\n\r\n");
        read(&request(&line), &Secret::known("right")).map_err(|it| it.status)
    }

    #[test]
    fn a_resource_is_read_and_everything_else_is_refused_in_its_words() {
        let base = "/msi/token?api-version=2019-08-01";
        let good = format!("{base}&resource=https%3A%2F%2Fapi.example.com");
        assert_eq!(
            asked(&good, "right").as_deref(),
            Ok("https://api.example.com")
        );
        for wrong in ["", "righ", "right2", "wrong"] {
            assert_eq!(asked(&good, wrong), Err(401), "{wrong}");
        }
        let refused = [
            (base.to_owned(), 400),
            (format!("{base}&resource="), 400),
            (format!("{good}&resource=b"), 400),
            (format!("{good}&client_id=other"), 400),
            (format!("{good}&mi_res_id=/sub/x"), 400),
            (format!("{good}&bypass_cache=true"), 400),
            (
                "/msi/token?api-version=2017-09-01&resource=r".to_owned(),
                400,
            ),
            ("/?api-version=2019-08-01&resource=r".to_owned(), 404),
            ("/metadata/identity/oauth2/token?resource=r".to_owned(), 404),
        ];
        for (target, status) in refused {
            assert_eq!(asked(&target, "right"), Err(status), "{target}");
        }
        let posted = "POST /msi/token HTTP/1.1\r\nX-IDENTITY-HEADER: right\r\n\r\n";
        let refused = read(&request(posted), &Secret::known("right")).unwrap_err();
        let body: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
        assert_eq!((refused.status, &body["statusCode"]), (405, &405.into()));
    }
}
