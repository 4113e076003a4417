//! Puts a loaded configuration in force.
//!
//! Runs in the driver between two messages, so nothing happens in between. The engine's knowledge of an account takes precedence over its
//! record as it was read.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tokend_config::Account;
use tokend_engine::{AccountKey, Adoption, Event, HostKey, HostPlan, Timestamp};

use super::task::Task;
use crate::broker::accounts::{AccountEntry, plan, stricter};
use crate::broker::change::{ConfigChange, FoundRecord, Joining, Summary, Used};
use crate::broker::login_means;
use crate::broker::registry::Snapshot;
use tokend_record::Restored;

impl Task {
    /// Puts a change in force. Runs in the driver, so nothing happens in between.
    #[expect(
        clippy::too_many_lines,
        reason = "the order of the steps is what counts: hosts, accounts, removals, names"
    )]
    pub(super) fn adopt(&mut self, now: Timestamp, change: ConfigChange) {
        let ConfigChange {
            accounts,
            admin,
            hosts_used,
            logins_used,
            reply,
        } = change;
        let gone: Vec<_> = accounts
            .iter()
            .filter(|joining| {
                matches!(joining.stored, FoundRecord::Live) && !self.accounts.is_live(&joining.id)
            })
            .map(|joining| joining.id.clone())
            .collect();
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
        let leaving: Vec<_> = self
            .accounts
            .present()
            .filter(|(key, _)| !kept.contains(key))
            .map(|(key, _)| key)
            .collect();
        summary.removed = leaving.len();
        for key in leaving {
            if self.accounts.is_quarantined(key) {
                self.accounts.dropped(key);
                continue;
            }
            if let Some(entry) = self.accounts.entry_mut(key) {
                entry.absent = true;
            }
            self.engine.handle_event(now, Event::Remove(key));
        }
        self.carry_out();
        self.drop_unserved();
        summary.with_token = self
            .accounts
            .present()
            .filter(|(_, entry)| entry.served.cell.token().is_some())
            .count();
        let accounts = self
            .accounts
            .present()
            .map(|(_, entry)| Arc::clone(&entry.served))
            .collect::<Vec<_>>();
        self.registry
            .replace(Arc::new(Snapshot::new(accounts, admin)));
        let _nobody_asks = reply.send(Ok(summary));
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
#[expect(
    clippy::too_many_lines,
    reason = "what is known, what was read and what was set aside come together under one key"
)]
fn join(
    task: &mut Task,
    now: Timestamp,
    joining: Joining,
    used: &Used,
    summary: &mut Summary,
) -> Option<AccountKey> {
    let Joining {
        account,
        id,
        stored,
        cured_of,
    } = joining;
    let hosts = hosts_of(task, &account);
    let plan = plan(&account, hosts);
    let spent = used.get(id.identity()).copied();
    let known = task.accounts.key(&id);
    // The engine knows more than any record that was read: the account may have returned in between.
    if let Some(key) = known.filter(|key| !task.accounts.is_quarantined(*key)) {
        let was_absent = rejoin(task, now, key, (account, hosts), cured_of)?;
        summary.added += usize::from(was_absent);
        if let Some(spent) = spent.filter(|_| was_absent) {
            task.engine.handle_event(now, Event::Spent(key, spent));
        }
        summary.outdated += usize::from(task.accounts.outdate(key, &mut task.engine, now));
        return Some(key);
    }
    let host_unknown = matches!(&stored, FoundRecord::Record(restored) if restored.host_unknown);
    let (durable, notes, token, quarantined) = match stored {
        FoundRecord::Record(restored) => {
            let Restored {
                durable,
                notes,
                token,
                ..
            } = *restored;
            (Some(durable), notes, token, None)
        }
        FoundRecord::Quarantined(reason) => {
            (None, tokend_record::Notes::default(), None, Some(reason))
        }
        FoundRecord::Blank | FoundRecord::Live => {
            (None, tokend_record::Notes::default(), None, None)
        }
    };
    let can_login = login_means::can_login(&account, notes.entered);
    // An account that was set aside before keeps its number: a client may be waiting for its record to be discarded.
    let key = match known {
        Some(key) => {
            task.accounts.reread(key, account, notes, hosts);
            key
        }
        None => {
            summary.added += 1;
            task.accounts.add(account, id, notes, hosts)
        }
    };
    let entry = task.accounts.entry_mut(key)?;
    if quarantined.is_some() {
        entry.quarantined = quarantined;
        summary.quarantined += 1;
        return Some(key);
    }
    let cured = cured_of.is_some();
    let asked = entry.served.cell.asked().clone();
    if let Some(token) = token {
        task.keep_token(key, token);
    }
    task.engine.handle_event(
        now,
        Event::Adopt(
            key,
            Box::new(Adoption {
                plan,
                can_login,
                cured,
                durable,
                host_unknown,
                asked,
            }),
        ),
    );
    if let Some(spent) = spent {
        task.engine.handle_event(now, Event::Spent(key, spent));
    }
    summary.outdated += usize::from(task.accounts.outdate(key, &mut task.engine, now));
    Some(key)
}

/// Adds an account that the engine knows. Returns whether it was absent.
fn rejoin(
    task: &mut Task,
    now: Timestamp,
    key: AccountKey,
    (account, hosts): (Arc<Account>, (HostKey, Option<HostKey>)),
    cured_of: Option<Box<str>>,
) -> Option<bool> {
    let plan = plan(&account, hosts);
    let absent = task.accounts.entry(key).is_some_and(|entry| entry.absent);
    let entered = task
        .accounts
        .entry(key)
        .map(|entry| entry.notes.entered)
        .unwrap_or_default();
    let can_login = login_means::can_login(&account, entered);
    // An attempt may have used the secrets since they were looked at: then the account is blocked for those, and nothing is cured.
    let view = task.engine.view(key, now);
    let hangs_on = |entry: &AccountEntry| {
        view.and_then(|view| entry.notes.hangs_on(view.block.as_ref(), view.no_verdict))
    };
    let cured = cured_of.is_some() && cured_of == task.accounts.entry(key).and_then(hangs_on);
    task.accounts.reconfigure(key, account, hosts);
    let entry = task.accounts.entry(key)?;
    let event = if absent {
        let asked = entry.served.cell.asked().clone();
        Event::Adopt(
            key,
            Box::new(Adoption {
                plan,
                can_login,
                cured,
                durable: None,
                host_unknown: false,
                asked,
            }),
        )
    } else {
        Event::Replan {
            account: key,
            plan,
            can_login,
            cured,
        }
    };
    task.engine.handle_event(now, event);
    Some(absent)
}
