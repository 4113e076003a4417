//! Who asks on a connection of an outlet, and the one way its requests are answered.
//!
//! Owns the steps from a request to an answer that may leave: facts about the peer, the decision, the wait, and the decision again. All of it
//! runs within [`still`], where no other configuration comes into force between the last decision and the end of the same poll: whoever
//! gets an answer begins to write it before it waits for anything. Must never decide by itself.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokend_peer::Connection;
use tokend_policy::{Needs, Peer};
use tokend_proto::{AccountName, Fault, Request, Response, SinkLine};
use tokio::task::{unconstrained, yield_now};
use tokio::time::{sleep, timeout};

use super::kept::Handover;
use super::shared::Shared;
use crate::broker::budget::{Wait, cost_of, cost_of_answer};
use crate::broker::registry::VisibleAccounts;
use crate::requests::{Admission, Release, Reply, Requests, Waited, is_denial, watching};

/// How often a caller that waits is checked for whether it is still there.
const PRESENCE_CHECK: Duration = Duration::from_secs(1);
/// The number of requests that are answered before other tasks run.
const AT_ONCE: usize = 8;
/// The weight of a request that shows more than a token, counted in such requests.
const HEAVY: usize = 4;
/// How often a connection is told the probable name. The search costs time; a person mistypes one or two names.
const HINTS: usize = 3;

/// Runs what a connection does, with the configuration in force held still during each of its steps.
pub(super) async fn still<F: Future>(requests: &Requests, work: F) -> F::Output {
    let mut work = pin!(work);
    // What is decided has to be on its way when the step ends, so nothing interrupts it.
    unconstrained(poll_fn(|context| {
        let _still = requests.registry.hold_still();
        work.as_mut().poll(context)
    }))
    .await
}

/// A watch until its next reason to look.
pub(super) type Watching = Pin<Box<dyn Future<Output = Waited> + Send>>;

/// The other end of the connection is closed.
#[derive(Debug)]
pub(super) struct Gone;

/// What a request came to.
pub(super) enum Answer {
    /// This is to be sent at once.
    Now(Response),
    /// A watch began. The first it has to tell, if there is something, is to be sent at once.
    Watch(Option<Response>, Watching),
}

/// The peer of one connection.
pub(super) struct Caller<S> {
    connection: Shared<S>,
    peer: Peer,
    accepted_ms: u64,
    requests: Arc<Requests>,
    /// The peer's visible accounts, once they were needed.
    visible: Option<Arc<VisibleAccounts>>,
    /// Has the connection kept while an answer is waited for.
    handover: Option<Handover>,
    /// How much more work is done before other tasks run.
    left: usize,
    hints: usize,
}

/// How far a request came.
enum Step {
    /// Facts about the peer are missing.
    Lacks(Needs, Request),
    /// The peer's visible accounts are missing.
    NeedsVisible(Request),
    /// Its user made too many requests without a token, and this one is not answered by a token that is held.
    Owes(Duration, Request),
    /// There is no such account for this peer; perhaps another was meant.
    Stranger(Fault, AccountName),
    Answered(Response),
    Pending(Watching),
}

impl<S: Connection> Caller<S> {
    pub(super) fn new(
        connection: Shared<S>,
        (peer, accepted_ms): (Peer, u64),
        requests: Arc<Requests>,
    ) -> Self {
        Self {
            connection,
            peer,
            accepted_ms,
            requests,
            visible: None,
            handover: None,
            left: AT_ONCE,
            hints: HINTS,
        }
    }

    /// The same, whose connection the service manager keeps while an answer is waited for.
    pub(super) fn kept_by(self, handover: Option<Handover>) -> Self {
        Self { handover, ..self }
    }

    /// An answer begins: no other daemon may give one on this connection.
    pub(super) fn answer_begins(&self) {
        self.handover.iter().for_each(Handover::answer_begins);
    }

    /// The sinks that report of the accounts whose state this is: whoever sees the one may see the other.
    pub(super) fn sinks_of(&self, response: &Response) -> Vec<SinkLine> {
        let Response::Status(page) = response else {
            return Vec::new();
        };
        let sinks = self.requests.registry.sinks();
        let accounts = page.accounts.iter().map(|it| &it.account);
        accounts.flat_map(|account| sinks.of(account)).collect()
    }

    /// Which of these accounts have an API that may refuse a token in an answer with a status below 400.
    pub(super) fn refused_below_400(&self, response: &Response) -> Vec<AccountName> {
        let Response::Apis(page) = response else {
            return Vec::new();
        };
        let snapshot = self.requests.registry.snapshot();
        let is_so = |name: &&AccountName| {
            let served = snapshot.served(name);
            served.is_some_and(|served| served.account.dialect.rejection().is_below_400())
        };
        let names = page.apis.iter().map(|line| &line.account);
        names.filter(is_so).cloned().collect()
    }

    /// The peer, with the facts that were read about it.
    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The peer is this one, as was proved from the facts about it. Nobody reads its refusals, so none names what was probably meant.
    pub(super) fn is_proved_to_be(&mut self, peer: Peer) {
        self.peer = peer;
        self.hints = 0;
    }

    /// Answers a request.
    ///
    /// # Errors
    /// When the peer hangs up. It then no longer waits.
    pub(super) async fn ask(&mut self, mut request: Request) -> Result<Answer, Gone> {
        self.take_turns(&request).await;
        let mut has_rested = false;
        loop {
            match self.decide(request, has_rested) {
                Step::Owes(owed, asked) => {
                    self.while_there(sleep(owed)).await?;
                    (request, has_rested) = (asked, true);
                }
                Step::Lacks(needs, asked) => match self.learn(needs).await {
                    Ok(()) => request = asked,
                    Err(fault) => return Ok(self.now(Response::Fault(fault))),
                },
                Step::NeedsVisible(asked) => {
                    self.visible = Some(self.requests.compute_visible(&self.peer).await);
                    request = asked;
                }
                Step::Stranger(mut fault, account) => {
                    let visible = self.visible.clone();
                    if !(self.requests).suggest(&self.peer, visible.as_ref(), &account, &mut fault)
                    {
                        self.visible = Some(self.requests.compute_visible(&self.peer).await);
                        let visible = self.visible.clone();
                        let _known = (self.requests).suggest(
                            &self.peer,
                            visible.as_ref(),
                            &account,
                            &mut fault,
                        );
                    }
                    return Ok(self.now(Response::Fault(fault)));
                }
                Step::Answered(response) => return Ok(self.now(response)),
                Step::Pending(pending) => {
                    self.handover.iter_mut().for_each(Handover::keep);
                    let waited = self.while_there(pending).await?;
                    match self.release(waited).await {
                        Release::Answer(response) => return Ok(self.now(response)),
                        Release::Part(first, watch) => {
                            return Ok(Answer::Watch(first, watching(watch)));
                        }
                        Release::Again(asked) => request = *asked,
                        // Whatever was missing has been read.
                        Release::NeedFacts(..) => return Err(Gone),
                    }
                }
            }
        }
    }

    /// Decides again about what was waited for, reading facts about the peer if need be.
    pub(super) async fn release(&mut self, mut waited: Waited) -> Release {
        loop {
            match self.requests.release(&self.peer, waited) {
                Release::NeedFacts(needs, late) => {
                    waited = match self.learn(needs).await {
                        Ok(()) => *late,
                        Err(fault) => late.put_off(fault),
                    };
                }
                released => return released,
            }
        }
    }

    /// Counts an answer that brought no token.
    pub(super) fn count(&self, response: &Response) {
        self.spend(cost_of_answer(response));
    }

    /// Waits until its user may be refused something, which is at once unless that user asks without end. Only for refusals on which no
    /// configuration decides.
    ///
    /// # Errors
    /// When the peer hangs up.
    pub(super) async fn rest(&self) -> Result<(), Gone> {
        match self.owed() {
            Some(owed) => self.while_there(sleep(owed)).await,
            None => Ok(()),
        }
    }

    /// Waits for something as long as the peer is there. A hang-up behind unread bytes is noticed too.
    pub(super) async fn while_there<T>(&self, work: impl Future<Output = T>) -> Result<T, Gone> {
        let mut work = pin!(work);
        loop {
            match timeout(PRESENCE_CHECK, &mut work).await {
                Ok(done) => return Ok(done),
                Err(_) if self.connection.has_gone() => return Err(Gone),
                Err(_) => {}
            }
        }
    }

    fn now(&self, response: Response) -> Answer {
        self.count(&response);
        Answer::Now(response)
    }

    fn decide(&mut self, request: Request, has_rested: bool) -> Step {
        let requests = Arc::clone(&self.requests);
        let began = requests.clock.since_boot();
        let snapshot = requests.registry.snapshot();
        let decided = match requests.admit(&snapshot, &self.peer, &request) {
            Admission::NeedFacts(needs) => return Step::Lacks(needs, request),
            Admission::Refused(refused) => Err(refused),
            Admission::Admitted(admitted) => Ok(admitted),
        };
        let is_at_hand = |admitted| requests.is_at_hand(admitted, &request);
        if !has_rested
            && !decided.as_ref().is_ok_and(is_at_hand)
            && let Some(owed) = self.owed()
        {
            return Step::Owes(owed, request);
        }
        let own = self.visible.as_ref();
        if decided.is_ok() && requests.must_compute_visible(&self.peer, &request, own) {
            return Step::NeedsVisible(request);
        }
        self.spend(cost_of(&request));
        let is_stranger = decided.as_ref().is_err_and(|it| it.is_stranger) && self.hints > 0;
        let named = request.account().filter(|_| is_stranger).cloned();
        match (requests.answer(&self.peer, request, decided, began), named) {
            (Reply::Ready(Response::Fault(fault)), Some(account)) if is_denial(&fault) => {
                self.hints -= 1;
                Step::Stranger(fault, account)
            }
            (Reply::Ready(response), _) => Step::Answered(response),
            (Reply::Pending(pending), _) => Step::Pending(pending),
        }
    }

    /// Reads missing facts about the peer. Other connections do not wait for that.
    ///
    /// # Errors
    /// They cannot be read now.
    pub(super) async fn learn(&mut self, needs: Needs) -> Result<(), Fault> {
        let pin = self.connection.pin(&self.peer, self.accepted_ms);
        let peer = self.peer.clone();
        match self.requests.facts.learn(peer, needs, pin).await {
            Ok(peer) => {
                self.peer = peer;
                Ok(())
            }
            Err(why) => {
                let fault = why.fault(self.peer.uid, needs);
                tracing::debug!(peer = %self.peer, "a process was not looked at: {fault}");
                Err(fault)
            }
        }
    }

    /// Lets other tasks have their turns.
    async fn take_turns(&mut self, request: &Request) {
        let weight = match cost_of(request) {
            0 => 1,
            _ => HEAVY,
        };
        self.left = match self.left.checked_sub(weight) {
            Some(left) => left,
            None => {
                yield_now().await;
                AT_ONCE
            }
        };
    }

    /// How long its user still has to wait for requests that brought no token, on whichever connections they came.
    fn owed(&self) -> Option<Duration> {
        let now_ms = self.requests.clock.boot_ms();
        self.requests.budgets.owed(now_ms, self.peer.uid)
    }

    /// Counts requests without a token.
    pub(super) fn spend(&self, cost: u64) {
        if cost == 0 {
            return;
        }
        let now_ms = self.requests.clock.boot_ms();
        let wait = self.requests.budgets.spend(now_ms, self.peer.uid, cost);
        if wait.is_some_and(|Wait { log, .. }| log) {
            let peer = &self.peer;
            tracing::warn!(peer = %peer, "a user sends requests without end, for what it may not have or for the same again and again: its \
            answers are delayed");
        }
    }
}
