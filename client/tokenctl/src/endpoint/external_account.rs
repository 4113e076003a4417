//! Google's `external_account`: the SDK fetches a token from an address, and exchanges it at Google's token service for one of Google's.
//!
//! Source: google.aip.dev/auth/4117, and google-auth 2.63 (`identity_pool.py`): `credential_source.url` with `headers` and `format`. The
//! configuration is the person's own, as gcloud makes it; only its `credential_source` is replaced.

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokend_client::Token;
use zeroize::Zeroizing;

use super::message::{Answer, Request};
use super::secret::Secret;
use crate::failure::{Exit, Failure};
use crate::output;

pub(super) const PATH: &str = "/token";
/// The header with the secret.
const HEADER: &str = "X-Tokend-Endpoint";
/// The token has to outlive one exchange.
pub(super) const MARGIN: u64 = 60;

/// Whether a token is asked for.
pub(super) fn read(request: &Request, secret: &Secret) -> Result<(), Answer> {
    if request.method != "GET" {
        return Err(refusal(405, "only GET is served here"));
    }
    if request.path != PATH || request.other_parameter(&[]).is_some() {
        return Err(refusal(404, "nothing is served at this address"));
    }
    match request
        .header("x-tokend-endpoint")
        .is_some_and(|it| secret.is(it))
    {
        true => Ok(()),
        false => Err(refusal(
            401,
            "the header X-Tokend-Endpoint is not this endpoint's",
        )),
    }
}

/// The token that is exchanged.
pub(super) fn answer(token: &Token) -> Result<Answer, Failure> {
    #[derive(Serialize)]
    struct Body<'t> {
        access_token: &'t str,
    }
    let body = output::json_line(&Body {
        access_token: token.access_token.expose(),
    })?;
    Ok(Answer::new(200, "application/json", body))
}

/// The SDK shows the body to its user.
pub(super) fn refusal(status: u16, sentence: &str) -> Answer {
    Answer::text(status, sentence)
}

/// The person's configuration.
pub(super) fn own(text: &[u8]) -> Result<Map<String, Value>, Failure> {
    let wrong = |what: &str| {
        Failure::new(
            Exit::Config,
            format!("the configuration of an external account {what}"),
            "make it with: gcloud iam workload-identity-pools create-cred-config … --credential-source-file=x; its \
             credential_source is replaced",
        )
    };
    let configuration: Map<String, Value> =
        serde_json::from_slice(text).map_err(|_| wrong("is no object of JSON"))?;
    match configuration.get("type") == Some(&json!("external_account")) {
        true => Ok(configuration),
        false => Err(wrong("does not say \"type\": \"external_account\"")),
    }
}

/// The same with this endpoint as the source of the token.
pub(super) fn configuration(
    text: &[u8],
    origin: &str,
    secret: &Secret,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut configuration = own(text)?;
    let source = json!({
        "url": format!("{origin}{PATH}"),
        "headers": { HEADER: secret.text() },
        "format": { "type": "json", "subject_token_field_name": "access_token" },
    });
    configuration.insert("credential_source".to_owned(), source);
    output::json_line(&configuration)
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::request;
    use super::*;

    #[test]
    fn a_token_is_given_for_the_secret_alone() {
        let status = |line: &str, secret: &str| {
            let line = format!("{line} HTTP/1.1\r\nX-Tokend-Endpoint: {secret}\r\n\r\n");
            read(&request(&line), &Secret::known("right")).map_err(|it| it.status)
        };
        assert_eq!(status("GET /token", "right"), Ok(()));
        assert_eq!(status("GET /token", "wrong"), Err(401));
        assert_eq!(status("GET /token?a=b", "right"), Err(404));
        assert_eq!(status("GET /", "right"), Err(404));
        assert_eq!(status("POST /token", "right"), Err(405));
    }

    #[test]
    fn only_the_source_is_replaced_and_another_kind_is_refused() {
        let own =
            br#"{"type":"external_account","audience":"a","credential_source":{"file":"/x"}}"#;
        let made = configuration(own, "http://127.0.0.1:1", &Secret::known("right")).unwrap();
        let made: Value = serde_json::from_slice(&made).unwrap();
        assert_eq!(made["audience"], "a");
        assert_eq!(made["credential_source"]["url"], "http://127.0.0.1:1/token");
        assert_eq!(
            made["credential_source"]["headers"]["X-Tokend-Endpoint"],
            "right"
        );
        assert_eq!(made["credential_source"]["file"], Value::Null);
        for wrong in [&b"[]"[..], b"", br#"{"type":"service_account"}"#] {
            assert!(configuration(wrong, "", &Secret::known("right")).is_err());
        }
    }
}
