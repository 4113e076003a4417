//! What the shell keeps of one account: the secrets in memory and the record on disk.
//!
//! Owns the rule that a record holds the secrets its `Durable` mentions and no others. A crash loses the vault and keeps the
//! record; a write under way at the crash may have landed or not.

use std::collections::BTreeMap;

use tokend_engine::{AttemptId, Commit, Durable, Kind, WaiterId};

use crate::clocks::{Anchor, Restored};
use crate::provider::{Access, Grant, Secret};

/// What is on disk.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) anchor: Anchor,
    pub(crate) durable: Durable,
    pub(crate) refresh: Option<Secret>,
    pub(crate) access: Option<(u64, Access)>,
}

/// A write under way.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) record: Record,
    pub(crate) purpose: Purpose,
    /// What the store will say.
    pub(crate) says_ok: bool,
    /// Whether it lands, whatever the store says.
    pub(crate) lands: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Intent(AttemptId),
    Outcome {
        granted: Option<AttemptId>,
        entered: Option<WaiterId>,
        forget: bool,
    },
}

/// A credential a person entered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entered {
    Refresh(Secret),
    Password,
}

/// The secrets in memory.
#[derive(Debug, Default)]
pub(crate) struct Vault {
    pub(crate) refresh: Option<Secret>,
    pub(crate) access: Option<(u64, Access)>,
    pub(crate) entered: BTreeMap<WaiterId, Entered>,
    pub(crate) grants: BTreeMap<u64, Brought>,
}

/// What a success brought.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Brought {
    Grant(Kind, Grant),
    /// And no access token that can be handed out.
    RefreshToken(Secret),
}

impl Vault {
    /// The secrets of a record. Where less time is believed to have passed than has, an access token seems to live longer: by as
    /// much as the clock is wrong, and no more.
    pub(crate) fn load(record: Option<&Record>, restored: Option<&Restored>) -> Self {
        let held = restored.filter(|restored| restored.durable.held.is_some());
        let late = |(grant, access): (u64, Access), behind| {
            let excused = access.excused + behind;
            (grant, Access { excused, ..access })
        };
        Self {
            refresh: record.and_then(|record| record.refresh),
            access: record
                .and_then(|record| record.access)
                .zip(held)
                .map(|(access, held)| late(access, held.behind)),
            ..Self::default()
        }
    }

    /// Puts the secrets of a commit in their place.
    pub(crate) fn apply(&mut self, commit: &Commit) -> Result<(), String> {
        if commit.forget {
            (self.refresh, self.access) = (None, None);
        }
        if let Some(waiter) = commit.entered {
            match self.entered.get(&waiter) {
                Some(Entered::Refresh(secret)) => self.refresh = Some(*secret),
                Some(Entered::Password) => {}
                None => return Err(format!("commit of a credential nobody entered: {waiter:?}")),
            }
        }
        if let Some(id) = commit.granted {
            match self.grants.get(&id.0).copied() {
                None => return Err(format!("commit of a grant that never came: {id:?}")),
                Some(Brought::RefreshToken(refresh)) => self.refresh = Some(refresh),
                Some(Brought::Grant(kind, grant)) => {
                    self.access = Some((id.0, grant.access));
                    self.refresh = match kind {
                        Kind::Login => grant.refresh,
                        Kind::Refresh => grant.refresh.or(self.refresh),
                    };
                }
            }
        }
        Ok(())
    }

    /// The record for a state: what the state does not mention is not in it.
    pub(crate) fn record(&mut self, durable: &Durable, anchor: Anchor) -> Result<Record, String> {
        if durable.refresh.is_none() {
            self.refresh = None;
        }
        if durable.held.is_none() {
            self.access = None;
        }
        if durable.refresh.is_some() != self.refresh.is_some() {
            return Err("the state mentions a refresh token that is not there".into());
        }
        if durable.held.map(|held| held.grant.0) != self.access.map(|(grant, _)| grant) {
            return Err(format!(
                "the state mentions another access token than {:?}",
                self.access
            ));
        }
        Ok(Record {
            anchor,
            durable: durable.clone(),
            refresh: self.refresh,
            access: self.access,
        })
    }
}
