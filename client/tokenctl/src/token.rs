//! A token in the formats of `get`.
//!
//! Owns the formats; they are a contract with scripts. A token that cannot stand in a format is refused, because what would be printed
//! could mean something else there. Nothing but standard output and the file that was asked for ever sees the token.

mod authorization;
mod github;
mod json;
mod json_headers;
mod kubernetes;
mod parts;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokend_client::{Presentation, Token};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};
use crate::who_answered::Daemon;
pub(crate) use authorization::{bearer, scheme};
pub(crate) use json::facts;
use parts::{cannot_stand, header, line};
pub(crate) use parts::{demand_plain, lines};

/// How a token is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Plain,
    Header,
    Json,
    JsonHeaders,
    Env,
    Dotenv,
    Curl,
    Netrc,
    Xoauth2,
    Kubernetes,
    Github,
}

/// A format with what it says beside the token.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) format: Format,
    /// The variable.
    pub(crate) env_name: String,
    /// The host.
    pub(crate) machine: Option<String>,
    pub(crate) user: Option<String>,
}

impl Form {
    /// What is printed, with its line end.
    pub(crate) fn text(
        &self,
        token: &Token,
        daemon: &Daemon,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        self.written(token, Some(daemon))
    }

    /// The same for a file that is read later: without what holds only now.
    pub(crate) fn lasting(&self, token: &Token) -> Result<Zeroizing<Vec<u8>>, Failure> {
        self.written(token, None)
    }

    fn written(
        &self,
        token: &Token,
        daemon: Option<&Daemon>,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let secret = token.access_token.expose();
        match self.format {
            Format::Plain => Ok(plain(token)),
            Format::Header => {
                let (name, prefix) = header(token)?;
                Ok(line(&[&name, ": ", &prefix, secret]))
            }
            Format::Json => json::text(token, daemon),
            Format::JsonHeaders => json_headers::text(token),
            Format::Env => {
                let quoted = Zeroizing::new(secret.replace('\'', r"'\''"));
                Ok(line(&["export ", &self.env_name, "='", &quoted, "'"]))
            }
            Format::Dotenv => {
                let quote = dotenv_quote(secret)?;
                Ok(line(&[&self.env_name, "=", quote, secret, quote]))
            }
            Format::Curl => curl(token),
            Format::Netrc => {
                let machine = self.machine.as_deref().unwrap_or_default();
                let user = self.user.as_deref().unwrap_or("oauth2");
                let secret = netrc_word(secret)?;
                Ok(line(&[
                    "machine ",
                    machine,
                    " login ",
                    user,
                    " password ",
                    secret,
                ]))
            }
            Format::Xoauth2 => xoauth2(token, self.user.as_deref().unwrap_or_default()),
            Format::Kubernetes => kubernetes::text(token),
            Format::Github => github::mask(secret),
        }
    }

    /// What has to follow once the text is printed.
    pub(crate) fn after(&self, token: &Token) -> Result<(), Failure> {
        match self.format {
            Format::Github => github::set(&self.env_name, token.access_token.expose()),
            _ => Ok(()),
        }
    }
}

/// The token and a line end.
pub(crate) fn plain(token: &Token) -> Zeroizing<Vec<u8>> {
    line(&[token.access_token.expose()])
}

/// A configuration for `curl --config`, with the token where the API wants it.
fn curl(token: &Token) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let secret = token.access_token.expose();
    demand_plain(secret, "a configuration of curl")?;
    let (option, parts) = match token.presentation() {
        Presentation::Header { name, prefix } => (
            "header",
            [name.into_owned(), ": ".into(), prefix.into_owned()],
        ),
        Presentation::Cookie { name } => ("cookie", [name.to_owned(), "=".into(), String::new()]),
        // curl encodes the value; it takes a name that needs no encoding as it is.
        Presentation::Query { name } => ("url-query", [name.to_owned(), "=".into(), String::new()]),
    };
    // Within double quotes curl reads a backslash and what follows as one character.
    let quoted = |text: &str| Zeroizing::new(text.replace('\\', r"\\").replace('"', "\\\""));
    let before = quoted(&parts.concat());
    Ok(line(&[option, " = \"", &before, &quoted(secret), "\""]))
}

/// The initial response of SASL XOAUTH2, as mail servers take it: base64 of the user and the token, each ended by a byte 1.
fn xoauth2(token: &Token, user: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (name, prefix) = header(token)?;
    if name != "Authorization" {
        return Err(Failure::new(
            Exit::Config,
            format!(
                "the API of this account wants its token in the header {name}, which XOAUTH2 cannot say"
            ),
            "use another --format",
        ));
    }
    let secret = token.access_token.expose();
    let message = Zeroizing::new(format!("user={user}\u{1}auth={prefix}{secret}\u{1}\u{1}"));
    Ok(line(&[&Zeroizing::new(
        STANDARD.encode(message.as_bytes()),
    )]))
}

/// The quotes a value needs in a file of variables, which other programs than shells read: Docker takes quotes as part of the value, so a
/// value has them only where it needs them.
fn dotenv_quote(secret: &str) -> Result<&'static str, Failure> {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=:@,%".contains(&byte);
    match secret {
        bare if bare.bytes().all(is_bare) => Ok(""),
        quoted
            if quoted
                .chars()
                .all(|c| c != '\'' && c != '\\' && !c.is_control()) =>
        {
            Ok("'")
        }
        _ => Err(cannot_stand("a file of variables")),
    }
}

/// A word of a netrc file. Programs differ in how they read quotes there, so none is written.
fn netrc_word(secret: &str) -> Result<&str, Failure> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'\\#".contains(&byte);
    match secret.bytes().all(is_plain) {
        true => Ok(secret),
        false => Err(cannot_stand("a netrc file")),
    }
}
