//! What the daemon sees of the caller, for people.
//!
//! Pure. Programs read the JSON of `tokend-json`.

use tokend_client::{Id, Namespaces, Seen, Whoami};

use crate::who_answered::Daemon;
use crate::words::plain;

pub(crate) use tokend_json::whoami as json;

/// The answer in lines for people.
pub(crate) fn detail(who: &Whoami, daemon: &Daemon) -> String {
    let lines = [
        ("daemon", daemon.to_string()),
        ("user", id(&who.user)),
        ("group", id(&who.group)),
        (
            "groups",
            seen_or(&who.groups, |groups| list(groups, who.more_groups)),
        ),
        (
            "pid",
            match who.pid {
                0 => "not shown in the daemon's PID namespace".to_owned(),
                pid => pid.to_string(),
            },
        ),
        ("unit", seen_or(&who.unit, |unit| none_or(unit.clone()))),
        (
            "user unit",
            seen_or(&who.user_unit, |unit| {
                none_or(unit.as_ref().map(|unit| match unit.owner == who.user.id {
                    true => unit.unit.clone(),
                    false => format!("{}, of user {}: no rule matches it", unit.unit, unit.owner),
                }))
            }),
        ),
        (
            "executable",
            seen_or(&who.executable, |executable| match executable.is_there {
                true => executable.path.clone(),
                false => format!(
                    "{}, which is not the file the daemon finds there: no rule by path matches it",
                    executable.path
                ),
            }),
        ),
        ("sha256", seen_or(&who.sha256, Clone::clone)),
        ("namespaces", seen_or(&who.namespaces, namespaces)),
        (
            "administrator",
            match who.administrator.is_empty() {
                true => "no".to_owned(),
                false => format!("yes: {}", who.administrator.join(", ")),
            },
        ),
        ("may", may(who)),
    ];
    lines
        .into_iter()
        .map(|(what, value)| format!("{what:<14} {}\n", plain(&value)))
        .collect()
}

fn namespaces(namespaces: &Namespaces) -> String {
    let mut other = Vec::new();
    if namespaces.nested_pid == Some(true) {
        other.push("a PID namespace below the daemon's");
    }
    if namespaces.other_user == Some(true) {
        other.push("a user namespace of its own");
    }
    match other.is_empty() {
        true => "the daemon's, as far as it sees".to_owned(),
        false => other.join(", "),
    }
}

/// What the caller may do, and with how many accounts.
fn may(who: &Whoami) -> String {
    let may = who.accounts.iter().map(|may| match may.accounts {
        1 => format!("{} 1 account", may.permission),
        count => format!("{} {count} accounts", may.permission),
    });
    let may: Vec<_> = may.collect();
    match may.is_empty() {
        true => "do nothing with any account".to_owned(),
        false => may.join(", "),
    }
}

fn seen_or<T>(seen: &Seen<T>, tell: impl FnOnce(&T) -> String) -> String {
    match seen {
        Ok(value) => tell(value),
        Err(why) => format!("not known: {why}"),
    }
}

fn none_or(value: Option<String>) -> String {
    value.unwrap_or_else(|| "none".to_owned())
}

fn id(id: &Id) -> String {
    match &id.name {
        Some(name) => format!("{name} ({})", id.id),
        None => id.id.to_string(),
    }
}

fn list(groups: &[Id], more: u32) -> String {
    if groups.is_empty() {
        return "none".to_owned();
    }
    let mut text = groups.iter().map(id).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use tokend_client::{Executable, Permitted, UserUnit};

    use super::*;

    fn who() -> Whoami {
        let named = |id, name: &str| Id {
            id,
            name: Some(name.to_owned()),
        };
        Whoami {
            user: named(1000, "deploy"),
            group: named(1000, "deploy"),
            pid: 4711,
            groups: Ok(vec![named(50, "ci"), Id { id: 51, name: None }]),
            more_groups: 0,
            unit: Ok(Some("backup.service".to_owned())),
            user_unit: Ok(None),
            executable: Ok(Executable {
                path: "/usr/bin/backup".to_owned(),
                is_there: true,
            }),
            sha256: Ok("e3b0".to_owned()),
            namespaces: Ok(Namespaces {
                nested_pid: Some(false),
                other_user: Some(false),
            }),
            administrator: Vec::new(),
            accounts: vec![Permitted {
                permission: "get".to_owned(),
                accounts: 2,
            }],
        }
    }

    #[test]
    fn people_read_lines() {
        let expected = "\
daemon         /run/tokend/tokend.sock, of root
user           deploy (1000)
group          deploy (1000)
groups         ci (50), 51
pid            4711
unit           backup.service
user unit      none
executable     /usr/bin/backup
sha256         e3b0
namespaces     the daemon's, as far as it sees
administrator  no
may            get 2 accounts
";
        assert_eq!(detail(&who(), &Daemon::example()), expected);
    }

    #[test]
    fn what_could_not_be_read_or_matches_no_rule_is_told() {
        let strange = Whoami {
            pid: 0,
            groups: Err("no /proc".to_owned()),
            more_groups: 3,
            user_unit: Ok(Some(UserUnit {
                owner: 7,
                unit: "a.service".to_owned(),
            })),
            executable: Ok(Executable {
                path: "/x\u{1b}[2J".to_owned(),
                is_there: false,
            }),
            sha256: Err("no permission".to_owned()),
            namespaces: Ok(Namespaces {
                nested_pid: Some(true),
                other_user: Some(true),
            }),
            administrator: vec!["status".to_owned(), "reload".to_owned()],
            accounts: Vec::new(),
            ..who()
        };
        let text = detail(&strange, &Daemon::example());
        for part in [
            "groups         not known: no /proc\n",
            "pid            not shown",
            "a.service, of user 7: no rule matches it",
            "which is not the file the daemon finds there",
            "sha256         not known: no permission\n",
            "a PID namespace below the daemon's, a user namespace of its own",
            "yes: status, reload",
            "do nothing with any account",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains('\u{1b}'), "{text:?}");
        let json = serde_json::to_value(json(&strange, Some(&Daemon::example()))).unwrap();
        assert_eq!(json["groups"], serde_json::Value::Null);
        assert_eq!(json["pid"], serde_json::Value::Null);
        assert_eq!(json["unread"][0]["what"], "groups");
        assert_eq!(json["unread"][1]["why"], "no permission");
        assert_eq!(json["user_unit_owner"], 7);
        assert_eq!(json["executable_is_there"], false);
    }

    #[test]
    fn programs_read_json() {
        let json = serde_json::to_value(json(&who(), Some(&Daemon::example()))).unwrap();
        assert_eq!(json["uid"], 1000);
        assert_eq!(json["groups"][1]["gid"], 51);
        assert_eq!(json["unit"], "backup.service");
        assert_eq!(json["may"][0]["accounts"], 2);
        assert_eq!(json["unread"].as_array().map(Vec::len), Some(0));
    }
}
