//! The bodies of answers.

use serde::Serialize;
use tokend_json as json;
use tokend_proto::{AccountName, Fault, FaultCode, Response, SinkLine};
use zeroize::Zeroizing;

use super::call::Shape;
use super::problem::Problem;

/// An answer that is no problem.
#[derive(Debug)]
pub enum Answer {
    /// A JSON object. It may carry a token.
    Json(Zeroizing<Vec<u8>>),
    /// It is done, and there is nothing to hand out.
    Nothing,
}

/// What an answer has beside what the daemon answered.
#[derive(Debug, Default)]
pub struct Beside {
    /// Sinks, which stand with the state of their account.
    pub sinks: Vec<SinkLine>,
    /// Accounts whose API may refuse a token in an answer with a status below 400.
    pub refused_below_400: Vec<AccountName>,
}

/// The body of an answer of this shape.
///
/// # Errors
/// The problem that a fault is. An answer to something else is a defect.
pub fn answer(shape: Shape, response: Response, beside: &Beside) -> Result<Answer, Problem> {
    let Beside {
        sinks,
        refused_below_400,
    } = beside;
    Ok(Answer::Json(match (shape, response) {
        (_, Response::Fault(fault) | Response::Unavailable(fault)) => {
            return Err(Problem::of(fault));
        }
        (Shape::Token, Response::Token(token)) => body(&json::token((&token).into(), None::<&()>)),
        // The peer may report tokens of the account and may not have them.
        (Shape::Token, Response::Done { .. }) => return Ok(Answer::Nothing),
        (Shape::Account, Response::Status(page)) => match page.accounts.first() {
            Some(status) => body(&json::account(status, sinks)),
            None => return Err(defect()),
        },
        (Shape::StatusPage, Response::Status(page)) => body(&Page {
            accounts: (page.accounts.iter())
                .map(|status| json::account(status, sinks))
                .collect(),
            next: page.next.as_ref().map(AccountName::as_str),
        }),
        (Shape::Accounts, Response::Apis(page)) => body(&Page {
            accounts: (page.apis.iter())
                .map(|line| Api::of(line, refused_below_400))
                .collect(),
            next: page.next.as_ref().map(AccountName::as_str),
        }),
        (Shape::Whoami, Response::Whoami(who)) => body(&json::whoami(&who, None::<&()>)),
        (Shape::Verdict, Response::Refusal { is_refusal }) => body(&Verdict {
            refused: is_refusal,
        }),
        _ => return Err(defect()),
    }))
}

/// The answer to whether the daemon serves.
pub fn health() -> Answer {
    Answer::Json(body(&Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    }))
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Page<'p, T> {
    accounts: Vec<T>,
    next: Option<&'p str>,
}

#[derive(Serialize)]
struct Api<'p> {
    account: &'p str,
    urls: &'p [String],
    refused_below_400: bool,
}

#[derive(Serialize)]
struct Verdict {
    refused: bool,
}

impl<'p> Api<'p> {
    fn of(line: &'p tokend_proto::ApiLine, refused_below_400: &[AccountName]) -> Self {
        Self {
            account: line.account.as_str(),
            urls: &line.urls,
            refused_below_400: refused_below_400.contains(&line.account),
        }
    }
}

fn body<T: Serialize>(value: &T) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(512));
    // Nothing here can fail to serialize, and a list in memory takes all that is written.
    let _written = serde_json::to_writer(&mut *bytes, value);
    bytes.push(b'\n');
    bytes
}

fn defect() -> Problem {
    let fault = Fault::new(FaultCode::Internal, "the answer is of another kind");
    Problem::of(fault.advise("please report this"))
}

#[cfg(test)]
mod tests;
