//! What the daemon sees of a caller.

use serde::Serialize;
use tokend_proto::{Id, Seen, Whoami};

/// The answer as something to serialize. A fact that could not be read is null, and `unread` has the reason. `daemon` is who
/// answered, where that is known.
pub fn whoami<'d, D: Serialize>(who: &Whoami, daemon: Option<&'d D>) -> WhoamiJson<'d, D> {
    let groups = who.groups.as_ref().ok();
    let user_unit = who.user_unit.as_ref().ok().and_then(Option::as_ref);
    let namespaces = who.namespaces.as_ref().ok();
    let executable = who.executable.as_ref().ok();
    WhoamiJson {
        uid: who.user.id,
        user: who.user.name.clone(),
        gid: who.group.id,
        group: who.group.name.clone(),
        pid: (who.pid != 0).then_some(who.pid),
        groups: groups.map(|groups| groups.iter().map(Named::from).collect()),
        more_groups: who.more_groups,
        unit: who.unit.clone().ok().flatten(),
        user_unit: user_unit.map(|unit| unit.unit.clone()),
        user_unit_owner: user_unit.map(|unit| unit.owner),
        executable: executable.map(|executable| executable.path.clone()),
        executable_is_there: executable.map(|executable| executable.is_there),
        sha256: who.sha256.clone().ok(),
        nested_pid_namespace: namespaces.and_then(|namespaces| namespaces.nested_pid),
        other_user_namespace: namespaces.and_then(|namespaces| namespaces.other_user),
        unread: unread(who)
            .into_iter()
            .map(|(what, why)| Unread {
                what,
                why: why.to_owned(),
            })
            .collect(),
        administrator: who.administrator.clone(),
        may: who
            .accounts
            .iter()
            .map(|may| May {
                permission: may.permission.clone(),
                accounts: may.accounts,
            })
            .collect(),
        daemon,
    }
}

/// What the daemon sees of a caller.
#[derive(Serialize)]
pub struct WhoamiJson<'d, D> {
    uid: u32,
    user: Option<String>,
    gid: u32,
    group: Option<String>,
    pid: Option<u32>,
    groups: Option<Vec<Named>>,
    more_groups: u32,
    unit: Option<String>,
    user_unit: Option<String>,
    user_unit_owner: Option<u32>,
    executable: Option<String>,
    executable_is_there: Option<bool>,
    sha256: Option<String>,
    nested_pid_namespace: Option<bool>,
    other_user_namespace: Option<bool>,
    unread: Vec<Unread>,
    administrator: Vec<String>,
    may: Vec<May>,
    #[serde(skip_serializing_if = "Option::is_none")]
    daemon: Option<&'d D>,
}

#[derive(Serialize)]
struct Named {
    gid: u32,
    group: Option<String>,
}

#[derive(Serialize)]
struct Unread {
    what: &'static str,
    why: String,
}

#[derive(Serialize)]
struct May {
    permission: String,
    accounts: u32,
}

impl From<&Id> for Named {
    fn from(group: &Id) -> Self {
        Self {
            gid: group.id,
            group: group.name.clone(),
        }
    }
}

fn unread(who: &Whoami) -> Vec<(&'static str, &str)> {
    let whys = [
        ("groups", why(&who.groups)),
        ("unit", why(&who.unit)),
        ("user_unit", why(&who.user_unit)),
        ("executable", why(&who.executable)),
        ("sha256", why(&who.sha256)),
        ("namespaces", why(&who.namespaces)),
    ];
    let read = |(what, why): (_, Option<_>)| Some((what, why?));
    whys.into_iter().filter_map(read).collect()
}

fn why<T>(seen: &Seen<T>) -> Option<&str> {
    seen.as_ref().err().map(String::as_str)
}
