//! Which peer may make which request.
//!
//! Owns the one decision about a request: one lookup, one answer of the policy. The decision goes with the request to its answer, its
//! record and its release. A peer without any permission on an account gets the same answer as for an unknown account, after the same work.
//! Must never send, record or count anything.

use std::hint::black_box;
use std::sync::Arc;

use tokend_policy::{Needs, Peer, Permission, Permissions};
use tokend_proto::{AccountName, Fault, Request};

use super::parts::Requests;
use super::refusal::{denied, not_admin, unknown};
use crate::broker::registry::{Found, Ruling, ServedAccount, Snapshot};

/// The decision about a request, before any work on it.
#[derive(Debug)]
pub(crate) enum Admission<'s> {
    /// These facts about the peer have to be read first.
    NeedFacts(Needs),
    Refused(Refused),
    Admitted(Admitted<'s>),
}

/// A request that the peer may not make.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(super) fault: Box<Fault>,
    /// Whether it names an account that does not exist, or on which the peer has no permission.
    pub(crate) is_stranger: bool,
}

/// A request that the peer may make, with the whole decision about it.
#[derive(Debug)]
pub(crate) struct Admitted<'s> {
    pub(super) snapshot: &'s Arc<Snapshot>,
    /// The account that the request is about, if that is configured.
    pub(super) account: Option<&'s Arc<ServedAccount>>,
    /// The permission the peer asked for, where a rule decides.
    pub(super) permission: Option<Permission>,
    pub(super) rules: Rules,
}

/// The same decision, kept while an answer is waited for.
#[derive(Debug)]
pub(super) struct Carried {
    /// The number of the configuration that decided.
    pub(super) under: u64,
    pub(super) account: Option<Arc<ServedAccount>>,
    pub(super) permission: Option<Permission>,
    pub(super) rules: Rules,
}

/// The rules that decided about a request, in the configuration in force at that time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// The rule that allowed the request.
    pub(crate) act: Option<Ruling>,
    /// The rule that allows handing out its token.
    pub(crate) token: Option<Ruling>,
    /// Whether mistakes of the configuration may be shown with their places: only to a peer that may reload it.
    pub(crate) mistakes: bool,
}

/// The kind of permission that decides about a request.
#[derive(Debug)]
pub(super) enum Subject<'r, 's> {
    /// A permission on one account. The account was looked up here and nowhere else.
    Account(&'r AccountName, Option<Found<'s>>, Permission),
    /// An administrator's permission on the daemon, in words.
    Daemon(Permission, &'static str),
    /// Permission to read metrics: an administrator's, or by separate rules.
    Metrics,
    /// None: the answer shows only accounts that the peer may see.
    View,
    /// None: the answer shows only the peer itself.
    Oneself,
    /// None: the request is unknown.
    Unknown,
}

impl<'r, 's> Subject<'r, 's> {
    pub(super) fn of(snapshot: &'s Snapshot, request: &'r Request) -> Self {
        // What is not listed there is decided by no permission.
        let Some((permission, _)) = permissions(request) else {
            return Self::Unknown;
        };
        match (request, request.account()) {
            (_, Some(name)) => Self::Account(name, snapshot.find(name), permission),
            (Request::Reload, _) => Self::Daemon(permission, "reload the configuration"),
            (Request::Metrics { .. }, _) => Self::Metrics,
            (Request::Whoami, _) => Self::Oneself,
            (
                Request::List { .. }
                | Request::Status { .. }
                | Request::Sinks { .. }
                | Request::Apis { .. }
                | Request::Diagnose { .. },
                _,
            ) => Self::View,
            _ => Self::Unknown,
        }
    }
}

/// The permission that decides about a request, and another that the content of its answer depends on.
fn permissions(request: &Request) -> Option<(Permission, Option<Permission>)> {
    Some(match request {
        Request::Get { .. }
        | Request::Watch { .. }
        | Request::Report { .. }
        | Request::Refusal { .. }
        | Request::Apis {
            account: Some(_), ..
        } => (Permission::Get, None),
        Request::Apis { account: None, .. } => (Permission::Status, Some(Permission::Get)),
        Request::Reject { .. } => (Permission::Reject, Some(Permission::Get)),
        Request::Refresh { .. } => (Permission::Refresh, Some(Permission::Get)),
        Request::Login { .. } | Request::Enter { .. } => (Permission::Login, None),
        Request::Forget { .. } => (Permission::Forget, None),
        Request::Diagnose { .. } => (Permission::Status, Some(Permission::Reload)),
        Request::Reload => (Permission::Reload, None),
        Request::Status { .. }
        | Request::Credential { .. }
        | Request::Sinks { .. }
        | Request::List { .. }
        | Request::Metrics { .. }
        | Request::Whoami => (Permission::Status, None),
        _ => return None,
    })
}

impl Requests {
    /// Decides about a request under the configuration in force, or returns the facts about the peer that have to be read first; returns
    /// none after they were read.
    pub(crate) fn admit<'s>(
        &self,
        snapshot: &'s Arc<Snapshot>,
        peer: &Peer,
        request: &Request,
    ) -> Admission<'s> {
        let subject = Subject::of(snapshot, request);
        let needs = self.facts_for(&subject, snapshot, peer, request);
        if !needs.is_empty() {
            return Admission::NeedFacts(needs);
        }
        match self.decide(subject, snapshot, peer, request) {
            Ok(admitted) => Admission::Admitted(admitted),
            Err(refused) => Admission::Refused(refused),
        }
    }

    fn facts_for(
        &self,
        subject: &Subject<'_, '_>,
        snapshot: &Snapshot,
        peer: &Peer,
        request: &Request,
    ) -> Needs {
        match subject {
            Subject::Oneself => return Needs::ALL.without(peer.asked()).first(),
            Subject::Unknown => return Needs::NONE,
            _ => {}
        }
        // Audit records name the unit.
        let of_audit = match self.audit.is_on() {
            true => Needs::UNITS,
            false => Needs::NONE,
        };
        let of_metrics = match subject {
            Subject::Metrics => self.metrics.needs(),
            _ => Needs::NONE,
        };
        let first = (of_audit | of_metrics).without(peer.asked()).first();
        if !first.is_empty() {
            return first;
        }
        let Some((permission, other)) = permissions(request) else {
            return Needs::NONE;
        };
        let wanted = Permissions::of(&[permission, other.unwrap_or(permission)]);
        match subject {
            Subject::Daemon(..) | Subject::Metrics => snapshot.lacks_for_daemon(peer, wanted),
            Subject::Account(_, found, _) => snapshot.lacks(peer, *found, wanted),
            _ => snapshot.lacks(peer, None, wanted),
        }
    }

    pub(super) fn decide<'s>(
        &self,
        subject: Subject<'_, 's>,
        snapshot: &'s Arc<Snapshot>,
        peer: &Peer,
        request: &Request,
    ) -> Result<Admitted<'s>, Refused> {
        let by_rule = |permission, what| match snapshot.administers(peer, permission) {
            Ok(rule) => Ok(Admitted::by(snapshot, permission, rule)),
            Err(unread) => Err(Refused {
                fault: not_admin(peer, what, unread),
                is_stranger: false,
            }),
        };
        let mut admitted = match subject {
            Subject::Account(name, found, permission) => {
                admit_to(snapshot, peer, name, found, permission)
            }
            Subject::Daemon(permission, what) => by_rule(permission, what),
            Subject::Metrics if self.metrics.allows(peer) => Ok(Admitted::without_rule(snapshot)),
            Subject::Metrics => by_rule(Permission::Status, "read metrics"),
            Subject::View | Subject::Oneself | Subject::Unknown => {
                Ok(Admitted::without_rule(snapshot))
            }
        }?;
        if matches!(request, Request::Diagnose { .. }) {
            let may_reload = snapshot.administers(peer, Permission::Reload);
            admitted.rules.mistakes = may_reload.is_ok();
        }
        Ok(admitted)
    }
}

/// Decides whether the peer has this permission on the account, and whether it may have the resulting token. An unknown account takes the
/// same work as an account of another user.
fn admit_to<'s>(
    snapshot: &'s Arc<Snapshot>,
    peer: &Peer,
    name: &AccountName,
    found: Option<Found<'s>>,
    permission: Permission,
) -> Result<Admitted<'s>, Refused> {
    let Some(Found { served, exists }) = found else {
        // No account is configured at all.
        let as_administrator = snapshot.as_administrator(peer);
        return admit_to_none(snapshot, peer, name, permission, as_administrator);
    };
    let unread = match snapshot.grants(peer, served, permission) {
        Ok(rule) if exists => return Ok(Admitted::to(snapshot, peer, served, permission, rule)),
        Ok(_) => Needs::NONE,
        Err(unread) => unread,
    };
    let as_administrator = black_box(snapshot.as_administrator(peer));
    let knows = black_box(Snapshot::knows(peer, served, as_administrator));
    if !exists {
        return admit_to_none(snapshot, peer, name, permission, as_administrator);
    }
    Err(Refused {
        fault: denied(snapshot, peer, served, permission, (knows, unread)),
        is_stranger: !knows,
    })
}

/// Decides about an account that does not exist: records under its name can still be forgotten. Asks the policy again only for a peer with
/// that permission.
fn admit_to_none<'s>(
    snapshot: &'s Arc<Snapshot>,
    peer: &Peer,
    name: &AccountName,
    permission: Permission,
    as_administrator: Permissions,
) -> Result<Admitted<'s>, Refused> {
    if permission == Permission::Forget
        && as_administrator.has(permission)
        && let Ok(rule) = snapshot.administers(peer, permission)
    {
        return Ok(Admitted::by(snapshot, permission, rule));
    }
    Err(Refused {
        fault: unknown(snapshot, peer, name, as_administrator),
        is_stranger: true,
    })
}

impl<'s> Admitted<'s> {
    /// Admits the peer to one account, and to its token if the peer may have that.
    fn to(
        snapshot: &'s Arc<Snapshot>,
        peer: &Peer,
        account: &'s Arc<ServedAccount>,
        permission: Permission,
        rule: Ruling,
    ) -> Self {
        let token = match permission {
            Permission::Get => Some(rule.clone()),
            Permission::Reject | Permission::Refresh => {
                snapshot.grants(peer, account, Permission::Get).ok()
            }
            _ => None,
        };
        let mut admitted = Self::by(snapshot, permission, rule);
        admitted.account = Some(account);
        admitted.rules.token = token;
        admitted
    }

    /// Admits the peer by a rule for administrators.
    fn by(snapshot: &'s Arc<Snapshot>, permission: Permission, rule: Ruling) -> Self {
        let mut admitted = Self::without_rule(snapshot);
        admitted.permission = Some(permission);
        admitted.rules.act = Some(rule);
        admitted
    }

    /// Admits the peer to a request that is open to all.
    fn without_rule(snapshot: &'s Arc<Snapshot>) -> Self {
        Self {
            snapshot,
            account: None,
            permission: None,
            rules: Rules::default(),
        }
    }

    /// The decision, for keeping while its answer is waited for.
    pub(super) fn carried(self) -> Carried {
        Carried {
            under: self.snapshot.number(),
            account: self.account.map(Arc::clone),
            permission: self.permission,
            rules: self.rules,
        }
    }
}

impl Carried {
    /// A decision that allowed nothing.
    pub(super) fn nothing(snapshot: &Snapshot) -> Self {
        Self {
            under: snapshot.number(),
            account: None,
            permission: None,
            rules: Rules::default(),
        }
    }

    /// The facts about the peer that are missing for a new decision under another configuration.
    pub(super) fn lacks(&self, snapshot: &Snapshot, peer: &Peer) -> Needs {
        let (Some(served), Some(permission)) = (&self.account, self.permission) else {
            return Needs::NONE;
        };
        let wanted = Permissions::of(&[permission, Permission::Get]);
        snapshot.lacks(peer, snapshot.find(&served.account.name), wanted)
    }

    /// Decides again, under another configuration. `None` for what names no account.
    pub(super) fn again<'s>(
        &self,
        snapshot: &'s Arc<Snapshot>,
        peer: &Peer,
    ) -> Option<Result<Admitted<'s>, Refused>> {
        let (served, permission) = (self.account.as_ref()?, self.permission?);
        let name = &served.account.name;
        let found = snapshot.find(name);
        Some(admit_to(snapshot, peer, name, found, permission))
    }
}
