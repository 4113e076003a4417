//! Provider hosts: what all accounts of one provider share.
//!
//! Owns the limit on attempts in flight and on the rate per host, and the line of accounts that wait for it. Knows nothing of
//! what an account wants.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::ids::{AccountKey, HostKey};
use crate::pace::Tat;
use crate::plan::HostPlan;
use crate::time::Timestamp;

#[derive(Debug)]
struct Host {
    plan: HostPlan,
    tat: Tat,
    in_flight: u32,
    line: VecDeque<AccountKey>,
}

/// All hosts.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    hosts: BTreeMap<HostKey, Host>,
    /// Hosts with somebody in line.
    lines: BTreeSet<HostKey>,
    /// What is stored of hosts that nobody has planned yet: an account of theirs may still come.
    unplanned: BTreeMap<HostKey, Tat>,
}

impl Hosts {
    pub(crate) fn plan(&mut self, key: HostKey, plan: HostPlan, now: Timestamp) {
        let stored = self.unplanned.remove(&key).unwrap_or_default();
        let host = self.hosts.entry(key).or_insert_with(|| Host {
            plan,
            tat: stored,
            in_flight: 0,
            line: VecDeque::new(),
        });
        host.plan = plan;
        // What a slower rate ran up is not owed at a faster one.
        host.tat = plan.rate.clamp(host.tat, now);
    }

    /// Takes over a stored state; the latest one counts.
    pub(crate) fn restore(&mut self, key: HostKey, tat: Tat, now: Timestamp) {
        match self.hosts.get_mut(&key) {
            Some(host) => host.tat = host.tat.max(host.plan.rate.clamp(tat, now)),
            None if tat.0 > now => {
                let known = self.unplanned.entry(key).or_default();
                *known = tat.max(*known);
            }
            // Not used up any more.
            None => {}
        }
    }

    /// Lets an attempt begin, or puts the account in line. `turn` is for an account that was just called from the line.
    pub(crate) fn admit(
        &mut self,
        key: HostKey,
        account: AccountKey,
        now: Timestamp,
        turn: bool,
    ) -> bool {
        // A host nobody planned has no limits to keep; the shell plans each host before the first account of it.
        let Some(host) = self.hosts.get_mut(&key) else {
            return true;
        };
        let may = (turn || host.line.is_empty()) && host.in_flight < host.plan.in_flight;
        if let (true, Ok(tat)) = (may, host.plan.rate.debit(host.tat, now)) {
            host.tat = tat;
            host.in_flight += 1;
            return true;
        }
        if turn {
            host.line.push_front(account);
        } else {
            host.line.push_back(account);
        }
        self.lines.insert(key);
        false
    }

    /// An attempt is over, or was given up.
    pub(crate) fn release(&mut self, key: HostKey) {
        if let Some(host) = self.hosts.get_mut(&key) {
            host.in_flight = host.in_flight.saturating_sub(1);
        }
    }

    /// Takes an account out of the line.
    pub(crate) fn leave(&mut self, key: HostKey, account: AccountKey) {
        if let Some(host) = self.hosts.get_mut(&key) {
            host.line.retain(|waiting| *waiting != account);
            if host.line.is_empty() {
                self.lines.remove(&key);
            }
        }
    }

    /// The next account whose turn it is, taken out of its line.
    pub(crate) fn call(&mut self, now: Timestamp) -> Option<AccountKey> {
        let ready = self.lines.iter().copied().find(|key| {
            self.hosts
                .get(key)
                .is_some_and(|host| host.opens(now) <= now)
        })?;
        let host = self.hosts.get_mut(&ready)?;
        let account = host.line.pop_front();
        if host.line.is_empty() {
            self.lines.remove(&ready);
        }
        account
    }

    /// When the next account in a line may begin; `None` when that takes an attempt to end first.
    pub(crate) fn due(&self, now: Timestamp) -> Option<Timestamp> {
        self.lines
            .iter()
            .filter_map(|key| self.hosts.get(key))
            .map(|host| host.opens(now))
            .filter(|at| *at != Timestamp::FAR)
            .min()
    }

    pub(crate) fn tat(&self, key: HostKey) -> Tat {
        self.hosts
            .get(&key)
            .map(|host| host.tat)
            .unwrap_or_default()
    }
}

impl Host {
    /// When this host lets the next attempt begin, as far as its pace is concerned.
    fn opens(&self, now: Timestamp) -> Timestamp {
        if self.in_flight >= self.plan.in_flight {
            return Timestamp::FAR;
        }
        self.plan.rate.left(self.tat, now).1
    }
}
