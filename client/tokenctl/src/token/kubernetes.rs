//! A token as an ExecCredential, for kubectl and every client that has its exec plugins.
//!
//! Source: `client.authentication.k8s.io`, versions v1 and v1beta1. The caller names its version in `KUBERNETES_EXEC_INFO`, and refuses an
//! answer in another.

use std::env;

use serde::{Deserialize, Serialize};
use tokend_client::Token;
use zeroize::Zeroizing;

use super::parts::header;
use crate::failure::{Exit, Failure};
use crate::{output, words};

const ASKED: &str = "KUBERNETES_EXEC_INFO";
const VERSIONS: [&str; 2] = [
    "client.authentication.k8s.io/v1",
    "client.authentication.k8s.io/v1beta1",
];

/// What is read of the question.
#[derive(Deserialize)]
struct Question {
    #[serde(rename = "apiVersion")]
    api_version: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential<'a> {
    api_version: &'a str,
    kind: &'static str,
    status: Status<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    token: &'a str,
    /// When the caller has to ask again; without it, it asks again only after a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_timestamp: Option<String>,
}

pub(super) fn text(token: &Token) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let version = version(
        env::var_os(ASKED)
            .as_deref()
            .and_then(|asked| asked.to_str()),
    )?;
    // The caller sends `Authorization: Bearer TOKEN` and nothing else.
    let (name, prefix) = header(token)?;
    if (name.as_str(), prefix.as_str()) != ("Authorization", "Bearer ") {
        return Err(Failure::new(
            Exit::Config,
            "the API of this account does not take its token as a bearer token, and kubectl sends no other",
            "use an account of the cluster's own identity provider",
        ));
    }
    output::json_line(&ExecCredential {
        api_version: version,
        kind: "ExecCredential",
        status: Status {
            token: token.access_token.expose(),
            expiration_timestamp: token.expires_at.and_then(words::rfc3339_of),
        },
    })
}

/// The version to answer in: the one that was asked for, or the first when nobody asked, as by hand.
fn version(asked: Option<&str>) -> Result<&'static str, Failure> {
    let Some(asked) = asked.filter(|asked| !asked.is_empty()) else {
        return Ok(VERSIONS[0]);
    };
    let refused = |what: String| {
        let known = VERSIONS.join(" or ");
        Failure::new(
            Exit::Config,
            what,
            format!("set apiVersion of the user's exec in the kubeconfig to {known}"),
        )
    };
    let question: Question = serde_json::from_str(asked)
        .map_err(|error| refused(format!("{ASKED} is no ExecCredential: {error}")))?;
    VERSIONS
        .into_iter()
        .find(|version| *version == question.api_version)
        .ok_or_else(|| {
            let version = words::plain(&question.api_version);
            refused(format!(
                "{ASKED} asks for version {version}, which tokenctl does not know"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_the_question_is_answered() {
        assert_eq!(version(None).unwrap(), VERSIONS[0]);
        assert_eq!(version(Some("")).unwrap(), VERSIONS[0]);
        for known in VERSIONS {
            let asked = format!(
                r#"{{"apiVersion":"{known}","kind":"ExecCredential","spec":{{"interactive":false}}}}"#
            );
            assert_eq!(version(Some(&asked)).unwrap(), known);
        }
        for wrong in [
            "{",
            "{}",
            "[]",
            r#"{"apiVersion":"client.authentication.k8s.io/v1alpha1"}"#,
        ] {
            assert!(version(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
