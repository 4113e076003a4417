//! Messages to the driver, and its answers.
//!
//! Owns the messages between the tasks of the daemon. Each request carries its own reply channel. A closed channel is no error, because a
//! client that left must not hold anything up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokend_engine::{AccountKey, AttemptId, Demand, WaiterId, Want};
use tokend_proto::{AccountName, AccountStatus, CredentialStatus, Fault};
use tokend_record::RecordKey;
use tokend_store::EnteredCredential;
use tokio::sync::{mpsc, oneshot};

use crate::broker::accounts::Survey;
use crate::broker::change::{ConfigChange, Reloaded};
use crate::broker::job::{StoreJob, Stored};
use crate::broker::publications::IssuedToken;
use tokend_metrics::Sample;
use tokend_upstream::{Outcome, PrepareError, Prepared};

/// A message to the driver.
#[derive(Debug)]
pub(crate) enum Message {
    /// A session found no usable token.
    Wanted {
        account: AccountKey,
        waiter: WaiterId,
        /// The user of the session.
        uid: u32,
        demand: Demand,
        want: Want,
        reply: AnswerSender,
    },
    /// A client that waited for a token has gone.
    Left(AccountKey, WaiterId),
    /// A session handed out a token that is due to be refreshed.
    Asked(AccountKey),
    /// A person entered a credential.
    Login {
        account: AccountKey,
        entered: Box<EnteredCredential>,
        demand: Demand,
        reply: AnswerSender,
    },
    /// A person wants an account forgotten.
    Forget {
        account: AccountKey,
        reply: AnswerSender,
    },
    /// A request for the accounts that were configured under a name before and still have running work.
    Former {
        account: AccountName,
        reply: oneshot::Sender<Vec<AccountKey>>,
    },
    /// A job for the store thread, after all earlier jobs of the driver.
    Store(StoreJob),
    /// A request for the status of these accounts.
    Status {
        accounts: Vec<(AccountKey, AccountName)>,
        reply: oneshot::Sender<Vec<AccountStatus>>,
    },
    /// A request for what this account logs in with.
    Credential {
        account: AccountKey,
        reply: oneshot::Sender<Option<CredentialStatus>>,
    },
    /// A request for metrics.
    Sample {
        accounts: Vec<AccountKey>,
        reply: oneshot::Sender<Vec<Sample>>,
    },
    /// A loaded configuration asks which records have to be read.
    Survey {
        accounts: Vec<RecordKey>,
        reply: oneshot::Sender<Survey>,
    },
    /// A loaded configuration is to be put in force.
    Change(Box<ConfigChange>),
    /// A reload has ended.
    Reloaded(Reloaded),
    /// The store thread has finished a job.
    Stored(Stored),
    /// A request to a provider is ready to be sent, or cannot be made.
    Prepared(AccountKey, AttemptId, Result<Box<Prepared>, PrepareError>),
    /// A provider answered, or did not answer.
    Answered(AccountKey, AttemptId, Box<Outcome>),
    /// Start nothing, finish running work, and report when all is done.
    Drain(oneshot::Sender<()>),
}

/// The reply channel to a session.
pub(crate) type AnswerSender = oneshot::Sender<DriverAnswer>;

/// The driver's answer to a session.
#[derive(Debug, Clone)]
pub(crate) enum DriverAnswer {
    /// This token.
    Token(Arc<IssuedToken>),
    /// Success, in words.
    Done(String),
    /// Refusal, with the reason.
    Fault(Box<Fault>),
}

impl DriverAnswer {
    pub(crate) fn fault(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }

    /// An account was forgotten.
    pub(crate) fn forgotten(account: &AccountName) -> Self {
        Self::Done(format!("account {account} is forgotten"))
    }
}

/// A client that waits for a token. If the wait ends without an answer, the driver hears of it, so that clients that left are not counted.
#[derive(Debug)]
pub(crate) struct Waiter {
    driver: Driver,
    account: AccountKey,
    id: WaiterId,
    answered: bool,
}

impl Waiter {
    /// A client that is about to wait for the token of an account.
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

    /// The answer has arrived.
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
                    // A driver that has ended needs no message.
                    let _ended = driver.send(left).await;
                }));
            }
        }
    }
}

/// A number that is unique among the waiters of this run.
pub(crate) fn next_waiter() -> WaiterId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    WaiterId(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The handle for messages to the driver.
pub(crate) type Driver = mpsc::Sender<Message>;

/// Sends a message with a channel for the reply, and waits for the reply. `None` when the driver has ended.
pub(crate) async fn ask<T>(
    driver: &Driver,
    message: impl FnOnce(oneshot::Sender<T>) -> Message,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    driver.send(message(reply)).await.ok()?;
    answer.await.ok()
}

/// How many messages may wait for the driver. If the queue is full, only the session that sends has to wait.
pub(crate) const DRIVER_QUEUE: usize = 4096;
