//! A credential helper of git, under the name `git-credential-tokenctl`.
//!
//! Source: git's Documentation/git-credential.adoc and gitcredentials.adoc. Owns what git is told: where the server takes it, the token under
//! its scheme (git 2.46 and later), else a user name with the token as password. `erase` reports the very token that the server refused;
//! `store` does nothing, since the daemon has the token.

use std::time::{SystemTime, UNIX_EPOCH};

use tokend_client::{SecretText, Token};
use zeroize::Zeroizing;

use super::caller::Caller;
use super::destination::{Destination, Found, several};
use super::question;
use crate::failure::{Exit, Failure};
use crate::{output, token};

/// The longest line of the protocol, without its end.
const LONGEST_LINE: usize = 65_535;
/// What servers take beside an access token, unless they want another name.
const USER: &str = "oauth2";

pub(super) fn answer(caller: &Caller<'_>) -> Result<(), Failure> {
    match caller.options.operation.as_str() {
        "get" => get(caller),
        "erase" => erase(caller),
        "capability" => output::print(b"version 0\ncapability authtype\n"),
        // git wants operations that a helper does not know to be ignored.
        _ => Ok(()),
    }
}

fn get(caller: &Caller<'_>) -> Result<(), Failure> {
    let bytes = question::read()?;
    let asked = Question::read(&bytes)?;
    let Some(to) = asked.destination() else {
        return Ok(());
    };
    let found = caller.connect().and_then(|mut client| {
        let found = caller.account(&mut client, std::slice::from_ref(&to))?;
        Ok((client, found))
    });
    let (mut client, account) = match found {
        Ok((client, Found::Account(account))) => (client, account),
        Ok((_, Found::Several(one, other))) => return last(several(&one, &other, &to)),
        Ok((_, Found::NeedsPath(account))) => {
            output::note(&format!(
                "the token of {account} is for a part of {to} only, and git does not say which part is meant; \
                 with this it does: git config --global credential.{to}.useHttpPath true"
            ));
            return Ok(());
        }
        Ok((_, Found::Nothing)) => return Ok(()),
        // Whoever names an account wants no other credential in its place.
        Err(failure) if caller.options.account.is_some() => return last(failure),
        Err(failure) => return Err(failure),
    };
    let reply = caller
        .token(&mut client, account)
        .and_then(|token| asked.reply(&token, caller.options.user.as_deref()));
    match reply {
        Ok(reply) => output::print(&reply),
        Err(failure) => last(failure),
    }
}

/// The failure, after which git neither asks the next helper nor a person for a password.
fn last(failure: Failure) -> Result<(), Failure> {
    output::print(b"quit=1\n")?;
    Err(failure)
}

fn erase(caller: &Caller<'_>) -> Result<(), Failure> {
    let bytes = question::read()?;
    let asked = Question::read(&bytes)?;
    let (Some(to), Some(refused)) = (asked.destination(), asked.secret) else {
        return Ok(());
    };
    // What cannot be a token was not given by us.
    let Ok(refused) = SecretText::new(refused) else {
        return Ok(());
    };
    let mut client = caller.connect()?;
    match caller.account(&mut client, std::slice::from_ref(&to))? {
        Found::Account(account) => {
            client.reject(&account, refused, caller.patience())?;
            Ok(())
        }
        Found::Several(one, other) => Err(several(&one, &other, &to)),
        Found::NeedsPath(_) | Found::Nothing => Ok(()),
    }
}

/// What git says, as far as it matters here.
#[derive(Default)]
struct Question<'q> {
    protocol: &'q str,
    host: &'q str,
    path: Option<&'q str>,
    user: Option<&'q str>,
    /// The password or the token under a scheme that the server refused.
    secret: Option<&'q str>,
    /// Whether this git can send a token under another scheme than Basic.
    takes_schemes: bool,
    /// The `WWW-Authenticate` headers of the server.
    challenges: Vec<&'q str>,
}

impl<'q> Question<'q> {
    fn read(bytes: &'q [u8]) -> Result<Self, Failure> {
        let mut asked = Self::default();
        for line in bytes.split(|byte| *byte == b'\n') {
            if line.len() > LONGEST_LINE {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("a line of the question is longer than {LONGEST_LINE} bytes"),
                    "let git ask it",
                ));
            }
            let line = std::str::from_utf8(line).ok();
            let Some((key, value)) = line.and_then(|line| line.split_once('=')) else {
                continue;
            };
            match key {
                "protocol" => asked.protocol = value,
                "host" => asked.host = value,
                "path" => asked.path = Some(value),
                "username" => asked.user = Some(value).filter(|user| !user.is_empty()),
                "password" | "credential" => asked.secret = Some(value),
                // An empty value takes back what came before.
                "capability[]" if value.is_empty() => asked.takes_schemes = false,
                "capability[]" => asked.takes_schemes |= value == "authtype",
                "wwwauth[]" if value.is_empty() => asked.challenges.clear(),
                "wwwauth[]" => asked.challenges.push(value),
                _ => {}
            }
        }
        Ok(asked)
    }

    fn destination(&self) -> Option<Destination> {
        Destination::new(self.protocol, self.host, self.path)
    }

    /// What git is told about a token.
    fn reply(&self, token: &Token, user: Option<&str>) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let scheme = token::scheme(token)?;
        let secret = token.access_token.expose();
        let since = |at: SystemTime| at.duration_since(UNIX_EPOCH).ok();
        let expiry = token.expires_at.and_then(since);
        let expiry = expiry.map(|since| since.as_secs().to_string());
        let expiry = expiry
            .as_deref()
            .map(|end| ["password_expiry_utc=", end, "\n"]);
        let expiry = expiry.iter().flatten().copied();
        let mut parts = match self.scheme(&scheme, user) {
            Some(scheme) => vec![
                "capability[]=authtype\nauthtype=",
                scheme,
                "\ncredential=",
                secret,
                "\nephemeral=true\n",
            ],
            None => vec![
                "username=",
                user.or(self.user).unwrap_or(USER),
                "\npassword=",
                secret,
                "\n",
            ],
        };
        parts.extend(expiry);
        Ok(token::lines(&parts))
    }

    /// The scheme under which the token is sent; `None` for a password. A user name that was demanded is for a password.
    fn scheme<'s>(&self, scheme: &'s str, user: Option<&str>) -> Option<&'s str> {
        let takes_password_only = self.is_offered("Basic") && !self.is_offered(scheme);
        let is_word = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_graphic());
        (self.takes_schemes && is_word && user.is_none() && !takes_password_only).then_some(scheme)
    }

    fn is_offered(&self, scheme: &str) -> bool {
        // One header may have several challenges, with a comma between them as between the parameters of one.
        let parts = self.challenges.iter().flat_map(|header| header.split(','));
        let mut schemes = parts.filter_map(|part| part.split_ascii_whitespace().next());
        schemes.any(|offered| offered.eq_ignore_ascii_case(scheme))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str =
        "capability[]=authtype\ncapability[]=state\nprotocol=https\nhost=git.example.com\n";

    fn token(token_type: &str) -> Token {
        Token::from(tokend_proto::Token {
            access_token: SecretText::new("hunter2").unwrap(),
            token_type: token_type.to_owned(),
            expires_at_ms: Some(1_790_000_000_999),
            remaining_ms: Some(1),
            scope: None,
            grant: 1,
        })
    }

    fn reply(question: &str, token_type: &str, user: Option<&str>) -> Result<String, Failure> {
        let asked = Question::read(question.as_bytes()).unwrap();
        let reply = asked.reply(&token(token_type), user)?;
        Ok(String::from_utf8(reply.to_vec()).unwrap())
    }

    #[test]
    fn the_server_and_git_decide_how_the_token_is_sent() {
        let bearer = "capability[]=authtype\nauthtype=Bearer\ncredential=hunter2\nephemeral=true\n\
                      password_expiry_utc=1790000000\n";
        let password = |user: &str| {
            format!("username={user}\npassword=hunter2\npassword_expiry_utc=1790000000\n")
        };
        let old = "protocol=https\nhost=git.example.com\n";
        let basic = "wwwauth[]=Basic realm=\"GitLab\"\n";
        for (question, user, expected) in [
            (NEW.to_owned(), None, bearer.to_owned()),
            (
                format!("{NEW}wwwauth[]=Bearer realm=\"x\"\n"),
                None,
                bearer.to_owned(),
            ),
            (
                format!("{NEW}{basic}wwwauth[]=bearer\n"),
                None,
                bearer.to_owned(),
            ),
            (
                format!("{NEW}wwwauth[]=Basic realm=\"x\", Bearer\n"),
                None,
                bearer.to_owned(),
            ),
            (format!("{NEW}{basic}wwwauth[]=\n"), None, bearer.to_owned()),
            (
                format!("{NEW}wwwauth[]=Negotiate\n"),
                None,
                bearer.to_owned(),
            ),
            (format!("{NEW}{basic}"), None, password("oauth2")),
            (
                NEW.to_owned(),
                Some("x-access-token"),
                password("x-access-token"),
            ),
            (old.to_owned(), None, password("oauth2")),
            (format!("{old}username=bob\n"), None, password("bob")),
            (format!("{old}username=\n"), None, password("oauth2")),
            (format!("{old}username=bob\n"), Some("eve"), password("eve")),
            (format!("{NEW}capability[]=\n"), None, password("oauth2")),
        ] {
            assert_eq!(
                reply(&question, "bearer", user).unwrap(),
                expected,
                "{question}"
            );
        }
    }

    #[test]
    fn a_token_that_git_cannot_send_is_refused() {
        for place in ["cookie:session", "query:key", "header:X-Key"] {
            assert!(reply(NEW, place, None).is_err(), "{place}");
        }
        assert!(
            reply(NEW, "Token", None)
                .unwrap()
                .contains("authtype=Token\n")
        );
        // Without a scheme there is only the password.
        let bare = reply(NEW, "header:Authorization", None).unwrap();
        assert!(bare.contains("password=hunter2\n"), "{bare}");
    }

    #[test]
    fn unknown_keys_and_lines_are_ignored_and_a_long_line_is_not() {
        let question = b"protocol=https\nhost=a.test\nhost=b.test\nstrange\nx=\xff\nnew[]=1\n\n";
        let asked = Question::read(question).unwrap();
        assert_eq!((asked.protocol, asked.host), ("https", "b.test"));
        let line = |length: usize| format!("x={}\nprotocol=https\n", "a".repeat(length - 2));
        assert!(Question::read(line(LONGEST_LINE).as_bytes()).is_ok());
        assert!(Question::read(line(LONGEST_LINE + 1).as_bytes()).is_err());
    }
}
