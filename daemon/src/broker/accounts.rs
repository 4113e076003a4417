//! The driver's table of all accounts: everything the engine knows by a number.
//!
//! Owns the keys, the hosts, and each [`AccountEntry`]: the driver's knowledge of an account beside the engine. A removed account stays
//! here until its running work is over, so that a reload that brings it back finds it.

use std::collections::HashMap;
use std::sync::Arc;

use tokend_config::Account;
use tokend_dialect::{Asks, DeclaredReuse};
use tokend_engine::{
    AccountKey, AccountPlan, Adoption, AttemptId, Durable, Engine, Event, Fate, HostKey, HostPlan,
    HostUsed, Reuse, Timestamp,
};
use tokend_proto::AccountName;
use tokend_record::{Entered, Notes, RecordKey};

use crate::broker::login_means;
use crate::broker::publications::{IssuedToken, TokenCell};
use crate::broker::registry::ServedAccount;
use tokend_metrics::Tried;

/// All accounts the driver knows.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    /// Each entry is boxed: up to half of the table is empty, and an empty place should be small.
    entries: HashMap<AccountKey, Box<AccountEntry>>,
    by_id: HashMap<RecordKey, AccountKey>,
    hosts: HashMap<Arc<str>, HostKey>,
    /// The names of hosts, by number.
    host_names: Vec<Arc<str>>,
    /// Whether the engine has heard from every stored record how far its host is used up.
    hosts_reported: bool,
    next_key: u32,
}

/// The driver's knowledge of one account.
#[derive(Debug)]
pub(crate) struct AccountEntry {
    pub(crate) served: Arc<ServedAccount>,
    /// The key of its record.
    pub(crate) id: RecordKey,
    pub(crate) notes: Notes,
    /// The host of its logins, and the host of its refreshes if that is another one.
    pub(crate) hosts: (HostKey, Option<HostKey>),
    /// The provider's words about the credential a person entered last, until the account uses that credential. Few accounts ever have any.
    pub(crate) trial: Option<Box<TrialNote>>,
    /// Whether the entered credential moves to its place in use with the write in flight.
    pub(crate) took: bool,
    /// Why its record cannot be opened. The engine does not know such an account.
    pub(crate) quarantined: Option<Box<str>>,
    /// Whether it is no longer configured.
    pub(crate) absent: bool,
    /// Its attempts in this run, if there was one.
    pub(crate) tried: Option<Box<Tried>>,
    /// A token that is held and not served: its account is no longer configured and may return while its work still runs, the token may
    /// have been ended, or it came from another token request.
    pub(crate) laid_aside: Option<Arc<IssuedToken>>,
}

/// What came of a request, in words and by what it was made of.
#[derive(Debug, Default)]
pub(crate) struct TrialNote {
    pub(crate) message: Option<Box<str>>,
    pub(crate) fingerprint: Option<Box<str>>,
    /// Whether this is the reason that no attempt is made before a change.
    pub(crate) blocks: bool,
}

/// The facts that a loaded configuration needs before it can be put in force.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Accounts whose records have to be read.
    pub(crate) missing: Vec<RecordKey>,
    /// Accounts that wait for a change, with the fingerprint of what has to change.
    pub(crate) blocked: Vec<(RecordKey, Box<str>)>,
    /// Whether all records have to be asked how far their hosts are used up, as at start.
    pub(crate) ask_all: bool,
}

impl AccountEntry {
    /// The event with which the engine begins an account: with the facts of its record, if it has one, and whether that names no host.
    pub(crate) fn adoption(&self, restored: Option<(Durable, bool)>, cured: bool) -> Event {
        let (durable, host_unknown) = restored.unzip();
        let adoption = Adoption {
            plan: self.plan(),
            can_login: self.can_login(),
            cured,
            durable,
            host_unknown: host_unknown.unwrap_or_default(),
            asked: self.served.cell.asked().clone(),
        };
        Event::Adopt(self.served.key, Box::new(adoption))
    }

    /// The event with which the engine learns of another configuration, or of other entered secrets.
    pub(crate) fn replan(&self, cured: bool) -> Event {
        Event::Replan {
            account: self.served.key,
            plan: self.plan(),
            can_login: self.can_login(),
            cured,
        }
    }

    /// Whether a login is possible with what is configured and entered.
    fn can_login(&self) -> bool {
        login_means::can_login(&self.served.account, &self.notes.entered)
    }

    /// The facts of the configuration that the engine needs.
    fn plan(&self) -> AccountPlan {
        let account = &self.served.account;
        let (host, refresh_host) = self.hosts;
        AccountPlan {
            host,
            refresh_host,
            attempts: account.pacing.attempts,
            logins: account.pacing.logins,
            reuse: match account.dialect.reuse() {
                DeclaredReuse::None => Reuse::None,
                DeclaredReuse::Rotates => Reuse::Rotates,
                DeclaredReuse::RotatesAndReuseRevokes => Reuse::RotatesAndReuseRevokes,
                DeclaredReuse::Unknown => Reuse::Unknown,
            },
            refresh: account.refresh,
            refresh_ends_access: account.dialect.refresh_ends_access_token(),
            refresh_needs_access: account.dialect.refresh_needs_valid_access_token(),
            refresh_presents_access: account.dialect.renews_itself_at(&account.endpoint),
        }
    }

    /// The notes, including the provider's words about the credential a person entered last.
    pub(crate) fn notes_of_trial(&self) -> Notes {
        Notes {
            message: self.trial.as_ref().and_then(|note| note.message.clone()),
            ..self.notes.clone()
        }
    }

    /// Updates the notes for a credential that comes into use. For a refresh token that came without a grant the token request is unknown.
    pub(crate) fn take_fate(
        &mut self,
        fate: Option<Fate>,
        granted: Option<AttemptId>,
        durable: &Durable,
    ) {
        let takes = fate == Some(Fate::Takes);
        if takes {
            self.take_trial_note(durable);
        }
        if (takes && granted.is_none()) || fate == Some(Fate::SpareTakes) {
            self.notes.asks = None;
        }
    }

    /// From now on the words about the entered credential are the words about the account, unless the account is blocked for the earlier
    /// words: that block depends on the fingerprint of its own attempt. After a death there are no words. Calling this twice has the effect
    /// of one call, since a commit that the store refuses is repeated.
    fn take_trial_note(&mut self, durable: &Durable) {
        self.took = true;
        let counted = !durable.no_verdict.is_none();
        let note = self
            .trial
            .as_deref()
            .filter(|note| note.fingerprint.is_some());
        let fingerprint = note.and_then(|note| note.fingerprint.clone());
        self.notes.no_verdict = fingerprint.clone().filter(|_| counted);
        if let Some(note) = note.filter(|note| durable.block.is_none() || note.blocks) {
            self.notes.message.clone_from(&note.message);
            self.notes.fingerprint = fingerprint;
        }
    }
}

impl Accounts {
    pub(crate) fn entry(&self, key: AccountKey) -> Option<&AccountEntry> {
        self.entries.get(&key).map(Box::as_ref)
    }

    pub(crate) fn entry_mut(&mut self, key: AccountKey) -> Option<&mut AccountEntry> {
        self.entries.get_mut(&key).map(Box::as_mut)
    }

    /// The account with this record.
    pub(crate) fn key(&self, id: &RecordKey) -> Option<AccountKey> {
        self.by_id.get(id).copied()
    }

    /// All accounts that are configured.
    pub(crate) fn present(&self) -> impl Iterator<Item = (AccountKey, &AccountEntry)> {
        self.entries
            .iter()
            .filter(|(_, entry)| !entry.absent)
            .map(|(key, entry)| (*key, &**entry))
    }

    /// The accounts configured under a name before whose work still runs.
    pub(crate) fn former(&self, name: &AccountName) -> Vec<AccountKey> {
        let entries = self.entries.iter();
        entries
            .filter(|(_, entry)| entry.absent && entry.served.account.name == *name)
            .map(|(key, _)| *key)
            .collect()
    }

    /// All accounts, including those that are no longer configured.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (AccountKey, &RecordKey)> {
        self.entries.iter().map(|(key, entry)| (*key, &entry.id))
    }

    /// Whether the record of this account cannot be opened.
    pub(crate) fn is_quarantined(&self, key: AccountKey) -> bool {
        self.entry(key)
            .is_some_and(|entry| entry.quarantined.is_some())
    }

    /// Whether the engine knows the account with this record.
    pub(crate) fn is_live(&self, id: &RecordKey) -> bool {
        self.key(id).is_some_and(|key| !self.is_quarantined(key))
    }

    /// Which of these accounts have to be read from the store, and which of the others are blocked.
    pub(crate) fn survey(&self, accounts: &[RecordKey], engine: &Engine, now: Timestamp) -> Survey {
        let mut survey = Survey {
            ask_all: !self.hosts_reported,
            ..Survey::default()
        };
        for id in accounts {
            let Some(key) = self.key(id).filter(|key| !self.is_quarantined(*key)) else {
                survey.missing.push(id.clone());
                continue;
            };
            if let Some(fingerprint) = self.waits_for(key, engine, now) {
                survey.blocked.push((id.clone(), fingerprint));
            }
        }
        survey
    }

    /// The fingerprint of the inputs that have to change before this account makes attempts again by itself, if it waits for a change.
    pub(crate) fn waits_for(
        &self,
        key: AccountKey,
        engine: &Engine,
        now: Timestamp,
    ) -> Option<Box<str>> {
        let view = engine.view(key, now)?;
        let notes = &self.entry(key)?.notes;
        notes.hangs_on(view.block.as_ref(), view.no_verdict)
    }

    /// Adds an account under a new key.
    pub(crate) fn add(
        &mut self,
        account: Arc<Account>,
        id: RecordKey,
        hosts: (HostKey, Option<HostKey>),
    ) -> AccountKey {
        let key = AccountKey(self.next_key);
        self.next_key = self.next_key.wrapping_add(1);
        let served = Arc::new(ServedAccount {
            key,
            account,
            cell: Arc::new(TokenCell::default()),
        });
        self.by_id.insert(id.clone(), key);
        let entry = AccountEntry {
            served,
            id,
            notes: Notes::default(),
            hosts,
            trial: None,
            took: false,
            quarantined: None,
            absent: false,
            tried: None,
            laid_aside: None,
        };
        self.entries.insert(key, Box::new(entry));
        key
    }

    /// Gives an account its new configuration. Its tokens and credential stay.
    pub(crate) fn reconfigure(
        &mut self,
        key: AccountKey,
        account: Arc<Account>,
        hosts: (HostKey, Option<HostKey>),
    ) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.absent = false;
            entry.hosts = hosts;
            if Arc::ptr_eq(&entry.served.account, &account) {
                return;
            }
            entry.served = Arc::new(ServedAccount {
                key,
                account,
                cell: Arc::clone(&entry.served.cell),
            });
        }
    }

    /// Notes that the engine has dropped an account.
    pub(crate) fn dropped(&mut self, key: AccountKey) {
        if let Some(entry) = self.entries.remove(&key) {
            self.by_id.remove(&entry.id);
        }
    }

    /// The number of a provider host.
    pub(crate) fn host(&mut self, name: &str) -> HostKey {
        if let Some(key) = self.hosts.get(name) {
            return *key;
        }
        let key = HostKey(u32::try_from(self.host_names.len()).unwrap_or(u32::MAX));
        let name: Arc<str> = name.into();
        self.hosts.insert(Arc::clone(&name), key);
        self.host_names.push(name);
        key
    }

    /// The name of a provider host.
    pub(crate) fn host_name(&self, key: HostKey) -> Option<Arc<str>> {
        let place = usize::try_from(key.0).ok()?;
        self.host_names.get(place).cloned()
    }

    /// Tells the engine how far stored records say their hosts are used up. From then on the engine knows more than the records.
    pub(crate) fn report_hosts(
        &mut self,
        used: HashMap<String, HostUsed>,
        engine: &mut Engine,
        now: Timestamp,
    ) {
        for (name, used) in used {
            engine.handle_event(now, Event::HostUsed(self.host(&name), used));
        }
        self.hosts_reported = true;
    }

    /// Tells the engine when the held token came from another token request than the configuration's. Returns whether a held token is given
    /// up for that.
    pub(crate) fn outdate(&self, key: AccountKey, engine: &mut Engine, now: Timestamp) -> bool {
        let Some(entry) = self.entries.get(&key) else {
            return false;
        };
        let asks = entry.served.account.asks;
        let Some(before) = entry.notes.asks.filter(|before| *before != asks) else {
            return false;
        };
        // The engine may still use facts from the time a credential was entered.
        let by_login = before.login != asks.login && entry.can_login();
        let by_refresh = before.refresh != asks.refresh;
        let holds = |engine: &Engine| engine.view(key, now).is_some_and(|it| it.held.is_some());
        let held = holds(engine);
        let event = Event::Outdated {
            account: key,
            by_login,
            by_refresh,
        };
        engine.handle_event(now, event);
        held && !holds(engine)
    }

    /// Notes the token request that an attempt's grant came from. A refresh returns what the login before it asked for, and its own
    /// request.
    pub(crate) fn granted(&mut self, key: AccountKey, asks: Asks, founds: bool) {
        if let Some(entry) = self.entries.get_mut(&key) {
            let login = match entry.notes.asks {
                Some(before) if !founds => before.login,
                _ => asks.login,
            };
            entry.notes.asks = Some(Asks { login, ..asks });
        }
    }

    /// A write has landed; these are the entered secrets that the record now has. Whether a login is possible depends on the configuration
    /// in force, which may differ from the one at the time they were entered. So the question is asked even where no secret is new.
    pub(crate) fn entered(
        &mut self,
        key: AccountKey,
        entered: Entered,
        engine: &mut Engine,
        now: Timestamp,
    ) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        let changed = entry.notes.entered != entered;
        entry.notes.entered = entered;
        let took = std::mem::take(&mut entry.took);
        if (changed || took) && !entry.absent {
            let event = entry.replan(false);
            engine.handle_event(now, event);
            self.outdate(key, engine, now);
        }
    }

    /// Starts an account anew whose record could not be opened.
    pub(crate) fn readmit(&mut self, key: AccountKey, engine: &mut Engine, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        entry.quarantined = None;
        entry.notes = Notes::default();
        engine.handle_event(now, entry.adoption(None, false));
    }
}

/// The stricter of two rate limits for one host: the most careful account sets the limit for all.
pub(crate) fn stricter(one: HostPlan, other: HostPlan) -> HostPlan {
    let slower = if one.rate.period() >= other.rate.period() {
        one.rate
    } else {
        other.rate
    };
    let burst = one.rate.burst().min(other.rate.burst());
    HostPlan {
        rate: tokend_engine::Rate::new(burst, slower.period()).unwrap_or(slower),
        in_flight: one.in_flight.min(other.in_flight),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred thousand entries exist at once. Fields that only few accounts use at any time are boxed.
    #[test]
    fn what_is_known_of_an_account_takes_little_memory() {
        assert!(
            size_of::<AccountEntry>() <= 240,
            "{}",
            size_of::<AccountEntry>()
        );
        assert!(size_of::<Notes>() <= 160, "{}", size_of::<Notes>());
        assert!(
            size_of::<ServedAccount>() <= 24,
            "{}",
            size_of::<ServedAccount>()
        );
        assert!(size_of::<TokenCell>() <= 16, "{}", size_of::<TokenCell>());
        assert!(size_of::<Account>() <= 160, "{}", size_of::<Account>());
    }
}
