//! The headers of a request, the one with the token among them.
//!
//! Owns which headers a person may give: never the one that carries the token, and none that says how the message is framed.

use tokend_client::{Presentation, Token};
use ureq::http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST,
    HeaderName, HeaderValue, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};

/// What says where a message goes and ends.
const FRAMING: [HeaderName; 8] = [
    HOST,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    CONNECTION,
    EXPECT,
    TE,
    TRAILER,
    UPGRADE,
];

/// How many headers there may be; more is a mistake of a script.
const MOST: usize = 100;

/// The headers that a person gave.
pub(crate) struct Headers(Vec<(HeaderName, HeaderValue)>);

impl Headers {
    /// Reads `Name: value`. What is wrong is never repeated: it may be a token.
    pub(crate) fn read(written: &[String], json: bool) -> Result<Self, Failure> {
        let wrong = |what: &str, advice: &str| Failure::usage(what, advice);
        if written.len() > MOST {
            return Err(wrong("there are more than 100 headers", "leave some out"));
        }
        let mut headers = Vec::new();
        for text in written {
            let parts = text.split_once(':');
            let read = parts.and_then(|(name, value)| {
                let name: HeaderName = name.trim_end().parse().ok()?;
                Some((name, HeaderValue::from_str(value.trim()).ok()?))
            });
            let (name, value) =
                read.ok_or_else(|| wrong("a header cannot be read", "write -H 'Name: value'"))?;
            if name == AUTHORIZATION || name == PROXY_AUTHORIZATION {
                return Err(wrong(
                    "the header Authorization is not for -H, since every local user can read arguments",
                    "leave it out: the account's token is sent as its API wants it",
                ));
            }
            if FRAMING.contains(&name) {
                return Err(wrong(
                    &format!("the header {name} is not for -H: it belongs to the connection"),
                    "leave it out",
                ));
            }
            headers.push((name, value));
        }
        let mut add = |name: HeaderName| {
            if json && !headers.iter().any(|(header, _)| *header == name) {
                headers.push((name, HeaderValue::from_static("application/json")));
            }
        };
        add(CONTENT_TYPE);
        add(ACCEPT);
        Ok(Self(headers))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
        self.0.iter().cloned()
    }

    /// The header with the token, if the API takes it in one; a header that a person gave must not stand in its place.
    pub(crate) fn presented(
        &self,
        token: &Token,
    ) -> Result<Option<(HeaderName, HeaderValue)>, Failure> {
        let secret = token.access_token.expose();
        let (name, text) = match token.presentation() {
            Presentation::Header { name, prefix } => {
                let name: HeaderName = name.parse().map_err(|_| unusual())?;
                (name, Zeroizing::new(format!("{prefix}{secret}")))
            }
            Presentation::Cookie { name } => (COOKIE, Zeroizing::new(format!("{name}={secret}"))),
            Presentation::Query { .. } => return Ok(None),
        };
        if self.0.iter().any(|(header, _)| *header == name) {
            return Err(Failure::usage(
                format!("the header {name} carries the token of this account, so it is not for -H"),
                "leave it out",
            ));
        }
        // RFC 6750 section 2.1 allows less; a line break would even smuggle in another header.
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unusual());
        }
        let mut value = HeaderValue::from_str(&text).map_err(|_| unusual())?;
        value.set_sensitive(true);
        Ok(Some((name, value)))
    }
}

fn unusual() -> Failure {
    Failure::new(
        Exit::Software,
        "the token has characters that cannot stand in a header",
        "check what the provider sends",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_with_a_credential_or_of_the_connection_is_refused_and_not_repeated() {
        for text in [
            "Authorization: Bearer hunter2",
            "authorization:hunter2",
            "Proxy-Authorization: hunter2",
            "Host: hunter2",
            "content-length: 3",
            "Transfer-Encoding: hunter2",
            "hunter2",
            "a b: hunter2",
            "X-A: hunter2\r\nX-B: c",
            ": hunter2",
        ] {
            let failure = Headers::read(&[text.to_owned()], false)
                .map(|_| ())
                .unwrap_err();
            let said = format!("{failure:?}");
            assert!(
                said.contains("Usage") && !said.contains("hunter2"),
                "{text:?}: {said}"
            );
        }
    }

    #[test]
    fn json_is_said_unless_a_person_said_otherwise() {
        let read = |written: &[&str]| {
            let written: Vec<String> = written.iter().map(|text| (*text).to_owned()).collect();
            let headers = Headers::read(&written, true).unwrap();
            let all = headers
                .all()
                .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()));
            all.collect::<Vec<_>>()
        };
        assert_eq!(
            read(&[]),
            ["content-type=application/json", "accept=application/json"]
        );
        assert_eq!(
            read(&["Content-Type: application/ld+json"]),
            [
                "content-type=application/ld+json",
                "accept=application/json"
            ]
        );
    }
}
