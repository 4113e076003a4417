//! Provider hosts: what all accounts of one provider share.
//!
//! Owns each host's rate limit, its limit of attempts in flight, and the queue of accounts that wait for them. Knows nothing of what an
//! account wants.
//!
//! **The rate.** The provider counts a request when it arrives, some time between the moment its attempt is let in and its end. So an
//! attempt under way counts as if it arrived *now*, whenever that is, and is charged when it ends. Let `tat` be the state that the ended
//! ones left, `n` those under way, `B` the burst and `T` the period: the next one is let in at `t` if `max(tat, t) + (n + 1)T <= t + BT`.
//! In a window `[x, x + w]` at the provider, with the last of its arrivals let in at `t <= x + w`: those under way at `t` are `n`, and `k`
//! others had ended, each not before `x`, so `tat >= x + kT`. Then `k + n + 1 <= B + (t - x)/T <= B + w/T`, however slow disk and network
//! are. And an attempt that never left is simply not charged: giving it back allows nothing that would not have been allowed without it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::event::HostUsed;
use crate::ids::{AccountKey, HostKey};
use crate::pace::Tat;
use crate::plan::HostPlan;
use crate::time::Timestamp;

#[derive(Debug)]
struct Host {
    plan: HostPlan,
    /// The state that ended attempts left.
    tat: Tat,
    in_flight: u32,
    queue: VecDeque<AccountKey>,
    /// Whether an account joined the queue while its start was unknown, because an attempt had to end first.
    unsure: bool,
}

/// All hosts.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    hosts: BTreeMap<HostKey, Host>,
    /// Hosts whose queue is not empty.
    queued: BTreeSet<HostKey>,
    /// The stored state of hosts without a plan: an account of theirs may still come.
    unplanned: BTreeMap<HostKey, HostUsed>,
}

impl Hosts {
    pub(crate) fn plan(&mut self, key: HostKey, plan: HostPlan, now: Timestamp) {
        let host = self.hosts.entry(key).or_insert_with(|| Host {
            plan,
            tat: Tat::default(),
            in_flight: 0,
            queue: VecDeque::new(),
            unsure: false,
        });
        host.plan = plan;
        // A debt at a slower rate is not owed at a faster one.
        host.tat = plan.rate.clamp(host.tat, now);
        if let Some(stored) = self.unplanned.remove(&key) {
            host.take(stored, now);
        }
    }

    /// Takes the state from records; the latest counts.
    pub(crate) fn restore(&mut self, key: HostKey, used: HostUsed, now: Timestamp) {
        match self.hosts.get_mut(&key) {
            Some(host) => host.take(used, now),
            None if used.tat.0 > now || !used.sent_by.is_empty() => {
                let known = self.unplanned.entry(key).or_default();
                known.tat = known.tat.max(used.tat);
                known.sent_by.extend(used.sent_by);
            }
            // Not used up any more.
            None => {}
        }
    }

    /// Admits an attempt, or puts the account in the queue. `turn` is for an account that was just called from the queue.
    pub(crate) fn admit(
        &mut self,
        key: HostKey,
        account: AccountKey,
        now: Timestamp,
        turn: bool,
    ) -> bool {
        // A host without a plan has no limits; the shell plans each host before its first account.
        let Some(host) = self.hosts.get_mut(&key) else {
            return true;
        };
        if (turn || host.queue.is_empty()) && host.opens(now) <= now {
            host.in_flight += 1;
            return true;
        }
        host.unsure |= host.opens(now) == Timestamp::FAR;
        if turn {
            host.queue.push_front(account);
        } else {
            host.queue.push_back(account);
        }
        self.queued.insert(key);
        false
    }

    /// An attempt that may have reached the provider has ended.
    pub(crate) fn ended(&mut self, key: HostKey, now: Timestamp) {
        self.release(key);
        self.arrived(key, now);
    }

    /// An attempt of a daemon that died may have come to this host, not later than now.
    pub(crate) fn arrived(&mut self, key: HostKey, now: Timestamp) {
        if let Some(host) = self.hosts.get_mut(&key) {
            host.tat = host.plan.rate.charge(host.tat, now, 1);
        }
    }

    /// An attempt was given up or never left: nothing is charged for it.
    pub(crate) fn release(&mut self, key: HostKey) {
        if let Some(host) = self.hosts.get_mut(&key) {
            host.in_flight = host.in_flight.saturating_sub(1);
        }
    }

    /// Takes an account out of the queue.
    pub(crate) fn leave(&mut self, key: HostKey, account: AccountKey) {
        self.leave_all(key, |waiting| waiting == account);
    }

    /// Takes accounts out of the queue.
    pub(crate) fn leave_all(&mut self, key: HostKey, leaves: impl Fn(AccountKey) -> bool) {
        if let Some(host) = self.hosts.get_mut(&key) {
            host.queue.retain(|waiting| !leaves(*waiting));
            if host.queue.is_empty() {
                self.queued.remove(&key);
            }
        }
    }

    /// The next account whose turn it is, taken out of its queue.
    pub(crate) fn call(&mut self, now: Timestamp) -> Option<AccountKey> {
        let ready = self.queued.iter().copied().find(|key| {
            self.hosts
                .get(key)
                .is_some_and(|host| host.opens(now) <= now)
        })?;
        let host = self.hosts.get_mut(&ready)?;
        let account = host.queue.pop_front();
        if host.queue.is_empty() {
            self.queued.remove(&ready);
        }
        account
    }

    /// A host whose attempts in flight no longer hold its queue, but only its rate does; with the accounts in the queue.
    pub(crate) fn settled(&mut self, now: Timestamp) -> Option<(HostKey, Vec<AccountKey>)> {
        let found = self.queued.iter().copied().find(|key| {
            self.hosts.get(key).is_some_and(|host| {
                let opens = host.opens(now);
                host.unsure && opens > now && opens != Timestamp::FAR
            })
        })?;
        let host = self.hosts.get_mut(&found)?;
        host.unsure = false;
        Some((found, host.queue.iter().copied().collect()))
    }

    /// When the next account in a queue may begin; `None` when an attempt has to end first.
    pub(crate) fn due(&self, now: Timestamp) -> Option<Timestamp> {
        self.queued
            .iter()
            .filter_map(|key| self.hosts.get(key))
            .map(|host| host.opens(now))
            .filter(|at| *at != Timestamp::FAR)
            .min()
    }

    /// The earliest start of an account that is in the queue or would join it: `now` if at once, `None` when an attempt has to end
    /// first.
    pub(crate) fn expected(
        &self,
        key: HostKey,
        account: AccountKey,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let Some(host) = self.hosts.get(&key) else {
            return Some(now);
        };
        // It is usually the last one.
        let mut queue = host.queue.iter();
        let before = queue.rposition(|other| *other == account);
        self.after(key, before.unwrap_or(host.queue.len()), now)
    }

    /// The same for an account with so many others before it in the queue.
    pub(crate) fn after(&self, key: HostKey, before: usize, now: Timestamp) -> Option<Timestamp> {
        let host = self.hosts.get(&key)?;
        let before = u32::try_from(before).unwrap_or(u32::MAX);
        let opens = host.opens(now);
        if opens == Timestamp::FAR {
            return None;
        }
        // Each account before it uses at least one request.
        let rate = host.plan.rate;
        let after = rate.charge(host.charged(now), now, before);
        Some(opens.max(rate.left(after, now).1))
    }

    /// The state if all attempts in flight arrived now.
    pub(crate) fn tat(&self, key: HostKey, now: Timestamp) -> Tat {
        self.hosts
            .get(&key)
            .map(|host| host.charged(now))
            .unwrap_or_default()
    }
}

impl Host {
    /// When this host admits the next attempt.
    fn opens(&self, now: Timestamp) -> Timestamp {
        let most = self.plan.in_flight.min(self.plan.rate.burst());
        if self.in_flight >= most {
            return Timestamp::FAR;
        }
        self.plan.rate.left(self.charged(now), now).1
    }

    fn charged(&self, now: Timestamp) -> Tat {
        match self.in_flight {
            0 => self.tat,
            some => self.plan.rate.charge(self.tat, now, some),
        }
    }

    /// Takes the state from records, with the attempts that were in flight when a daemon died.
    fn take(&mut self, used: HostUsed, now: Timestamp) {
        let HostUsed { tat, mut sent_by } = used;
        sent_by.sort_unstable();
        let sent = sent_by.into_iter().fold(Tat::default(), |tat, at| {
            self.plan.rate.charge(tat, at.min(now), 1)
        });
        let latest = tat.max(sent);
        self.tat = self.tat.max(self.plan.rate.clamp(latest, now));
    }
}
