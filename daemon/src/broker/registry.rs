//! Who is served, and with what: the part of the daemon that sessions read without asking anybody.
//!
//! Owns the accounts of the configuration in force and the token of each. A session looks an account up and answers from its
//! served; only a miss becomes an event for the driver. Only the driver writes here, and a reload replaces the whole at once.

mod sight;
mod sights;

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokend_engine::{AccountKey, LastAsked, Timestamp, TokenFacts};
use tokend_proto::AccountName;
use tokend_upstream::AccessToken;

use tokend_config::Account;
use tokend_policy::{Decision, Needs, Peer, Permission, Permissions, Policy, Rule};

use tokend_audit::TokenFingerprint;

use sights::Sights;
pub(crate) use sights::{Seen, Sight};

/// The configuration in force, as far as sessions need it.
#[derive(Debug)]
pub(crate) struct Registry {
    snapshot: ArcSwap<Snapshot>,
    /// Held by whoever decides and sends, so that no configuration goes out of force between the two. Never held while anything is
    /// waited for, so that a reload waits for some microseconds of each worker and no longer.
    still: RwLock<()>,
}

/// By how many different rules it is told whose files are looked at. With more, everybody's are.
const MOST_OF_FILES: usize = 128;

/// A rule that decided: its policy, and which of its rules.
pub(crate) type Ruling = (Arc<Policy>, usize);

/// An account that was looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) served: &'a Arc<ServedAccount>,
    /// Whether it is the one of that name. Where there is none, another stands in its place.
    pub(crate) exists: bool,
}

/// One loaded configuration.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// Which one, of all in this run of the daemon.
    number: u64,
    /// The place of each account in `ordered`.
    places: HashMap<AccountName, usize>,
    /// The accounts in the order of their names, for lists that come in pages, each with the number of its policy: accounts share
    /// policies by the thousand.
    ordered: Vec<(Arc<ServedAccount>, usize)>,
    /// How many policies accounts have.
    kinds: usize,
    admin: Arc<Policy>,
    /// Which facts the rules of any account or of `admin` need.
    needs: Needs,
    /// Of whom files have to be looked at, if that can be said with so many rules.
    files: Option<Vec<Rule>>,
    sights: Sights,
}

/// An account of a loaded configuration.
#[derive(Debug)]
pub(crate) struct ServedAccount {
    /// What the engine calls it.
    pub(crate) key: AccountKey,
    /// Its configuration.
    pub(crate) account: Arc<Account>,
    /// What outlives a reload that does not change the account's identity.
    pub(crate) cell: Arc<TokenCell>,
}

/// What is held for an account while the daemon runs.
#[derive(Debug, Default)]
pub(crate) struct TokenCell {
    token: ArcSwapOption<IssuedToken>,
    asked: LastAsked,
}

/// An access token as it is handed out.
#[derive(Debug)]
pub(crate) struct IssuedToken {
    pub(crate) token: Arc<AccessToken>,
    /// Its fingerprint, for records.
    pub(crate) fingerprint: TokenFingerprint,
    pub(crate) held: TokenFacts,
    /// From when on the first session that hands it out tells the driver.
    pub(crate) ahead: Timestamp,
    /// Whether one has.
    pub(crate) told: AtomicBool,
    /// Whether it is only in memory, because the store refused it.
    pub(crate) unpersisted: bool,
    /// What in the answer that brought it could not be used.
    pub(crate) remark: Option<Box<str>>,
}

impl Registry {
    /// A registry in which nobody is served yet.
    pub(crate) fn new() -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(Snapshot::default()),
            still: RwLock::default(),
        }
    }

    /// The configuration in force now.
    pub(crate) fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Keeps the configuration in force for as long as the guard lives. Not to be held twice by one thread, nor over anything that
    /// waits.
    pub(crate) fn hold_still(&self) -> RwLockReadGuard<'_, ()> {
        self.still.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a configuration in force. When this returns, whatever was decided under the one before is on its way.
    pub(crate) fn replace(&self, snapshot: Arc<Snapshot>) {
        let nobody_decides = self.still.write().unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot.swap(snapshot);
        drop(nobody_decides);
        // A hundred thousand accounts take their time to be freed, and nobody is to wait for that.
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
            sights: Sights::default(),
        }
    }

    /// Which configuration this is. No two of one run have the same number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The account of this name.
    pub(crate) fn served(&self, name: &AccountName) -> Option<&Arc<ServedAccount>> {
        let place = self.places.get(name)?;
        self.ordered.get(*place).map(|(served, _)| served)
    }

    /// The account of this name; where there is none, one that is decided about in its place. The decision about an unknown name takes
    /// the same time as one about an account of somebody else, whatever the rules of accounts are like. The same name has the same
    /// stand-in, and no peer can tell which. `None` when no account is configured.
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

    /// The place of the first account after this name.
    fn place_after(&self, name: &AccountName) -> usize {
        self.ordered
            .partition_point(|(served, _)| served.account.name <= *name)
    }

    /// How many accounts there are.
    pub(crate) fn count(&self) -> usize {
        self.ordered.len()
    }

    /// Which facts have to be read next before the peer is told whether it may do this with the account, or what it may do with any
    /// where none is named.
    ///
    /// Those that decide, the cheap ones first; but a peer that may do nothing with it must not learn from what was read that it exists.
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
        let given = allow.permissions(peer) | self.as_administrator(peer);
        let open = wanted.without(given);
        let own = allow.lacks(peer, open) | self.admin.lacks(peer, open);
        // What stands in the place of an account that does not exist is never the peer's own.
        let is_own = exists && given.has_any(Permissions::OF_AN_ACCOUNT);
        match own.is_empty() {
            false => own.first(),
            true if is_own => Needs::NONE,
            true => self.lacks_for_any(peer),
        }
    }

    /// Which facts have to be read next before it is known what the peer may do as an administrator.
    pub(crate) fn lacks_for_daemon(&self, peer: &Peer, wanted: Permissions) -> Needs {
        let open = wanted.without(self.as_administrator(peer));
        self.admin.lacks(peer, open).first()
    }

    /// Which facts have to be read next before it is known what the peer may do with any account: files only of those for whom a
    /// rule goes by them.
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

    /// Whether the peer may do anything with the account.
    pub(crate) fn knows(
        peer: &Peer,
        served: &ServedAccount,
        as_administrator: Permissions,
    ) -> bool {
        let may = served.account.allow.permissions(peer) | as_administrator;
        may.has_any(Permissions::OF_AN_ACCOUNT)
    }

    /// The rule by which the peer may do this with the account, or the facts that rules would need which might say so.
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

    /// The rule by which the peer may do this with every account, or with the daemon itself: as an administrator.
    pub(crate) fn administers(&self, peer: &Peer, permission: Permission) -> Result<Ruling, Needs> {
        match self.admin.decide(peer, permission) {
            Decision::Allowed(rule) => Ok((Arc::clone(&self.admin), rule)),
            Decision::Denied(unread) => Err(unread),
        }
    }

    /// What the peer may do with every account, and with the daemon itself.
    pub(crate) fn as_administrator(&self, peer: &Peer) -> Permissions {
        self.admin.permissions(peer)
    }
}

/// What is said of files by the rules of all accounts and of administrators. `None` when that is too much to ask each time.
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

impl TokenCell {
    /// The token to hand out, if one is published. The caller checks its time.
    pub(crate) fn token(&self) -> arc_swap::Guard<Option<Arc<IssuedToken>>> {
        self.token.load()
    }

    pub(crate) fn publish(&self, token: IssuedToken) {
        self.token.store(Some(Arc::new(token)));
    }

    /// Serves no token any more. Returns the one that was served.
    pub(crate) fn retire(&self) -> Option<Arc<IssuedToken>> {
        self.token.swap(None)
    }

    /// Where sessions note that somebody asked; shared with the engine.
    pub(crate) fn asked(&self) -> &LastAsked {
        &self.asked
    }
}

impl IssuedToken {
    /// Notes that it was handed out. True for the first time it is due to be refreshed: then the driver must know.
    pub(crate) fn is_first_late_use(&self, now: Timestamp) -> bool {
        now >= self.ahead && !self.told.swap(true, Ordering::Relaxed)
    }
}
