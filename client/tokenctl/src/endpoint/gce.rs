//! The metadata server of Google Compute Engine, which Google's SDKs ask at `GCE_METADATA_HOST`.
//!
//! Source: cloud.google.com/compute/docs/metadata and google-auth 2.63 (`compute_engine/_metadata.py`) for what is asked, and which answers
//! are tried again: 408, 429, 500 and 503. The protocol has no secret: who asks is proved by the kernel alone.

use std::collections::BTreeMap;

use serde::Serialize;
use tokend_client::Token;

use super::message::{Answer, Request};
use crate::failure::Failure;
use crate::{output, token};

/// The SDK renews a token that ends within 3 min 45 s.
pub(super) const MARGIN: u64 = 225;
const ROOT: &str = "/computeMetadata/v1";
/// The one service account, and the name by which the SDKs ask for it before they know another.
const NAME: &str = "default";
const FLAVOR: &str = "Metadata-Flavor: Google";

/// What is asked.
pub(super) enum Asked {
    /// A token for these scopes, which may be none.
    Token(Vec<String>),
    /// Something that is answered without one.
    Known(Answer),
}

/// Reads a request to an endpoint for these scopes.
pub(super) fn read(request: &Request, scopes: &[String]) -> Asked {
    let known = |status, text: &str| Asked::Known(refusal(status, text));
    // A page in a browser, or a server that is made to fetch an address, cannot send it.
    if request.header("metadata-flavor") != Some(b"Google") {
        return known(403, "the header Metadata-Flavor: Google is missing");
    }
    if request.header("x-forwarded-for").is_some() {
        return known(403, "a request that was passed on is not served");
    }
    if request.method != "GET" {
        return known(405, "only GET is served here");
    }
    // Some ask for a directory with a slash behind it, others without.
    let path = match request.path.trim_end_matches('/').strip_prefix(ROOT) {
        None if request.path == "/" => return known(200, "computeMetadata/"),
        None => return known(404, "nothing is served at this address"),
        Some(path) => path,
    };
    let recursive = request.parameter("recursive");
    let is_recursive = recursive.is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let account = record(scopes);
    match path {
        "" => known(200, "instance/"),
        "/instance" => known(200, "service-accounts/"),
        "/instance/service-accounts" if is_recursive => {
            Asked::Known(json(&BTreeMap::from([(NAME, account)])))
        }
        "/instance/service-accounts" => known(200, "default/"),
        "/instance/service-accounts/default" if is_recursive => Asked::Known(json(&account)),
        "/instance/service-accounts/default" => known(200, "aliases\nemail\nscopes\ntoken"),
        "/instance/service-accounts/default/email"
        | "/instance/service-accounts/default/aliases" => known(200, NAME),
        "/instance/service-accounts/default/scopes" => known(200, &scopes.join("\n")),
        "/instance/service-accounts/default/token" => asked_for(request),
        "/instance/service-accounts/default/identity" => {
            known(404, "there is no identity token here, only access tokens")
        }
        // Such as the project, which is nobody's business here.
        _ => known(404, "nothing is served at this address"),
    }
}

fn asked_for(request: &Request) -> Asked {
    if request.other_parameter(&["scopes"]).is_some() {
        return Asked::Known(refusal(400, "a parameter is not known here"));
    }
    let scopes = request.parameter("scopes").unwrap_or_default().split(',');
    let scopes = scopes.filter(|it| !it.is_empty()).map(str::to_owned);
    Asked::Token(scopes.collect())
}

/// The service account, as SDKs read it.
#[derive(Serialize)]
struct Record<'t> {
    aliases: [&'static str; 1],
    email: &'static str,
    scopes: &'t [String],
}

fn record(scopes: &[String]) -> Record<'_> {
    Record {
        aliases: [NAME],
        email: NAME,
        scopes,
    }
}

fn json<T: Serialize>(value: &T) -> Answer {
    let body = output::json_line(value).unwrap_or_default();
    flavored(Answer::new(200, "application/json", body))
}

/// The token.
pub(super) fn answer(token: &Token) -> Result<Answer, Failure> {
    #[derive(Serialize)]
    struct Body<'t> {
        access_token: &'t str,
        expires_in: u64,
        token_type: &'static str,
    }
    let body = output::json_line(&Body {
        access_token: token::bearer(token)?,
        // It has to have an end here. With this one the SDK asks again for each use.
        expires_in: token.remaining.map_or(MARGIN, |it| it.as_secs()),
        token_type: "Bearer",
    })?;
    Ok(flavored(Answer::new(200, "application/json", body)))
}

/// A line of text, as this protocol has it for refusals too.
pub(super) fn refusal(status: u16, sentence: &str) -> Answer {
    flavored(Answer::text(status, sentence))
}

fn flavored(mut answer: Answer) -> Answer {
    answer.headers.push(FLAVOR.to_owned());
    answer
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::request;
    use super::*;

    fn asked(target: &str) -> Result<Vec<String>, (u16, String)> {
        let line = format!("GET {target} HTTP/1.1\r\nMetadata-Flavor: Google\r\n\r\n");
        match read(&request(&line), &["a".to_owned(), "b".to_owned()]) {
            Asked::Token(scopes) => Ok(scopes),
            Asked::Known(known) => {
                assert_eq!(known.headers, [FLAVOR]);
                Err((
                    known.status,
                    String::from_utf8(known.body.to_vec()).unwrap(),
                ))
            }
        }
    }

    #[test]
    fn what_sdks_ask_is_answered() {
        let account = "/computeMetadata/v1/instance/service-accounts/default";
        // gcp-metadata of Node looks here for whether there is a server.
        let instance = Err((200, "service-accounts/\n".to_owned()));
        for slash in ["", "/"] {
            assert_eq!(
                asked(&format!("/computeMetadata/v1/instance{slash}")),
                instance
            );
            assert_eq!(
                asked(&format!("/computeMetadata/v1{slash}")).unwrap_err().0,
                200
            );
        }
        let all = "/computeMetadata/v1/instance/service-accounts/?recursive=True";
        assert!(
            asked(all)
                .unwrap_err()
                .1
                .starts_with("{\"default\":{\"aliases\"")
        );
        assert_eq!(asked("/"), Err((200, "computeMetadata/\n".to_owned())));
        let record = asked(&format!("{account}/?recursive=true")).unwrap_err();
        assert_eq!(
            record.1,
            "{\"aliases\":[\"default\"],\"email\":\"default\",\"scopes\":[\"a\",\"b\"]}\n"
        );
        assert_eq!(
            asked(&format!("{account}/scopes")),
            Err((200, "a\nb\n".to_owned()))
        );
        assert_eq!(asked(&format!("{account}/token")), Ok(Vec::new()));
        let both = asked(&format!("{account}/token?scopes=a%2Chttps://b"));
        assert_eq!(both, Ok(vec!["a".to_owned(), "https://b".to_owned()]));
        for absent in [
            "/latest/meta-data/".to_owned(),
            "/computeMetadata/v1beta1/instance".to_owned(),
            "/computeMetadata/v1/project/project-id".to_owned(),
            "/computeMetadata/v1/universe/universe-domain".to_owned(),
            "/computeMetadata/v1/instance/service-accounts/other/token".to_owned(),
            format!("{account}/identity?audience=x"),
            format!("{account}x/token"),
        ] {
            assert_eq!(asked(&absent).unwrap_err().0, 404, "{absent}");
        }
        assert_eq!(
            asked(&format!("{account}/token?alt=json")).unwrap_err().0,
            400
        );
    }

    #[test]
    fn without_its_header_nothing_is_served() {
        let status = |headers: &str, method: &str| {
            let line = format!("{method} / HTTP/1.1\r\n{headers}\r\n");
            match read(&request(&line), &[]) {
                Asked::Known(known) => known.status,
                Asked::Token(_) => 0,
            }
        };
        assert_eq!(status("", "GET"), 403);
        assert_eq!(status("Metadata-Flavor: google\r\n", "GET"), 403);
        assert_eq!(
            status("Metadata-Flavor: Google\r\nX-Forwarded-For: a\r\n", "GET"),
            403
        );
        assert_eq!(status("Metadata-Flavor: Google\r\n", "POST"), 405);
        assert_eq!(status("Metadata-Flavor: Google\r\n", "GET"), 200);
    }
}
