//! The store's knowledge of accounts that are about to be in force.
//!
//! Reads all records, in one walk. Blocks; must never write.

use std::collections::{HashMap, HashSet};

use tokend_record::RecordKey;
use tokend_store::{AccountId, Quarantined, Record, StoreError, Strayed};

use crate::broker::change::{FoundRecord, HostsUsed, Used};
use tokend_process::clock::Clock;
use tokend_record::StoreReader;

/// The facts in all records.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The records of the requested accounts. An account that has none is left out.
    pub(super) found: HashMap<RecordKey, FoundRecord>,
    /// The usage of hosts and of logins in each record, whether or not its account is configured.
    pub(super) hosts: HostsUsed,
    pub(super) logins: Used,
    /// Damaged records of requested accounts that seem to have none: they cannot be opened because their names were damaged.
    pub(super) strayed: Vec<Strayed>,
    /// Every record that cannot be opened.
    pub(super) set_aside: Vec<Quarantined>,
}

/// Reads every record: those of `missing` for themselves, and all of them for what they have used.
pub(super) fn walk(
    store: &StoreReader,
    clock: &Clock,
    missing: &HashSet<RecordKey>,
) -> Result<Walk, StoreError> {
    let mut walk = Walk::default();
    let quarantined = store.for_each(&mut |id, _, record| {
        let id = RecordKey::from(id);
        note_host(&record, clock, &mut walk.hosts);
        note_login(&id, &record, clock, &mut walk.logins);
        if missing.contains(&id) {
            let restored = tokend_record::restore(&record, clock);
            walk.found
                .insert(id, FoundRecord::Record(Box::new(restored)));
        }
    })?;
    if !quarantined.is_empty() {
        let set_aside: HashSet<_> = quarantined.iter().map(|it| it.account.as_str()).collect();
        let is_lost =
            |id: &&RecordKey| !walk.found.contains_key(*id) && !set_aside.contains(id.as_str());
        let lost = missing.iter().filter(is_lost);
        let lost: Vec<_> = lost.map(|id| AccountId::clone(id)).collect();
        walk.strayed = store.strayed(&lost, &quarantined)?;
    }
    for set_aside in &quarantined {
        if let Some(id) = RecordKey::read(&set_aside.account) {
            let reason = set_aside.reason.to_string().into();
            walk.found.insert(id, FoundRecord::Quarantined(reason));
        }
    }
    walk.set_aside = quarantined;
    Ok(walk)
}

fn note_login(id: &RecordKey, record: &Record, clock: &Clock, logins: &mut Used) {
    let spent = tokend_record::spent(record, clock);
    if spent.counts(clock.steady()) {
        let known = logins.entry(id.identity().into()).or_default();
        *known = known.max(spent);
    }
}

/// Keeps the latest known usage of a record's host. Usage that has expired is left out.
fn note_host(record: &Record, clock: &Clock, used: &mut HostsUsed) {
    let Some((host, it)) = tokend_record::host_used(record, clock) else {
        return;
    };
    match used.get_mut(host) {
        Some(known) => {
            known.tat = known.tat.max(it.tat);
            known.sent_by.extend(it.sent_by);
        }
        None if it.tat.0 > clock.steady() || !it.sent_by.is_empty() => {
            used.insert(host.to_owned(), it);
        }
        None => {}
    }
}
