//! A file of the operator's own making, with the token at one place.
//!
//! Owns the placeholders. A token that could end a quoted word, or a line, is refused: nobody knows what the text around it means.

use tokend_client::Token;
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};
use crate::token::{demand_plain, lines};
use crate::words;

/// The text, cut at its placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Token,
    ExpiresAt,
}

const BEGIN: &str = "{{";
const END: &str = "}}";

impl Template {
    /// Cuts a text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once(BEGIN) {
            let Some((name, behind)) = behind.split_once(END) else {
                return Err("a placeholder begins with {{ and does not end with }}".to_owned());
            };
            parts.push(Part::Text(before.to_owned()));
            parts.push(match name.trim() {
                "token" => Part::Token,
                "expires_at" => Part::ExpiresAt,
                other => {
                    let other = words::plain(other);
                    return Err(format!("there is no placeholder {{{{{other}}}}}"));
                }
            });
            rest = behind;
        }
        parts.push(Part::Text(rest.to_owned()));
        match parts.iter().filter(|part| **part == Part::Token).count() {
            1 => Ok(Self(parts)),
            0 => Err("it has no {{token}}".to_owned()),
            _ => Err("it has {{token}} more than once".to_owned()),
        }
    }

    /// The text with this token.
    pub(super) fn text(&self, token: &Token) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let secret = token.access_token.expose();
        demand_plain(secret, "a template")?;
        if secret.contains(['"', '\'', '\\', '`', '$']) {
            return Err(Failure::new(
                Exit::Software,
                "the token has quotes, or other characters that could mean something in a template",
                "use another format, and check what the provider sends",
            ));
        }
        let ends = token.expires_at.and_then(words::rfc3339_of);
        let mut all = Vec::with_capacity(self.0.len());
        for part in &self.0 {
            all.push(match (part, &ends) {
                (Part::Text(text), _) => text.as_str(),
                (Part::Token, _) => secret,
                (Part::ExpiresAt, Some(ends)) => ends.as_str(),
                (Part::ExpiresAt, None) => {
                    return Err(Failure::new(
                        Exit::Config,
                        "the template says when the token ends, and this token has no stated end",
                        "leave {{expires_at}} out of the template, or set `assumed_lifetime` of the account",
                    ));
                }
            });
        }
        Ok(lines(&all))
    }
}
