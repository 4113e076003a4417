//! What of a configuration is as it is in force, kept as the very same values.
//!
//! A reload mostly changes a few of many accounts. Were all made anew, the old ones would leave holes all over the memory, and every
//! reload would take more of it. So each account is compared as soon as it was read, and what is the same is dropped again before the
//! next one. Owns the comparison, which must never take two accounts for the same of which anything differs.

use std::collections::HashMap;
use std::sync::Arc;

use tokend_dialect::Dialect;
use tokend_policy::Policy;
use tokend_proto::AccountName;

use super::account::Account;

/// Finds the account of a name that is in force.
pub type InForce<'f> = dyn Fn(&AccountName) -> Option<Arc<Account>> + 'f;

/// What is in force, and which of the dialects and policies that were just read are the same.
pub(super) struct Unchanged<'f> {
    in_force: &'f InForce<'f>,
    dialects: Same<Dialect>,
    policies: Same<Policy>,
}

impl<'f> Unchanged<'f> {
    pub(super) fn new(in_force: &'f InForce<'f>) -> Self {
        Self {
            in_force,
            dialects: Same::new(),
            policies: Same::new(),
        }
    }

    /// The account in force, if the one that was read is the same.
    pub(super) fn keep(&mut self, mut account: Account) -> Arc<Account> {
        let Some(before) = (self.in_force)(&account.name) else {
            return Arc::new(account);
        };
        (self.dialects).keep(&mut account.dialect, &before.dialect, Dialect::is_same);
        (self.policies).keep(&mut account.allow, &before.allow, Policy::eq);
        match is_same(&before, &account) {
            true => before,
            false => Arc::new(account),
        }
    }

    /// Has those that are not kept share with the others what they have in common, once all were read.
    pub(super) fn share(&self, accounts: &mut [Arc<Account>]) {
        // Nobody else has one that was just read.
        for account in accounts.iter_mut().filter_map(Arc::get_mut) {
            self.dialects.share(&mut account.dialect);
            self.policies.share(&mut account.allow);
        }
    }
}

/// Whether nothing differs, where dialects and policies that are the same are so by address.
fn is_same(one: &Account, other: &Account) -> bool {
    let Account {
        name,
        dialect,
        endpoint,
        fields,
        secrets,
        allow,
        pacing,
        proxy,
        refresh,
        assumed_lifetime,
        identity,
        fingerprint,
        asks,
    } = one;
    Arc::ptr_eq(dialect, &other.dialect)
        && Arc::ptr_eq(allow, &other.allow)
        && *fingerprint == other.fingerprint
        && *identity == other.identity
        && *name == other.name
        && *endpoint == other.endpoint
        && *fields == other.fields
        && *secrets == other.secrets
        && *pacing == other.pacing
        && *proxy == other.proxy
        && *refresh == other.refresh
        && *assumed_lifetime == other.assumed_lifetime
        && *asks == other.asks
}

/// Values that accounts share by the thousand, so that those that were read are compared once with each in force.
struct Same<T> {
    /// Whether one that was read is the same as one in force, by their addresses.
    compared: HashMap<(*const T, *const T), bool>,
    /// Which were read, and what is kept in their place.
    kept: HashMap<*const T, (Arc<T>, Arc<T>)>,
}

impl<T> Same<T> {
    fn new() -> Self {
        Self {
            compared: HashMap::new(),
            kept: HashMap::new(),
        }
    }

    /// Puts what is in force in the place of what was read, if they are the same.
    fn keep(&mut self, read: &mut Arc<T>, before: &Arc<T>, is_same: impl FnOnce(&T, &T) -> bool) {
        let pair = (Arc::as_ptr(read), Arc::as_ptr(before));
        let compared = self.compared.entry(pair);
        if *compared.or_insert_with(|| is_same(before, read)) {
            let both = || (Arc::clone(read), Arc::clone(before));
            self.kept.entry(pair.0).or_insert_with(both);
            *read = Arc::clone(before);
        }
    }

    /// Puts what was kept in the place of what was read, if anything was.
    fn share(&self, read: &mut Arc<T>) {
        if let Some((_, kept)) = self.kept.get(&Arc::as_ptr(read)) {
            *read = Arc::clone(kept);
        }
    }
}
