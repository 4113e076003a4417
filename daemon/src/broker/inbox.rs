//! What reaches the driver, and what it answers.
//!
//! Owns the messages between the tasks of the daemon. Each request carries its own way back; a way back that is gone is no
//! error, because whoever left may not hold anything up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokend_engine::{AccountKey, AttemptId, Demand, WaiterId, Want};
use tokend_proto::{AccountName, AccountStatus, Fault, LoginSecret};
use tokend_record::RecordKey;
use tokio::sync::{mpsc, oneshot};

use crate::broker::accounts::Survey;
use crate::broker::change::{ConfigChange, Reloaded};
use crate::broker::job::{StoreJob, Stored};
use crate::broker::registry::IssuedToken;
use tokend_metrics::Sample;
use tokend_upstream::{Outcome, PrepareError, Prepared};

/// Something for the driver.
#[derive(Debug)]
pub(crate) enum Message {
    /// A session found no token that would do.
    Wanted {
        account: AccountKey,
        waiter: WaiterId,
        /// Whose session.
        uid: u32,
        demand: Demand,
        want: Want,
        reply: AnswerSender,
    },
    /// Somebody who waited for a token has gone.
    Left(AccountKey, WaiterId),
    /// A session handed a token out that is due to be refreshed.
    Asked(AccountKey),
    /// A person entered a secret.
    Login {
        account: AccountKey,
        secret: LoginSecret,
        demand: Demand,
        reply: AnswerSender,
    },
    /// A person wants an account forgotten.
    Forget {
        account: AccountKey,
        reply: AnswerSender,
    },
    /// Somebody wants to know which accounts were configured under a name before and still have something under way.
    Former {
        account: AccountName,
        reply: oneshot::Sender<Vec<AccountKey>>,
    },
    /// A job for the store's thread, behind all that the driver has given it so far.
    Store(StoreJob),
    /// Somebody wants to know how these accounts are.
    Status {
        accounts: Vec<(AccountKey, AccountName)>,
        reply: oneshot::Sender<Vec<AccountStatus>>,
    },
    /// Somebody reads metrics.
    Sample {
        accounts: Vec<AccountKey>,
        reply: oneshot::Sender<Vec<Sample>>,
    },
    /// A loaded configuration asks what has to be read.
    Survey {
        accounts: Vec<RecordKey>,
        reply: oneshot::Sender<Survey>,
    },
    /// A loaded configuration is to be put in force.
    Change(Box<ConfigChange>),
    /// A reload has ended.
    Reloaded(Reloaded),
    /// The store's thread did what it was asked to.
    Stored(Stored),
    /// A request is ready to be sent, or cannot be made.
    Prepared {
        account: AccountKey,
        attempt: AttemptId,
        result: Result<Box<Prepared>, PrepareError>,
    },
    /// A provider answered, or did not.
    Answered {
        account: AccountKey,
        attempt: AttemptId,
        outcome: Box<Outcome>,
    },
    /// Begin nothing, finish what runs, and say when all is done.
    Drain(oneshot::Sender<()>),
}

/// The way back to a session.
pub(crate) type AnswerSender = oneshot::Sender<DriverAnswer>;

/// The driver's answer to a session.
#[derive(Debug, Clone)]
pub(crate) enum DriverAnswer {
    /// This token.
    Token(Arc<IssuedToken>),
    /// Done, and in which words.
    Done(String),
    /// No, and why.
    Fault(Box<Fault>),
}

/// Somebody who waits for a token. The driver is told when that ends without an answer, so that nobody counts who is not there.
#[derive(Debug)]
pub(crate) struct Waiter {
    driver: Driver,
    account: AccountKey,
    id: WaiterId,
    answered: bool,
}

impl Waiter {
    /// Whoever is about to wait for the token of an account.
    pub(crate) fn new(driver: Driver, account: AccountKey) -> Self {
        Self {
            driver,
            account,
            id: next_waiter(),
            answered: false,
        }
    }

    pub(crate) fn id(&self) -> WaiterId {
        self.id
    }

    /// There is an answer.
    pub(crate) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if !self.answered {
            let left = Message::Left(self.account, self.id);
            if let Err(mpsc::error::TrySendError::Full(left)) = self.driver.try_send(left)
                && let Ok(runtime) = tokio::runtime::Handle::try_current()
            {
                let driver = self.driver.clone();
                drop(runtime.spawn(async move {
                    // A driver that ends needs to hear of nobody.
                    let _ended = driver.send(left).await;
                }));
            }
        }
    }
}

/// A number that no other waiter of this run has.
pub(crate) fn next_waiter() -> WaiterId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    WaiterId(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// How everybody reaches the driver.
pub(crate) type Driver = mpsc::Sender<Message>;

/// How many messages may wait for the driver. A session that finds it full waits, and nobody but that session with it.
pub(crate) const DRIVER_QUEUE: usize = 4096;
