//! Where requests are answered, or passed on.
//!
//! Owns what each request means: who may make it, decided once (`admission`), what the registry can answer at once, what the driver is
//! asked instead, and what a refused peer is told (`refusal`). Never waits on behalf of a session: what takes time is handed back as a future.

mod admission;
mod diagnose;
mod done;
mod entry;
mod forget;
mod pages;
mod parts;
mod presentation;
mod recorded;
mod refusal;
mod release;
mod reply;
pub(crate) mod thrift;
mod whoami;

use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq as _;
use tokend_engine::{Demand, Timestamp, Want};
use tokend_policy::Peer;
use tokend_proto::{Fault, FaultCode, LoginSecret, Request, Response, SecretText, Token};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::broker::inbox::{self, Answer, Message, Waiter};
use crate::broker::login_means;
use crate::broker::registry::{Epoch, IssuedToken, Slot};
use tokend_peer::{self, PATIENCE, Turn};
use tokend_process::clock::Clock;

pub(crate) use admission::{Admission, Admitted};
use done::{Done, to_the_end};
pub(crate) use entry::is_denial;
use pages::list;
pub(crate) use parts::Requests;
use presentation::{presented, without_token};
use refusal::{crowded, gone, nameless, overtaken};
pub(crate) use release::{Answered, Release};
pub(crate) use reply::Reply;

/// The longest a request may wait. A client that names a longer time waits this long.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long somebody waits who enters a credential and learns whether it is right.
const LOGIN_WAIT: Duration = Duration::from_secs(60);

impl Requests {
    /// Answers a request that the peer may make, or passes it on. Reached through `answer`, which counts and records.
    fn dispatch(&self, peer: &Peer, admitted: &Admitted<'_>, request: Request) -> Done {
        let done = match admitted.account {
            Some(slot) => self.about(slot, peer, admitted, request),
            None => self.about_none(peer, admitted, request),
        };
        done.unwrap_or_else(|fault| Done::Now(Response::Fault(*fault)))
    }

    /// A request about an account.
    fn about(
        &self,
        slot: &Arc<Slot>,
        peer: &Peer,
        admitted: &Admitted<'_>,
        request: Request,
    ) -> Result<Done, Box<Fault>> {
        match request {
            Request::Get {
                min_validity_ms,
                wait_ms,
                timeout_ms,
                ..
            } => {
                let min_validity = min_validity_ms.map(Duration::from_millis);
                Ok(self.get(slot, peer, admitted, min_validity, (wait_ms, timeout_ms)))
            }
            Request::Reject {
                token,
                wait_ms,
                timeout_ms,
                ..
            } => Ok(self.reject(slot, peer, admitted, &token, (wait_ms, timeout_ms))),
            Request::Refresh {
                wait_ms,
                timeout_ms,
                ..
            } => Ok(self.refresh(slot, peer, admitted, (wait_ms, timeout_ms))),
            Request::Login { secret, .. } => self.login(slot, peer, admitted, secret),
            Request::Forget { account } => Ok(self.forget(admitted, peer, &account)),
            Request::Diagnose { .. } => Ok(self.diagnose(admitted, peer, None)),
            _ => Ok(self.status(admitted, peer, None)),
        }
    }

    /// A request about all accounts, about none, or about one that is not configured.
    fn about_none(
        &self,
        peer: &Peer,
        admitted: &Admitted<'_>,
        request: Request,
    ) -> Result<Done, Box<Fault>> {
        match request {
            Request::Status { after, .. } => Ok(self.status(admitted, peer, after.as_ref())),
            Request::List { after } => Ok(Done::Now(list(admitted, peer, after.as_ref()))),
            Request::Reload => Ok(self.reload(peer)),
            Request::Forget { account } => Ok(self.forget(admitted, peer, &account)),
            Request::Diagnose { after, .. } => Ok(self.diagnose(admitted, peer, after.as_ref())),
            Request::Metrics { after } => Ok(self.read_metrics(after)),
            Request::Whoami => Ok(self.whoami(admitted.snapshot, peer)),
            Request::Other(kind) => Err(Box::new(unknown_kind(kind))),
            _ => Err(Box::new(Fault::new(
                FaultCode::BadRequest,
                "hello was said twice",
            ))),
        }
    }

    fn get(
        &self,
        slot: &Slot,
        peer: &Peer,
        admitted: &Admitted<'_>,
        min_validity: Option<Duration>,
        waits: (u64, u64),
    ) -> Done {
        let now = self.clock.steady();
        slot.held.asked().touch(now);
        if let Some(token) = slot.held.token().as_ref()
            && token.held.is_good(now, min_validity)
        {
            if token.is_first_late_use(now) {
                // Only a hint: when the driver has no room for it, the next `get` after expiry does the same job.
                let _dropped = self.driver.try_send(Message::Asked(slot.key));
            }
            return Done::Now(Response::Token(self.told(slot, token, now)));
        }
        let demand = demand(now, min_validity, waits);
        self.want(slot, peer.uid, admitted, demand, Want::Get)
    }

    /// An API refused a token. Only the token held counts: whoever reports an older one gets the newer one at once, so that ten
    /// processes that report the same token cause one attempt.
    fn reject(
        &self,
        slot: &Slot,
        peer: &Peer,
        admitted: &Admitted<'_>,
        token: &SecretText,
        waits: (u64, u64),
    ) -> Done {
        let account = &slot.account.name;
        let has_tokens = admitted.rules.token.is_some();
        let now = self.clock.steady();
        slot.held.asked().touch(now);
        let current = slot.held.token();
        let want = match current.as_ref() {
            Some(current) if is_same(&current.token.text, token) => {
                Want::Rejected(current.held.grant)
            }
            Some(newer) if newer.held.is_good(now, None) => {
                if !has_tokens {
                    let message = format!("account {account} has a newer token");
                    return Done::Now(Response::Done { message });
                }
                return Done::Now(Response::Token(self.told(slot, newer, now)));
            }
            _ => Want::Get,
        };
        if matches!(want, Want::Rejected(_)) {
            tracing::info!(account = %account, peer = %peer, "a client reports that its token was refused");
        }
        let demand = demand(now, None, waits);
        let wanted = self.want(slot, peer.uid, admitted, demand, want);
        match has_tokens {
            true => wanted,
            false => without_token(wanted, account),
        }
    }

    fn refresh(
        &self,
        slot: &Slot,
        peer: &Peer,
        admitted: &Admitted<'_>,
        waits: (u64, u64),
    ) -> Done {
        let account = &slot.account.name;
        let has_tokens = admitted.rules.token.is_some();
        let now = self.clock.steady();
        slot.held.asked().touch(now);
        tracing::info!(account = %account, peer = %peer, "a person asks for a new token");
        let demand = demand(now, None, waits);
        let wanted = self.want(slot, peer.uid, admitted, demand, Want::Forced);
        match has_tokens {
            true => wanted,
            false => without_token(wanted, account),
        }
    }

    fn want(
        &self,
        slot: &Slot,
        uid: u32,
        admitted: &Admitted<'_>,
        demand: Demand,
        want: Want,
    ) -> Done {
        let account = slot.key;
        let waiter = Waiter::new(self.driver.clone(), account);
        let id = waiter.id();
        let asked = self.ask(admitted, |reply| Message::Wanted {
            account,
            waiter: id,
            uid,
            demand,
            want,
            reply,
        });
        let wanted = match asked {
            Done::Now(response) => {
                waiter.answered();
                Done::Now(response)
            }
            Done::Later(pending) => Done::Later(Box::pin(async move {
                let response = pending.await;
                waiter.answered();
                response
            })),
        };
        match slot.account.dialect.present() {
            Some(present) => presented(wanted, present.to_owned()),
            None => wanted,
        }
    }

    fn login(
        &self,
        slot: &Slot,
        peer: &Peer,
        admitted: &Admitted<'_>,
        secret: LoginSecret,
    ) -> Result<Done, Box<Fault>> {
        login_means::accepts(&slot.account, &secret)?;
        let secret = login_means::alone(secret)?;
        tracing::info!(account = %slot.account.name, peer = %peer, "a person enters a credential");
        let now = self.clock.steady();
        let answer_by = now.after(LOGIN_WAIT);
        let demand = Demand {
            min_validity: None,
            start_by: now,
            answer_by,
        };
        let account = slot.key;
        slot.held.asked().touch(now);
        Ok(self.ask(admitted, |reply| Message::Login {
            account,
            secret,
            demand,
            reply,
        }))
    }

    fn reload(&self, peer: &Peer) -> Done {
        tracing::info!(peer = %peer, "a reload is requested");
        let reloader = Arc::clone(&self.reloader);
        to_the_end(async move {
            match reloader.reload().await {
                Ok(message) => Response::Done { message },
                Err(fault) => Response::Fault(*fault),
            }
        })
    }

    fn whoami(&self, epoch: &Arc<Epoch>, peer: &Peer) -> Done {
        let (peer, epoch) = (peer.clone(), Arc::clone(epoch));
        let turns = self.facts.names.clone();
        // Names of users may come from a server, which may not answer.
        to_the_end(async move {
            let Ok(Ok(Turn { common, own })) = timeout(PATIENCE, turns.take(peer.uid)).await else {
                return Response::Fault(crowded(peer.uid));
            };
            let answer = tokio::task::spawn_blocking(move || {
                let answer = whoami::answer(&peer, &epoch);
                drop(own);
                answer
            });
            let answer = timeout(PATIENCE, answer).await;
            // What hangs keeps its own user's turn, and nobody else's.
            drop(common);
            match answer {
                Ok(answer) => answer.unwrap_or_else(|_| Response::Fault(gone())),
                Err(_) => Response::Fault(nameless()),
            }
        })
    }

    /// Passes a request to the driver. The message is on its way when this returns, unless the driver is very busy: only then does
    /// the session wait for room.
    fn ask(&self, admitted: &Admitted<'_>, message: impl FnOnce(inbox::Reply) -> Message) -> Done {
        let (reply, answer) = oneshot::channel();
        let unsent = match self.driver.try_send(message(reply)) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(message)) => Some((self.driver.clone(), message)),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                return Done::Now(Response::Fault(gone()));
            }
        };
        let (registry, under) = (Arc::clone(&self.registry), admitted.snapshot.number());
        let clock = self.clock.clone();
        Done::Later(Box::pin(async move {
            if let Some((driver, message)) = unsent {
                let Ok(room) = driver.reserve().await else {
                    return Response::Fault(gone());
                };
                // What changes an account is not begun on the word of a configuration that went while this waited for room.
                let changes = matches!(message, Message::Login { .. } | Message::Forget { .. });
                if changes && registry.epoch().number() != under {
                    return Response::Fault(overtaken());
                }
                room.send(message);
            }
            match answer.await {
                Ok(Answer::Token(token)) => Response::Token(tell(&token, clock.steady(), &clock)),
                Ok(Answer::Done(message)) => Response::Done { message },
                Ok(Answer::Fault(fault)) => Response::Fault(*fault),
                Err(_) => Response::Fault(gone()),
            }
        }))
    }

    fn told(&self, slot: &Slot, token: &IssuedToken, now: Timestamp) -> Token {
        let mut told = tell(token, now, &self.clock);
        if let Some(present) = slot.account.dialect.present() {
            told.token_type = present.to_owned();
        }
        told
    }
}

fn tell(token: &IssuedToken, now: Timestamp, clock: &Clock) -> Token {
    let expires = token.held.expires;
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Token {
        access_token: token.token.text.clone(),
        token_type: token.token.token_type.to_string(),
        expires_at_ms: expires.map(|at| u64::try_from(clock.to_wall(at)).unwrap_or(0)),
        remaining_ms: expires.map(|at| millis(at.since(now))),
        scope: token.token.scope.as_deref().map(str::to_owned),
        grant: token.held.grant.0,
    }
}

/// `waits` are how long it may wait for the pace, and how long altogether, in milliseconds.
fn demand(now: Timestamp, min_validity: Option<Duration>, waits: (u64, u64)) -> Demand {
    let (wait_ms, timeout_ms) = waits;
    let bounded = |ms| Duration::from_millis(ms).min(LONGEST_WAIT);
    let answer_by = now.after(bounded(timeout_ms));
    Demand {
        min_validity,
        start_by: now.after(bounded(wait_ms)).min(answer_by),
        answer_by,
    }
}

/// Compares without telling by its duration how much of a guess was right.
fn is_same(held: &SecretText, told: &SecretText) -> bool {
    held.expose()
        .as_bytes()
        .ct_eq(told.expose().as_bytes())
        .into()
}

/// A request of a newer release. The connection goes on: whoever asked may know how to do without.
fn unknown_kind(kind: u32) -> Fault {
    let version = env!("CARGO_PKG_VERSION");
    let message = format!("tokend {version} does not know this request (kind {kind})");
    Fault::new(FaultCode::BadRequest, message)
        .advise("install client and daemon from the same release, and restart tokend")
}

#[cfg(test)]
mod tests;
