//! Who may ask about which account, and what is said to whoever may not.
//!
//! Owns the refusals of the desk. Whoever may see no account at all does not learn which names exist.

use std::fmt::Write as _;

use tokend_config::nearest;
use tokend_policy::{Decision, Needs, Peer, Permission, Permissions};
use tokend_proto::{AccountName, Fault, FaultCode};

use crate::registry::{Epoch, Slot};

/// How many names are looked through for the one that was meant.
const NEAREST_OF: usize = 2_000;

/// Whoever has any of these knows of an account.
pub(super) const ANY: Permissions = Permissions::OF_AN_ACCOUNT;

/// The account, if the peer may do this with it.
pub(super) fn allowed<'a>(
    epoch: &'a Epoch,
    peer: &Peer,
    account: &AccountName,
    permission: Permission,
) -> Result<&'a Slot, Box<Fault>> {
    let Some(slot) = epoch.slot(account) else {
        return Err(unknown(epoch, peer, account));
    };
    match epoch.decide(peer, slot, permission) {
        Decision::Allowed(_) => Ok(slot),
        Decision::Denied(unread) => Err(denied(epoch, peer, slot, permission, unread)),
    }
}

/// Whether the peer may do `what`, which is no single account's.
pub(super) fn administrator(
    epoch: &Epoch,
    peer: &Peer,
    permission: Permission,
    what: &str,
) -> Result<(), Box<Fault>> {
    match epoch.administers(peer, permission) {
        Decision::Allowed(_) => Ok(()),
        Decision::Denied(unread) => Err(not_admin(peer, what, unread)),
    }
}

fn denied(
    epoch: &Epoch,
    peer: &Peer,
    slot: &Slot,
    permission: Permission,
    unread: Needs,
) -> Box<Fault> {
    let account = &slot.account.name;
    if !epoch.knows(peer, slot) {
        return not_allowed(peer, account, epoch.needs());
    }
    match permission {
        Permission::Get | Permission::Status | Permission::Reject => {
            not_this(peer, account, permission, unread)
        }
        Permission::Refresh | Permission::Login | Permission::Forget | Permission::Reload => {
            let what = match permission {
                Permission::Login => "enter a credential for",
                other => other.as_str(),
            };
            not_admin(peer, &format!("{what} account {account}"), unread)
        }
    }
}

/// Whoever may do nothing with an account learns as much of it as of one that does not exist.
fn not_allowed(peer: &Peer, account: &AccountName, needed: Needs) -> Box<Fault> {
    tracing::warn!(account = %account, peer = %peer, "denied: no rule allows this peer");
    let mut message = format!(
        "account {account} is not for you (user {}, group {})",
        peer.uid, peer.gid
    );
    say_unread(&mut message, peer, needed);
    Box::new(Fault::new(FaultCode::NotAllowed, message).advise(format!(
        "ask whoever runs tokend to add a rule that matches you to `allow` of [account.{account}], for example {{ user = {} }}, and to reload; \
         `tokenctl whoami` shows what rules can go by",
        peer.uid
    )))
}

fn not_this(
    peer: &Peer,
    account: &AccountName,
    permission: Permission,
    unread: Needs,
) -> Box<Fault> {
    tracing::warn!(account = %account, peer = %peer, unread = %unread, "denied: no rule gives this peer {permission}");
    let what = match permission {
        Permission::Get => "have the token",
        Permission::Status => "see the status",
        _ => "report a token",
    };
    let mut message = format!(
        "you may not {what} of account {account} (user {}, group {})",
        peer.uid, peer.gid
    );
    say_unread(&mut message, peer, unread);
    Box::new(Fault::new(FaultCode::NotAllowed, message).advise(format!(
        "ask whoever runs tokend to add \"{permission}\" to `may` of a rule that matches you, and to reload"
    )))
}

fn not_admin(peer: &Peer, what: &str, unread: Needs) -> Box<Fault> {
    tracing::warn!(peer = %peer, unread = %unread, "denied: not an administrator: {what}");
    let mut message = format!("user {} may not {what}", peer.uid);
    say_unread(&mut message, peer, unread);
    Box::new(Fault::new(FaultCode::NotAllowed, message).advise(
        "do it as the user tokend runs as, or have a rule that matches you added to `admin` in its configuration",
    ))
}

/// Says what could not be read of what is needed. Not by which rule, and not what it wanted.
fn say_unread(message: &mut String, peer: &Peer, needed: Needs) {
    let facts = peer.facts();
    let whys = [
        (Needs::GROUPS, facts.groups.why_unread()),
        (Needs::UNITS, facts.units.why_unread()),
        (Needs::EXECUTABLE, facts.executable.why_unread()),
        (Needs::SHA256, facts.sha256.why_unread()),
    ];
    for (need, why) in whys {
        if let Some(why) = why
            && needed.has(need)
        {
            // Writing to a string cannot fail.
            let _written = write!(message, "; your {need} could not be read: {why}");
        }
    }
}

/// No such account. Whoever may see no account at all is not told which names exist.
pub(super) fn unknown(epoch: &Epoch, peer: &Peer, account: &AccountName) -> Box<Fault> {
    let mut visible = epoch.visible(peer, ANY, None).peekable();
    if visible.peek().is_none() && !epoch.as_administrator(peer).has_any(ANY) {
        return not_allowed(peer, account, epoch.needs());
    }
    let names: Vec<_> = visible
        .take(NEAREST_OF)
        .map(|slot| slot.account.name.as_str())
        .collect();
    let advice = match nearest(account.as_str(), &names) {
        Some(name) => {
            format!("did you mean {name}? `tokenctl list` shows the accounts you may use")
        }
        None => "`tokenctl list` shows the accounts you may use".to_owned(),
    };
    Box::new(
        Fault::new(
            FaultCode::UnknownAccount,
            format!("there is no account {account}"),
        )
        .advise(advice),
    )
}

pub(super) fn not_forgotten(account: &AccountName, why: &str) -> Fault {
    Fault::new(
        FaultCode::StoreUnavailable,
        format!("not everything stored for account {account} could be removed: {why}"),
    )
    .advise("look into the daemon's log, and do it again when the store can be written")
}

pub(super) fn gone() -> Fault {
    Fault::new(FaultCode::Draining, "the daemon is stopping")
        .advise("try again once it is back")
        .retry_after(1_000)
}
