//! Where requests are answered, or passed on.
//!
//! Owns what each request means: who may ask it, what the registry can answer at once, what the driver is asked instead, and what
//! is said to whoever may not. Never waits on behalf of a session: what takes time is handed back as a future.

mod admission;
mod diagnose;
mod whoami;
mod witness;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq as _;
use tokend_engine::{Demand, Timestamp, Want};
use tokend_policy::{Needs, Peer, Permission, Permissions};
use tokend_proto::{
    AccountLine, AccountName, AccountStatus, AccountsPage, Fault, FaultCode, LoginSecret,
    MAX_FRAME, Request, Response, SecretText, StatusPage, Token,
};
use tokio::sync::{mpsc, oneshot};

use crate::attempts;
use crate::audit::Audit;
use crate::clock::Clock;
use crate::diagnosis::Diagnosis;
use crate::means;
use crate::message::{Answer, Driver, Message, Reply};
use crate::metrics::Metrics;
use crate::peer;
use crate::registry::{IssuedToken, Registry, Slot};
use crate::reload::Reloader;
use crate::roster::record_id;

use admission::{ANY, administrator, allowed, gone, not_forgotten, unknown};

/// How many accounts a page of `status` holds at most.
const STATUS_PAGE: usize = 25;
/// How many accounts a page of `list` holds at most.
const LIST_PAGE: usize = 300;
/// How many bytes of a page are filled; the rest of a frame is for what surrounds it.
const PAGE_BYTES: usize = MAX_FRAME - 1024;
/// The longest a request may wait. A client that names a longer time waits this long.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long somebody waits who enters a credential and learns whether it is right.
const LOGIN_WAIT: Duration = Duration::from_secs(60);

/// Everything a session needs to answer.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) registry: Arc<Registry>,
    pub(crate) driver: Driver,
    pub(crate) clock: Clock,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) diagnosis: Arc<Diagnosis>,
    /// Who reads facts about peers.
    pub(crate) facts: peer::Reader,
    /// Which facts are read of every peer, whatever the rules need.
    pub(crate) always: Needs,
    pub(crate) audit: Audit,
    pub(crate) metrics: Metrics,
}

/// A request, handled.
pub(crate) enum Handled {
    /// Answered on the spot.
    Now(Response),
    /// Under way; the future ends with the answer.
    Later(Pin<Box<dyn Future<Output = Response> + Send>>),
}

impl Desk {
    /// Which facts about the peer have to be read before the request is handled. None, once they were asked for.
    pub(crate) fn lacks(&self, peer: &Peer, request: &Request) -> Needs {
        if matches!(request, Request::Whoami) {
            return Needs::ALL.without(peer.asked());
        }
        let epoch = self.registry.epoch();
        let always = match self.audit.is_on() {
            // Records name the unit.
            true => self.always | Needs::UNITS,
            false => self.always,
        };
        let of_metrics = match request {
            Request::Metrics { .. } => self.metrics.needs(),
            _ => Needs::NONE,
        };
        (always | of_metrics).without(peer.asked()) | epoch.lacks(peer, request.account())
    }

    /// Answers a request, or passes it on. Reached through `handle`, which counts and records.
    fn dispatch(&self, peer: &Peer, request: Request) -> Handled {
        let handled = match request {
            Request::Get {
                account,
                min_validity_ms,
                wait_ms,
                timeout_ms,
            } => self.get(peer, &account, min_validity_ms, wait_ms, timeout_ms),
            Request::Reject {
                account,
                token,
                wait_ms,
                timeout_ms,
            } => self.reject(peer, &account, &token, wait_ms, timeout_ms),
            Request::Refresh {
                account,
                wait_ms,
                timeout_ms,
            } => self.refresh(peer, &account, wait_ms, timeout_ms),
            Request::Status { account, after } => {
                self.status(peer, account.as_ref(), after.as_ref())
            }
            Request::List { after } => Ok(Handled::Now(self.list(peer, after.as_ref()))),
            Request::Reload => self.reload(peer),
            Request::Login { account, secret } => self.login(peer, &account, secret),
            Request::Forget { account } => self.forget(peer, &account),
            Request::Diagnose { account, after } => {
                self.diagnose(peer, account.as_ref(), after.as_ref())
            }
            Request::Metrics { after } => self.read_metrics(peer, after),
            Request::Whoami => Ok(self.whoami(peer)),
            Request::Hello { .. } => Err(Box::new(Fault::new(
                FaultCode::BadRequest,
                "hello was said twice",
            ))),
        };
        handled.unwrap_or_else(|fault| Handled::Now(Response::Fault(*fault)))
    }

    fn get(
        &self,
        peer: &Peer,
        account: &AccountName,
        min_validity_ms: Option<u64>,
        wait_ms: u64,
        timeout_ms: u64,
    ) -> Result<Handled, Box<Fault>> {
        let epoch = self.registry.epoch();
        let slot = allowed(&epoch, peer, account, Permission::Get)?;
        let now = self.clock.steady();
        let min_validity = min_validity_ms.map(Duration::from_millis);
        slot.held.asked().touch(now);
        if let Some(token) = slot.held.token().as_ref()
            && token.held.is_good(now, min_validity)
        {
            if token.is_first_late_use(now) {
                // Only a hint: when the driver has no room for it, the next `get` after expiry does the same job.
                let _dropped = self.driver.try_send(Message::Asked(slot.key));
            }
            return Ok(Handled::Now(Response::Token(self.told(token, now))));
        }
        let demand = demand(now, min_validity, wait_ms, timeout_ms);
        Ok(self.want(slot, demand, Want::Get))
    }

    /// An API refused a token. Only the token held counts: whoever reports an older one gets the newer one at once, so that ten
    /// processes that report the same token cause one attempt.
    fn reject(
        &self,
        peer: &Peer,
        account: &AccountName,
        token: &SecretText,
        wait_ms: u64,
        timeout_ms: u64,
    ) -> Result<Handled, Box<Fault>> {
        let epoch = self.registry.epoch();
        let slot = allowed(&epoch, peer, account, Permission::Reject)?;
        let has_tokens = epoch.decide(peer, slot, Permission::Get).is_allowed();
        let now = self.clock.steady();
        slot.held.asked().touch(now);
        let current = slot.held.token();
        let want = match current.as_ref() {
            Some(current) if is_same(&current.text, token) => Want::Rejected(current.held.grant),
            Some(newer) if newer.held.is_good(now, None) => {
                if !has_tokens {
                    let message = format!("account {account} has a newer token");
                    return Ok(Handled::Now(Response::Done { message }));
                }
                return Ok(Handled::Now(Response::Token(self.told(newer, now))));
            }
            _ => Want::Get,
        };
        if matches!(want, Want::Rejected(_)) {
            tracing::info!(account = %slot.account.name, peer = %peer, "a client reports that its token was refused");
        }
        let demand = demand(now, None, wait_ms, timeout_ms);
        let wanted = self.want(slot, demand, want);
        Ok(if has_tokens {
            wanted
        } else {
            without_token(wanted, account)
        })
    }

    fn refresh(
        &self,
        peer: &Peer,
        account: &AccountName,
        wait_ms: u64,
        timeout_ms: u64,
    ) -> Result<Handled, Box<Fault>> {
        let epoch = self.registry.epoch();
        let slot = allowed(&epoch, peer, account, Permission::Refresh)?;
        let now = self.clock.steady();
        slot.held.asked().touch(now);
        tracing::info!(account = %slot.account.name, peer = %peer, "a new token is asked for by a person");
        let demand = demand(now, None, wait_ms, timeout_ms);
        let wanted = self.want(slot, demand, Want::Forced);
        let has_tokens = epoch.decide(peer, slot, Permission::Get).is_allowed();
        Ok(if has_tokens {
            wanted
        } else {
            without_token(wanted, account)
        })
    }

    fn want(&self, slot: &Slot, demand: Demand, want: Want) -> Handled {
        let account = slot.key;
        self.ask(|reply| Message::Wanted {
            account,
            demand,
            want,
            reply,
        })
    }

    fn login(
        &self,
        peer: &Peer,
        account: &AccountName,
        secret: LoginSecret,
    ) -> Result<Handled, Box<Fault>> {
        let epoch = self.registry.epoch();
        let slot = allowed(&epoch, peer, account, Permission::Login)?;
        means::accepts(&slot.account, &secret)?;
        tracing::info!(account = %account, peer = %peer, "a credential is entered by a person");
        let now = self.clock.steady();
        let answer_by = now.after(LOGIN_WAIT);
        let demand = Demand {
            min_validity: None,
            start_by: now,
            answer_by,
        };
        let account = slot.key;
        slot.held.asked().touch(now);
        Ok(self.ask(|reply| Message::Login {
            account,
            secret,
            demand,
            reply,
        }))
    }

    /// Drops every secret stored under a name: of the account as it is configured, of what was configured under that name before,
    /// and of an account that is not configured any more.
    fn forget(&self, peer: &Peer, account: &AccountName) -> Result<Handled, Box<Fault>> {
        let epoch = self.registry.epoch();
        let slot = epoch.slot(account);
        if slot.is_some() {
            allowed(&epoch, peer, account, Permission::Forget)?;
        } else if !epoch.administers(peer, Permission::Forget).is_allowed() {
            return Err(unknown(&epoch, peer, account));
        }
        tracing::info!(account = %account, peer = %peer, "an account is to be forgotten");
        let keep = slot.and_then(|slot| record_id(&slot.account));
        let configured = slot.map(|slot| slot.key);
        let first = match configured {
            Some(account) => self.ask(|reply| Message::Forget { account, reply }),
            None => Handled::Now(Response::Fault(*unknown(&epoch, peer, account))),
        };
        let (reloader, account) = (Arc::clone(&self.reloader), account.clone());
        Ok(to_the_end(async move {
            let first = match first {
                Handled::Now(response) => response,
                Handled::Later(pending) => pending.await,
            };
            match (configured, first) {
                (Some(_), Response::Fault(fault)) => Response::Fault(fault),
                (_, first) => match (reloader.purge(&account, keep).await, first) {
                    (Ok(0), first) => first,
                    (Ok(_), _) => Response::Done {
                        message: format!("account {account} is forgotten"),
                    },
                    (Err(why), _) => Response::Fault(not_forgotten(&account, &why)),
                },
            }
        }))
    }

    fn reload(&self, peer: &Peer) -> Result<Handled, Box<Fault>> {
        let epoch = self.registry.epoch();
        administrator(&epoch, peer, Permission::Reload, "reload the configuration")?;
        tracing::info!(peer = %peer, "a reload is asked for");
        let reloader = Arc::clone(&self.reloader);
        Ok(to_the_end(async move {
            match reloader.reload().await {
                Ok(message) => Response::Done { message },
                Err(fault) => Response::Fault(*fault),
            }
        }))
    }

    fn whoami(&self, peer: &Peer) -> Handled {
        let (peer, epoch) = (peer.clone(), Arc::clone(&self.registry.epoch()));
        // Names of users may come from a server.
        to_the_end(async move {
            let answer = tokio::task::spawn_blocking(move || whoami::answer(&peer, &epoch));
            answer.await.unwrap_or_else(|_| Response::Fault(gone()))
        })
    }

    fn list(&self, peer: &Peer, after: Option<&AccountName>) -> Response {
        let epoch = self.registry.epoch();
        let mut slots = epoch.visible(peer, ANY, after);
        let line = |slot: &Arc<Slot>| AccountLine {
            account: slot.account.name.clone(),
            dialect: slot.account.dialect.name().to_owned(),
        };
        let mut accounts: Vec<_> = slots.by_ref().take(LIST_PAGE).map(line).collect();
        let mut more = slots.next().is_some();
        more |= fit(&mut accounts, |line| {
            32 + line.account.as_str().len() + line.dialect.len()
        });
        let next = accounts
            .last()
            .filter(|_| more)
            .map(|line| line.account.clone());
        Response::Accounts(AccountsPage { accounts, next })
    }

    fn status(
        &self,
        peer: &Peer,
        account: Option<&AccountName>,
        after: Option<&AccountName>,
    ) -> Result<Handled, Box<Fault>> {
        let epoch = self.registry.epoch();
        let mut next = None;
        let accounts: Vec<_> = match account {
            Some(account) => {
                let slot = allowed(&epoch, peer, account, Permission::Status)?;
                vec![(slot.key, account.clone())]
            }
            None => {
                let status = Permissions::of(&[Permission::Status]);
                let mut slots = epoch.visible(peer, status, after);
                let page: Vec<_> = slots
                    .by_ref()
                    .take(STATUS_PAGE)
                    .map(|slot| (slot.key, slot.account.name.clone()))
                    .collect();
                if slots.next().is_some() {
                    next = page.last().map(|(_, name)| name.clone());
                }
                page
            }
        };
        let driver = self.driver.clone();
        Ok(Handled::Later(Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let sent = driver.send(Message::Status { accounts, reply }).await;
            let (Ok(()), Ok(mut accounts)) = (sent, answer.await) else {
                return Response::Fault(gone());
            };
            if fit(&mut accounts, status_size) {
                next = accounts.last().map(|status| status.account.clone());
            }
            Response::Status(StatusPage { accounts, next })
        })))
    }

    /// Passes a request to the driver. The message is on its way when this returns, unless the driver is very busy: only then does
    /// the session wait for room.
    fn ask(&self, message: impl FnOnce(Reply) -> Message) -> Handled {
        let (reply, answer) = oneshot::channel();
        let unsent = match self.driver.try_send(message(reply)) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(message)) => Some((self.driver.clone(), message)),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                return Handled::Now(Response::Fault(gone()));
            }
        };
        let clock = self.clock.clone();
        Handled::Later(Box::pin(async move {
            if let Some((driver, message)) = unsent
                && driver.send(message).await.is_err()
            {
                return Response::Fault(gone());
            }
            match answer.await {
                Ok(Answer::Token(token)) => Response::Token(tell(&token, clock.steady(), &clock)),
                Ok(Answer::Done(message)) => Response::Done { message },
                Ok(Answer::Fault(fault)) => Response::Fault(*fault),
                Err(_) => Response::Fault(gone()),
            }
        }))
    }

    fn told(&self, token: &IssuedToken, now: Timestamp) -> Token {
        tell(token, now, &self.clock)
    }
}

/// The answer without its token, for whoever may cause one and not have it.
fn without_token(handled: Handled, account: &AccountName) -> Handled {
    let message = format!("account {account} has a new token");
    match handled {
        Handled::Now(Response::Token(_)) => Handled::Now(Response::Done { message }),
        Handled::Now(other) => Handled::Now(other),
        Handled::Later(pending) => Handled::Later(Box::pin(async move {
            match pending.await {
                Response::Token(_) => Response::Done { message },
                other => other,
            }
        })),
    }
}

fn tell(token: &IssuedToken, now: Timestamp, clock: &Clock) -> Token {
    let expires = token.held.expires;
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Token {
        access_token: token.text.clone(),
        token_type: token.token_type.to_string(),
        expires_at_ms: expires.map(|at| u64::try_from(clock.to_wall(at)).unwrap_or(0)),
        remaining_ms: expires.map(|at| millis(at.since(now))),
        scope: token.scope.as_deref().map(str::to_owned),
        grant: token.held.grant.0,
    }
}

fn demand(now: Timestamp, min_validity: Option<Duration>, wait_ms: u64, timeout_ms: u64) -> Demand {
    let bounded = |ms| Duration::from_millis(ms).min(LONGEST_WAIT);
    let answer_by = now.after(bounded(timeout_ms));
    Demand {
        min_validity,
        start_by: now.after(bounded(wait_ms)).min(answer_by),
        answer_by,
    }
}

/// Work that is finished even when the client does not wait for it.
fn to_the_end(work: impl Future<Output = Response> + Send + 'static) -> Handled {
    Handled::Later(Box::pin(async move {
        let died = || {
            Fault::new(
                FaultCode::Internal,
                "the request failed inside tokend; please report this",
            )
        };
        attempts::guarded(work)
            .await
            .unwrap_or_else(|| Response::Fault(died()))
    }))
}

/// Shortens a page until it fits a frame, but not to nothing. True when something was left out.
fn fit<T>(page: &mut Vec<T>, size: impl Fn(&T) -> usize) -> bool {
    let mut left = PAGE_BYTES;
    let fits = page.iter().take_while(|line| {
        let rest = left.checked_sub(size(line));
        left = rest.unwrap_or(0);
        rest.is_some()
    });
    let count = fits.count().max(1);
    let cut = page.len() > count;
    page.truncate(count);
    cut
}

fn status_size(status: &AccountStatus) -> usize {
    let problem = status.problem.as_ref().map_or(0, |fault| {
        fault.message.len() + fault.advice.as_ref().map_or(0, String::len)
    });
    let last = status
        .last_attempt
        .as_ref()
        .map_or(0, |last| last.outcome.len());
    // More than all numbers and lengths together take.
    512 + status.account.as_str().len()
        + status.dialect.len()
        + status.base_url.len()
        + problem
        + last
}

/// Compares without telling by its duration how much of a guess was right.
fn is_same(held: &SecretText, told: &SecretText) -> bool {
    held.expose()
        .as_bytes()
        .ct_eq(told.expose().as_bytes())
        .into()
}

#[cfg(test)]
mod tests;
