//! Who may ask about which account, and what is said to whoever may not.
//!
//! Owns the refusals of the desk. Whoever may see no account at all does not learn which names exist.

use tokend_config::nearest;
use tokend_policy::Peer;
use tokend_proto::{AccountName, Fault, FaultCode};

use crate::registry::{Epoch, Slot};

/// How many names are looked through for the one that was meant.
const NEAREST_OF: usize = 2_000;

/// The account, if the peer may have its token.
pub(super) fn served<'a>(
    epoch: &'a Epoch,
    peer: &Peer,
    account: &AccountName,
) -> Result<&'a Slot, Box<Fault>> {
    match epoch.slot(account) {
        Some(slot) if slot.allows(peer) => Ok(slot),
        Some(_) => Err(not_allowed(peer, account)),
        None => Err(unknown(epoch, peer, account)),
    }
}

/// The account, if the peer may see how it is.
pub(super) fn seen<'a>(
    epoch: &'a Epoch,
    peer: &Peer,
    account: &AccountName,
) -> Result<&'a Slot, Box<Fault>> {
    match epoch.slot(account) {
        Some(slot) if epoch.may_see(peer, slot) => Ok(slot),
        Some(_) => Err(not_allowed(peer, account)),
        None => Err(unknown(epoch, peer, account)),
    }
}

/// The account, if the peer may change it.
pub(super) fn administered<'a>(
    epoch: &'a Epoch,
    peer: &Peer,
    account: &AccountName,
) -> Result<&'a Slot, Box<Fault>> {
    let slot = seen(epoch, peer, account)?;
    if epoch.is_admin(peer) {
        return Ok(slot);
    }
    Err(not_admin(peer, &format!("change account {account}")))
}

fn not_allowed(peer: &Peer, account: &AccountName) -> Box<Fault> {
    tracing::warn!(account = %account, peer = %peer, "denied: no rule allows this peer");
    let message = format!(
        "account {account} is not for you (user {}, group {})",
        peer.uid, peer.gid
    );
    Box::new(Fault::new(FaultCode::NotAllowed, message).advise(format!(
        "ask whoever runs tokend to add a rule that matches you to `allow` of [account.{account}], for example {{ user = {} }}, and to reload",
        peer.uid
    )))
}

pub(super) fn not_admin(peer: &Peer, what: &str) -> Box<Fault> {
    tracing::warn!(peer = %peer, "denied: not an administrator: {what}");
    let message = format!("user {} may not {what}", peer.uid);
    Box::new(Fault::new(FaultCode::NotAllowed, message).advise(
        "do it as the user tokend runs as, or have a rule that matches you added to `admin` in its configuration",
    ))
}

/// No such account. Whoever may see no account at all is not told which names exist.
pub(super) fn unknown(epoch: &Epoch, peer: &Peer, account: &AccountName) -> Box<Fault> {
    let mut visible = epoch.visible(peer, None).peekable();
    if visible.peek().is_none() && !epoch.is_admin(peer) {
        return not_allowed(peer, account);
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
