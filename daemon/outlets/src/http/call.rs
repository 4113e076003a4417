//! What a request asks for.
//!
//! Owns paths, parameters, the header that is required, and the form of bodies.

use std::borrow::Cow;

use http::request::Parts;
use http::{HeaderMap, Method, header};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use tokend_proto::{AccountName, Request, SecretText};
use zeroize::Zeroizing;

use super::events::Stream;
use super::problem::Problem;

/// The longest body that is read, in bytes: the longest token, with room for escapes.
pub const MOST_BODY: usize = 64 * 1024;
/// How long a request may take by default, beyond the wait it asks for.
const PATIENCE_MS: u64 = 30_000;
/// The longest wait, in seconds: the daemon lets nobody wait longer.
const DAY: u64 = 24 * 60 * 60;
/// The longest validity that can be asked for, in seconds.
const YEAR: u64 = 365 * DAY;

/// What is asked for.
#[derive(Debug)]
pub enum Call {
    /// Whether the daemon serves.
    Health,
    /// An answer of the daemon.
    Ask(Request, Shape),
    /// The same, once the body is read.
    Form(Form),
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A token.
    Token,
    /// The state of one account.
    Account,
    /// A page of states.
    StatusPage,
    /// A page of accounts.
    Accounts,
    /// Who asks.
    Whoami,
    /// Whether a token was refused.
    Verdict,
    /// Events, as they come.
    Watch(Stream),
}

/// A request whose body is still to be read.
#[derive(Debug)]
pub struct Form {
    account: AccountName,
    kind: FormKind,
}

#[derive(Debug)]
enum FormKind {
    Reject { wait_ms: u64, timeout_ms: u64 },
    Refusal,
}

/// Reads the head of a request.
///
/// # Errors
/// The answer, where it asks for nothing that there is.
pub fn call(head: &Parts) -> Result<Call, Problem> {
    must_come_from_a_program(&head.headers)?;
    let path = head
        .uri
        .path()
        .strip_prefix("/v1/")
        .ok_or_else(unknown_path)?;
    let parts: Vec<&str> = path.split('/').collect();
    let method = match parts.as_slice() {
        ["accounts", _, "reject" | "refusal"] => Method::POST,
        ["accounts", _, "token" | "status" | "watch"] => Method::GET,
        ["health" | "whoami" | "status" | "accounts"] => Method::GET,
        _ => return Err(unknown_path()),
    };
    if head.method != method {
        return Err(wrong_method(&head.method, &method));
    }
    let query = head.uri.query().unwrap_or_default();
    match parts.as_slice() {
        ["accounts", name, what] => of_account(account(name)?, what, query, &head.headers),
        [what] => of_all(what, query),
        _ => Err(unknown_path()),
    }
}

fn of_all(what: &str, query: &str) -> Result<Call, Problem> {
    let names: &[&str] = match what {
        "status" | "accounts" => &["after"],
        _ => &[],
    };
    let mut query = Query::read(query, names, false)?;
    let after = match query.take("after") {
        Some(name) => Some(
            name.parse()
                .map_err(|error| bad(format!("`after`: {error}")))?,
        ),
        None => None,
    };
    let account = None;
    Ok(match what {
        "health" => Call::Health,
        "whoami" => Call::Ask(Request::Whoami, Shape::Whoami),
        "status" => Call::Ask(Request::Status { account, after }, Shape::StatusPage),
        _ => Call::Ask(Request::Apis { account, after }, Shape::Accounts),
    })
}

fn of_account(
    account: AccountName,
    what: &str,
    query: &str,
    headers: &HeaderMap,
) -> Result<Call, Problem> {
    let names: &[&str] = match what {
        "token" => &["min_validity", "wait", "timeout"],
        "reject" => &["wait", "timeout"],
        "watch" => &["min_validity"],
        _ => &[],
    };
    let mut query = Query::read(query, names, !names.is_empty())?;
    let min_validity_ms = query.seconds("min_validity", YEAR)?;
    let wait_ms = query.seconds("wait", DAY)?.unwrap_or(0);
    let timeout_ms = query.seconds("timeout", DAY)?;
    let timeout_ms = timeout_ms.unwrap_or_else(|| wait_ms.saturating_add(PATIENCE_MS));
    let ask = |request, shape| Ok(Call::Ask(request, shape));
    let kind = match what {
        "token" => {
            let request = Request::Get {
                account,
                min_validity_ms,
                wait_ms,
                timeout_ms,
            };
            return ask(request, Shape::Token);
        }
        "watch" => {
            let request = Request::Watch {
                account,
                min_validity_ms,
            };
            return ask(request, Shape::Watch(Stream::accepted(headers)));
        }
        "status" => {
            let request = Request::Status {
                account: Some(account),
                after: None,
            };
            return ask(request, Shape::Account);
        }
        "reject" => FormKind::Reject {
            wait_ms,
            timeout_ms,
        },
        _ => FormKind::Refusal,
    };
    must_be_json(headers)?;
    Ok(Call::Form(Form { account, kind }))
}

impl Form {
    /// The whole request, with its body. What of the body is a secret is wiped with the request.
    ///
    /// # Errors
    /// The answer to a body of another form.
    pub fn with(self, body: &[u8]) -> Result<(Request, Shape), Problem> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Reject {
            token: Zeroizing<String>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Refusal {
            /// In JSON 401 and 401.0 are the same number.
            status: f64,
            #[serde(default)]
            body: Zeroizing<String>,
        }
        let account = self.account;
        match self.kind {
            FormKind::Reject {
                wait_ms,
                timeout_ms,
            } => {
                let Reject { mut token } = json(body, "{\"token\": \"…\"}")?;
                if token.is_empty() {
                    return Err(bad("`token` is empty"));
                }
                let request = Request::Reject {
                    account,
                    token: secret(&mut token, "token")?,
                    wait_ms,
                    timeout_ms,
                };
                Ok((request, Shape::Token))
            }
            FormKind::Refusal => {
                let Refusal { status, mut body } =
                    json(body, "{\"status\": 401, \"body\": \"…\"}")?;
                let status = (100..600).find(|known| f64::from(*known) == status);
                let status = status.ok_or_else(|| bad("`status` is no status of HTTP"))?;
                let request = Request::Refusal {
                    account,
                    status,
                    body: secret(&mut body, "body")?,
                };
                Ok((request, Shape::Verdict))
            }
        }
    }
}

/// Reads a body. The reason for a refusal does not quote it.
fn json<'b, T: Deserialize<'b>>(body: &'b [u8], form: &str) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        bad(format!("the body is no JSON of the right form ({place})"))
            .advise(format!("send an object of the form {form}"))
    })
}

fn secret(text: &mut Zeroizing<String>, key: &str) -> Result<SecretText, Problem> {
    SecretText::new(std::mem::take(&mut **text)).map_err(|_| {
        bad(format!(
            "`{key}` is longer than {} bytes",
            SecretText::MAX_LEN
        ))
    })
}

/// The parameters of a request.
struct Query<'q>(Vec<(Cow<'q, str>, Cow<'q, str>)>);

impl<'q> Query<'q> {
    /// Reads parameters of these names. For a token, others are refused that would ask for another token.
    fn read(query: &'q str, names: &[&str], is_for_token: bool) -> Result<Self, Problem> {
        let mut found: Vec<(Cow<'q, str>, Cow<'q, str>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "scope" if is_for_token => return Err(another_token("invalid-scope", "a scope")),
                "audience" if is_for_token => {
                    return Err(another_token("invalid-target", "an audience"));
                }
                "resource" if is_for_token => {
                    return Err(another_token("invalid-target", "a resource"));
                }
                known if !names.contains(&known) => {
                    let known = names.join("`, `");
                    let advice = match names {
                        [] => "leave it out: this path takes no parameter".to_owned(),
                        _ => format!("this path takes `{known}`"),
                    };
                    return Err(
                        bad("there is a parameter that this path does not take").advise(advice)
                    );
                }
                _ if found.iter().any(|(own, _)| *own == name) => {
                    return Err(bad(format!("`{name}` is given twice")));
                }
                _ => found.push((name, value)),
            }
        }
        Ok(Self(found))
    }

    fn take(&mut self, name: &str) -> Option<Cow<'q, str>> {
        let at = self.0.iter().position(|(own, _)| own == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// A number of seconds, in milliseconds.
    fn seconds(&mut self, name: &str, most: u64) -> Result<Option<u64>, Problem> {
        let Some(text) = self.take(name) else {
            return Ok(None);
        };
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = text.parse().ok().filter(|it| is_number && *it <= most);
        match seconds {
            Some(seconds) => Ok(Some(u64::saturating_mul(seconds, 1_000))),
            None => Err(bad(format!(
                "`{name}` is no number of seconds up to {most}"
            ))),
        }
    }
}

fn account(name: &str) -> Result<AccountName, Problem> {
    let name = percent_decode_str(name).decode_utf8();
    let name = name.map_err(|_| bad("the account's name is no UTF-8"))?;
    name.parse().map_err(|error| bad(format!("{error}")))
}

/// Pages in a browser, and requests that somebody talks a program into, cannot set this header.
fn must_come_from_a_program(headers: &HeaderMap) -> Result<(), Problem> {
    let mut found = headers.get_all("x-tokend").iter();
    if found.next().is_none_or(|value| value.as_bytes() != b"1") || found.next().is_some() {
        let message = "the request has no header `X-Tokend: 1`";
        return Err(
            Problem::new(403, "header-required", message).advise("send it with every request")
        );
    }
    if headers.contains_key(header::ORIGIN) {
        let message = "the request comes from a page in a browser: it has a header `Origin`";
        return Err(Problem::new(403, "origin-refused", message)
            .advise("ask from a program that runs as its user"));
    }
    Ok(())
}

fn must_be_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    match kind.eq_ignore_ascii_case("application/json") {
        true => Ok(()),
        false => {
            let message = "the body has to be JSON";
            let problem = Problem::new(415, "unsupported-media-type", message);
            Err(problem.advise("send it with `Content-Type: application/json`"))
        }
    }
}

fn another_token(code: &'static str, what: &str) -> Problem {
    let message = format!("{what} was asked for, and accounts have one token each");
    Problem::new(400, code, message).advise(
        "configure an account whose token is for that, ask for its token, and leave the parameter out",
    )
}

fn bad(message: impl Into<String>) -> Problem {
    Problem::new(400, "bad-request", message)
}

fn unknown_path() -> Problem {
    let message = "there is nothing at this path";
    Problem::new(404, "unknown-path", message).advise("see proto/openapi.json for what there is")
}

fn wrong_method(is: &Method, takes: &Method) -> Problem {
    // A method is what the peer says it is, so only the known ones are repeated.
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
        Method::PATCH,
    ];
    let is = match known.contains(is) {
        true => is.as_str(),
        false => "this method",
    };
    let message = format!("this path does not take {is}");
    let problem = Problem::new(405, "method-not-allowed", message);
    match *takes == Method::POST {
        true => problem.allow("POST").advise("use POST"),
        false => problem.allow("GET").advise("use GET"),
    }
}

#[cfg(test)]
mod tests;
