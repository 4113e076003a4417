//! Keeps the parts of a configuration that did not change as the very same values.
//!
//! A reload mostly changes a few of many accounts. If all accounts were made anew, freeing the old ones would fragment memory, and every
//! reload would take more of it. So each account is compared as soon as it is read, and an equal one is dropped before the next is read.
//! Owns the comparison, which must never treat two different accounts as equal.

use std::collections::HashMap;
use std::sync::Arc;

use tokend_dialect::Dialect;
use tokend_policy::Policy;
use tokend_proto::AccountName;

use super::account::Account;

/// Finds the account in force with a name.
pub type InForce<'f> = dyn Fn(&AccountName) -> Option<Arc<Account>> + 'f;

/// The accounts in force, and which of the dialects and policies just read equal theirs.
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

    /// After all accounts are read, lets the changed accounts share equal parts with the kept ones.
    pub(super) fn share(&self, accounts: &mut [Arc<Account>]) {
        // An account that was just read has no other owner.
        for account in accounts.iter_mut().filter_map(Arc::get_mut) {
            self.dialects.share(&mut account.dialect);
            self.policies.share(&mut account.allow);
        }
    }
}

/// Whether the two accounts are equal, where equal dialects and policies have the same address.
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
        identity,
        fingerprint,
        rare,
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
        && *rare == other.rare
        && *asks == other.asks
}

/// Values shared by thousands of accounts, so that each value read is compared only once with each value in force.
struct Same<T> {
    /// Whether a value that was read equals one in force, by their addresses.
    compared: HashMap<(*const T, *const T), bool>,
    /// The values that were read, and the values kept in their place.
    kept: HashMap<*const T, (Arc<T>, Arc<T>)>,
}

impl<T> Same<T> {
    fn new() -> Self {
        Self {
            compared: HashMap::new(),
            kept: HashMap::new(),
        }
    }

    /// Replaces the value that was read with the one in force, if they are equal.
    fn keep(&mut self, read: &mut Arc<T>, before: &Arc<T>, is_same: impl FnOnce(&T, &T) -> bool) {
        let pair = (Arc::as_ptr(read), Arc::as_ptr(before));
        let compared = self.compared.entry(pair);
        if *compared.or_insert_with(|| is_same(before, read)) {
            let both = || (Arc::clone(read), Arc::clone(before));
            self.kept.entry(pair.0).or_insert_with(both);
            *read = Arc::clone(before);
        }
    }

    /// Replaces the value that was read with the kept one, if there is one.
    fn share(&self, read: &mut Arc<T>) {
        if let Some((_, kept)) = self.kept.get(&Arc::as_ptr(read)) {
            *read = Arc::clone(kept);
        }
    }
}
