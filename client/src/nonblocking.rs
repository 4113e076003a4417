//! The async client: one connection shared by all clones, many requests at once.
//!
//! Owns which connection is in use and when to make another. The traffic on a connection is `link`'s.

mod link;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokend_proto::{AccountLine, AccountName, ApiLine, Response, SecretText, Whoami};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{sleep, timeout};

use crate::exchange::{self, Call, Pages};
use crate::place::Place;
use crate::restart::Restart;
use crate::{ClientError, Deadlines, GetOptions, Patience, SocketPath, Token, WatchOptions};

pub use link::MAX_IN_FLIGHT;
use link::{Failure, Link};
pub use watch::Watch;

/// An async client; cloning it shares the connection.
///
/// It needs a tokio runtime with I/O and time enabled. Dropping a call's future is always safe: the answer, when it
/// comes, is discarded.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    place: Place,
    waits_for_start: bool,
    deadlines: Deadlines,
    turns: Semaphore,
    link: Mutex<Option<Arc<Link>>>,
}

impl Client {
    /// Connects to the daemon and greets it.
    ///
    /// # Errors
    /// [`ClientError::NotReachable`] when nobody listens there, [`ClientError::Protocol`] when it is not tokend,
    /// [`ClientError::Fault`] when the daemon turns the connection down.
    pub async fn connect(path: &SocketPath) -> Result<Self, ClientError> {
        Self::connect_with(path, Deadlines::default()).await
    }

    /// Connects to the daemon, with deadlines of the caller's choice for this and all that follows.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect_with(
        path: &SocketPath,
        deadlines: Deadlines,
    ) -> Result<Self, ClientError> {
        let link = Arc::new(Link::open(path, deadlines.connect).await?);
        let place = Place::Fixed(path.clone());
        Ok(Self::of(place, false, deadlines, Some(link)))
    }

    /// A client for a daemon that need not be there yet: it is looked for, as [`SocketPath::find`] does, and waited for
    /// when a request needs it. It can be made outside a runtime.
    ///
    /// Where a request finds no daemon, or one that is being restarted, it tries again until its own deadline.
    pub fn lazy() -> Self {
        Self::lazy_with(None, Deadlines::default())
    }

    /// The same, with a socket and deadlines of the caller's choice.
    pub fn lazy_with(path: Option<SocketPath>, deadlines: Deadlines) -> Self {
        Self::of(Place::of(path), true, deadlines, None)
    }

    fn of(
        place: Place,
        waits_for_start: bool,
        deadlines: Deadlines,
        link: Option<Arc<Link>>,
    ) -> Self {
        let shared = Shared {
            place,
            waits_for_start,
            deadlines,
            turns: Semaphore::new(MAX_IN_FLIGHT),
            link: Mutex::new(link),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// An access token of the account of this name, as [`GetOptions::new`] asks for it.
    ///
    /// # Errors
    /// Any [`ClientError`]; a [`ClientError::Fault`] carries the daemon's reason.
    pub async fn token(&self, account: &str) -> Result<Token, ClientError> {
        self.get(&GetOptions::new(account.parse()?)).await
    }

    /// An access token that is good for what `options` demand.
    ///
    /// # Errors
    /// Any [`ClientError`]; a [`ClientError::Fault`] carries the daemon's reason.
    pub async fn get(&self, options: &GetOptions) -> Result<Token, ClientError> {
        self.call(Call::get(options, self.deadlines()))
            .await
            .and_then(exchange::token)
    }

    /// Reports that an API refused `token`, and gives a newer one. `None` for a peer that may report tokens of
    /// the account but not have them.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn reject(
        &self,
        account: &AccountName,
        token: SecretText,
        patience: Patience,
    ) -> Result<Option<Token>, ClientError> {
        self.call(Call::reject(account, token, patience, self.deadlines()))
            .await
            .and_then(exchange::refreshed)
    }

    /// The accounts this peer may see.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn list(&self) -> Result<Vec<AccountLine>, ClientError> {
        let mut pages = Pages::new();
        loop {
            let call = Call::list(pages.after(), self.deadlines());
            match pages.add(self.call(call).await.and_then(exchange::accounts)?)? {
                Ok(all) => return Ok(all),
                Err(more) => pages = more,
            }
        }
    }

    /// Which addresses the tokens are for that this peer may have: of one account, or of all.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn apis(&self, account: Option<&AccountName>) -> Result<Vec<ApiLine>, ClientError> {
        let mut pages = Pages::new();
        loop {
            let call = Call::apis(account, pages.after(), self.deadlines());
            match pages.add(self.call(call).await.and_then(exchange::apis)?)? {
                Ok(all) => return Ok(all),
                Err(more) => pages = more,
            }
        }
    }

    /// Whether an API's answer with this status and body means that it refused the token, by the rules of the
    /// account's dialect. Report such a token with [`reject`](Self::reject). Only the first 16 KiB of the body count.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn is_refusal(
        &self,
        account: &AccountName,
        status: u16,
        body: &[u8],
    ) -> Result<bool, ClientError> {
        let call = Call::refusal(account, status, body, self.deadlines())?;
        self.call(call).await.and_then(exchange::refusal)
    }

    /// What the daemon sees of this process, and what it may do.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn whoami(&self) -> Result<Whoami, ClientError> {
        self.call(Call::whoami(self.deadlines()))
            .await
            .and_then(exchange::whoami)
    }

    /// Watches an account: its token now, and each newer one as it comes, without a request for each. It has a connection of its own.
    ///
    /// The connection is not made again when it is lost, as when the daemon is restarted: watch again then, and expect
    /// the same token once more.
    ///
    /// # Errors
    /// [`ClientError::NotReachable`] and [`ClientError::Silent`]. Whether the caller may have the account's tokens is
    /// the first thing that the watch tells.
    pub async fn watch(&self, options: &WatchOptions) -> Result<Watch, ClientError> {
        let path = self.shared.place.path()?;
        Watch::open(&path, self.deadlines().connect, options).await
    }

    pub(crate) fn deadlines(&self) -> &Deadlines {
        &self.shared.deadlines
    }

    pub(crate) async fn call(&self, call: Call) -> Result<Response, ClientError> {
        let mut progress = Progress::default();
        let limit = call.limit;
        match timeout(limit, self.shared.answer_of_next(&call, &mut progress)).await {
            Ok(answered) => answered,
            Err(_elapsed) if progress.connecting => Err(ClientError::Silent {
                path: self.shared.place.path()?.as_path().to_owned(),
                limit,
            }),
            Err(_elapsed) => {
                // The daemon keeps its own timeouts, so a daemon that lets ours pass is not reliable. Others
                // may still get their answers, but new requests go elsewhere.
                self.shared.retire(progress.used.as_ref());
                Err(ClientError::TimedOut { limit })
            }
        }
    }
}

/// How far a call has come.
#[derive(Default)]
struct Progress {
    connecting: bool,
    used: Option<Arc<Link>>,
}

impl Shared {
    /// The answer of this daemon or, if the client waits for a start, of the next.
    async fn answer_of_next(
        &self,
        call: &Call,
        progress: &mut Progress,
    ) -> Result<Response, ClientError> {
        // The semaphore is never closed.
        let _turn = self
            .turns
            .acquire()
            .await
            .map_err(|_| ClientError::Congested)?;
        let mut restart = Restart::new(self.waits_for_start, call.greeting.min(call.limit));
        loop {
            let answered = self.answer(call, progress).await;
            let Failure { error, sent } = match answered.map(|answer| restart.refused(answer)) {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => Failure { error, sent: false },
                Err(failure) => failure,
            };
            if sent && !call.repeatable {
                return Err(error);
            }
            match restart.pause(&error) {
                Some(pause) => sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    async fn answer(&self, call: &Call, progress: &mut Progress) -> Result<Response, Failure> {
        let link = self.link_for(call, progress).await?;
        let failure = match link.call(&call.request).await {
            Ok(response) => return Ok(response),
            Err(failure) => failure,
        };
        // A connection we kept may have died since, as when the daemon was restarted.
        if !matches!(failure.error, ClientError::Lost { .. }) || (failure.sent && !call.repeatable)
        {
            return Err(failure);
        }
        let link = self.link_for(call, progress).await?;
        link.call(&call.request).await
    }

    async fn link_for(&self, call: &Call, progress: &mut Progress) -> Result<Arc<Link>, Failure> {
        progress.connecting = true;
        let link = self.link(call.greeting).await;
        progress.connecting = false;
        let link = link.map_err(|error| Failure { error, sent: false })?;
        progress.used = Some(Arc::clone(&link));
        Ok(link)
    }

    /// The connection in use, or a new one if that has ended.
    async fn link(&self, limit: Duration) -> Result<Arc<Link>, ClientError> {
        let mut current = self.link.lock().await;
        match current.as_ref() {
            Some(link) if link.is_open() => Ok(Arc::clone(link)),
            _ => {
                // Under the lock, so that only one of many tasks that lost the connection makes the next one.
                let link = Arc::new(Link::open(&self.place.path()?, limit).await?);
                *current = Some(Arc::clone(&link));
                Ok(link)
            }
        }
    }

    fn retire(&self, used: Option<&Arc<Link>>) {
        let Some(used) = used else { return };
        used.retire();
        // Whoever holds the lock may be connecting for longer than this call may take, and replaces the connection by itself.
        let Ok(mut current) = self.link.try_lock() else {
            return;
        };
        if current.as_ref().is_some_and(|link| Arc::ptr_eq(link, used)) {
            *current = None;
        }
    }
}
