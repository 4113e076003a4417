//! Whether the process that connected may speak for the unit that it names.
//!
//! Owns that proof. The name in the address is chosen by whoever connects. What the kernel knows is the user and the control group of the
//! process, and systemd connects from a process that is already in the control group of the unit. So the unit of the control group is what
//! the policy sees, and the name has to agree with it. Who asks must be a manager of that unit: root for a unit of the system, or the
//! user for a unit of the user's own manager. The policy sees that user (0 for the system's manager, whatever `User=` the unit has).
//!
//! One case is left: `RefreshOnReload=` of systemd 260 and later connects from the control group of the manager itself, `init.scope`.
//! There the name decides alone, and the policy sees the named unit. This gives nothing away: only root can put a process into the
//! system's `init.scope`, and root can start a process in a unit of any name; and below `user@UID.service` it is that user who chooses
//! the names of all units. No other user can make either of them true.

use std::fmt;

use tokend_policy::{Fact, Facts, Peer, UnitPattern, Units, UserUnit};

/// The control group of a manager's own process.
const OF_THE_MANAGER: &str = "init.scope";

/// Why a process may not ask for credentials of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unproved {
    /// Its unit could not be read: a lower-case fragment.
    Unread(Box<str>),
    /// It is no manager of units.
    NoManager,
    /// It is in another unit, if it is in any.
    OtherUnit(Option<Box<str>>),
}

impl fmt::Display for Unproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread(why) => write!(f, "the unit of that process could not be read: {why}"),
            Self::NoManager => f.write_str("that process is not systemd"),
            Self::OtherUnit(Some(unit)) => write!(f, "that process is in {unit}"),
            Self::OtherUnit(None) => f.write_str("that process is in no unit"),
        }
    }
}

/// The peer as the policy may see it, if it may ask for credentials of this unit. Its units have to be read before.
///
/// # Errors
/// Why it may not.
pub fn proved(peer: Peer, unit: &str) -> Result<Peer, Unproved> {
    let units = match &peer.facts().units {
        Fact::Known(units) => units,
        Fact::Unread(why) => return Err(Unproved::Unread(why.clone())),
        Fact::Unasked => return Err(Unproved::Unread("nobody looked".into())),
    };
    let own = match &units.user {
        Some(user) if user.owner == peer.uid => Some(&user.name),
        None if peer.uid == 0 => units.system.as_ref(),
        _ => return Err(Unproved::NoManager),
    };
    match own {
        Some(own) if **own == *unit => Ok(peer),
        Some(own) if **own == *OF_THE_MANAGER && is_service(unit) => {
            let facts = Facts {
                units: Fact::Known(named(units, unit)),
                ..peer.facts().clone()
            };
            Ok(peer.with(facts))
        }
        own => Err(Unproved::OtherUnit(own.cloned())),
    }
}

/// The units of a process that the same manager has in this unit.
fn named(units: &Units, unit: &str) -> Units {
    match &units.user {
        Some(user) => Units {
            system: units.system.clone(),
            user: Some(UserUnit {
                owner: user.owner,
                name: unit.into(),
            }),
        },
        None => Units {
            system: Some(unit.into()),
            user: None,
        },
    }
}

/// Whether this is the name of one service, which is what is reloaded. `x@.service` is a template.
fn is_service(unit: &str) -> bool {
    unit.ends_with(".service") && !unit.ends_with("@.service") && UnitPattern::new(unit).is_ok()
}

#[cfg(test)]
mod tests {
    use tokend_policy::{Executable, units};

    use super::*;

    /// A process of this user in this control group.
    fn process(uid: u32, cgroup: &str) -> Peer {
        let facts = Facts {
            units: Fact::Known(units(&format!("0::{cgroup}\n")).unwrap()),
            ..Facts::default()
        };
        Peer::new(uid, uid, 7).with(facts)
    }

    fn seen(peer: Peer, unit: &str) -> Result<(Option<String>, Option<String>), Unproved> {
        let uid = peer.uid;
        let peer = proved(peer, unit)?;
        assert_eq!(peer.uid, uid);
        let text = |unit: Option<&str>| unit.map(str::to_owned);
        Ok((text(peer.unit()), text(peer.user_unit())))
    }

    fn other<T>(unit: &str) -> Result<T, Unproved> {
        Err(Unproved::OtherUnit(Some(unit.into())))
    }

    const DEMO: &str = "/system.slice/demo.service";
    const MANAGER: &str = "/user.slice/user-1000.slice/user@1000.service";

    #[test]
    fn the_systems_manager_asks_for_the_unit_it_starts() {
        let demo = Ok((Some("demo.service".to_owned()), None));
        assert_eq!(seen(process(0, DEMO), "demo.service"), demo);
        assert_eq!(
            seen(process(0, DEMO), "evil.service"),
            other("demo.service")
        );
        assert_eq!(
            seen(process(0, "/system.slice/evil.service"), "demo.service"),
            other("evil.service"),
            "root is not excepted"
        );
        // A delegated group of another unit's name.
        let below = "/system.slice/evil.service/demo.service";
        assert_eq!(
            seen(process(0, below), "demo.service"),
            other("evil.service")
        );
        let nowhere = Err(Unproved::OtherUnit(None));
        assert_eq!(seen(process(0, "/"), "demo.service"), nowhere);
    }

    #[test]
    fn nobody_else_speaks_for_a_unit_of_the_system() {
        for cgroup in [
            DEMO,
            "/init.scope",
            "/",
            "/user.slice/user-1000.slice/session-1.scope",
            MANAGER,
            &format!("{MANAGER}/nonsense/demo.service"),
        ] {
            let refused = seen(process(1000, cgroup), "demo.service");
            assert_eq!(refused, Err(Unproved::NoManager), "{cgroup}");
        }
        // A process of root that a user started, in the user's manager.
        let sudo = format!("{MANAGER}/app.slice/demo.service");
        assert_eq!(
            seen(process(0, &sudo), "demo.service"),
            Err(Unproved::NoManager)
        );
    }

    #[test]
    fn a_users_manager_asks_for_units_of_its_own() {
        let cgroup = format!("{MANAGER}/app.slice/demo.service");
        let demo = Ok((
            Some("user@1000.service".to_owned()),
            Some("demo.service".to_owned()),
        ));
        assert_eq!(seen(process(1000, &cgroup), "demo.service"), demo);
        assert_eq!(
            seen(process(1000, &cgroup), "x.service"),
            other("demo.service")
        );
        // Another user, in that control group.
        assert_eq!(
            seen(process(1001, &cgroup), "demo.service"),
            Err(Unproved::NoManager)
        );
        // Root's own manager.
        let own = "/user.slice/user-0.slice/user@0.service/app.slice/demo.service";
        let demo = Ok((
            Some("user@0.service".to_owned()),
            Some("demo.service".to_owned()),
        ));
        assert_eq!(seen(process(0, own), "demo.service"), demo);
        assert_eq!(
            seen(process(0, own), "user@0.service"),
            other("demo.service")
        );
    }

    #[test]
    fn a_manager_itself_names_the_service_it_reloads() {
        let demo = Ok((Some("demo.service".to_owned()), None));
        assert_eq!(seen(process(0, "/init.scope"), "demo.service"), demo);
        for unit in [
            "demo.socket",
            "demo@.service",
            "@x.service",
            ".service",
            "init",
        ] {
            assert_eq!(
                seen(process(0, "/init.scope"), unit),
                other("init.scope"),
                "{unit}"
            );
        }
        let own = format!("{MANAGER}/init.scope");
        let demo = Ok((
            Some("user@1000.service".to_owned()),
            Some("demo.service".to_owned()),
        ));
        assert_eq!(seen(process(1000, &own), "demo.service"), demo);
        assert_eq!(
            seen(process(0, &own), "demo.service"),
            Err(Unproved::NoManager)
        );
        assert_eq!(
            seen(process(1001, &own), "demo.service"),
            Err(Unproved::NoManager)
        );
        // The other facts stay.
        let before = process(0, "/init.scope");
        let executable = Fact::Known(Executable {
            path: std::path::Path::new("/usr/lib/systemd/systemd").into(),
            is_there: true,
        });
        let facts = Facts {
            executable,
            ..before.facts().clone()
        };
        let peer = proved(before.with(facts.clone()), "demo.service").unwrap();
        assert_eq!(peer.facts().executable, facts.executable);
    }

    #[test]
    fn what_could_not_be_read_proves_nothing() {
        let unasked = Peer::new(0, 0, 7);
        assert!(matches!(
            seen(unasked, "demo.service"),
            Err(Unproved::Unread(_))
        ));
        let facts = Facts {
            units: Fact::Unread("it has ended".into()),
            ..Facts::default()
        };
        let unread = seen(Peer::new(0, 0, 7).with(facts), "demo.service").unwrap_err();
        let text = "the unit of that process could not be read: it has ended";
        assert_eq!(unread.to_string(), text);
        for (why, text) in [
            (Unproved::NoManager, "that process is not systemd"),
            (
                Unproved::OtherUnit(Some("x.service".into())),
                "that process is in x.service",
            ),
            (Unproved::OtherUnit(None), "that process is in no unit"),
        ] {
            assert_eq!(why.to_string(), text);
        }
    }
}
