//! Publications: the one place where a token becomes the served one, and where it ceases to be.
//!
//! Owns the served token of each account, and who is woken when it changes. A subscriber gets a wake and no queue: it reads the token as it
//! stands then, so a slow one costs no memory and sees the newest. Accounts without subscribers cost nothing here. Must never wait, and
//! must never decide who may have a token.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokend_audit::TokenFingerprint;
use tokend_engine::{AccountKey, LastAsked, Timestamp, TokenFacts};
use tokend_process::clock::Clock;
use tokend_proto::Token;
use tokend_upstream::AccessToken;
use tokio::sync::{Semaphore, watch};

/// The served token of an account, and when a session last asked for it.
#[derive(Debug, Default)]
pub(crate) struct TokenCell {
    token: ArcSwapOption<IssuedToken>,
    asked: LastAsked,
}

/// An access token as it is handed out.
#[derive(Debug)]
pub(crate) struct IssuedToken {
    pub(crate) token: Arc<AccessToken>,
    /// Its fingerprint, for records.
    pub(crate) fingerprint: TokenFingerprint,
    pub(crate) held: TokenFacts,
    /// From this time on, the first session that hands it out tells the driver.
    pub(crate) ahead: Timestamp,
    /// Whether a session has reported that to the driver.
    pub(crate) reported: AtomicBool,
    /// Whether the token is only in memory, because the store refused it.
    pub(crate) unpersisted: bool,
    /// What could not be used in the reply that brought the token.
    pub(crate) remark: Option<Box<str>>,
}

/// How many subscribers of one account may ask the driver for a token at once. Each gets the same token or the same reason; the others have
/// their turn after an answer, and none once there is a token. Requests of `get` keep most of the room for waiting clients.
const ASKING: usize = 64;

/// Who is woken when the token of an account changes.
#[derive(Debug, Default)]
pub(crate) struct Publications {
    /// Only accounts that have subscribers.
    topics: Mutex<HashMap<AccountKey, Topic>>,
    draining: AtomicBool,
}

/// The subscribers of one account.
#[derive(Debug)]
struct Topic {
    wake: watch::Sender<()>,
    asking: Arc<Semaphore>,
}

/// One subscriber of one account, until it is dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    publications: Arc<Publications>,
    account: AccountKey,
    /// Always there, except while this is dropped.
    wakes: Option<watch::Receiver<()>>,
    asking: Arc<Semaphore>,
}

impl TokenCell {
    /// The published token, if there is one. The caller checks its expiry.
    pub(crate) fn token(&self) -> arc_swap::Guard<Option<Arc<IssuedToken>>> {
        self.token.load()
    }

    /// Where sessions note requests for the token; shared with the engine.
    pub(crate) fn asked(&self) -> &LastAsked {
        &self.asked
    }

    /// Serves a token, and wakes nobody.
    #[cfg(test)]
    pub(crate) fn publish(&self, token: IssuedToken) {
        self.token.store(Some(Arc::new(token)));
    }

    /// Stops serving the token, and wakes nobody.
    #[cfg(test)]
    pub(crate) fn retire(&self) {
        self.token.store(None);
    }
}

impl IssuedToken {
    /// The token as clients get it, with its type or, where the dialect or the account says so, how its API wants it.
    pub(crate) fn on_wire(&self, now: Timestamp, clock: &Clock, present: Option<&str>) -> Token {
        let expires = self.held.expires;
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Token {
            access_token: self.token.text.clone(),
            token_type: present.unwrap_or(&self.token.token_type).to_owned(),
            expires_at_ms: expires.map(|at| u64::try_from(clock.to_wall(at)).unwrap_or(0)),
            remaining_ms: expires.map(|at| millis(at.since(now))),
            scope: self.token.scope.as_deref().map(str::to_owned),
            grant: self.held.grant.0,
        }
    }

    /// Notes that the token was handed out. True for the first time it is due to be refreshed: then the driver must hear of it.
    pub(crate) fn is_first_late_use(&self, now: Timestamp) -> bool {
        now >= self.ahead && !self.reported.swap(true, Ordering::Relaxed)
    }
}

impl Publications {
    /// Serves this token from now on.
    pub(crate) fn publish(&self, account: AccountKey, cell: &TokenCell, token: IssuedToken) {
        cell.token.store(Some(Arc::new(token)));
        self.wake(account);
    }

    /// Stops serving the token, and returns it.
    pub(crate) fn retire(&self, account: AccountKey, cell: &TokenCell) -> Option<Arc<IssuedToken>> {
        let served = cell.token.swap(None);
        self.wake(account);
        served
    }

    /// Wakes the subscribers of an account: what is to be said about it may have changed.
    pub(crate) fn wake(&self, account: AccountKey) {
        if let Some(topic) = self.topics().get(&account) {
            topic.wake.send_replace(());
        }
    }

    /// Wakes all subscribers: another configuration is in force.
    pub(crate) fn wake_all(&self) {
        for topic in self.topics().values() {
            topic.wake.send_replace(());
        }
    }

    /// Wakes all subscribers for the last time: the daemon is about to stop.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.wake_all();
    }

    /// Whether the daemon is about to stop.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Subscribes to an account. Whatever changes from now on wakes the subscriber, so it reads the token after this.
    pub(crate) fn subscribe(self: &Arc<Self>, account: AccountKey) -> Subscription {
        let mut topics = self.topics();
        let topic = topics.entry(account).or_insert_with(|| Topic {
            wake: watch::Sender::new(()),
            asking: Arc::new(Semaphore::new(ASKING)),
        });
        Subscription {
            publications: Arc::clone(self),
            account,
            wakes: Some(topic.wake.subscribe()),
            asking: Arc::clone(&topic.asking),
        }
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<AccountKey, Topic>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Waits until there is reason to look again. Several reasons may be one wake. Can be dropped safely: no wake is lost.
    pub(crate) async fn woken(&mut self) {
        let woken = match &mut self.wakes {
            Some(wakes) => wakes.changed().await,
            None => Ok(()),
        };
        if woken.is_err() {
            // The topic lives as long as its subscribers.
            std::future::pending::<()>().await;
        }
    }

    /// The account it is about.
    pub(crate) fn account(&self) -> AccountKey {
        self.account
    }

    /// The turns in which subscribers of this account ask the driver.
    pub(crate) fn asking(&self) -> Arc<Semaphore> {
        Arc::clone(&self.asking)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        drop(self.wakes.take());
        let mut topics = self.publications.topics();
        if topics
            .get(&self.account)
            .is_some_and(|topic| topic.wake.receiver_count() == 0)
        {
            topics.remove(&self.account);
        }
    }
}

#[cfg(test)]
mod tests;
