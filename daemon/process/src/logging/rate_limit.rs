//! Lines that others can have written as often as they like.
//!
//! Owns how many of a kind one user may cause in a minute. The rest are counted, and told in one line at the
//! minute's end. A line belongs to a user if it names its `peer`; lines of modules that accept connections and
//! name no peer share one count.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::queue::Queue;
use crate::clock::Clock;

/// How many lines of one kind one user may cause in a minute: enough to see what is going on, and less than 20 kB.
pub(super) const SHOWN: u32 = 30;
/// How long lines are counted together.
pub(super) const MINUTE: Duration = Duration::from_secs(60);
/// How many users and kinds are told apart. Beyond that users count as one: some machines have 65,536 for each person.
const APART: usize = 1024;
/// How much of a line's message is repeated, in bytes.
const LONGEST: usize = 200;
/// Where whoever comes is not known by a user, or not yet: modules of the daemon, which holds these names against its own.
pub const ACCEPTING: [&str; 3] = [
    "tokend::server::accept",
    "tokend::server::metrics_http",
    "tokend_egress",
];

/// Causer causes a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Causer {
    User(u32),
    /// One of too many to be told apart, or of those nobody knows.
    Anybody,
}

/// Lines of one kind that one user caused lately.
#[derive(Debug)]
struct Minute {
    began: Duration,
    shown: u32,
    more: u64,
    level: Level,
    message: Box<str>,
}

/// The lines of everybody. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct RateLimit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    queue: Queue,
    minutes: Mutex<HashMap<(Identifier, Causer), Minute>>,
    counted: AtomicU64,
}

impl RateLimit {
    /// Has `queue` told when there is something to be said later.
    pub(super) fn new(clock: Clock, queue: Queue) -> Self {
        Self(Arc::new(Inner {
            clock,
            queue,
            minutes: Mutex::default(),
            counted: AtomicU64::new(0),
        }))
    }

    /// How many lines were counted so far instead of being written.
    pub(super) fn counted(&self) -> u64 {
        self.0.counted.load(Ordering::Relaxed)
    }

    /// Says how many more there were in each minute that is over, or that there will be no more of. When the next one is over.
    pub(super) fn report(&self, last: bool) -> Option<Duration> {
        let now = self.0.clock.since_boot();
        let mut over = Vec::new();
        let next = {
            let mut minutes = self.lock();
            minutes.retain(|(_, who), minute| {
                let ended = last || now.saturating_sub(minute.began) >= MINUTE;
                if ended && minute.more > 0 {
                    over.push((*who, minute.level, minute.more, minute.message.clone()));
                }
                !ended
            });
            let waiting = minutes.values().filter(|minute| minute.more > 0);
            waiting
                .map(|minute| (minute.began + MINUTE).saturating_sub(now))
                .min()
        };
        for (who, level, more, message) in over {
            report(who, level, more, &message);
        }
        next
    }

    /// Whether this line may be written. Otherwise it has been counted.
    fn admits(&self, kind: Identifier, who: Causer, event: &Event<'_>) -> bool {
        let now = self.0.clock.since_boot();
        let mut minutes = self.lock();
        if minutes.len() >= APART && !minutes.contains_key(&(kind.clone(), who)) {
            minutes
                .retain(|_, minute| minute.more > 0 || now.saturating_sub(minute.began) < MINUTE);
        }
        let who = match who {
            Causer::User(_)
                if minutes.len() >= APART && !minutes.contains_key(&(kind.clone(), who)) =>
            {
                Causer::Anybody
            }
            who => who,
        };
        let minute = minutes.entry((kind, who)).or_insert_with(|| Minute {
            began: now,
            shown: 0,
            more: 0,
            level: *event.metadata().level(),
            message: Box::default(),
        });
        if minute.more == 0 && now.saturating_sub(minute.began) >= MINUTE {
            (minute.began, minute.shown) = (now, 0);
        }
        if minute.shown < SHOWN {
            minute.shown += 1;
            return true;
        }
        minute.more += 1;
        let first = minute.more == 1;
        if first {
            minute.message = message(event);
        }
        drop(minutes);
        self.0.counted.fetch_add(1, Ordering::Relaxed);
        if first {
            self.0.queue.nudge();
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Identifier, Causer), Minute>> {
        self.0
            .minutes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for RateLimit {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let who = match metadata.fields().field("peer") {
            Some(_) => {
                let mut found = Found::default();
                event.record(&mut found);
                found.who
            }
            None if ACCEPTING
                .iter()
                .any(|module| metadata.target().starts_with(module)) =>
            {
                Causer::Anybody
            }
            None => return true,
        };
        // What this itself says passes, however much there is.
        self.admits(metadata.callsite(), who, event)
    }
}

/// One line for all of them. At the level they have, so that whoever hides those hides this one.
fn report(who: Causer, level: Level, more: u64, message: &str) {
    let who = match who {
        Causer::User(uid) => format!("user {uid}"),
        Causer::Anybody => "users that are not kept apart".to_owned(),
    };
    match level {
        Level::ERROR | Level::WARN => {
            tracing::warn!("and {more} more like it from {who} in the last minute: {message}");
        }
        Level::INFO => {
            tracing::info!("and {more} more like it from {who} in the last minute: {message}");
        }
        _ => tracing::debug!("and {more} more like it from {who} in the last minute: {message}"),
    }
}

/// Finds the peer of an event.
struct Found {
    who: Causer,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            who: Causer::Anybody,
        }
    }
}

impl Visit for Found {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "peer" {
            self.who = uid(&format!("{value:?}")).map_or(Causer::Anybody, Causer::User);
        }
    }
}

/// The user a peer is of, as peers are written.
fn uid(peer: &str) -> Option<u32> {
    peer.strip_prefix("uid ")?.split(' ').next()?.parse().ok()
}

/// The message of an event, not too long.
fn message(event: &Event<'_>) -> Box<str> {
    struct Message(String);
    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if field.name() == "message" {
                self.0 = format!("{value:?}");
            }
        }
    }
    let mut message = Message(String::new());
    event.record(&mut message);
    let mut message = message.0;
    if message.len() > LONGEST {
        message.truncate(message.floor_char_boundary(LONGEST));
        message.push('…');
    }
    message.into()
}

#[cfg(test)]
mod tests;
