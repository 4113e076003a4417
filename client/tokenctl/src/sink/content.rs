//! What is in the file of a sink.
//!
//! Owns the formats of sinks. A file is read later than it is written, so none of them says how long something still lives.

use serde::Serialize;
use tokend_client::Token;
use zeroize::Zeroizing;

use super::template::Template;
use crate::failure::Failure;
use crate::output;
use crate::token::{Form, lines};

/// The format of a file.
#[derive(Debug)]
pub(super) enum Content {
    /// The token and nothing else, not even a line end.
    Raw,
    /// As `get` prints it.
    Form(Form),
    /// A secret of this name, as Envoy's SDS reads it from a file.
    EnvoySds(String),
    Template(Template),
}

impl Content {
    pub(super) fn text(&self, token: &Token) -> Result<Zeroizing<Vec<u8>>, Failure> {
        match self {
            Self::Raw => Ok(lines(&[token.access_token.expose()])),
            Self::Form(form) => form.lasting(token),
            Self::EnvoySds(name) => envoy_sds(name, token),
            Self::Template(template) => template.text(token),
        }
    }
}

/// A discovery response with one generic secret, in JSON. Envoy reads it again when it is moved into place.
fn envoy_sds(name: &str, token: &Token) -> Result<Zeroizing<Vec<u8>>, Failure> {
    #[derive(Serialize)]
    struct Response<'t> {
        resources: [Resource<'t>; 1],
    }
    #[derive(Serialize)]
    struct Resource<'t> {
        #[serde(rename = "@type")]
        kind: &'static str,
        name: &'t str,
        generic_secret: GenericSecret<'t>,
    }
    #[derive(Serialize)]
    struct GenericSecret<'t> {
        secret: Source<'t>,
    }
    #[derive(Serialize)]
    struct Source<'t> {
        inline_string: &'t str,
    }
    let secret = Source {
        inline_string: token.access_token.expose(),
    };
    output::json_line(&Response {
        resources: [Resource {
            kind: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            name,
            generic_secret: GenericSecret { secret },
        }],
    })
}

#[cfg(test)]
mod tests {
    use tokend_client::SecretText;

    use super::*;
    use crate::token::Format;

    fn token(secret: &str, expires_at_ms: Option<u64>) -> Token {
        Token::from(tokend_proto::Token {
            access_token: SecretText::new(secret).unwrap(),
            token_type: "Bearer".to_owned(),
            expires_at_ms,
            remaining_ms: expires_at_ms.map(|_| 60_000),
            scope: None,
            grant: 1,
        })
    }

    fn text(content: &Content, token: &Token) -> String {
        String::from_utf8(content.text(token).unwrap().to_vec()).unwrap()
    }

    fn form(format: Format) -> Content {
        Content::Form(Form {
            format,
            env_name: "API_TOKEN".to_owned(),
            machine: Some("api.example.com".to_owned()),
            user: None,
        })
    }

    #[test]
    fn each_format_has_its_bytes_and_none_says_how_long_the_token_lives() {
        let token = token("t0k", Some(1_700_000_000_000));
        for (content, expected) in [
            (Content::Raw, "t0k"),
            (form(Format::Header), "Authorization: Bearer t0k\n"),
            (form(Format::Env), "export API_TOKEN='t0k'\n"),
            (form(Format::Dotenv), "API_TOKEN=t0k\n"),
            (
                form(Format::Netrc),
                "machine api.example.com login oauth2 password t0k\n",
            ),
            (
                form(Format::Json),
                "{\"access_token\":\"t0k\",\"token_type\":\"Bearer\",\"expires_at\":\"2023-11-14T22:13:20Z\",\"scope\":null}\n",
            ),
            // envoyproxy/envoy, api/envoy/extensions/http/injected_credentials/generic/v3/generic.proto and the documentation of
            // `config.core.v3.PathConfigSource`, read on 2026-11-30.
            (
                Content::EnvoySds("api".to_owned()),
                "{\"resources\":[{\"@type\":\"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret\",\
                 \"name\":\"api\",\"generic_secret\":{\"secret\":{\"inline_string\":\"t0k\"}}}]}\n",
            ),
        ] {
            assert_eq!(text(&content, &token), expected);
        }
    }

    #[test]
    fn a_template_has_the_token_at_one_place() {
        let with_end = "token = \"{{token}}\" # until {{ expires_at }}\n";
        let template = Content::Template(Template::read(with_end).unwrap());
        let expected = "token = \"t0k\" # until 2023-11-14T22:13:20Z\n";
        assert_eq!(
            text(&template, &token("t0k", Some(1_700_000_000_000))),
            expected
        );
        let refused = template.text(&token("t0k", None)).unwrap_err();
        assert!(refused.in_one_line().contains("no stated end"));
        for secret in ["a\"b", "a'b", "a\\b", "a b", "a\nb", "a$b", "a`b"] {
            let refused = template
                .text(&token(secret, Some(1_700_000_000_000)))
                .unwrap_err()
                .in_one_line();
            assert!(!refused.contains(secret), "{refused}");
        }
        for (text, words) in [
            ("nothing", "no {{token}}"),
            ("{{token}} {{token}}", "more than once"),
            ("{{tokn}}", "no placeholder {{tokn}}"),
            ("{{token", "does not end"),
        ] {
            let wrong = Template::read(text).unwrap_err();
            assert!(wrong.contains(words), "{text}: {wrong}");
        }
    }
}
