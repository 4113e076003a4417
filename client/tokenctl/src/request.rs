//! A request to an API with the token of an account.
//!
//! Owns the order of things: everything that can be wrong is noticed before a token is asked for; the token goes only where the account says
//! it is for; a refused token is reported once and followed by a newer one once. Must never send a token anywhere else, and follows no redirect.

mod body;
mod exchange;
mod headers;
pub(crate) mod program;
mod progress;
mod proxy;
mod sink;
mod target;
mod upload;

use std::io::Read as _;
use std::path::Path;

use tokend_client::{AccountName, ClientError, Fault, FaultCode, GetOptions, Token};
use ureq::http::{Method, header};

use crate::arguments::Request;
use crate::connection::{connect, connect_within, patience};
use crate::failure::{Exit, Failure};
use crate::{output, words};
use body::Body;
use exchange::{Answer, Exchange};
use headers::Headers;
use progress::Progress;
use sink::{Broken, Sink};
use target::Target;

/// How much of an answer decides whether it refuses the token. The daemon reads no more.
const DECIDING: u64 = 16 * 1024;

/// Makes the request, and ends as `curl --fail-with-body` does.
pub(crate) fn run(socket: Option<&Path>, options: &Request) -> Result<(), Failure> {
    let target = Target::parse(&options.url)?;
    let headers = Headers::read(&options.headers, options.json)?;
    let method = method(&options.method)?;
    let mut body = Body::parse(options.data.as_deref())?;
    let mut sink = Sink::open(options.output.as_deref())?;
    let (account, token) = token(socket, options, &target)?;
    let exchange = Exchange::new(
        &target,
        method,
        headers,
        options.max_time,
        sink.leaves_terminal_free(),
    )?;

    let mut answer = exchange.send(&token, &mut body)?;
    let mut beginning = beginning(&mut answer, &exchange)?;
    let mut used = token;
    if is_refusal(socket, &account, &answer, &beginning) {
        let status = answer.status().as_u16();
        drop(answer);
        used = newer(socket, options, &account, &used, status, &body)?;
        answer = exchange.send(&used, &mut body)?;
        beginning = self::beginning(&mut answer, &exchange)?;
        if is_refusal(socket, &account, &answer, &beginning) {
            output::note("the API refused the newer token as well; it was not reported again");
        }
    }
    deliver(answer, &beginning, &mut sink, options.include, &exchange)
        .map(|(status, location)| (status, location, used))
        .and_then(|(status, location, used)| conclude(status, location.as_deref(), &used, &target))
}

/// A method in capital letters, as all known ones are.
fn method(text: &str) -> Result<Method, Failure> {
    let is_word = !text.is_empty()
        && text.len() <= 32
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
    let method = Method::from_bytes(text.to_ascii_uppercase().as_bytes());
    let usable = method
        .ok()
        .filter(|method| is_word && *method != Method::CONNECT);
    usable.ok_or_else(|| {
        Failure::usage(
            "the word before the URL is no method",
            "write: tokenctl request GET URL",
        )
    })
}

fn token(
    socket: Option<&Path>,
    options: &Request,
    target: &Target,
) -> Result<(AccountName, Token), Failure> {
    let (mut client, patience) = connect_within(socket, patience(&options.patient))?;
    let named = options.account.as_ref();
    let account = target.account(named, &client.apis(named)?)?;
    let demand = GetOptions::new(account.clone())
        .wait(patience.wait)
        .timeout(patience.timeout);
    let token = client.get(&demand)?;
    Ok((account, token))
}

/// The beginning of an answer's body, if it can decide anything: of a failure, or of a success that is no longer than that.
fn beginning(answer: &mut Answer, exchange: &Exchange<'_>) -> Result<Vec<u8>, Failure> {
    let length = answer.body().content_length();
    let is_short = length.is_some_and(|length| length <= DECIDING);
    let mut bytes = Vec::new();
    if answer.status().as_u16() >= 400 || is_short {
        let mut reader = answer.body_mut().as_reader().take(DECIDING);
        reader
            .read_to_end(&mut bytes)
            .map_err(|error| cut(error, exchange, bytes.len() as u64))?;
    }
    Ok(bytes)
}

/// Whether the daemon takes the answer for a refusal, by the rules of the account's dialect.
fn is_refusal(
    socket: Option<&Path>,
    account: &AccountName,
    answer: &Answer,
    beginning: &[u8],
) -> bool {
    let status = answer.status().as_u16();
    if status < 400 && beginning.is_empty() {
        return false;
    }
    let asked =
        connect(socket).and_then(|mut client| client.is_refusal(account, status, beginning));
    asked.unwrap_or_else(|error| {
        output::note(&format!(
            "the daemon cannot be asked whether the API refused the token: {error}"
        ));
        false
    })
}

/// Reports the refused token, and obtains the one to repeat the request with.
fn newer(
    socket: Option<&Path>,
    options: &Request,
    account: &AccountName,
    refused: &Token,
    status: u16,
    body: &Body,
) -> Result<Token, Failure> {
    output::note(&format!(
        "the API refused the token of {account} with HTTP {status}; it is reported"
    ));
    let (mut client, patience) = connect_within(socket, patience(&options.patient))?;
    let newer = client.reject(account, refused.access_token.clone(), patience)?;
    let newer = newer.ok_or_else(|| {
        let fault = Fault::new(
            FaultCode::NotAllowed,
            "there is a newer token, which is not for you",
        );
        ClientError::from(fault.advise("see what you may do with: tokenctl whoami"))
    })?;
    match body.can_be_sent() {
        true => Ok(newer),
        false => Err(Failure::new(
            Exit::TryLater,
            "there is a newer token, but a body from a stream cannot be sent twice",
            "run it again with the same input, or give the body as --data @FILE",
        )),
    }
}

/// Writes the answer. Returns its status, and where a redirect leads.
fn deliver(
    answer: Answer,
    beginning: &[u8],
    sink: &mut Sink,
    include: bool,
    exchange: &Exchange<'_>,
) -> Result<(u16, Option<String>), Failure> {
    let status = answer.status();
    let location = (answer.headers().get(header::LOCATION))
        .filter(|_| status.is_redirection())
        .and_then(|location| location.to_str().ok().map(str::to_owned));
    sink.begin()?;
    if include {
        sink.write(&exchange::head(&answer))?;
    }
    let mut progress = Progress::new(
        "received",
        answer.body().content_length(),
        sink.leaves_terminal_free(),
    );
    sink.write(beginning)?;
    progress.step(beginning.len());
    let copied = sink.copy(&mut answer.into_body().into_reader(), &mut progress);
    let moved = progress.moved();
    drop(progress);
    match copied {
        Ok(()) => Ok((status.as_u16(), location)),
        Err(Broken::Sink(failure)) => Err(failure),
        Err(Broken::Source(error)) => Err(cut(error, exchange, moved)),
    }
}

/// The answer broke off.
fn cut(error: std::io::Error, exchange: &Exchange<'_>, moved: u64) -> Failure {
    output::note(&format!("the answer broke off after {moved} bytes"));
    exchange.failure(ureq::Error::from(error))
}

fn conclude(
    status: u16,
    location: Option<&str>,
    token: &Token,
    target: &Target,
) -> Result<(), Failure> {
    if let Some(location) = location {
        // What follows `?` is often a secret.
        let place = location.split(['?', '#']).next().unwrap_or_default();
        let place = match place.contains(token.access_token.expose()) {
            true => "a URL with the token in it".to_owned(),
            false => words::plain(place),
        };
        output::note(&format!(
            "the answer, HTTP {status}, leads to {place}; a token is not sent after a redirect"
        ));
    }
    match status {
        ..400 => Ok(()),
        _ => Err(Failure::new(
            Exit::HttpStatus,
            format!("{} answered with HTTP {status}", target.shown()),
            "its answer says why, if it has a body",
        )),
    }
}
