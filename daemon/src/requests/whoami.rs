//! The facts about a peer, for that peer.
//!
//! Owns the translation of facts into the answer to `whoami`. The answer has the facts that rules can use and the number of permissions,
//! and nothing of the rules.

use std::sync::Arc;

use tokend_peer::{PATIENCE, Turn};
use tokend_policy::{Directory, Fact, Peer, Permission, Permissions};
use tokend_proto::{Executable, Id, Namespaces, Permitted, Response, Seen, UserUnit, Whoami};
use tokio::time::timeout;

use super::done::{Done, to_the_end};
use super::parts::Requests;
use super::refusal::{crowded, gone, nameless};
use crate::broker::registry::Snapshot;

/// The number of groups in an answer. A frame has room for all of these with the longest names there are.
const MOST_GROUPS: usize = 256;

impl Requests {
    pub(super) fn whoami(&self, snapshot: &Arc<Snapshot>, peer: &Peer) -> Done {
        let (peer, snapshot) = (peer.clone(), Arc::clone(snapshot));
        let turns = self.facts.names.clone();
        // Names of users may come from a server, which may not answer.
        to_the_end(async move {
            let Ok(Ok(Turn { common, own })) = timeout(PATIENCE, turns.take(peer.uid)).await else {
                return Response::Fault(crowded(peer.uid));
            };
            let answer = tokio::task::spawn_blocking(move || {
                let answer = answer(&peer, &snapshot);
                drop(own);
                answer
            });
            let answer = timeout(PATIENCE, answer).await;
            // A lookup that hangs blocks its own user's turn only.
            drop(common);
            match answer {
                Ok(answer) => answer.unwrap_or_else(|_| Response::Fault(gone())),
                Err(_) => Response::Fault(nameless()),
            }
        })
    }
}

/// The answer. Looks names up, which may wait for a directory server, so it must not run on the runtime's threads.
fn answer(peer: &Peer, snapshot: &Arc<Snapshot>) -> Response {
    let (facts, visible) = (peer.facts(), snapshot.visible(peer));
    let groups = seen(&facts.groups, |groups| {
        groups
            .iter()
            .take(MOST_GROUPS)
            .map(|gid| group(*gid))
            .collect()
    });
    let more = facts
        .groups
        .known()
        .map_or(0, |groups| groups.len().saturating_sub(MOST_GROUPS));
    let for_accounts = Permissions::OF_AN_ACCOUNT.iter().filter_map(|permission| {
        let accounts = u32::try_from(visible.count_of(permission)).unwrap_or(u32::MAX);
        (accounts > 0).then(|| Permitted {
            permission: permission.to_string(),
            accounts,
        })
    });
    Response::Whoami(Box::new(Whoami {
        user: Id {
            id: peer.uid,
            name: Directory::name_of_user(peer.uid),
        },
        group: group(peer.gid),
        pid: peer.pid,
        groups,
        more_groups: u32::try_from(more).unwrap_or(u32::MAX),
        unit: seen(&facts.units, |units| {
            units.system.as_deref().map(str::to_owned)
        }),
        user_unit: seen(&facts.units, |units| {
            units.user.as_ref().map(|unit| UserUnit {
                owner: unit.owner,
                unit: unit.name.as_ref().to_owned(),
            })
        }),
        executable: seen(&facts.executable, |executable| Executable {
            path: executable.path.display().to_string(),
            is_there: executable.is_there,
        }),
        sha256: seen(&facts.sha256, ToString::to_string),
        namespaces: seen(&facts.namespaces, |namespaces| Namespaces {
            nested_pid: namespaces.nested_pid,
            other_user: namespaces.other_user,
        }),
        administrator: snapshot
            .as_administrator(peer)
            .iter()
            .map(Permission::as_str)
            .map(str::to_owned)
            .collect(),
        accounts: for_accounts.collect(),
    }))
}

fn group(gid: u32) -> Id {
    Id {
        id: gid,
        name: Directory::name_of_group(gid),
    }
}

fn seen<T, U>(fact: &Fact<T>, convert: impl FnOnce(&T) -> U) -> Seen<U> {
    match fact {
        Fact::Known(value) => Ok(convert(value)),
        Fact::Unread(why) => Err(why.to_string()),
        Fact::Unasked => Err("nobody asked".to_owned()),
    }
}
