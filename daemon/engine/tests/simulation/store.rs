//! What the shell keeps of one account: the secrets in memory and the record on disk.
//!
//! Owns the rule that a record holds the secrets its `Durable` mentions and no others. A crash loses the secrets in memory and keeps the
//! record; a write under way at the crash may have landed or not.

use std::collections::BTreeMap;

use tokend_engine::{AttemptId, AttemptKind, Commit, Durable, Fate, WaiterId};

use crate::clocks::{Anchor, Restored};
use crate::provider::{Access, Grant, Secret};

/// What is on disk.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) anchor: Anchor,
    pub(crate) durable: Durable,
    pub(crate) refresh: Option<Secret>,
    pub(crate) access: Option<(u64, Access)>,
    pub(crate) candidate: Option<Entered>,
    pub(crate) spare: Option<Secret>,
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
        forget: bool,
    },
}

/// A credential a person entered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entered {
    Refresh(Secret),
    /// Whether it is the right one.
    Password(bool),
}

/// The secrets in memory.
#[derive(Debug, Default)]
pub(crate) struct DriverSecrets {
    pub(crate) refresh: Option<Secret>,
    pub(crate) access: Option<(u64, Access)>,
    pub(crate) entered: BTreeMap<WaiterId, Entered>,
    /// What the attempt under way is made with, and it alone; and what of that is in the record.
    pub(crate) trying: Option<Entered>,
    pub(crate) candidate: Option<Entered>,
    /// A refresh token kept beside the one held.
    pub(crate) spare: Option<Secret>,
    pub(crate) grants: BTreeMap<u64, Brought>,
}

/// What a success brought.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Brought {
    Grant(AttemptKind, Grant),
    /// And no access token that can be handed out.
    RefreshToken(Secret),
}

impl DriverSecrets {
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
            candidate: record.and_then(|record| record.candidate),
            spare: record.and_then(|record| record.spare),
            access: record
                .and_then(|record| record.access)
                .zip(held)
                .map(|(access, held)| late(access, held.behind)),
            ..Self::default()
        }
    }

    /// An attempt is claimed: with what this waiter entered, or with what is held.
    pub(crate) fn try_entered(&mut self, by: Option<WaiterId>) -> Result<(), String> {
        self.trying = by.and_then(|waiter| self.entered.remove(&waiter));
        match by {
            Some(waiter) if self.trying.is_none() => {
                Err(format!("a trial of what nobody entered: {waiter:?}"))
            }
            _ => Ok(()),
        }
    }

    /// The refresh token of a success that brought nothing else.
    pub(crate) fn brought(&self, commit: &Commit) -> Option<Secret> {
        match self.grants.get(&commit.granted?.0)? {
            Brought::RefreshToken(secret) => Some(*secret),
            Brought::Grant(..) => None,
        }
    }

    /// Puts the secrets of a commit in their place.
    pub(crate) fn apply(&mut self, commit: &Commit) -> Result<(), String> {
        if commit.forget {
            *self = Self {
                entered: std::mem::take(&mut self.entered),
                ..Self::default()
            };
        }
        match commit.fate {
            None => {}
            Some(Fate::Takes) => match self.candidate.take() {
                Some(Entered::Refresh(secret)) => self.refresh = Some(secret),
                Some(Entered::Password(_)) | None => {}
            },
            Some(Fate::Spared) => match self.candidate.take() {
                Some(Entered::Refresh(secret)) => self.spare = Some(secret),
                Some(Entered::Password(_)) | None => {}
            },
            Some(Fate::SpareTakes) => self.refresh = self.spare.take().or(self.refresh),
        }
        if let Some(id) = commit.granted {
            match self.grants.get(&id.0).copied() {
                None => return Err(format!("commit of a grant that never came: {id:?}")),
                Some(Brought::RefreshToken(refresh)) => match commit.fate {
                    Some(Fate::Spared) => self.spare = Some(refresh),
                    _ => self.refresh = Some(refresh),
                },
                Some(Brought::Grant(kind, grant)) => {
                    self.access = Some((id.0, grant.access));
                    self.refresh = match kind {
                        AttemptKind::Login => grant.refresh,
                        AttemptKind::Refresh => grant.refresh.or(self.refresh),
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
        if durable.candidate.is_none() {
            self.candidate = None;
        }
        if !durable.spare {
            self.spare = None;
        }
        if durable.candidate.is_some() != self.candidate.is_some()
            || durable.spare != self.spare.is_some()
        {
            return Err("the state mentions something entered that is not there".into());
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
            candidate: self.candidate,
            spare: self.spare,
        })
    }
}
