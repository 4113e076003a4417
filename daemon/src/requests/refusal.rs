//! The answers to a peer whose request is refused, or cannot be answered now.
//!
//! Owns these sentences. A peer without any permission on an account gets the same words, with the same code, as for an unknown account.
//! Must never decide.

use std::fmt::Write as _;

use tokend_document::nearest;
use tokend_policy::{Needs, Peer, Permission, Permissions};
use tokend_proto::{AccountName, Fault, FaultCode};

use crate::broker::registry::{ServedAccount, Snapshot};

/// With any of these permissions a peer knows that an account exists.
const ANY: Permissions = Permissions::OF_AN_ACCOUNT;

/// The peer may not do this with the account. `knows` is whether it has any permission on it.
pub(super) fn denied(
    snapshot: &Snapshot,
    peer: &Peer,
    served: &ServedAccount,
    permission: Permission,
    (knows, unread): (bool, Needs),
) -> Box<Fault> {
    let account = &served.account.name;
    if !knows {
        return not_allowed(peer, account, snapshot.needs());
    }
    let what = match permission {
        Permission::Get => return not_this(peer, account, (permission, "have the token"), unread),
        Permission::Status => {
            return not_this(peer, account, (permission, "see the status"), unread);
        }
        Permission::Reject => {
            return not_this(peer, account, (permission, "report a token"), unread);
        }
        Permission::Login => "enter a credential for",
        other => other.as_str(),
    };
    not_admin(peer, &format!("{what} account {account}"), unread)
}

/// A peer without any permission on an account gets the same answer as for an unknown account.
fn not_allowed(peer: &Peer, account: &AccountName, needed: Needs) -> Box<Fault> {
    tracing::warn!(account = %account, peer = %peer, "denied: no rule allows this peer an account of that name");
    let mut message = format!(
        "there is no account {account} that you may use (user {}, group {})",
        peer.uid, peer.gid
    );
    say_unread(&mut message, peer, needed);
    Box::new(Fault::new(FaultCode::NotAllowed, message).advise(format!(
        "`tokenctl list` shows the accounts you may use; for another one ask the administrator of tokend to add a rule that matches you to \
         `allow` of [account.{}], for example {{ user = {} }}, and to reload; `tokenctl whoami` shows what rules can match",
        account.toml_key(), peer.uid
    )))
}

/// The text before that answer, if a name the peer may see is like the requested one.
pub(super) fn suggest(fault: &mut Fault, snapshot: &Snapshot, peer: &Peer, account: &AccountName) {
    let visible = snapshot.visible(peer);
    let near = nearest(account.as_str(), &visible.near(snapshot, account)).map(str::to_owned);
    if let (Some(name), Some(advice)) = (near, &mut fault.advice) {
        *advice = format!("did you mean {name}? {advice}");
    }
}

fn not_this(
    peer: &Peer,
    account: &AccountName,
    (permission, what): (Permission, &str),
    unread: Needs,
) -> Box<Fault> {
    tracing::warn!(account = %account, peer = %peer, unread = %unread, "denied: no rule gives this peer {permission}");
    let mut message = format!(
        "you may not {what} of account {account} (user {}, group {})",
        peer.uid, peer.gid
    );
    say_unread(&mut message, peer, unread);
    Box::new(Fault::new(FaultCode::NotAllowed, message).advise(format!(
        "ask the administrator of tokend to add a rule that matches you and gives \"{permission}\" to `allow` of [account.{}], for example \
         {{ user = {} }}, and to reload; a rule of `admin` cannot give it",
        account.toml_key(), peer.uid
    )))
}

/// The peer may not do `what`, which needs an administrator.
pub(super) fn not_admin(peer: &Peer, what: &str, unread: Needs) -> Box<Fault> {
    tracing::warn!(peer = %peer, unread = %unread, "denied: not an administrator: {what}");
    let mut message = format!("user {} may not {what}", peer.uid);
    say_unread(&mut message, peer, unread);
    Box::new(Fault::new(FaultCode::NotAllowed, message).advise(
        "do it as the user tokend runs as, or have a rule that matches you added to `admin` in its configuration",
    ))
}

/// Says which needed fact could not be read. Names no rule, and not the value a rule expects.
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

/// No such account. Only a peer with a permission on every account is told so.
pub(super) fn unknown(
    snapshot: &Snapshot,
    peer: &Peer,
    account: &AccountName,
    as_administrator: Permissions,
) -> Box<Fault> {
    if !as_administrator.has_any(ANY) {
        return not_allowed(peer, account, snapshot.needs());
    }
    let message = format!("there is no account {account}");
    let fault = Fault::new(FaultCode::UnknownAccount, message);
    Box::new(fault.advise("`tokenctl list` shows the accounts you may use"))
}

pub(super) fn not_forgotten(account: &AccountName, why: &str) -> Fault {
    let message = format!("not everything stored for account {account} could be removed: {why}");
    Fault::new(FaultCode::StoreUnavailable, message)
        .advise("check the daemon's log, and repeat this once the store can be written")
}

pub(super) fn brought_back(account: &AccountName) -> Fault {
    let message = format!(
        "the configuration of account {account} was changed meanwhile, and what is stored for it as it is now was not removed"
    );
    Fault::new(FaultCode::TooBusy, message).retry_after(1_000)
}

pub(super) fn gone() -> Fault {
    Fault::new(FaultCode::Draining, "the daemon is stopping")
        .advise("try again once it is back")
        .retry_after(1_000)
}

pub(super) fn overtaken() -> Fault {
    let message = "the configuration was changed before this had its turn; nothing was done";
    Fault::new(FaultCode::TooBusy, message).retry_after(1_000)
}

pub(super) fn nameless() -> Fault {
    let message = "the service that knows names of users and groups does not answer";
    Fault::new(FaultCode::TooBusy, message)
        .advise("repair that service")
        .retry_after(5_000)
}

pub(super) fn crowded(uid: u32) -> Fault {
    let message = format!("too many processes of user {uid} wait to be identified");
    Fault::new(FaultCode::TooBusy, message).retry_after(1_000)
}
