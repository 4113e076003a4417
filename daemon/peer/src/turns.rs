//! Turns at scarce work, shared among users.
//!
//! Owns the order: each user has a queue of its own and sends one request at a time to the common queue, so
//! that a user with a hundred processes counts as one among the others. Owns as well how many threads may be
//! left behind by turns that were given up. Every queue is bounded: a request that finds its queue full is
//! refused at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many threads there may be for each turn: one that uses it, and others left waiting for a file or service
/// that does not answer. The runtime has five hundred threads for everything.
const THREADS: usize = 4;

/// Turns at one thing.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// How many have a turn at once.
    all: Arc<Semaphore>,
    /// How many threads there may be, including those that were given up.
    threads: Arc<Semaphore>,
    /// How many of one user may have one at once.
    per_user: usize,
    /// How many requests of one user may be queued, including those that have a turn.
    longest: usize,
    queues: Mutex<HashMap<u32, Queue>>,
}

/// The queue of one user. It exists while a request is in it.
#[derive(Debug)]
struct Queue {
    first: Arc<Semaphore>,
    length: usize,
}

/// A place in the queue. Given back when dropped.
#[derive(Debug)]
struct Place {
    turns: Turns,
    uid: u32,
}

/// A turn.
#[derive(Debug)]
pub struct Turn {
    /// The common part. A caller that stops waiting gives it back.
    pub common: OwnedSemaphorePermit,
    /// The user's own part, which the work itself keeps until it ends.
    pub own: OwnTurn,
}

/// A user's own part of a turn.
#[derive(Debug)]
pub struct OwnTurn {
    _permit: OwnedSemaphorePermit,
    _thread: OwnedSemaphorePermit,
    _place: Place,
}

/// Why there is no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// Too many requests of this user are queued.
    Queue,
    /// As many threads as allowed wait for a file or service that does not answer.
    Threads,
}

impl Turns {
    /// `all` turns at once, `per_user` of them for one user, and at most `longest` requests of one user in the
    /// queue.
    pub fn new(all: usize, per_user: usize, longest: usize) -> Self {
        Self(Arc::new(Inner {
            all: Arc::new(Semaphore::new(all)),
            threads: Arc::new(Semaphore::new(all * THREADS)),
            per_user,
            longest,
            queues: Mutex::default(),
        }))
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// When the user's queue is full, or when too many threads were left behind.
    pub async fn take(&self, uid: u32) -> Result<Turn, Full> {
        let (first, place) = self.enqueue(uid)?;
        // Neither semaphore is ever closed.
        let permit = first.acquire_owned().await.map_err(|_| Full::Queue)?;
        let common = Arc::clone(&self.0.all)
            .acquire_owned()
            .await
            .map_err(|_| Full::Queue)?;
        // A thread that was left behind may end at any time or never, so it is not waited for.
        let thread = Arc::clone(&self.0.threads)
            .try_acquire_owned()
            .map_err(|_| Full::Threads)?;
        let own = OwnTurn {
            _permit: permit,
            _thread: thread,
            _place: place,
        };
        Ok(Turn { common, own })
    }

    fn enqueue(&self, uid: u32) -> Result<(Arc<Semaphore>, Place), Full> {
        let inner = &*self.0;
        let mut queues = inner.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.entry(uid).or_insert_with(|| Queue {
            first: Arc::new(Semaphore::new(inner.per_user)),
            length: 0,
        });
        if queue.length >= inner.longest {
            return Err(Full::Queue);
        }
        queue.length += 1;
        let place = Place {
            turns: self.clone(),
            uid,
        };
        Ok((Arc::clone(&queue.first), place))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let queues = &self.turns.0.queues;
        let mut queues = queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get_mut(&self.uid) {
            queue.length -= 1;
            if queue.length == 0 {
                queues.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use tokend_process::testing::soon;

    #[tokio::test]
    async fn a_user_with_a_hundred_processes_is_one_among_the_others() {
        let turns = Turns::new(2, 1, 100);
        let first = soon(turns.take(1)).await.unwrap();
        let other = soon(turns.take(2)).await.unwrap();
        let mut crowd: Vec<_> = (0..99).map(|_| Box::pin(turns.take(1))).collect();
        for waiting in &mut crowd {
            assert!(waiting.now_or_never().is_none());
        }
        assert_eq!(
            soon(turns.take(1)).await.unwrap_err(),
            Full::Queue,
            "the 101st"
        );
        let mut rightful = Box::pin(turns.take(3));
        assert!((&mut rightful).now_or_never().is_none());
        // The crowd's next comes behind the one who was there before it.
        drop(first);
        let served = soon(rightful).await.unwrap();
        assert!(crowd.iter_mut().all(|it| it.now_or_never().is_none()));
        drop((other, served));
        let served: Vec<_> = crowd
            .iter_mut()
            .filter_map(|it| it.now_or_never())
            .collect();
        assert_eq!(served.len(), 1, "one of a user at once");
    }

    #[tokio::test]
    async fn whoever_leaves_the_line_leaves_nothing_behind() {
        let turns = Turns::new(1, 1, 2);
        let turn = soon(turns.take(1)).await.unwrap();
        {
            let mut waiting = Box::pin(turns.take(1));
            assert!((&mut waiting).now_or_never().is_none());
            assert_eq!(soon(turns.take(1)).await.unwrap_err(), Full::Queue);
        }
        assert!(
            turns.take(1).now_or_never().is_none(),
            "there is room again"
        );
        drop(turn);
        assert!(turns.0.queues.lock().unwrap().is_empty());
        drop(soon(turns.take(1)).await.unwrap());
    }

    #[tokio::test]
    async fn a_turn_that_is_given_up_while_it_is_used_holds_up_its_own_user_only() {
        let turns = Turns::new(1, 1, 8);
        let Turn { common, own } = soon(turns.take(1)).await.unwrap();
        drop(common);
        drop(soon(turns.take(2)).await.unwrap());
        assert!(turns.take(1).now_or_never().is_none());
        drop(own);
        drop(soon(turns.take(1)).await.unwrap());
    }

    #[tokio::test]
    async fn no_more_threads_are_left_behind_than_so_many_however_many_users_there_are() {
        let turns = Turns::new(2, 1, 8);
        let mut left = Vec::new();
        for uid in 0..8 {
            let Turn { common, own } = soon(turns.take(uid)).await.unwrap();
            drop(common);
            left.push(own);
        }
        for uid in 8..20 {
            let error = soon(turns.take(uid)).await.unwrap_err();
            assert_eq!(error, Full::Threads, "user {uid}");
        }
        assert_eq!(
            turns.0.queues.lock().unwrap().len(),
            8,
            "they are in no line"
        );
        // The first that is answered after all makes room.
        left.pop();
        drop(soon(turns.take(20)).await.unwrap());
    }
}
