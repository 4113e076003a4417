//! The served accounts and tokens: the part of the daemon that sessions read without a message.
//!
//! Owns the snapshot of the configuration in force, and the token of each [`ServedAccount`]. A session looks an account up and answers from
//! its cell; only a miss becomes a message to the driver. Only the driver writes here, and a reload replaces the whole snapshot at once.

mod visible;
mod visible_cache;

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use arc_swap::ArcSwap;
use tokend_engine::AccountKey;
use tokend_proto::AccountName;

use tokend_config::Account;
use tokend_policy::{Decision, Needs, Peer, Permission, Permissions, Policy, Rule};

use super::publications::{Publications, TokenCell};
use super::sinks::Sinks;
use visible_cache::VisibleCache;
pub(crate) use visible_cache::{VisibleAccounts, WhichAccounts};

/// The configuration in force, as far as sessions need it.
#[derive(Debug)]
pub(crate) struct Registry {
    snapshot: ArcSwap<Snapshot>,
    publications: Arc<Publications>,
    sinks: Arc<Sinks>,
    /// A session holds this while it decides and sends, so that no configuration goes out of force between the two. It is never held across
    /// a wait, so a reload waits a few microseconds for each worker and no longer.
    still: RwLock<()>,
}

/// The number of different rules up to which the peers whose files matter are listed. With more rules, the files of all peers are looked
/// at.
const MOST_OF_FILES: usize = 128;

/// A rule that decided: its policy, and its place there.
pub(crate) type Ruling = (Arc<Policy>, usize);

/// The result of looking up an account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) served: &'a Arc<ServedAccount>,
    /// Whether the account has that name. If there is none, another account stands in its place.
    pub(crate) exists: bool,
}

/// One loaded configuration.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// Its number; unique in this run of the daemon.
    number: u64,
    /// The position of each account in `ordered`.
    places: HashMap<AccountName, usize>,
    /// The accounts in the order of their names, for lists that come in pages. Each has the number of its policy, since thousands of
    /// accounts share one.
    ordered: Vec<(Arc<ServedAccount>, usize)>,
    /// The number of policies.
    kinds: usize,
    admin: Arc<Policy>,
    /// Which facts the rules of any account or of `admin` need.
    needs: Needs,
    /// The peers whose files have to be looked at, if the rules are few enough to list them.
    files: Option<Vec<Rule>>,
    visible: VisibleCache,
}

/// An account of a loaded configuration.
#[derive(Debug)]
pub(crate) struct ServedAccount {
    /// The engine's key of the account.
    pub(crate) key: AccountKey,
    /// Its configuration.
    pub(crate) account: Arc<Account>,
    /// The part that outlives a reload that does not change the account's identity.
    pub(crate) cell: Arc<TokenCell>,
}

impl Registry {
    /// A registry without accounts.
    pub(crate) fn new() -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(Snapshot::default()),
            publications: Arc::default(),
            sinks: Arc::default(),
            still: RwLock::default(),
        }
    }

    /// The configuration in force now.
    pub(crate) fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Where tokens are published, and who learns of it.
    pub(crate) fn publications(&self) -> &Arc<Publications> {
        &self.publications
    }

    /// What sinks report.
    pub(crate) fn sinks(&self) -> &Arc<Sinks> {
        &self.sinks
    }

    /// Keeps the configuration in force for as long as the guard lives. One thread must not hold two guards, nor hold one across a wait.
    pub(crate) fn hold_still(&self) -> RwLockReadGuard<'_, ()> {
        self.still.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a configuration in force. When this returns, every answer that was decided under the one before has been sent.
    pub(crate) fn replace(&self, snapshot: Arc<Snapshot>) {
        let nobody_decides = self.still.write().unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot.swap(snapshot);
        drop(nobody_decides);
        self.publications.wake_all();
        self.sinks.end_all();
        // Freeing a hundred thousand accounts takes time, and no caller should wait for that.
        drop(before);
    }
}

impl Snapshot {
    /// A configuration with these accounts.
    pub(crate) fn new(
        accounts: impl IntoIterator<Item = Arc<ServedAccount>>,
        admin: Arc<Policy>,
    ) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let mut accounts: Vec<_> = accounts.into_iter().collect();
        accounts.sort_unstable_by(|one, other| one.account.name.cmp(&other.account.name));
        let mut kinds = HashMap::new();
        let ordered: Vec<_> = accounts
            .into_iter()
            .map(|served| {
                let next = kinds.len();
                let kind = *kinds
                    .entry(Arc::as_ptr(&served.account.allow))
                    .or_insert(next);
                (served, kind)
            })
            .collect();
        let named = |(place, (served, _)): (usize, &(Arc<ServedAccount>, usize))| {
            (served.account.name.clone(), place)
        };
        let needs = ordered.iter().fold(admin.needs(), |needs, (served, _)| {
            needs | served.account.allow.needs()
        });
        Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            places: ordered.iter().enumerate().map(named).collect(),
            files: of_files(&ordered, &admin, &kinds),
            ordered,
            kinds: kinds.len(),
            admin,
            needs,
            visible: VisibleCache::default(),
        }
    }

    /// The number of this configuration. It is unique in one run.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The account of this name.
    pub(crate) fn served(&self, name: &AccountName) -> Option<&Arc<ServedAccount>> {
        let place = self.places.get(name)?;
        self.ordered.get(*place).map(|(served, _)| served)
    }

    /// The account of this name; if there is none, an account to decide about in its place. The decision about an unknown name thus takes
    /// the same time as one about an account of another user, whatever the rules are like. The same name always has the same stand-in, and
    /// no peer can tell which. `None` when no account is configured.
    pub(crate) fn find(&self, name: &AccountName) -> Option<Found<'_>> {
        let place = self.places.get(name);
        let at = match place {
            Some(place) => *place,
            None => {
                let chance = self.places.hasher().hash_one(name);
                let count = u64::try_from(self.ordered.len()).unwrap_or(u64::MAX);
                usize::try_from(chance.checked_rem(count)?).unwrap_or(0)
            }
        };
        self.ordered.get(at).map(|(served, _)| Found {
            served,
            exists: place.is_some(),
        })
    }

    /// All accounts, by name.
    pub(crate) fn all_served(&self) -> impl Iterator<Item = &Arc<ServedAccount>> {
        self.ordered.iter().map(|(served, _)| served)
    }

    /// The position of the first account after this name.
    fn place_after(&self, name: &AccountName) -> usize {
        self.ordered
            .partition_point(|(served, _)| served.account.name <= *name)
    }

    /// How many accounts there are.
    pub(crate) fn count(&self) -> usize {
        self.ordered.len()
    }

    /// The facts that have to be read next before the daemon can say whether the peer may do this with the account, or, without an account,
    /// what the peer may do with any of them.
    ///
    /// The facts that decide, cheap ones first; but a peer without any permission on the account must not learn from the reads that it
    /// exists.
    pub(crate) fn lacks(
        &self,
        peer: &Peer,
        account: Option<Found<'_>>,
        wanted: Permissions,
    ) -> Needs {
        if self.needs.without(peer.asked()).is_empty() {
            return Needs::NONE;
        }
        let Some(Found { served, exists }) = account else {
            return self.lacks_for_any(peer);
        };
        let allow = &served.account.allow;
        let granted = allow.permissions(peer) | self.as_administrator(peer);
        let open = wanted.without(granted);
        let own = allow.lacks(peer, open) | self.admin.lacks(peer, open);
        // The stand-in of an unknown account never belongs to the peer.
        let is_own = exists && granted.has_any(Permissions::OF_AN_ACCOUNT);
        match own.is_empty() {
            false => own.first(),
            true if is_own => Needs::NONE,
            true => self.lacks_for_any(peer),
        }
    }

    /// The facts that have to be read next before the peer's permissions as an administrator are known.
    pub(crate) fn lacks_for_daemon(&self, peer: &Peer, wanted: Permissions) -> Needs {
        let open = wanted.without(self.as_administrator(peer));
        self.admin.lacks(peer, open).first()
    }

    /// The facts that have to be read next before the peer's permissions on all accounts are known. Files are read only for peers whose
    /// rules depend on them.
    fn lacks_for_any(&self, peer: &Peer) -> Needs {
        let needs = self.needs.without(peer.asked());
        let Some(files) = self
            .files
            .as_ref()
            .filter(|_| needs.first().has(Needs::FILES))
        else {
            return needs.first();
        };
        let of_files = files.iter().map(|rule| rule.lacks(peer));
        of_files.fold(Needs::NONE, |all, needs| all | needs).first()
    }

    /// Which facts the rules in force need.
    pub(crate) fn needs(&self) -> Needs {
        self.needs
    }

    /// Whether the peer has any permission on the account.
    pub(crate) fn knows(
        peer: &Peer,
        served: &ServedAccount,
        as_administrator: Permissions,
    ) -> bool {
        let may = served.account.allow.permissions(peer) | as_administrator;
        may.has_any(Permissions::OF_AN_ACCOUNT)
    }

    /// The rule that allows the peer this, or the missing facts by which a rule might allow it.
    pub(crate) fn grants(
        &self,
        peer: &Peer,
        served: &ServedAccount,
        permission: Permission,
    ) -> Result<Ruling, Needs> {
        match served.account.allow.decide(peer, permission) {
            Decision::Allowed(rule) => Ok((Arc::clone(&served.account.allow), rule)),
            Decision::Denied(unread) => self
                .administers(peer, permission)
                .map_err(|more| unread | more),
        }
    }

    /// The rule that allows the peer this with all accounts, or with the daemon itself, as an administrator.
    pub(crate) fn administers(&self, peer: &Peer, permission: Permission) -> Result<Ruling, Needs> {
        match self.admin.decide(peer, permission) {
            Decision::Allowed(rule) => Ok((Arc::clone(&self.admin), rule)),
            Decision::Denied(unread) => Err(unread),
        }
    }

    /// The permissions of the peer on all accounts and on the daemon itself.
    pub(crate) fn as_administrator(&self, peer: &Peer) -> Permissions {
        self.admin.permissions(peer)
    }
}

/// The conditions about files in the rules of all accounts and of administrators. `None` when there are too many to check each time.
fn of_files(
    ordered: &[(Arc<ServedAccount>, usize)],
    admin: &Policy,
    kinds: &HashMap<*const Policy, usize>,
) -> Option<Vec<Rule>> {
    let mut seen = vec![false; kinds.len()];
    let own = ordered.iter().filter_map(|(served, kind)| {
        let seen = seen.get_mut(*kind)?;
        (!std::mem::replace(seen, true)).then(|| served.account.allow.rules())
    });
    let mut files = HashSet::new();
    for rule in own.chain([admin.rules()]).flatten() {
        files.extend(rule.of_files());
        if files.len() > MOST_OF_FILES {
            return None;
        }
    }
    Some(files.into_iter().collect())
}
