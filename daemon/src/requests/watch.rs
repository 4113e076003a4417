//! One watch: what its client was told last, and what is to be told next.
//!
//! Owns when a watch looks at its account's token again, and when it asks for one as a `get` would. Whether the client still has the right
//! is decided by `release`, before each look. Must never keep a token, send one, or ask the driver twice at the same time.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokend_audit::Audit;
use tokend_engine::{Timestamp, Want};
use tokend_metrics::Watched;
use tokend_policy::Peer;
use tokend_process::clock::Clock;
use tokend_proto::{Fault, FaultCode, Request, Response};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::admission::{Admitted, Carried};
use super::asking::{LONGEST_WAIT, demand};
use super::entry::{Entry, unrecorded};
use super::parts::Requests;
use super::refusal::gone;
use crate::broker::inbox::{Driver, DriverAnswer, Message, Waiter};
use crate::broker::publications::{Publications, Subscription};
use crate::broker::registry::ServedAccount;

/// How soon the driver is asked again at the earliest, whatever it said: no reason may make a watch spin.
const SHORTEST_REST: Duration = Duration::from_millis(250);
/// How soon it is asked again when it does not say when. A change that is likely to help wakes the watch earlier.
const REST: Duration = Duration::from_secs(60);
/// The longest sleep. The runtime's timers stand still while the machine is suspended, the steady clock does not.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Stands for the grant of a token that an earlier watch delivered, if one did.
const OLDER: u64 = 0;

/// A watch between two answers. It holds no token: it reads the one that is served when it has its turn.
pub(crate) struct Watch {
    /// The request, for its records.
    request: Request,
    pub(super) decided: Carried,
    served: Arc<ServedAccount>,
    publications: Arc<Publications>,
    subscription: Subscription,
    driver: Driver,
    clock: Clock,
    audit: Audit,
    uid: u32,
    min_validity: Option<Duration>,
    /// What the client was given and may still use.
    delivered: Option<Delivered>,
    /// What it was given before, in case that does not leave.
    before: Option<Delivered>,
    /// How often what the account's tokens are for, how they are presented, or what may refuse them has changed.
    api: u64,
    /// Whether the client may still use a token of an earlier watch: it was told neither a token nor that there is none.
    may_hold_older: bool,
    /// The reason the client was told last, until there is a token again.
    reason: Option<(FaultCode, String)>,
    /// A reason that it was not told yet.
    news: Option<Fault>,
    /// The request to the driver under way. One at a time: its answer is the account's token, or a reason.
    asking: Option<Asking>,
    /// Before this the driver is not asked again, and a token whose release could not be recorded is not tried again.
    not_before: Timestamp,
    /// Why the right to the token could not be decided again. This ends the watch.
    put_off: Option<Fault>,
    /// Whether the token was looked at since the watch began or its account became another.
    looked: bool,
    _counted: Watched,
}

/// A token as a client holds it: its grant, and the count of changes of the account's `[api]` by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Delivered {
    grant: u64,
    api: u64,
}

type Asking = Pin<Box<dyn Future<Output = Option<Fault>> + Send>>;

/// What a look found.
pub(super) enum Look {
    /// Nothing that the client does not know.
    Nothing,
    /// This is to be sent, and the watch goes on.
    Part(Response),
    /// This ends the watch.
    End(Fault),
}

/// What a watch waits for.
enum Waiting {
    /// For the end of the token delivered.
    Held(Timestamp),
    /// For the time to try again to deliver the token that is served.
    Undelivered(Timestamp),
    /// For a token, from this time on by asking for one; and for the end of the one delivered, which lives too short.
    Wanting(Timestamp, Timestamp),
}

impl Requests {
    /// A watch of an account, which has told nothing yet.
    pub(super) fn watch(
        &self,
        served: &Arc<ServedAccount>,
        peer: &Peer,
        admitted: Admitted<'_>,
        request: Request,
    ) -> Box<Watch> {
        let min_validity = match &request {
            Request::Watch {
                min_validity_ms, ..
            } => min_validity_ms.map(Duration::from_millis),
            _ => None,
        };
        let publications = Arc::clone(self.registry.publications());
        Box::new(Watch {
            request,
            decided: admitted.carried(),
            served: Arc::clone(served),
            subscription: publications.subscribe(served.key),
            publications,
            driver: self.driver.clone(),
            clock: self.clock.clone(),
            audit: self.audit.clone(),
            uid: peer.uid,
            min_validity,
            delivered: None,
            before: None,
            api: 0,
            may_hold_older: true,
            reason: None,
            news: None,
            asking: None,
            not_before: Timestamp::ZERO,
            put_off: None,
            looked: false,
            _counted: self.metrics.counters().watched(),
        })
    }
}

impl Watch {
    /// Waits until there is reason to look at the token again: a wake, the end of the token, an answer of the driver. Can be dropped at any
    /// time, which ends the watch.
    pub(super) async fn wait(&mut self) {
        if !std::mem::replace(&mut self.looked, true) {
            return;
        }
        loop {
            let now = self.clock.steady();
            let waiting = self.waiting(now);
            let until = match waiting {
                Waiting::Held(until) | Waiting::Undelivered(until) => until,
                Waiting::Wanting(from, end) => {
                    if from <= now && self.asking.is_none() {
                        self.asking = Some(self.ask());
                    }
                    match self.asking {
                        Some(_) => end,
                        None => from.min(end),
                    }
                }
            };
            let sleeping = sleep(until.since(now).min(LONGEST_SLEEP));
            tokio::select! {
                biased;
                () = self.subscription.woken() => {
                    self.not_before = now;
                    return;
                }
                fault = answer(&mut self.asking) => {
                    self.asking = None;
                    match fault {
                        Some(fault) => self.refused(fault),
                        None => self.not_before = self.clock.steady().after(SHORTEST_REST),
                    }
                    return;
                }
                () = sleeping => match waiting {
                    Waiting::Held(_) | Waiting::Undelivered(_) => return,
                    Waiting::Wanting(_, end) if end <= self.clock.steady() => return,
                    Waiting::Wanting(..) => {}
                }
            }
        }
    }

    fn waiting(&self, now: Timestamp) -> Waiting {
        let held = self.served.cell.token();
        let Some(held) = held.as_ref().map(|token| token.held) else {
            return Waiting::Wanting(self.not_before, Timestamp::FAR);
        };
        if !held.is_good(now, self.min_validity) {
            let is_used = self.delivered.is_some_and(|it| it.grant == held.grant.0);
            let end = held.usable_until();
            return Waiting::Wanting(self.not_before, if is_used { end } else { Timestamp::FAR });
        }
        if self.delivered != Some(self.current(held.grant.0)) {
            return Waiting::Undelivered(self.not_before.max(now));
        }
        let enough = held
            .expires
            .zip(self.min_validity)
            .map(|(expires, needed)| {
                // The first moment at which it is too little.
                expires.before(needed).after(Duration::from_millis(1))
            });
        let until = held.usable_until();
        Waiting::Held(enough.map_or(until, |enough| enough.min(until)))
    }

    fn current(&self, grant: u64) -> Delivered {
        let api = self.api;
        Delivered { grant, api }
    }

    /// Asks for a token as a `get` would that waits for no rate limit. Its turn comes when others of the account have their answers.
    fn ask(&self) -> Asking {
        if !self.audit.may_release() {
            return Box::pin(std::future::ready(Some(unrecorded())));
        }
        let (account, uid, min_validity) = (self.served.key, self.uid, self.min_validity);
        let (driver, clock) = (self.driver.clone(), self.clock.clone());
        let (turns, served) = (self.subscription.asking(), Arc::clone(&self.served));
        let longest = u64::try_from(LONGEST_WAIT.as_millis()).unwrap_or(u64::MAX);
        Box::pin(async move {
            // The turns are never closed.
            let _turn = turns.acquire_owned().await.ok()?;
            let now = clock.steady();
            served.cell.asked().touch(now);
            let waiter = Waiter::new(driver.clone(), account);
            let (reply, answer) = oneshot::channel();
            let wanted = Message::Wanted {
                account,
                waiter: waiter.id(),
                uid,
                demand: demand(now, min_validity, (0, longest)),
                want: Want::Get,
                reply,
            };
            let answered = match driver.send(wanted).await {
                Ok(()) => answer.await.ok(),
                Err(_) => None,
            };
            waiter.answered();
            match answered {
                Some(DriverAnswer::Fault(fault)) => Some(*fault),
                Some(DriverAnswer::Token(_) | DriverAnswer::Done(_)) => None,
                None => Some(gone()),
            }
        })
    }

    /// There is no token, for this reason, until later.
    fn refused(&mut self, fault: Fault) {
        let rest = match fault.code {
            // The account left the configuration: the one that comes into force says whether this watch ends.
            FaultCode::UnknownAccount => SHORTEST_REST,
            _ => fault.retry_after_ms.map_or(REST, Duration::from_millis),
        };
        self.not_before = self.clock.steady().after(rest.max(SHORTEST_REST));
        if fault.code != FaultCode::UnknownAccount {
            self.news = Some(fault);
        }
    }

    /// Whether the right to the token has to be decided again cannot be known: this is the answer.
    pub(super) fn put_off(&mut self, fault: Fault) {
        self.put_off = Some(fault);
    }

    /// The answer, if the right to the token could not be decided again.
    pub(super) fn is_put_off(&mut self) -> Option<Fault> {
        self.put_off.take()
    }

    /// The record of an answer.
    pub(super) fn entry(&self, peer: &Peer) -> Option<Entry> {
        Entry::open(&self.audit, peer, &self.request)
    }

    /// Looks what there is to tell. The caller has decided that the client has the right, and sends before that can change.
    pub(super) fn look(&mut self, now: Timestamp) -> Look {
        if self.publications.is_draining() {
            return Look::End(gone());
        }
        let served = Arc::clone(&self.served);
        let token = served.cell.token();
        let is_served = |grant: u64| {
            let held = token.as_ref().map(|token| token.held);
            held.is_some_and(|held| held.grant.0 == grant && held.is_good(now, None))
        };
        if let Some(token) = token
            .as_ref()
            .filter(|token| token.held.is_good(now, self.min_validity))
        {
            self.asking = None;
            self.news = None;
            let current = self.current(token.held.grant.0);
            if self.delivered == Some(current) {
                return Look::Nothing;
            }
            served.cell.asked().touch(now);
            if token.is_first_late_use(now) {
                // Only a hint: without it a new token is asked for when this one ends.
                let _dropped = self.driver.try_send(Message::Asked(served.key));
            }
            self.before = self.delivered.replace(current);
            self.may_hold_older = false;
            self.reason = None;
            let shown = token.on_wire(now, &self.clock, served.account.api().present());
            return Look::Part(Response::Token(shown));
        }
        if let Some(Delivered { grant, .. }) = self.delivered.filter(|it| !is_served(it.grant)) {
            self.delivered = None;
            // What has to be said besides is said by the next look.
            self.looked = self.news.is_none();
            return Look::Part(Response::Retired { grant });
        }
        let Some(fault) = self.news.take() else {
            return Look::Nothing;
        };
        if ends(&fault) {
            return Look::End(fault);
        }
        let serves = token
            .as_ref()
            .is_some_and(|token| token.held.is_good(now, None));
        if !serves && std::mem::take(&mut self.may_hold_older) {
            self.news = Some(fault);
            self.looked = false;
            return Look::Part(Response::Retired { grant: OLDER });
        }
        self.unavailable(fault)
    }

    /// The client is told why there is no token, once for each reason.
    fn unavailable(&mut self, fault: Fault) -> Look {
        let reason = (fault.code, fault.message.clone());
        if self.reason.as_ref() == Some(&reason) {
            return Look::Nothing;
        }
        self.reason = Some(reason);
        Look::Part(Response::Unavailable(fault))
    }

    /// The token of the last look did not leave, for this reason. It is tried again.
    pub(super) fn not_released(&mut self, fault: Fault) -> Look {
        self.delivered = self.before.take();
        self.may_hold_older = self.delivered.is_none();
        self.refused(fault);
        match self.news.take() {
            Some(fault) => self.unavailable(fault),
            None => Look::Nothing,
        }
    }

    /// Another configuration is in force, and it gives the client this right to the account of the same name. What was delivered is over
    /// if that has another identity now, and is delivered again if its token is for other addresses or presented otherwise.
    pub(super) fn goes_on(&mut self, decided: Carried) -> Look {
        let account = decided.account.clone();
        self.decided = decided;
        let Some(served) = account else {
            return Look::Nothing;
        };
        // What a list of accounts says of it, and how it is presented.
        let shown = |of: &ServedAccount| {
            let below_400 = of.account.dialect.rejection().is_below_400();
            let present = of.account.api().present().map(str::to_owned);
            (present, of.account.api_urls(), below_400)
        };
        self.api += u64::from(shown(&self.served) != shown(&served));
        self.served = served;
        if self.served.key == self.subscription.account() {
            return Look::Nothing;
        }
        self.subscription = self.publications.subscribe(self.served.key);
        (self.asking, self.news) = (None, None);
        self.not_before = self.clock.steady();
        match self.delivered.take() {
            Some(Delivered { grant, .. }) => {
                self.looked = false;
                Look::Part(Response::Retired { grant })
            }
            None => Look::Nothing,
        }
    }
}

/// The answer of the driver, if it was asked.
async fn answer(asking: &mut Option<Asking>) -> Option<Fault> {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

/// Whether a reason that the driver gave ends the watch. Waiting helps against all others.
fn ends(fault: &Fault) -> bool {
    matches!(
        fault.code,
        FaultCode::NotAllowed
            | FaultCode::UnknownAccount
            | FaultCode::ValidityUnattainable
            | FaultCode::Draining
            | FaultCode::BadRequest
            | FaultCode::Internal
    )
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("account", &self.served.account.name)
            .field("delivered", &self.delivered)
            .finish_non_exhaustive()
    }
}
