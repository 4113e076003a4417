//! What a credential holds: the token alone, or in one of the formats of `tokenctl get`.
//!
//! Owns the suffixes that name them; both are a contract with the programs of units.

use tokend_json::Facts;
use tokend_proto::{Presentation, Token};
use zeroize::Zeroizing;

/// The format of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The token and nothing else, without a line end: programs differ in whether they remove one.
    Plain,
    /// One line of JSON, as `tokenctl get --format json` prints it, without the daemon that answered and without `expires_in`.
    Json,
    /// The header with the token, a line for `curl -H @FILE`.
    Header,
    /// A configuration for `curl -K FILE`.
    Curl,
}

/// Why a token cannot stand in a format: a lower-case fragment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(String);

impl Format {
    /// The suffix of each format but the plain one.
    pub const SUFFIXES: [(&'static str, Self); 3] = [
        (".json", Self::Json),
        (".header", Self::Header),
        (".curl", Self::Curl),
    ];

    /// The token in this format.
    ///
    /// # Errors
    /// When it cannot stand there.
    pub fn content(self, token: &Token) -> Result<Zeroizing<Vec<u8>>, Unfit> {
        let secret = token.access_token.expose();
        match self {
            Self::Plain => Ok(joined(&[secret])),
            Self::Json => json(token).map_err(|error| Unfit(error.to_string())),
            Self::Header => header(secret, &token.presentation()),
            Self::Curl => curl(secret, &token.presentation()),
        }
    }
}

fn json(token: &Token) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    // With room for all of it: a growing buffer would leave copies of the token behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(1024 + 2 * token.access_token.len()));
    let facts = Facts {
        // Nobody reads it at once.
        expires_in: None,
        ..Facts::from(token)
    };
    let json = tokend_json::token(facts, None::<&()>);
    serde_json::to_writer(&mut *bytes, &json)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn header(secret: &str, presentation: &Presentation<'_>) -> Result<Zeroizing<Vec<u8>>, Unfit> {
    let place = match presentation {
        Presentation::Header { name, prefix } => {
            demand_plain(secret, "a header")?;
            return Ok(joined(&[name, ": ", prefix, secret, "\n"]));
        }
        Presentation::Cookie { name } => format!("the cookie `{name}`"),
        Presentation::Query { name } => format!("the query parameter `{name}` of the URL"),
    };
    Err(Unfit(format!(
        "the API of this account wants its token in {place}, not in a header: use the suffix .curl or .json, or none"
    )))
}

fn curl(secret: &str, presentation: &Presentation<'_>) -> Result<Zeroizing<Vec<u8>>, Unfit> {
    demand_plain(secret, "a configuration of curl")?;
    let (option, before) = match presentation {
        Presentation::Header { name, prefix } => ("header", format!("{name}: {prefix}")),
        Presentation::Cookie { name } => ("cookie", format!("{name}=")),
        // curl encodes the value; it takes a name that needs no encoding as it is.
        Presentation::Query { name } => ("url-query", format!("{name}=")),
    };
    // Within double quotes curl reads a backslash and what follows as one character.
    let quoted = |text: &str| Zeroizing::new(text.replace('\\', r"\\").replace('"', "\\\""));
    let parts = [option, " = \"", &quoted(&before), &quoted(secret), "\"\n"];
    Ok(joined(&parts))
}

/// Refuses a token with blanks, line breaks or other than ASCII: a line break would smuggle in another header.
fn demand_plain(secret: &str, place: &str) -> Result<(), Unfit> {
    match secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(Unfit(format!(
            "the token has characters that cannot stand in {place}: use no suffix, and check what the provider sends"
        ))),
    }
}

fn joined(parts: &[&str]) -> Zeroizing<Vec<u8>> {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut bytes = Zeroizing::new(Vec::with_capacity(length));
    for part in parts {
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use tokend_proto::SecretText;

    use super::*;

    fn token(secret: &str, token_type: &str) -> Token {
        Token {
            access_token: SecretText::new(secret).unwrap(),
            token_type: token_type.to_owned(),
            expires_at_ms: Some(1_700_000_000_999),
            remaining_ms: Some(59_999),
            scope: None,
            grant: 1,
        }
    }

    fn content(format: Format, secret: &str, token_type: &str) -> Result<String, String> {
        let content = format.content(&token(secret, token_type));
        let text = |bytes: Zeroizing<Vec<u8>>| String::from_utf8(bytes.to_vec()).unwrap();
        content.map(text).map_err(|why| why.to_string())
    }

    #[test]
    fn formats_are_those_of_get() {
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(content(Format::Plain, "a.b-c", "Bearer"), ok("a.b-c"));
        let header = content(Format::Header, "a.b-c", "bearer");
        assert_eq!(header, ok("Authorization: Bearer a.b-c\n"));
        let header = content(Format::Header, "a", "header:X-Key:pre ");
        assert_eq!(header, ok("X-Key: pre a\n"));
        for (secret, token_type, line) in [
            ("a.b", "Bearer", "header = \"Authorization: Bearer a.b\"\n"),
            (
                r#"a"b\c"#,
                "Bearer",
                "header = \"Authorization: Bearer a\\\"b\\\\c\"\n",
            ),
            ("a", "cookie:sid", "cookie = \"sid=a\"\n"),
            ("a", "query:key", "url-query = \"key=a\"\n"),
        ] {
            assert_eq!(content(Format::Curl, secret, token_type), ok(line));
        }
        let json = content(Format::Json, "a", "Bearer").unwrap();
        let keys = r#"{"access_token":"a","token_type":"Bearer","expires_at":"2023-11-14T22:13:20Z","scope":null}"#;
        assert_eq!(json, format!("{keys}\n"));
    }

    #[test]
    fn what_cannot_stand_in_a_format_is_refused() {
        for secret in ["a b", "a\nX: y", "ä"] {
            for format in [Format::Header, Format::Curl] {
                let why = content(format, secret, "Bearer").unwrap_err();
                assert!(
                    why.starts_with("the token has characters that cannot"),
                    "{why}"
                );
                assert!(!why.contains(secret), "{why}");
            }
            assert_eq!(content(Format::Plain, secret, "Bearer").unwrap(), secret);
        }
        let why = content(Format::Header, "a", "query:key").unwrap_err();
        assert!(
            why.contains("in the query parameter `key` of the URL, not in a header"),
            "{why}"
        );
    }
}
