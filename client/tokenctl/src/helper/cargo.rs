//! A credential provider of cargo, under the name `cargo-credential-tokenctl`.
//!
//! Source: doc.rust-lang.org/cargo/reference/credential-provider-protocol.html, version 1 of the protocol, read 2026-11-30. Owns the
//! conversation: a hello, then a line for each line. A failure is an answer too, and the exit code stays 0: cargo shows the words of an
//! answer, and of a failed provider only its exit code.

use std::io::{self, BufRead as _, Read as _};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::caller::Caller;
use super::destination::{Destination, Found, at_url, several};
use crate::arguments::read_cargo;
use crate::failure::{Exit, Failure};
use crate::{clock, output, token};

/// A request has a few hundred bytes, and challenges of the registry.
const LONGEST: u64 = 64 * 1024;

pub(super) fn answer(caller: &Caller<'_>) -> Result<(), Failure> {
    output::print(b"{\"v\":[1]}\n")?;
    let mut lines = io::stdin().lock();
    loop {
        // It may be a login, with a token in it.
        let mut line = Zeroizing::new(String::with_capacity(4096));
        let read = lines.by_ref().take(LONGEST).read_line(&mut line);
        let whole = line.ends_with('\n') || (line.len() as u64) < LONGEST;
        match read {
            Ok(0) => return Ok(()),
            Ok(_) if whole => output::print(&reply(caller, &line)?)?,
            Ok(_) => {
                return Err(Failure::usage(
                    format!("a request of cargo is longer than {LONGEST} bytes"),
                    "let cargo ask it",
                ));
            }
            Err(error) => {
                return Err(Failure::new(
                    Exit::Io,
                    format!("cannot read the request of cargo: {error}"),
                    "let cargo start it",
                ));
            }
        }
    }
}

/// The parts of a request that matter here. cargo adds others with new versions.
#[derive(Deserialize)]
struct Asked {
    v: u32,
    kind: String,
    registry: Registry,
    #[serde(default)]
    args: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Registry {
    index_url: String,
}

#[derive(Serialize)]
enum Reply<'a> {
    Ok(Granted<'a>),
    Err(Refused),
}

#[derive(Serialize)]
struct Granted<'a> {
    kind: &'static str,
    token: &'a str,
    #[serde(flatten)]
    cache: Cache,
    /// Reading and publishing need the same token.
    operation_independent: bool,
}

/// How long cargo may use it, within one command.
#[derive(Serialize)]
#[serde(tag = "cache", rename_all = "kebab-case")]
enum Cache {
    Session,
    Expires { expiration: u64 },
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Refused {
    /// cargo asks its next provider.
    UrlNotSupported,
    OperationNotSupported,
    Other {
        message: String,
        #[serde(rename = "caused-by")]
        caused_by: [&'static str; 0],
    },
}

/// The line that answers this one.
fn reply(caller: &Caller<'_>, line: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let refused = match serde_json::from_str::<Asked>(line) {
        Ok(asked) if asked.v != 1 => other(&Failure::usage(
            "cargo speaks a version of the protocol that this tokenctl does not know",
            "install a newer tokenctl",
        )),
        Ok(asked) if asked.kind == "get" => match get(caller, &asked) {
            Ok(line) => return Ok(line),
            Err(refused) => refused,
        },
        // The daemon is told of logins by `tokenctl login`, and what it has goes by `tokenctl forget`.
        Ok(_) => Refused::OperationNotSupported,
        // The parser's own words may repeat a token.
        Err(_) => other(&Failure::usage(
            "what cargo said is no request",
            "let cargo ask it",
        )),
    };
    output::json_line(&Reply::Err(refused))
}

fn get(caller: &Caller<'_>, asked: &Asked) -> Result<Zeroizing<Vec<u8>>, Refused> {
    let Some(to) = destination(&asked.registry.index_url) else {
        return Err(Refused::UrlNotSupported);
    };
    let options = read_cargo(&asked.args).map_err(|failure| other(&failure))?;
    let caller = Caller {
        socket: caller.socket,
        options: &options,
        begun: clock::steady(),
    };
    match granted(&caller, &to) {
        Ok(Some(line)) => Ok(line),
        Ok(None) => Err(Refused::UrlNotSupported),
        Err(failure) => Err(other(&failure)),
    }
}

fn granted(caller: &Caller<'_>, to: &Destination) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let mut client = caller.connect()?;
    let account = match caller.account(&mut client, std::slice::from_ref(to))? {
        Found::Account(account) => account,
        Found::Several(one, other) => return Err(several(&one, &other, to)),
        // cargo names the whole address of the index.
        Found::NeedsPath(_) | Found::Nothing => return Ok(None),
    };
    let token = caller.token(&mut client, account)?;
    // cargo sends these words as the whole of the header.
    let scheme = token::scheme(&token)?;
    let secret = token.access_token.expose();
    let value = Zeroizing::new(match scheme.as_str() {
        "" => secret.to_owned(),
        scheme => [scheme, " ", secret].concat(),
    });
    let end = token
        .expires_at
        .and_then(|end| end.duration_since(UNIX_EPOCH).ok());
    let cache = end.map_or(Cache::Session, |end| Cache::Expires {
        expiration: end.as_secs(),
    });
    let granted = Granted {
        kind: "get",
        token: &value,
        cache,
        operation_independent: true,
    };
    output::json_line(&Reply::Ok(granted)).map(Some)
}

/// The address of an index, which says how it is fetched before it says where.
fn destination(index: &str) -> Option<Destination> {
    let url = ["sparse+", "registry+"]
        .iter()
        .find_map(|kind| index.strip_prefix(kind))
        .unwrap_or(index);
    at_url(url)
}

fn other(failure: &Failure) -> Refused {
    Refused::Other {
        message: failure.line(clock::now()),
        caused_by: [],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_at_its_address() {
        for (index, expected) in [
            (
                "sparse+https://cargo.example.com/index/",
                Some("https://cargo.example.com/index/"),
            ),
            (
                "registry+https://cargo.example.com/index.git",
                Some("https://cargo.example.com/index.git"),
            ),
            (
                "https://github.com/rust-lang/crates.io-index",
                Some("https://github.com/rust-lang/crates.io-index"),
            ),
            (
                "sparse+http://127.0.0.1:8080",
                Some("http://127.0.0.1:8080/"),
            ),
            ("ssh://git@cargo.example.com/index.git", None),
            ("sparse+https://user@cargo.example.com/", None),
            ("", None),
        ] {
            let made = destination(index).map(|to| to.to_string());
            assert_eq!(made.as_deref(), expected, "{index}");
        }
    }
}
