//! Limits the log lines that other users can cause.
//!
//! Owns how many lines of a kind one user may cause in a minute; further ones are counted, and one line at the minute's end has their
//! number. A line belongs to a user if it names its `peer`; lines of modules that accept connections and name no peer share one count.

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
/// How many pairs of user and kind are counted apart. Further users count as one: some machines have 65,536 ids for each person.
const APART: usize = 1024;
/// How much of a line's message is repeated, in bytes.
const LONGEST: usize = 200;
/// Modules whose peers are not known by a user, or not yet. A test of the daemon compares these names with its modules.
pub const ACCEPTING: [&str; 3] = [
    "tokend::server::accept",
    "tokend::server::metrics_http",
    "tokend_egress",
];

/// The user who causes a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Causer {
    User(u32),
    /// One of too many to be counted apart, or an unknown one.
    Anybody,
}

/// Lines of one kind that one user caused within a minute.
#[derive(Debug)]
struct Minute {
    began: Duration,
    shown: u32,
    more: u64,
    level: Level,
    message: Box<str>,
}

/// The counts of all users. Cheap to clone.
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
    /// Wakes the thread of `queue` when a count has to be reported later.
    pub(super) fn new(clock: Clock, queue: Queue) -> Self {
        Self(Arc::new(Inner {
            clock,
            queue,
            minutes: Mutex::default(),
            counted: AtomicU64::new(0),
        }))
    }

    /// How many lines were counted instead of written.
    pub(super) fn counted(&self) -> u64 {
        self.0.counted.load(Ordering::Relaxed)
    }

    /// Logs the counts of the minutes that are over, or of all of them at the end. Returns when the next minute is over.
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

    /// Whether this line may be written. Otherwise it is counted.
    fn admits(&self, kind: Identifier, who: Causer, event: &Event<'_>) -> bool {
        let now = self.0.clock.since_boot();
        let mut minutes = self.lock();
        let is_one_too_many = |minutes: &HashMap<_, _>| {
            minutes.len() >= APART && !minutes.contains_key(&(kind.clone(), who))
        };
        if is_one_too_many(&minutes) {
            minutes
                .retain(|_, minute| minute.more > 0 || now.saturating_sub(minute.began) < MINUTE);
        }
        let who = match is_one_too_many(&minutes) {
            true => Causer::Anybody,
            false => who,
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
            Some(_) => value(event, "peer")
                .and_then(|peer| uid(&peer))
                .map_or(Causer::Anybody, Causer::User),
            None if ACCEPTING
                .iter()
                .any(|module| metadata.target().starts_with(module)) =>
            {
                Causer::Anybody
            }
            None => return true,
        };
        self.admits(metadata.callsite(), who, event)
    }
}

/// Logs one line for all of them, at their level, so that a filter that hides them hides it too.
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

/// The value of one of an event's fields, as it is logged.
fn value(event: &Event<'_>, name: &'static str) -> Option<String> {
    struct Found(&'static str, Option<String>);
    impl Visit for Found {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if field.name() == self.0 {
                self.1 = Some(format!("{value:?}"));
            }
        }
    }
    let mut found = Found(name, None);
    event.record(&mut found);
    found.1
}

/// The user of a peer, in the notation of peers in the log.
fn uid(peer: &str) -> Option<u32> {
    peer.strip_prefix("uid ")?.split(' ').next()?.parse().ok()
}

fn message(event: &Event<'_>) -> Box<str> {
    let mut message = value(event, "message").unwrap_or_default();
    if message.len() > LONGEST {
        message.truncate(message.floor_char_boundary(LONGEST));
        message.push('…');
    }
    message.into()
}

#[cfg(test)]
mod tests;
