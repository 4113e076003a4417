//! An account's token without a request for each use: the async client is told of each newer one.
//!
//! Owns the task that watches, and makes the watch again when it has ended. What readers see is `board`'s.

use std::sync::Arc;

use tokend_proto::AccountName;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::board::Board;
use crate::restart::Again;
use crate::{Answer, Client, ClientError, GetOptions, Token, TokenSource, WatchOptions};

/// The newest token of an account; see [`Client::subscribe`]. Clones share one watch, which ends with the last of them.
#[derive(Debug, Clone)]
pub struct Subscription {
    kept: Arc<Kept>,
}

#[derive(Debug)]
struct Kept {
    client: Client,
    options: GetOptions,
    place: Arc<Place>,
    task: AbortHandle,
}

/// What the task and the readers share.
#[derive(Debug)]
struct Place {
    board: Board,
    changed: Notify,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    /// Subscribes to an account: a watch of its own connection keeps its newest token in this process, so that
    /// [`Subscription::token`] costs neither a request nor a system call.
    ///
    /// It needs no daemon yet. When the daemon goes away, or the right to the token is taken away, the subscription says
    /// so, and comes back by itself when they do: a right within ten seconds.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn subscribe(&self, options: GetOptions) -> Subscription {
        let place = Arc::new(Place {
            board: Board::new(options.account.clone()),
            changed: Notify::new(),
        });
        let mut wanted = WatchOptions::new(options.account.clone());
        wanted.min_validity = options.min_validity;
        let task = tokio::spawn(follow(self.clone(), wanted, Arc::clone(&place)));
        Subscription {
            kept: Arc::new(Kept {
                client: self.clone(),
                options,
                place,
                task: task.abort_handle(),
            }),
        }
    }
}

impl Subscription {
    /// The account's name.
    pub fn name(&self) -> &AccountName {
        &self.kept.options.account
    }

    /// The newest token, if it can be used now. This asks nobody, and takes neither a lock nor a system call.
    ///
    /// # Errors
    /// [`ClientError::NoToken`] between a token and its successor, and whatever else there is to say while there is none:
    /// the daemon's [`ClientError::Fault`], or how its connection ended. A token is not shown while no daemon could tell
    /// that it must not be used any more.
    pub fn token(&self) -> Result<Arc<Token>, ClientError> {
        self.kept.place.board.token()
    }

    /// The newest token, waited for where it is a matter of moments: between a token and its successor, and while a
    /// daemon is started or restarted. [`GetOptions::timeout`] is the limit.
    ///
    /// # Errors
    /// As [`Subscription::token`].
    pub async fn ready(&self) -> Result<Arc<Token>, ClientError> {
        let Kept { place, options, .. } = &*self.kept;
        let waited = timeout(options.patience().limit(), async {
            loop {
                let changed = place.changed.notified();
                match place.board.token() {
                    Err(error) if error.passes_soon() => changed.await,
                    answer => return answer,
                }
            }
        });
        waited.await.unwrap_or_else(|_elapsed| place.board.token())
    }

    /// Reports that the API refused this token, and gives a newer one.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn reject(&self, refused: &Token) -> Result<Arc<Token>, ClientError> {
        let Kept {
            client, options, ..
        } = &*self.kept;
        let newer = client.account(options.clone()).reject(refused).await;
        // The daemon has retired it, and may not have told the watch yet. Of any other answer only the watch knows.
        if newer.is_ok() {
            self.kept.place.board.retire(refused);
        }
        newer
    }
}

impl TokenSource for Subscription {
    fn token(&self) -> Answer<'_, Arc<Token>> {
        Box::pin(self.ready())
    }

    fn reject<'a>(&'a self, refused: &'a Token) -> Answer<'a, Arc<Token>> {
        Box::pin(self.reject(refused))
    }

    fn is_refusal<'a>(&'a self, status: u16, body: &'a [u8]) -> Answer<'a, bool> {
        Box::pin(self.kept.client.is_refusal(self.name(), status, body))
    }

    fn urls(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async {
            let account = self.kept.client.account(self.kept.options.clone());
            account.urls().await
        })
    }
}

/// Watches for ever.
async fn follow(client: Client, wanted: WatchOptions, place: Arc<Place>) {
    let mut again = Again::new();
    loop {
        let Err(error) = watch(&client, &wanted, &place, &mut again).await;
        let pause = again.pause(&error);
        place.board.is_cut_off(error);
        place.changed.notify_waiters();
        sleep(pause).await;
    }
}

/// Watches until the watch ends.
async fn watch(
    client: &Client,
    wanted: &WatchOptions,
    place: &Place,
    again: &mut Again,
) -> Result<std::convert::Infallible, ClientError> {
    let mut watch = client.watch(wanted).await?;
    loop {
        let event = watch.next().await?;
        again.has_worked();
        place.board.tell(event);
        place.changed.notify_waiters();
    }
}
