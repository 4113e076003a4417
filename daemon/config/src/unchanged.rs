//! What of a configuration is as it is in force, kept as the very same values.
//!
//! A reload mostly changes a few of many accounts. Were all made anew, the old ones would leave holes all over the memory, and every
//! reload would take more of it. Owns the comparison, which must never take two accounts for the same of which anything differs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokend_dialect::Dialect;
use tokend_policy::Policy;
use tokend_proto::AccountName;

use super::account::Account;

/// Puts what is in force in the place of what is the same: whole accounts, and the dialects and policies of the others.
pub(super) fn keep(
    accounts: &mut [Arc<Account>],
    in_force: impl Fn(&AccountName) -> Option<Arc<Account>>,
) {
    let before: Vec<_> = accounts.iter().map(|it| in_force(&it.name)).collect();
    let mut known = Known::of(before.iter().flatten());
    for (account, before) in accounts.iter_mut().zip(before) {
        let (dialect, allow) = (
            known.dialect(&account.dialect),
            known.policy(&account.allow),
        );
        // Nobody else has it yet.
        if let Some(account) = Arc::get_mut(account) {
            (account.dialect, account.allow) = (dialect, allow);
        }
        if let Some(before) = before.filter(|before| is_same(before, account)) {
            *account = before;
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

/// The dialects and policies in force, and which of those that were just read are the same. Accounts share them by the thousand, so each
/// is compared once.
struct Known {
    dialects: HashMap<Box<str>, Arc<Dialect>>,
    policies: HashSet<Arc<Policy>>,
    same_dialects: HashMap<*const Dialect, Arc<Dialect>>,
    same_policies: HashMap<*const Policy, Arc<Policy>>,
}

impl Known {
    fn of<'a>(accounts: impl Iterator<Item = &'a Arc<Account>>) -> Self {
        let mut known = Self {
            dialects: HashMap::new(),
            policies: HashSet::new(),
            same_dialects: HashMap::new(),
            same_policies: HashMap::new(),
        };
        let mut seen = HashSet::new();
        for account in accounts {
            let dialect = &account.dialect;
            if !known.dialects.contains_key(dialect.name()) {
                let name = dialect.name().into();
                known.dialects.insert(name, Arc::clone(dialect));
            }
            if seen.insert(Arc::as_ptr(&account.allow)) {
                known.policies.insert(Arc::clone(&account.allow));
            }
        }
        known
    }

    fn dialect(&mut self, read: &Arc<Dialect>) -> Arc<Dialect> {
        let same = self.same_dialects.entry(Arc::as_ptr(read));
        let same = same.or_insert_with(|| {
            let known = self.dialects.get(read.name());
            Arc::clone(known.filter(|known| known.is_same(read)).unwrap_or(read))
        });
        Arc::clone(same)
    }

    fn policy(&mut self, read: &Arc<Policy>) -> Arc<Policy> {
        let same = self.same_policies.entry(Arc::as_ptr(read));
        let same = same.or_insert_with(|| {
            let known = self.policies.get(read);
            Arc::clone(known.unwrap_or(read))
        });
        Arc::clone(same)
    }
}
