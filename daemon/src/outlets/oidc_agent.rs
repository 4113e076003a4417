//! oidc-agent's socket: `oidc-token` and the libraries of oidc-agent get tokens here as they are.
//!
//! Owns one conversation, which is one request, and the choice of an account by its issuer: only among those whose tokens the peer may have,
//! and never by chance. Must never decide on an answer that is not begun to be written in the same step.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use interprocess::local_socket::tokio::Stream;
use tokend_audit::{Event, Outcome};
use tokend_config::AuditEvent;
use tokend_outlets::oidc_agent::{
    self as protocol, Conversation, Freshness, Reply, Step, Whose, is_same_issuer,
};
use tokend_peer::Connection;
use tokend_policy::{Outlet, Peer};
use tokend_process::shutdown::Shutdown;
use tokend_proto::{AccountName, Fault, FaultCode, Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use zeroize::Zeroizing;

use super::caller::{Answer, Caller, Gone, still};
use super::shared::Shared;
use crate::requests::Requests;
use crate::server::accept::{Protocol, until_closing};
use crate::server::connection::{Bounds, Ended};
use crate::server::parting::part;

/// How long a client waits for a token, and how much of that for the rate limit. Clients of this protocol state no time and would wait for ever;
/// an attempt with everything around it takes less.
const PATIENCE_MS: (u64, u64) = (0, 30_000);
/// How many accounts a list has at most. Clients take what is there at one look, which is less than what a socket holds.
const MOST_LISTED: usize = 1_000;
/// How many accounts of one issuer are named in a refusal.
const MOST_NAMED: usize = 8;
/// How many characters of a name are said again, in a log line and in an answer.
const MOST_QUOTED: usize = 200;
/// How much is read at once.
const PART: usize = 4 * 1024;

/// The protocol of oidc-agent.
pub(super) struct OidcAgent;

impl Protocol for OidcAgent {
    const OUTLET: Option<Outlet> = Some(Outlet::OidcAgent);

    async fn serve(
        stream: Stream,
        caller: (Peer, u64),
        requests: Arc<Requests>,
        bounds: Bounds,
        stage: watch::Receiver<Shutdown>,
    ) -> Ended {
        until_closing(Box::pin(serve(stream, caller, requests, bounds)), stage).await
    }

    fn refusal(fault: Fault) -> Cow<'static, [u8]> {
        let answer = Conversation::new().answer(&protocol::fault(fault));
        answer.map_or_else(
            |_| Cow::default(),
            |mut bytes| std::mem::take(&mut *bytes).into(),
        )
    }
}

/// Serves one connection of a peer until it ends.
async fn serve<S>(stream: S, caller: (Peer, u64), requests: Arc<Requests>, bounds: Bounds) -> Ended
where
    S: AsyncRead + AsyncWrite + Connection + Unpin,
{
    let shared = Shared::new(stream);
    let talk = Talk {
        stream: shared.clone(),
        caller: Caller::new(shared.clone(), caller, Arc::clone(&requests)),
        requests: Arc::clone(&requests),
        frame: bounds.frame,
        words: Conversation::new(),
    };
    match still(&requests, talk.run()).await {
        Ok(()) => {
            // What was refused may still be on its way here.
            part(shared).await;
            Ended::Closed
        }
        Err(ended) => ended,
    }
}

/// A conversation with one peer.
struct Talk<S> {
    stream: Shared<S>,
    caller: Caller<S>,
    requests: Arc<Requests>,
    /// How long the peer may take to say all, and to read an answer.
    frame: Duration,
    words: Conversation,
}

/// An account, and who issues its tokens.
type Listed = (AccountName, String);

impl<S> Talk<S>
where
    S: AsyncRead + AsyncWrite + Connection + Unpin,
{
    async fn run(mut self) -> Result<(), Ended> {
        let reply = match self.hear().await? {
            Ok(request) => match self.reply(request).await {
                Ok(reply) => reply,
                Err(Gone) => return Err(Ended::Closed),
            },
            Err(refusal) => {
                if let Err(Gone) = self.caller.rest().await {
                    return Err(Ended::Closed);
                }
                self.caller.spend(1);
                refusal.reply()
            }
        };
        // Nothing may come between the answer and its first write.
        let bytes = self.words.answer(&reply).map_err(io::Error::other)?;
        self.say(&bytes).await
    }

    /// Reads the request.
    async fn hear(&mut self) -> Result<Result<protocol::Request, protocol::Refusal>, Ended> {
        let by: Instant = sleep(self.frame).deadline();
        let mut part = Zeroizing::new([0; PART]);
        loop {
            let count = match timeout_at(by, self.stream.read(&mut *part)).await {
                Ok(count) => count?,
                Err(_) => return Err(Ended::Unfinished),
            };
            if count == 0 {
                return Err(match self.words.has_begun() {
                    true => Ended::CutOff,
                    false => Ended::Closed,
                });
            }
            let bytes = part.get(..count).unwrap_or_default();
            match self.words.take(bytes).map_err(io::Error::other)? {
                Step::More => {}
                Step::Send(key) => self.say(&key).await?,
                Step::Asked(asked) => return Ok(asked),
            }
        }
    }

    async fn say(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        match timeout(self.frame, self.stream.write_all(bytes)).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(Ended::NotTaken),
        }
    }

    async fn reply(&mut self, request: protocol::Request) -> Result<Reply, Gone> {
        let version = || concat!("tokend ", env!("CARGO_PKG_VERSION")).to_owned();
        let names = |all: Vec<Listed>| all.into_iter().map(|(name, _)| name).collect();
        let reply = match request {
            protocol::Request::Check => Ok(Reply::Success),
            protocol::Request::Status => Ok(Reply::Status(version())),
            protocol::Request::StatusJson => {
                let listed = self.listed().await?;
                listed.map(|all| Reply::StatusJson(version(), names(all)))
            }
            protocol::Request::LoadedAccounts => {
                let listed = self.listed().await?;
                listed.map(|all| Reply::Names(names(all)))
            }
            protocol::Request::AccountInfo => self.listed().await?.map(Reply::Issuers),
            protocol::Request::AccessToken { of, freshness } => self.token(of, freshness).await?,
        };
        Ok(reply.unwrap_or_else(protocol::fault))
    }

    async fn token(
        &mut self,
        of: Whose,
        freshness: Freshness,
    ) -> Result<Result<Reply, Fault>, Gone> {
        let (account, issuer) = match of {
            Whose::Account(name) => (name, None),
            Whose::Issuer(issuer) => match self.only_one_at(&issuer).await? {
                Ok(name) => (name, Some(issuer)),
                Err(fault) => return Ok(Err(fault)),
            },
            Whose::Nobody(name) => {
                self.caller.rest().await?;
                return Ok(Err(self.denied("account", &name)));
            }
        };
        let answer = self.caller.ask(request(account.clone(), freshness)).await?;
        let Answer::Now(response) = answer else {
            return Ok(Err(unexpected()));
        };
        let token = match response {
            Response::Token(token) => token,
            Response::Fault(fault) => return Ok(Err(fault)),
            // Who may have a new token made and may not have it is told so, and gets none.
            Response::Done { message } => {
                let message = format!("{message}, but you may not have it");
                return Ok(Err(Fault::new(FaultCode::NotAllowed, message)));
            }
            _ => return Ok(Err(unexpected())),
        };
        let snapshot = self.requests.registry.snapshot();
        let served = snapshot.served(&account);
        let issued_by = served.map_or("", |served| served.account.issuer());
        Ok(match issuer {
            // It waited, and meanwhile its account was given to another.
            Some(asked) if !is_same_issuer(&asked, issued_by) => {
                Err(self.denied("account with the issuer", &asked))
            }
            _ => Ok(Reply::Token(Box::new(token), issued_by.to_owned())),
        })
    }

    /// The one account with this issuer whose token the peer may have.
    async fn only_one_at(&mut self, issuer: &str) -> Result<Result<AccountName, Fault>, Gone> {
        let found = match self.accounts(Some(issuer), MOST_NAMED + 1).await? {
            Ok(found) => found,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut found: VecDeque<_> = found.into_iter().map(|(name, _)| name).collect();
        Ok(match (found.pop_front(), found.is_empty()) {
            (Some(name), true) => Ok(name),
            (Some(first), false) => {
                found.push_front(first);
                Err(several_at(issuer, &found))
            }
            (None, _) => Err(self.denied("account with the issuer", issuer)),
        })
    }

    /// All accounts whose tokens the peer may have.
    async fn listed(&mut self) -> Result<Result<Vec<Listed>, Fault>, Gone> {
        let all = self.accounts(None, MOST_LISTED + 1).await?;
        Ok(all.and_then(|all| match all.len() > MOST_LISTED {
            true => {
                let message = format!("you may use more than {MOST_LISTED} accounts");
                let fault = Fault::new(FaultCode::BadRequest, message);
                Err(fault.advise("`tokenctl list` shows them all"))
            }
            false => Ok(all),
        }))
    }

    /// The accounts whose tokens the peer may have and whose issuer is this one, or any; up to a number.
    async fn accounts(
        &mut self,
        at: Option<&str>,
        most: usize,
    ) -> Result<Result<Vec<Listed>, Fault>, Gone> {
        let (mut found, mut after, mut under) = (Vec::new(), None, None);
        loop {
            let asked = Request::Apis {
                account: None,
                after,
            };
            let page = match self.caller.ask(asked).await? {
                Answer::Now(Response::Apis(page)) => page,
                Answer::Now(Response::Fault(fault)) => return Ok(Err(fault)),
                _ => return Ok(Err(unexpected())),
            };
            let snapshot = self.requests.registry.snapshot();
            if *under.get_or_insert(snapshot.number()) != snapshot.number() {
                // What was found may not be said any more.
                (found, after, under) = (Vec::new(), None, None);
                continue;
            }
            for line in page.apis {
                let served = snapshot.served(&line.account);
                let issuer = served.map(|served| served.account.issuer());
                let is_meant = |own: &&str| at.is_none_or(|asked| is_same_issuer(own, asked));
                if let Some(issuer) = issuer.filter(is_meant) {
                    found.push((line.account, issuer.to_owned()));
                }
            }
            if found.len() >= most || page.next.is_none() {
                found.truncate(most);
                return Ok(Ok(found));
            }
            after = page.next;
        }
    }

    /// The refusal of something that names no account for this peer, whether there is one for others or not. Records and counts it.
    fn denied(&self, what: &str, name: &str) -> Fault {
        let peer = self.caller.peer();
        let what = format!("{what} {}", quoted(name));
        tracing::warn!(peer = %peer, "denied: this peer may use no {what}");
        self.caller.spend(1);
        let code = FaultCode::NotAllowed;
        self.requests.audit.note(Event {
            peer: Some(peer.clone()),
            ..Event::new(AuditEvent::Denial, Outcome::Fault(code))
        });
        let Peer { uid, gid, .. } = peer;
        let message = format!("there is no {what} that you may use (user {uid}, group {gid})");
        Fault::new(code, message).advise("`tokenctl list` shows the accounts you may use; `issuer` below [account.NAME] says who issues its tokens")
    }
}

fn request(account: AccountName, freshness: Freshness) -> Request {
    let (wait_ms, timeout_ms) = PATIENCE_MS;
    let min_validity_ms = match freshness {
        Freshness::AnyValid => None,
        Freshness::AtLeast(time) => Some(time.as_millis().try_into().unwrap_or(u64::MAX)),
        Freshness::New => {
            return Request::Refresh {
                account,
                wait_ms,
                timeout_ms,
            };
        }
    };
    Request::Get {
        account,
        min_validity_ms,
        wait_ms,
        timeout_ms,
    }
}

/// Which account is meant is not guessed.
fn several_at(issuer: &str, found: &VecDeque<AccountName>) -> Fault {
    let names = found.iter().take(MOST_NAMED).map(AccountName::as_str);
    let names: Vec<_> = names.collect();
    let more = match found.len() > MOST_NAMED {
        true => " and others",
        false => "",
    };
    let names = names.join(", ");
    let issuer = quoted(issuer);
    let message = format!("several accounts have the issuer {issuer}: {names}{more}");
    Fault::new(FaultCode::BadRequest, message).advise("ask by the name of one of them")
}

/// A name as a client sent it, which may have sixteen thousand characters.
fn quoted(name: &str) -> String {
    match name.char_indices().nth(MOST_QUOTED) {
        None => format!("{name:?}"),
        Some((at, _)) => format!("{:?}…", name.get(..at).unwrap_or_default()),
    }
}

fn unexpected() -> Fault {
    Fault::new(
        FaultCode::Internal,
        "the daemon answered something that this protocol cannot say",
    )
}

#[cfg(test)]
mod tests;
