//! Where requests are answered, or passed on.
//!
//! Owns what each request means: who may ask it, what the registry can answer at once, what the driver is asked instead, and what
//! is said to whoever may not. Never waits on behalf of a session: what takes time is handed back as a future.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq as _;
use tokend_engine::{Demand, Timestamp, Want};
use tokend_proto::{
    AccountLine, AccountName, AccountsPage, Fault, FaultCode, LoginSecret, Request, Response,
    SecretText, StatusPage, Token,
};
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::config::nearest;
use crate::driver::record_id;
use crate::means;
use crate::message::{Answer, Driver, Message, Reply};
use crate::peer::Peer;
use crate::registry::{Epoch, IssuedToken, Registry, Slot};
use crate::reload::Reloader;

/// How many accounts a page of `status` holds: with every text at its longest it still fits a frame.
const STATUS_PAGE: usize = 25;
/// How many accounts a page of `list` holds.
const LIST_PAGE: usize = 300;
/// The longest a request may wait. A client that names a longer time waits this long.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// How many names are looked through for the one that was meant.
const NEAREST_OF: usize = 2_000;
/// How long somebody waits who enters a credential and learns whether it is right.
const LOGIN_WAIT: Duration = Duration::from_secs(60);

/// Everything a session needs to answer.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) registry: Arc<Registry>,
    pub(crate) driver: Driver,
    pub(crate) clock: Clock,
    pub(crate) reloader: Arc<Reloader>,
}

/// A request, handled.
pub(crate) enum Handled {
    /// Answered on the spot.
    Now(Response),
    /// Under way; the future ends with the answer.
    Later(Pin<Box<dyn Future<Output = Response> + Send>>),
}

impl Desk {
    /// Handles one request of a peer.
    pub(crate) fn handle(&self, peer: &Peer, request: Request) -> Handled {
        let handled = match request {
            Request::Get { account, min_validity_ms, wait_ms, timeout_ms } => {
                self.get(peer, &account, min_validity_ms, wait_ms, timeout_ms)
            }
            Request::Reject { account, token, wait_ms, timeout_ms } => {
                self.reject(peer, &account, &token, wait_ms, timeout_ms)
            }
            Request::Refresh { account, wait_ms, timeout_ms } => {
                self.refresh(peer, &account, wait_ms, timeout_ms)
            }
            Request::Status { account, after } => self.status(peer, account.as_ref(), after.as_ref()),
            Request::List { after } => Ok(Handled::Now(self.list(peer, after.as_ref()))),
            Request::Reload => self.reload(peer),
            Request::Login { account, secret } => self.login(peer, &account, secret),
            Request::Forget { account } => self.forget(peer, &account),
            Request::Hello { .. } => Err(Box::new(Fault::new(FaultCode::BadRequest, "hello was said twice"))),
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
        let slot = served(&epoch, peer, account)?;
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
        let slot = served(&epoch, peer, account)?;
        let now = self.clock.steady();
        slot.held.asked().touch(now);
        let current = slot.held.token();
        let want = match current.as_ref() {
            Some(current) if is_same(&current.text, token) => Want::Rejected(current.held.grant),
            Some(newer) if newer.held.is_good(now, None) => {
                return Ok(Handled::Now(Response::Token(self.told(newer, now))));
            }
            _ => Want::Get,
        };
        if matches!(want, Want::Rejected(_)) {
            tracing::info!(account = %slot.account.name, peer = %peer, "a client reports that its token was refused");
        }
        let demand = demand(now, None, wait_ms, timeout_ms);
        Ok(self.want(slot, demand, want))
    }

    fn refresh(&self, peer: &Peer, account: &AccountName, wait_ms: u64, timeout_ms: u64) -> Result<Handled, Box<Fault>> {
        let epoch = self.registry.epoch();
        let slot = administered(&epoch, peer, account)?;
        let now = self.clock.steady();
        slot.held.asked().touch(now);
        tracing::info!(account = %slot.account.name, peer = %peer, "a new token is asked for by a person");
        let demand = demand(now, None, wait_ms, timeout_ms);
        Ok(self.want(slot, demand, Want::Forced))
    }

    fn want(&self, slot: &Slot, demand: Demand, want: Want) -> Handled {
        let account = slot.key;
        self.ask(|reply| Message::Wanted { account, demand, want, reply })
    }

    fn login(&self, peer: &Peer, account: &AccountName, secret: LoginSecret) -> Result<Handled, Box<Fault>> {
        let epoch = self.registry.epoch();
        let slot = administered(&epoch, peer, account)?;
        means::accepts(&slot.account, &secret)?;
        tracing::info!(account = %account, peer = %peer, "a credential is entered by a person");
        let now = self.clock.steady();
        let answer_by = now.after(LOGIN_WAIT);
        let demand = Demand { min_validity: None, start_by: now, answer_by };
        let account = slot.key;
        slot.held.asked().touch(now);
        Ok(self.ask(|reply| Message::Login { account, secret, demand, reply }))
    }

    /// Drops every secret stored under a name: of the account as it is configured, of what was configured under that name before,
    /// and of an account that is not configured any more.
    fn forget(&self, peer: &Peer, account: &AccountName) -> Result<Handled, Box<Fault>> {
        let epoch = self.registry.epoch();
        if !epoch.is_admin(peer) {
            return Err(not_admin(peer, &format!("forget account {account}")));
        }
        tracing::info!(account = %account, peer = %peer, "an account is to be forgotten");
        let slot = epoch.slot(account);
        let keep = slot.and_then(|slot| record_id(&slot.account));
        let configured = slot.map(|slot| slot.key);
        let unknown = unknown(&epoch, peer, account);
        let first = match configured {
            Some(account) => self.ask(|reply| Message::Forget { account, reply }),
            None => Handled::Now(Response::Fault(*unknown)),
        };
        let (reloader, account) = (Arc::clone(&self.reloader), account.clone());
        Ok(Handled::Later(Box::pin(async move {
            let first = match first {
                Handled::Now(response) => response,
                Handled::Later(pending) => pending.await,
            };
            match (configured, first) {
                (Some(_), Response::Fault(fault)) => Response::Fault(fault),
                (_, first) => match (reloader.purge(&account, keep).await, first) {
                    (Ok(0), first) => first,
                    (Ok(_), _) => Response::Done { message: format!("account {account} is forgotten") },
                    (Err(why), _) => Response::Fault(not_forgotten(&account, &why)),
                },
            }
        })))
    }

    fn reload(&self, peer: &Peer) -> Result<Handled, Box<Fault>> {
        let epoch = self.registry.epoch();
        if !epoch.is_admin(peer) {
            return Err(not_admin(peer, "reload the configuration"));
        }
        tracing::info!(peer = %peer, "a reload is asked for");
        let reloader = Arc::clone(&self.reloader);
        Ok(Handled::Later(Box::pin(async move {
            match reloader.reload().await {
                Ok(message) => Response::Done { message },
                Err(fault) => Response::Fault(*fault),
            }
        })))
    }

    fn list(&self, peer: &Peer, after: Option<&AccountName>) -> Response {
        let epoch = self.registry.epoch();
        let mut slots = epoch.visible(peer, after);
        let line = |slot: &Arc<Slot>| AccountLine {
            account: slot.account.name.clone(),
            dialect: slot.account.dialect.name().to_owned(),
        };
        let accounts: Vec<_> = slots.by_ref().take(LIST_PAGE).map(line).collect();
        let more = slots.next().is_some();
        let next = accounts.last().filter(|_| more).map(|line| line.account.clone());
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
                let slot = seen(&epoch, peer, account)?;
                vec![(slot.key, account.clone())]
            }
            None => {
                let mut slots = epoch.visible(peer, after);
                let page: Vec<_> =
                    slots.by_ref().take(STATUS_PAGE).map(|slot| (slot.key, slot.account.name.clone())).collect();
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
            match (sent, answer.await) {
                (Ok(()), Ok(accounts)) => Response::Status(StatusPage { accounts, next }),
                _ => Response::Fault(gone()),
            }
        })))
    }

    /// Passes a request to the driver. The message is on its way when this returns, unless the driver is very busy: only then does
    /// the session wait for room.
    fn ask(&self, message: impl FnOnce(Reply) -> Message) -> Handled {
        let (reply, answer) = oneshot::channel();
        let unsent = match self.driver.try_send(message(reply)) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(message)) => Some((self.driver.clone(), message)),
            Err(mpsc::error::TrySendError::Closed(_)) => return Handled::Now(Response::Fault(gone())),
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
    Demand { min_validity, start_by: now.after(bounded(wait_ms)).min(answer_by), answer_by }
}

/// Compares without telling by its duration how much of a guess was right.
fn is_same(held: &SecretText, told: &SecretText) -> bool {
    held.expose().as_bytes().ct_eq(told.expose().as_bytes()).into()
}

/// The account, if the peer may have its token.
fn served<'a>(epoch: &'a Epoch, peer: &Peer, account: &AccountName) -> Result<&'a Slot, Box<Fault>> {
    match epoch.slot(account) {
        Some(slot) if slot.allows(peer) => Ok(slot),
        Some(_) => Err(not_allowed(peer, account)),
        None => Err(unknown(epoch, peer, account)),
    }
}

/// The account, if the peer may see how it is.
fn seen<'a>(epoch: &'a Epoch, peer: &Peer, account: &AccountName) -> Result<&'a Slot, Box<Fault>> {
    match epoch.slot(account) {
        Some(slot) if epoch.may_see(peer, slot) => Ok(slot),
        Some(_) => Err(not_allowed(peer, account)),
        None => Err(unknown(epoch, peer, account)),
    }
}

/// The account, if the peer may change it.
fn administered<'a>(epoch: &'a Epoch, peer: &Peer, account: &AccountName) -> Result<&'a Slot, Box<Fault>> {
    let slot = seen(epoch, peer, account)?;
    if epoch.is_admin(peer) {
        return Ok(slot);
    }
    Err(not_admin(peer, &format!("change account {account}")))
}

fn not_allowed(peer: &Peer, account: &AccountName) -> Box<Fault> {
    tracing::warn!(account = %account, peer = %peer, "denied: no rule allows this peer");
    let message = format!("account {account} is not for you (user {}, group {})", peer.uid, peer.gid);
    Box::new(Fault::new(FaultCode::NotAllowed, message).advise(format!(
        "ask whoever runs tokend to add a rule that matches you to `allow` of [account.{account}], for example {{ user = {} }}, and to reload",
        peer.uid
    )))
}

fn not_admin(peer: &Peer, what: &str) -> Box<Fault> {
    tracing::warn!(peer = %peer, "denied: not an administrator: {what}");
    let message = format!("user {} may not {what}", peer.uid);
    Box::new(Fault::new(FaultCode::NotAllowed, message).advise(
        "do it as the user tokend runs as, or have a rule that matches you added to `admin` in its configuration",
    ))
}

/// No such account. Whoever may see no account at all is not told which names exist.
fn unknown(epoch: &Epoch, peer: &Peer, account: &AccountName) -> Box<Fault> {
    let mut visible = epoch.visible(peer, None).peekable();
    if visible.peek().is_none() && !epoch.is_admin(peer) {
        return not_allowed(peer, account);
    }
    let names: Vec<_> = visible.take(NEAREST_OF).map(|slot| slot.account.name.as_str()).collect();
    let advice = match nearest(account.as_str(), &names) {
        Some(name) => format!("did you mean {name}? `tokenctl list` shows the accounts you may use"),
        None => "`tokenctl list` shows the accounts you may use".to_owned(),
    };
    Box::new(Fault::new(FaultCode::UnknownAccount, format!("there is no account {account}")).advise(advice))
}

fn not_forgotten(account: &AccountName, why: &str) -> Fault {
    Fault::new(FaultCode::StoreUnavailable, format!("not everything stored for account {account} could be removed: {why}"))
        .advise("look into the daemon's log, and do it again when the store can be written")
}

fn gone() -> Fault {
    Fault::new(FaultCode::Draining, "the daemon is stopping").advise("try again once it is back").retry_after(1_000)
}
