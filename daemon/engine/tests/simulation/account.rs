//! One account as the simulation knows it: what the shell holds of it, and what really is.
//!
//! Owns how accounts come about by chance. What happens to them is elsewhere.

use tokend_engine::{
    AccountPlan, AttemptId, AttemptKind, HostKey, LastAsked, Publication, Rate, RefreshPolicy,
    Reuse,
};

use crate::provider::{Provider, Secret};
use crate::random::Rng;
use crate::store::{DriverSecrets, Record, Write};
use crate::world::{HOUR, MINUTE, SECOND};

/// A request on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flight {
    pub(crate) id: AttemptId,
    pub(crate) kind: AttemptKind,
    pub(crate) secret: Option<Secret>,
    /// Whether the credential of a login is the one the provider knows.
    pub(crate) good: bool,
    /// Whether it is made with what a person entered.
    pub(crate) trial: bool,
    pub(crate) arrived: bool,
    /// Whether it was processed, and the answer says something else.
    pub(crate) doubted: bool,
}

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) plan: AccountPlan,
    pub(crate) can_login: bool,
    pub(crate) provider: Provider,
    pub(crate) asked: LastAsked,
    pub(crate) configured: bool,
    pub(crate) in_engine: bool,
    pub(crate) slot: Option<Publication>,
    pub(crate) secrets: DriverSecrets,
    pub(crate) disk: Option<Record>,
    pub(crate) write: Option<Write>,
    pub(crate) admitted: Option<AttemptId>,
    pub(crate) recorded: Option<AttemptId>,
    pub(crate) flight: Option<Flight>,
    /// The last grant that is on disk, and the last one the store refused.
    pub(crate) landed: Option<u64>,
    pub(crate) refused: Option<u64>,
    /// The refresh token that was delivered and never given up.
    pub(crate) owned: Option<Secret>,
    /// Whether that one may have been spent without our knowing.
    pub(crate) excused: bool,
    pub(crate) blocked: bool,
    /// Whether only a login asks for what is wanted now, although a refresh token lives.
    pub(crate) outdated: bool,
    /// Refreshes and logins that something in front of the provider answered, since the last grant or changed credential.
    pub(crate) unrecognised: (u32, u32),
    /// Logins without an answer since then.
    pub(crate) lost_logins: u32,
    /// When the last such login was answered.
    pub(crate) unrecognised_at: Option<u64>,
    /// Whether the provider refused what logins are made with, or called a login wrong, and nothing of that changed since.
    pub(crate) login_refused: bool,
    /// Whether a person wanted an attempt since the last one.
    pub(crate) insisted: bool,
    /// Whether the store refused the last write: until one lands, insisting changes nothing.
    pub(crate) unsaved: bool,
    pub(crate) cured_in_flight: bool,
    /// The account's other identity, of which at most one is configured.
    pub(crate) twin: Option<usize>,
    /// How much more time the daemon believes to have passed than has: in all, and when it last wrote.
    pub(crate) drift: u64,
    pub(crate) drift_written: u64,
    /// The same of its host, when this account last wrote.
    pub(crate) host_drift_written: u64,
    /// No request before this, because the provider said so.
    pub(crate) rest_until: u64,
}

pub(crate) fn rate(burst: u64, period: u64) -> Rate {
    let period = std::time::Duration::from_millis(period);
    Rate::new(u32::try_from(burst).unwrap_or(1), period).unwrap_or_else(|| panic!("no rate"))
}

impl Account {
    pub(crate) fn random(rng: &mut Rng, hosts: usize) -> Self {
        let plan = AccountPlan {
            refresh_host: None,
            host: HostKey(u32::try_from(rng.below(hosts as u64)).unwrap_or_default()),
            attempts: Self::attempts(rng),
            logins: Self::logins(rng),
            reuse: rng.pick(&[
                Reuse::None,
                Reuse::Rotates,
                Reuse::RotatesAndReuseRevokes,
                Reuse::RotatesAndReuseRevokes,
                Reuse::Unknown,
            ]),
            refresh: Self::policy(rng),
            refresh_ends_access: rng.chance(200),
            refresh_needs_access: rng.chance(100),
            refresh_presents_access: false,
        };
        Self {
            provider: Provider::random(rng, &plan),
            plan,
            can_login: rng.chance(750),
            asked: LastAsked::default(),
            configured: true,
            in_engine: false,
            slot: None,
            secrets: DriverSecrets::default(),
            disk: None,
            write: None,
            admitted: None,
            recorded: None,
            flight: None,
            landed: None,
            refused: None,
            owned: None,
            excused: false,
            blocked: false,
            outdated: false,
            unrecognised: (0, 0),
            unrecognised_at: None,
            lost_logins: 0,
            login_refused: false,
            insisted: false,
            unsaved: false,
            cured_in_flight: false,
            twin: None,
            drift: 0,
            drift_written: 0,
            host_drift_written: 0,
            rest_until: 0,
        }
    }

    /// Whether no login is made by itself any more.
    pub(crate) fn stopped(&self) -> bool {
        self.unrecognised.1 >= 3 || self.lost_logins >= 3
    }

    /// A grant came, or the credential changed.
    pub(crate) fn understood(&mut self) {
        self.unrecognised = (0, 0);
        self.lost_logins = 0;
        self.unrecognised_at = None;
    }

    pub(crate) fn attempts(rng: &mut Rng) -> Rate {
        rate(rng.between(1, 5), rng.between(5 * SECOND, 5 * MINUTE))
    }

    pub(crate) fn logins(rng: &mut Rng) -> Rate {
        rate(rng.between(1, 3), rng.between(30 * SECOND, HOUR))
    }

    pub(crate) fn policy(rng: &mut Rng) -> RefreshPolicy {
        rng.pick(&[
            RefreshPolicy::Auto,
            RefreshPolicy::Auto,
            RefreshPolicy::Always,
            RefreshPolicy::OnDemand,
        ])
    }
}
