//! Puts a loaded configuration in force.
//!
//! Runs in the driver between two messages, so nothing happens in between. The engine's knowledge of an account takes precedence over its
//! record as it was read.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tokend_config::Account;
use tokend_engine::{AccountKey, Event, HostKey, HostPlan, Timestamp};

use super::task::Task;
use crate::broker::accounts::stricter;
use crate::broker::change::{ConfigChange, FoundRecord, Joining, Summary, Used};
use crate::broker::registry::Snapshot;
use tokend_record::Notes;

impl Task {
    /// Puts a change in force.
    pub(super) fn adopt(&mut self, now: Timestamp, change: ConfigChange) {
        let ConfigChange {
            accounts,
            admin,
            hosts_used,
            logins_used,
            reply,
        } = change;
        let is_gone = |it: &&Joining| {
            matches!(it.stored, FoundRecord::Live) && !self.accounts.is_live(&it.id)
        };
        let gone = accounts.iter().filter(is_gone);
        let gone: Vec<_> = gone.map(|joining| joining.id.clone()).collect();
        if !gone.is_empty() {
            let _nobody_asks = reply.send(Err(gone));
            return;
        }
        if let Some(used) = hosts_used {
            self.accounts.report_hosts(used, &mut self.engine, now);
        }
        let used = used_now(self, now, logins_used, &accounts);
        plan_hosts(self, now, &accounts);
        let mut summary = Summary {
            accounts: accounts.len(),
            ..Summary::default()
        };
        let mut kept = HashSet::with_capacity(accounts.len());
        for joining in accounts {
            kept.extend(join(self, now, joining, &used, &mut summary));
        }
        summary.removed = self.remove_all_but(now, &kept);
        self.carry_out();
        self.drop_unserved();
        let accounts = self.accounts.present();
        let accounts: Vec<_> = accounts.map(|(_, it)| Arc::clone(&it.served)).collect();
        let with_token = accounts.iter().filter(|it| it.cell.token().is_some());
        summary.with_token = with_token.count();
        let snapshot = Snapshot::new(accounts, admin);
        self.registry.replace(Arc::new(snapshot));
        let _nobody_asks = reply.send(Ok(summary));
    }

    /// Removes the accounts that are no longer configured. Returns how many there were.
    fn remove_all_but(&mut self, now: Timestamp, kept: &HashSet<AccountKey>) -> usize {
        let accounts = self.accounts.present().map(|(key, _)| key);
        let leaving: Vec<_> = accounts.filter(|key| !kept.contains(key)).collect();
        for key in &leaving {
            match self.accounts.entry_mut(*key) {
                // The engine does not know it.
                Some(entry) if entry.quarantined.is_some() => self.accounts.dropped(*key),
                Some(entry) => {
                    entry.absent = true;
                    self.engine.handle_event(now, Event::Remove(*key));
                }
                None => {}
            }
        }
        leaving.len()
    }
}

fn plan_hosts(task: &mut Task, now: Timestamp, accounts: &[Joining]) {
    let mut plans: BTreeMap<HostKey, HostPlan> = BTreeMap::new();
    for joining in accounts {
        let (host, other) = hosts_of(task, &joining.account);
        let pacing = &joining.account.pacing;
        let own = HostPlan {
            rate: pacing.host,
            in_flight: pacing.host_in_flight,
        };
        for host in [Some(host), other].into_iter().flatten() {
            plans
                .entry(host)
                .and_modify(|plan| *plan = stricter(*plan, own))
                .or_insert(own);
        }
    }
    for (host, plan) in plans {
        task.engine.handle_event(now, Event::Host(host, plan));
    }
}

/// The host of an account's logins, and the host of its refreshes if that is another one. An account without a login has one host.
fn hosts_of(task: &mut Task, account: &Account) -> (HostKey, Option<HostKey>) {
    let mut hosts = account.origins().into_iter();
    let first = hosts
        .next()
        .unwrap_or_else(|| account.endpoint.base_url().to_owned());
    let (first, second) = (task.accounts.host(&first), hosts.next());
    (first, second.map(|name| task.accounts.host(&name)))
}

/// How much of their rate limits the logins of joining accounts have used under any name, also for accounts with a record: a renamed
/// account that is back has used more than its own record knows. The sources are the records, and the engine for accounts it still has.
fn used_now(task: &Task, now: Timestamp, mut used: Used, accounts: &[Joining]) -> Used {
    let is_in_force = |joining: &&Joining| {
        let entry = task.accounts.key(&joining.id);
        let entry = entry.and_then(|key| task.accounts.entry(key));
        entry.is_some_and(|entry| !entry.absent && entry.quarantined.is_none())
    };
    let new = accounts.iter().filter(|joining| !is_in_force(joining));
    let new: HashSet<&str> = new.map(|joining| joining.id.identity()).collect();
    if new.is_empty() {
        return Used::new();
    }
    for (key, id) in task.accounts.ids() {
        let spent = task.engine.spent(key).filter(|spent| spent.counts(now));
        if let Some(spent) = spent.filter(|_| new.contains(id.identity())) {
            let known = used.entry(id.identity().into()).or_default();
            *known = known.max(spent);
        }
    }
    used
}

/// Adds an account; returns its key.
fn join(
    task: &mut Task,
    now: Timestamp,
    joining: Joining,
    used: &Used,
    summary: &mut Summary,
) -> Option<AccountKey> {
    let spent = used.get(joining.id.identity()).copied();
    let known = task.accounts.key(&joining.id);
    // The engine knows more than any record that was read: the account may have returned in between.
    let (key, is_added, begins) = match known.filter(|key| !task.accounts.is_quarantined(*key)) {
        Some(key) => {
            let was_absent = rejoin(task, now, key, joining)?;
            (key, was_absent, was_absent)
        }
        None => (begin(task, now, known, joining)?, known.is_none(), true),
    };
    summary.added += usize::from(is_added);
    if task.accounts.is_quarantined(key) {
        summary.quarantined += 1;
        return Some(key);
    }
    if let Some(spent) = spent.filter(|_| begins) {
        task.engine.handle_event(now, Event::Spent(key, spent));
    }
    summary.outdated += usize::from(task.accounts.outdate(key, &mut task.engine, now));
    Some(key)
}

/// Adds an account that the engine does not know; returns its key. One whose record could not be opened before keeps its key: a client may
/// be waiting for that record to be discarded.
fn begin(
    task: &mut Task,
    now: Timestamp,
    known: Option<AccountKey>,
    joining: Joining,
) -> Option<AccountKey> {
    let account = joining.account;
    let hosts = hosts_of(task, &account);
    let key = match known {
        Some(key) => {
            task.accounts.reconfigure(key, account, hosts);
            key
        }
        None => task.accounts.add(account, joining.id, hosts),
    };
    let entry = task.accounts.entry_mut(key)?;
    (entry.notes, entry.quarantined) = (Notes::default(), None);
    let (restored, token) = match joining.stored {
        FoundRecord::Record(restored) => {
            entry.notes = restored.notes;
            let durable = (restored.durable, restored.host_unknown);
            (Some(durable), restored.token)
        }
        FoundRecord::Quarantined(reason) => {
            entry.quarantined = Some(reason);
            return Some(key);
        }
        FoundRecord::Blank | FoundRecord::Live => (None, None),
    };
    let event = entry.adoption(restored, joining.cured_of.is_some());
    if let Some(token) = token {
        task.keep_token(key, token);
    }
    task.engine.handle_event(now, event);
    Some(key)
}

/// Gives an account that the engine knows its new configuration. Returns whether it was absent.
fn rejoin(task: &mut Task, now: Timestamp, key: AccountKey, joining: Joining) -> Option<bool> {
    let absent = task.accounts.entry(key)?.absent;
    // An attempt may have used the secrets since they were looked at: then the account is blocked for those, and nothing is cured.
    let cured_of = joining.cured_of;
    let cured = cured_of.is_some() && cured_of == task.accounts.waits_for(key, &task.engine, now);
    let hosts = hosts_of(task, &joining.account);
    task.accounts.reconfigure(key, joining.account, hosts);
    let entry = task.accounts.entry(key)?;
    let event = match absent {
        true => entry.adoption(None, cured),
        false => entry.replan(cured),
    };
    task.engine.handle_event(now, event);
    Some(absent)
}
