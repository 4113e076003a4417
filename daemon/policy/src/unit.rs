//! Names of systemd units, and how a control group shows which units a process is in.
//!
//! Pure. The kernel says which control group a process is in; every user that may make groups there chooses
//! their names. Only the outermost unit counts: a unit with a delegated subtree may make groups of any name
//! below itself.

use std::fmt;

use crate::facts::{Units, UserUnit};

/// The kinds of units processes are in.
const SUFFIXES: [&str; 2] = [".service", ".scope"];

/// The longest name of a unit (systemd's UNIT_NAME_MAX).
const LONGEST: usize = 255;

/// A unit, or all instances of a template: `backup.service`, `backup@daily.service`, `backup@.service`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnitPattern {
    name: Box<str>,
    /// The position of a template's instance.
    instance_at: Option<usize>,
}

/// Why a text names no unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitError {
    /// It does not end like a unit that has processes.
    Suffix,
    /// It is too short, too long, or has characters no unit's name has.
    Characters,
}

impl UnitPattern {
    /// The pattern for a name as it is configured.
    ///
    /// # Errors
    /// Why it names no unit.
    pub fn new(name: &str) -> Result<Self, UnitError> {
        if !SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
            return Err(UnitError::Suffix);
        }
        if !is_unit(name) {
            return Err(UnitError::Characters);
        }
        let template = name
            .split_once('@')
            .filter(|(_, after)| SUFFIXES.contains(after));
        Ok(Self {
            name: name.into(),
            instance_at: template.map(|(prefix, _)| prefix.len() + 1),
        })
    }

    /// Whether `unit` is this unit, or an instance of this template.
    pub fn matches(&self, unit: &str) -> bool {
        let Some((prefix, suffix)) = self
            .instance_at
            .and_then(|at| self.name.split_at_checked(at))
        else {
            return *self.name == *unit;
        };
        unit.strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(suffix))
            .is_some_and(|instance| !instance.is_empty())
    }
}

impl fmt::Display for UnitPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The units of a process, read from its control group as the kernel shows it: the text of `/proc/PID/cgroup`
/// (cgroups(7)).
///
/// Only the unified hierarchy (version 2) counts, since older ones can be handed to users as a whole. The path
/// is followed through slices, which only the system's manager makes; the first group that is not a slice is
/// the unit; if it is not a unit's name, there is no unit. Below `user@UID.service` the same is done once more
/// for the user's own manager, where that user chooses the names.
///
/// # Errors
/// A lower-case fragment that says why nothing is known.
pub fn units(cgroup: &str) -> Result<Units, &'static str> {
    let mut unified = cgroup.lines().filter_map(|line| line.strip_prefix("0::"));
    let path = match (unified.next(), unified.next()) {
        (Some(path), None) => path,
        (None, _) => return Err("this system has no unified control groups (version 2)"),
        (Some(_), Some(_)) => return Err("the kernel names two control groups"),
    };
    let Some(path) = path.strip_prefix('/') else {
        return Err("the kernel names no control group");
    };
    if path.split('/').any(|group| group == "..") {
        return Err("its control group lies outside of the daemon's own cgroup namespace");
    }
    let (system, below) = outermost(path);
    let owner = system.and_then(manager_of);
    let user = owner.and_then(|owner| {
        let (name, _) = outermost(below);
        Some(UserUnit {
            owner,
            name: name?.into(),
        })
    });
    Ok(Units {
        system: system.map(Box::from),
        user,
    })
}

/// The first unit below slices, and the path below it.
fn outermost(mut path: &str) -> (Option<&str>, &str) {
    loop {
        let (group, below) = path.split_once('/').unwrap_or((path, ""));
        let name = unescaped(group);
        if !name.ends_with(".slice") {
            return (Some(name).filter(|name| is_unit(name)), below);
        }
        path = below;
    }
}

/// systemd puts `_` in front of names that would collide with files of the kernel.
fn unescaped(group: &str) -> &str {
    group.strip_prefix('_').unwrap_or(group)
}

/// Whose manager `user@UID.service` is.
fn manager_of(unit: &str) -> Option<u32> {
    let uid = unit.strip_prefix("user@")?.strip_suffix(".service")?;
    let digits = !uid.is_empty() && uid.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| uid.parse().ok()).flatten()
}

fn is_unit(name: &str) -> bool {
    let Some(prefix) = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)) else {
        return false;
    };
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b":-_.\\@".contains(&c);
    !prefix.is_empty()
        && name.len() <= LONGEST
        && !prefix.starts_with('@')
        && prefix.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(path: &str) -> (Option<String>, Option<(u32, String)>) {
        let units = units(&format!("0::{path}\n")).unwrap();
        (
            units.system.map(String::from),
            units.user.map(|user| (user.owner, user.name.into())),
        )
    }

    fn system(path: &str) -> Option<String> {
        let (system, user) = of(path);
        assert_eq!(user, None, "{path}");
        system
    }

    #[test]
    fn system_units() {
        for (path, unit) in [
            ("/system.slice/nginx.service", "nginx.service"),
            (
                "/system.slice/system-getty.slice/getty@tty1.service",
                "getty@tty1.service",
            ),
            ("/init.scope", "init.scope"),
            (
                "/user.slice/user-1000.slice/session-3.scope",
                "session-3.scope",
            ),
            (
                "/machine.slice/libpod-12ab.scope/container",
                "libpod-12ab.scope",
            ),
            ("/a.service/b.service", "a.service"),
            (
                r"/system.slice/dev-disk\x2dx.service",
                r"dev-disk\x2dx.service",
            ),
            ("/system.slice/_cpu.service", "cpu.service"),
            ("/system.slice/__x.service", "_x.service"),
        ] {
            assert_eq!(system(path).as_deref(), Some(unit), "{path}");
        }
    }

    #[test]
    fn what_is_no_unit() {
        for path in [
            "/",
            "/system.slice",
            "/docker/12ab",
            "/docker/12ab/backup.service",
            "/system.slice/a.service (deleted)",
            "/system.slice/a b.service",
            "/system.slice/.service",
            "/system.slice/@.service",
            "/system.slice/dev-sda.swap",
            "/system.slice//backup.service",
            "/system.slice/a.service\u{fffd}",
            "/lxc.payload.x/system.slice/backup.service",
        ] {
            assert_eq!(system(path), None, "{path}");
        }
        let long = format!("/system.slice/{}.service", "a".repeat(248));
        assert_eq!(system(&long), None);
    }

    #[test]
    fn user_units() {
        let manager = "/user.slice/user-1000.slice/user@1000.service";
        for (below, unit) in [
            ("/app.slice/backup.service", Some("backup.service")),
            (
                "/app.slice/app-x.slice/x@1.service/y.service",
                Some("x@1.service"),
            ),
            ("/init.scope", Some("init.scope")),
            ("/session.slice/dbus.service", Some("dbus.service")),
            ("/app.slice/backup", None),
            ("/nonsense/backup.service", None),
            ("/app.slice", None),
            ("", None),
        ] {
            let (system, user) = of(&format!("{manager}{below}"));
            assert_eq!(system.as_deref(), Some("user@1000.service"), "{below}");
            assert_eq!(user, unit.map(|unit| (1000, unit.to_owned())), "{below}");
        }
    }

    #[test]
    fn a_user_cannot_make_a_system_unit_below_their_own_manager() {
        for escape in [
            "/system.slice/backup.service",
            "/../../../system.slice/backup.service",
            "/app.slice/user@0.service/backup.service",
            "/x/system.slice/backup.service",
            "/system.slice/backup.service/0::",
        ] {
            let path = format!("0::/user.slice/user-1000.slice/user@1000.service{escape}\n");
            if let Ok(units) = units(&path) {
                assert_eq!(
                    units.system.as_deref(),
                    Some("user@1000.service"),
                    "{escape}"
                );
                assert!(units.user.is_none_or(|user| user.owner == 1000), "{escape}");
            }
        }
    }

    #[test]
    fn a_manager_is_named_by_a_number() {
        for name in [
            "user@.service",
            "user@root.service",
            "user@-1.service",
            "user@+1.service",
            "user@4294967296.service",
            "user@1000.scope",
            "xuser@1.service",
        ] {
            assert_eq!(
                of(&format!("/user.slice/{name}/a.service")).1,
                None,
                "{name}"
            );
        }
    }

    #[test]
    fn other_hierarchies_do_not_count() {
        let hybrid = "9:name=systemd:/system.slice/a.service\n4:memory:/b.service\n0::/system.slice/c.service\n";
        assert_eq!(units(hybrid).unwrap().system.as_deref(), Some("c.service"));
        let hybrid = "9:name=systemd:/system.slice/a.service\n0::/\n";
        assert_eq!(units(hybrid).unwrap(), Units::default());
        for bad in [
            "",
            "9:name=systemd:/system.slice/a.service\n",
            "0::\n",
            "0::a.service\n",
            "0::/a.service\n0::/b.service\n",
            "0::/../a.service\n",
        ] {
            assert!(units(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn patterns() {
        let matches = |pattern: &str, unit: &str| UnitPattern::new(pattern).unwrap().matches(unit);
        assert!(matches("a.service", "a.service"));
        assert!(!matches("a.service", "a.scope"));
        assert!(matches("a@.service", "a@x.service"));
        assert!(matches("a@.service", "a@x@y.service"));
        assert!(!matches("a@.service", "a@.service"));
        assert!(!matches("a@.service", "ab@x.service"));
        assert!(matches("a@x.service", "a@x.service"));
        assert!(!matches("a@x.service", "a@y.service"));
        assert!(!matches("a.service", "x/a.service"));
        for (bad, why) in [
            ("", UnitError::Suffix),
            ("backup", UnitError::Suffix),
            ("backup.timer", UnitError::Suffix),
            (".service", UnitError::Characters),
            ("@x.service", UnitError::Characters),
            ("a b.service", UnitError::Characters),
            ("system.slice/a.service", UnitError::Characters),
            ("a*.service", UnitError::Characters),
        ] {
            assert_eq!(UnitPattern::new(bad), Err(why), "{bad}");
        }
    }

    proptest! {
        /// Whatever is below a unit, the unit is the outermost, and no name below it is ever taken for one of the system's.
        #[test]
        fn nothing_below_a_unit_changes_it(below in "[a-z@./_ :\\\\0-9]{0,60}", manager in any::<bool>()) {
            let base = if manager { "/user.slice/user-7.slice/user@7.service" } else { "/system.slice/a.service" };
            let expected = if manager { "user@7.service" } else { "a.service" };
            if let Ok(units) = units(&format!("0::{base}/{below}\n")) {
                prop_assert_eq!(units.system.as_deref(), Some(expected));
                prop_assert!(units.user.is_none_or(|user| manager && user.owner == 7));
            }
        }

        #[test]
        fn no_text_is_too_strange(text in any::<String>()) {
            let _either = units(&text);
            let _either = UnitPattern::new(&text);
        }
    }
}
