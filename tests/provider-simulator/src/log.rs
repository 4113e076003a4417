//! The record of every request, and the questions that tests ask about it.
//!
//! Holds serial numbers instead of tokens, so that a log may be printed. Bounded: the oldest entries go first.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use serde::Serialize;

use super::spec::{Api, Endpoint};

/// Entries kept; a load test of an hour fits.
const CAPACITY: usize = 500_000;

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Position in the log of the whole simulator, from 1.
    pub sequence: u64,
    /// Milliseconds since the simulator started, at arrival.
    pub at_ms: u64,
    /// Milliseconds until the answer was ready, absent before that.
    pub took_ms: Option<u64>,
    /// The account it concerned, absent when that is unknown.
    pub account: Option<String>,
    /// The API asked.
    pub api: Api,
    /// The endpoint that was asked.
    pub endpoint: Endpoint,
    /// HTTP method.
    pub method: String,
    /// Path without a provider prefix and without a query.
    pub path: String,
    /// The token presented, for refresh and resource requests.
    pub presented: Option<Presented>,
    /// The fault that the script applied to it.
    pub fault: Option<String>,
    /// Whether the provider did its work (issued, refused, spent), whatever the peer received.
    pub processed: bool,
    /// Serials of the tokens issued.
    pub issued: Option<Issued>,
    /// Status of the answer; absent before it is ready, or if none was sent.
    pub status: Option<u16>,
    /// The peer went away before the answer was ready.
    pub abandoned: bool,
}

impl Entry {
    /// Whether it asked for a token.
    #[must_use]
    pub fn is_token_request(&self) -> bool {
        matches!(self.endpoint, Endpoint::Login | Endpoint::Refresh)
    }
}

/// A token as the provider received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Presented {
    /// Its number, counted per account from 1; absent for an unknown token.
    pub serial: Option<u64>,
    /// Its state at arrival.
    pub standing: Standing,
}

/// State of a presented token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Valid.
    Current,
    /// Used before, and single-use.
    Spent,
    /// Ended by a reuse, a suspension, a newer token or a test.
    Revoked,
    /// Too old.
    Expired,
    /// Never issued.
    Unknown,
}

/// Tokens issued by one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Issued {
    /// Serial of the access token.
    pub access: u64,
    /// Serial of the refresh token, if a new one was issued.
    pub refresh: Option<u64>,
}

/// Something a well-behaved broker never does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Violation {
    /// A spent single-use refresh token came again.
    SpentTokenReplayed {
        /// The account.
        account: String,
        /// Serial of the token.
        serial: u64,
        /// The request's position in the log.
        sequence: u64,
    },
    /// Two token requests of one account at the same time.
    ConcurrentRequests {
        /// The account.
        account: String,
        /// The later request.
        sequence: u64,
    },
    /// The account asked so often that it was suspended.
    Suspended {
        /// The account.
        account: String,
        /// The request that exceeded the limit.
        sequence: u64,
    },
}

/// Some entries of the log, in order.
#[derive(Clone, Debug, Default)]
pub struct Excerpt(pub Vec<Entry>);

impl Excerpt {
    /// Logins and refreshes.
    #[must_use]
    pub fn token_requests(&self) -> usize {
        self.count(Entry::is_token_request)
    }

    /// Logins.
    #[must_use]
    pub fn logins(&self) -> usize {
        self.count(|entry| entry.endpoint == Endpoint::Login)
    }

    /// Refreshes.
    #[must_use]
    pub fn refreshes(&self) -> usize {
        self.count(|entry| entry.endpoint == Endpoint::Refresh)
    }

    /// Refreshes that presented the refresh token with this serial.
    #[must_use]
    pub fn refreshes_with(&self, serial: u64) -> usize {
        self.count(|entry| {
            entry.endpoint == Endpoint::Refresh
                && entry.presented.and_then(|token| token.serial) == Some(serial)
        })
    }

    /// Refreshes by the serial they presented; unknown tokens are left out.
    #[must_use]
    pub fn refreshes_by_serial(&self) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        for entry in self
            .0
            .iter()
            .filter(|entry| entry.endpoint == Endpoint::Refresh)
        {
            if let Some(serial) = entry.presented.and_then(|token| token.serial) {
                *counts.entry(serial).or_default() += 1;
            }
        }
        counts
    }

    /// Token requests that yielded a token.
    #[must_use]
    pub fn grants(&self) -> usize {
        self.count(|entry| entry.issued.is_some())
    }

    /// Most token requests inside any window of this length, counted by arrival.
    #[must_use]
    pub fn max_in_window(&self, window: Duration) -> usize {
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let mut recent = VecDeque::new();
        let mut most = 0;
        for entry in self.0.iter().filter(|entry| entry.is_token_request()) {
            recent.push_back(entry.at_ms);
            while recent
                .front()
                .is_some_and(|first| entry.at_ms - first >= window)
            {
                recent.pop_front();
            }
            most = most.max(recent.len());
        }
        most
    }

    /// Entries that satisfy `condition`.
    #[must_use]
    pub fn count(&self, condition: impl Fn(&Entry) -> bool) -> usize {
        self.0.iter().filter(|entry| condition(entry)).count()
    }
}

/// All entries and violations.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    violations: Vec<Violation>,
    last: u64,
}

impl Log {
    /// Appends `entry` under the next sequence number.
    pub(super) fn push(&mut self, mut entry: Entry) -> u64 {
        self.last += 1;
        entry.sequence = self.last;
        if self.entries.len() == CAPACITY {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
        self.last
    }

    /// Changes an entry that is still kept.
    pub(super) fn amend(&mut self, sequence: u64, change: impl FnOnce(&mut Entry)) {
        let first = self.entries.front().map_or(0, |entry| entry.sequence);
        let index = sequence
            .checked_sub(first)
            .and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| self.entries.get_mut(index)) {
            change(entry);
        }
    }

    pub(super) fn violated(&mut self, violation: Violation) {
        if self.violations.len() < CAPACITY {
            self.violations.push(violation);
        }
    }

    pub(super) fn violations(&self) -> Vec<Violation> {
        self.violations.clone()
    }

    pub(super) fn excerpt(&self, account: Option<&str>) -> Excerpt {
        let wanted = |entry: &&Entry| account.is_none() || entry.account.as_deref() == account;
        Excerpt(self.entries.iter().filter(wanted).cloned().collect())
    }

    /// Forgets everything but the numbering.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.violations.clear();
    }
}
