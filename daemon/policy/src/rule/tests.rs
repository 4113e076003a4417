//! The policy table, combinations, and what holds for any rules and any peer.

use proptest::prelude::*;

use super::*;
use crate::facts::{Executable, Facts, Units, UserUnit};

fn known() -> Facts {
    Facts {
        groups: Fact::Known([50, 60].into()),
        units: Fact::Known(Units {
            system: Some("backup@daily.service".into()),
            user: None,
        }),
        executable: Fact::Known(Executable {
            path: Path::new("/usr/bin/backup").into(),
            is_there: true,
        }),
        sha256: Fact::Known(Digest([7; 32])),
        namespaces: Fact::Unasked,
    }
}

fn peer() -> Peer {
    Peer::new(10, 20, 30).with(known())
}

fn of_manager(uid: u32, owner: u32) -> Peer {
    Peer::new(uid, 20, 30).with(Facts {
        units: Fact::Known(Units {
            system: Some(format!("user@{owner}.service").into()),
            user: Some(UserUnit {
                owner,
                name: "backup.service".into(),
            }),
        }),
        ..known()
    })
}

fn rule(change: impl FnOnce(&mut Rule)) -> Rule {
    let mut rule = Rule {
        may: Permissions::USE,
        ..Rule::default()
    };
    change(&mut rule);
    rule
}

fn unit(name: &str) -> Option<UnitPattern> {
    Some(UnitPattern::new(name).unwrap())
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn each_condition() {
    let other = |path: &str, is_there| {
        peer().with(Facts {
            executable: Fact::Known(Executable {
                path: Path::new(path).into(),
                is_there,
            }),
            ..known()
        })
    };
    let exe = || rule(|it| it.exe = Some(Path::new("/usr/bin/backup").into()));
    let user_unit = || rule(|it| it.user_unit = unit("backup.service"));
    let table = [
        (
            "nothing",
            Rule {
                may: Permissions::USE,
                ..Rule::default()
            },
            peer(),
            Match::No,
        ),
        ("user", rule(|it| it.user = Some(10)), peer(), Match::Yes),
        (
            "another user",
            rule(|it| it.user = Some(20)),
            peer(),
            Match::No,
        ),
        (
            "root is not excepted",
            rule(|it| it.user = Some(10)),
            Peer::new(0, 0, 1).with(known()),
            Match::No,
        ),
        (
            "own group",
            rule(|it| it.group = Some(20)),
            peer(),
            Match::Yes,
        ),
        (
            "own group without facts",
            rule(|it| it.group = Some(20)),
            Peer::new(10, 20, 30),
            Match::Yes,
        ),
        (
            "supplementary group",
            rule(|it| it.group = Some(60)),
            peer(),
            Match::Yes,
        ),
        (
            "no group of it",
            rule(|it| it.group = Some(10)),
            peer(),
            Match::No,
        ),
        (
            "group unread",
            rule(|it| it.group = Some(60)),
            Peer::new(10, 20, 30),
            Match::Unread(Needs::GROUPS),
        ),
        (
            "unit",
            rule(|it| it.unit = unit("backup@daily.service")),
            peer(),
            Match::Yes,
        ),
        (
            "template",
            rule(|it| it.unit = unit("backup@.service")),
            peer(),
            Match::Yes,
        ),
        (
            "another unit",
            rule(|it| it.unit = unit("backup.service")),
            peer(),
            Match::No,
        ),
        ("user unit", user_unit(), of_manager(10, 10), Match::Yes),
        (
            "unit of another's manager",
            user_unit(),
            of_manager(0, 10),
            Match::No,
        ),
        (
            "user unit is no system unit",
            rule(|it| it.unit = unit("backup.service")),
            of_manager(10, 10),
            Match::No,
        ),
        (
            "system unit is no user unit",
            user_unit(),
            peer(),
            Match::No,
        ),
        ("exe", exe(), peer(), Match::Yes),
        ("another exe", exe(), other("/usr/bin/sh", true), Match::No),
        (
            "a file of that name elsewhere",
            exe(),
            other("/usr/bin/backup", false),
            Match::No,
        ),
        (
            "sha256",
            rule(|it| it.sha256 = Some(Digest([7; 32]))),
            peer(),
            Match::Yes,
        ),
        (
            "another sha256",
            rule(|it| it.sha256 = Some(Digest([8; 32]))),
            peer(),
            Match::No,
        ),
        (
            "unread",
            exe(),
            Peer::new(10, 20, 30),
            Match::Unread(Needs::EXECUTABLE),
        ),
    ];
    for (what, rule, peer, expected) in table {
        assert_eq!(rule.matches(&peer), expected, "{what}");
    }
}

#[test]
fn all_of_a_combination_must_hold() {
    let both = rule(|it| {
        it.user = Some(10);
        it.unit = unit("backup@.service");
    });
    assert_eq!(both.matches(&peer()), Match::Yes);
    assert_eq!(
        both.matches(&Peer::new(11, 20, 30).with(known())),
        Match::No
    );
    // A condition that is known to fail decides, even if other facts could not be read.
    assert_eq!(both.matches(&Peer::new(11, 20, 30)), Match::No);
    assert_eq!(
        both.matches(&Peer::new(10, 20, 30)),
        Match::Unread(Needs::UNITS)
    );
    let three = rule(|it| {
        it.group = Some(60);
        it.exe = Some(Path::new("/usr/bin/backup").into());
        it.sha256 = Some(Digest([7; 32]));
    });
    assert_eq!(three.matches(&peer()), Match::Yes);
    assert_eq!(
        three.matches(&Peer::new(10, 20, 30)),
        Match::Unread(Needs::GROUPS | Needs::EXECUTABLE | Needs::SHA256)
    );
}

#[test]
fn the_first_rule_that_gives_it_is_named_and_what_was_unread_is_told() {
    let status = Rule::user(10, Permissions::of(&[Permission::Status]));
    let policy = Policy::new(vec![
        rule(|it| it.exe = Some(Path::new("/x").into())),
        status,
        Rule::user(10, Permissions::USE),
    ]);
    let blind = Peer::new(10, 20, 30);
    assert_eq!(policy.needs(), Needs::EXECUTABLE);
    assert_eq!(
        policy.decide(&blind, Permission::Status),
        Decision::Allowed(1)
    );
    assert_eq!(policy.decide(&blind, Permission::Get), Decision::Allowed(2));
    assert_eq!(
        policy.decide(&blind, Permission::Refresh),
        Decision::Denied(Needs::NONE)
    );
    let other = Peer::new(11, 20, 30);
    assert_eq!(
        policy.decide(&other, Permission::Get),
        Decision::Denied(Needs::EXECUTABLE)
    );
    assert_eq!(
        policy.decide(&other.with(known()), Permission::Get),
        Decision::Denied(Needs::NONE)
    );
    assert_eq!(policy.permissions(&blind), Permissions::USE);
    assert_eq!(
        Policy::default().decide(&blind, Permission::Get),
        Decision::Denied(Needs::NONE)
    );
}

#[test]
fn rules_are_shown_as_they_are_written() {
    let rule = rule(|it| {
        it.user = Some(7);
        it.unit = unit("a@.service");
        it.exe = Some(Path::new("/usr/bin/a").into());
    });
    assert_eq!(
        rule.to_string(),
        r#"{ user = 7, unit = "a@.service", exe = "/usr/bin/a" }"#
    );
}

fn any_permissions() -> impl Strategy<Value = Permissions> {
    proptest::sample::subsequence(Permission::ALL.to_vec(), 0..=7)
        .prop_map(|some| Permissions::of(&some))
}

prop_compose! {
    /// From few values, so that rules and peers often meet.
    fn any_rule()(
        may in any_permissions(),
        user in proptest::option::of(0..3u32),
        group in proptest::option::of(0..3u32),
        unit in proptest::option::of(proptest::sample::select(vec!["a.service", "b@.service"])),
        user_unit in proptest::option::of(proptest::sample::select(vec!["a.service", "b@.service"])),
        exe in proptest::option::of(proptest::sample::select(vec!["/a", "/b"])),
        sha256 in proptest::option::of(0..2u8),
    ) -> Rule {
        let pattern = |name: &str| UnitPattern::new(name).unwrap();
        Rule {
            may,
            user,
            group,
            unit: unit.map(pattern),
            user_unit: user_unit.map(pattern),
            exe: exe.map(|path| Path::new(path).into()),
            sha256: sha256.map(|byte| Digest([byte; 32])),
        }
    }
}

fn any_fact<T: fmt::Debug + Clone + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Fact<T>> {
    prop_oneof![
        1 => Just(Fact::Unasked),
        1 => Just(Fact::Unread("why".into())),
        4 => value.prop_map(Fact::Known),
    ]
}

prop_compose! {
    fn any_peer()(
        uid in 0..3u32,
        gid in 0..3u32,
        groups in any_fact(proptest::collection::vec(0..3u32, 0..3).prop_map(Box::from)),
        units in any_fact((
            proptest::option::of(proptest::sample::select(vec!["a.service", "b@x.service", "c.scope"])),
            proptest::option::of((0..3u32, proptest::sample::select(vec!["a.service", "b@x.service"]))),
        ).prop_map(|(system, user)| Units {
            system: system.map(Box::from),
            user: user.map(|(owner, name)| UserUnit { owner, name: name.into() }),
        })),
        executable in any_fact((proptest::sample::select(vec!["/a", "/b"]), any::<bool>()).prop_map(|(path, is_there)| Executable {
            path: Path::new(path).into(),
            is_there,
        })),
        sha256 in any_fact((0..2u8).prop_map(|byte| Digest([byte; 32]))),
    ) -> Peer {
        let namespaces = Fact::Unasked;
        Peer::new(uid, gid, 1).with(Facts { groups, units, executable, sha256, namespaces })
    }
}

/// The same question answered in the plainest way there is.
fn plainly(rule: &Rule, peer: &Peer) -> bool {
    let facts = peer.facts();
    let mut says = Vec::new();
    says.extend(rule.user.map(|uid| uid == peer.uid));
    says.extend(rule.group.map(|gid| {
        gid == peer.gid
            || facts
                .groups
                .known()
                .is_some_and(|groups| groups.contains(&gid))
    }));
    says.extend(
        rule.unit
            .as_ref()
            .map(|unit| peer.unit().is_some_and(|own| unit.matches(own))),
    );
    says.extend(
        rule.user_unit
            .as_ref()
            .map(|unit| peer.user_unit().is_some_and(|own| unit.matches(own))),
    );
    says.extend(rule.exe.as_ref().map(|path| {
        facts
            .executable
            .known()
            .is_some_and(|own| own.is_there && *own.path == **path)
    }));
    says.extend(
        rule.sha256
            .map(|digest| facts.sha256.known() == Some(&digest)),
    );
    !says.is_empty() && says.iter().all(|so| *so)
}

proptest! {
    #[test]
    fn no_permission_without_a_rule_that_matches_and_gives_it(
        rules in proptest::collection::vec(any_rule(), 0..5),
        peer in any_peer(),
    ) {
        let policy = Policy::new(rules.clone());
        for permission in Permission::ALL {
            let first = rules.iter().position(|rule| rule.may.has(permission) && plainly(rule, &peer));
            match policy.decide(&peer, permission) {
                Decision::Allowed(number) => prop_assert_eq!(Some(number), first),
                Decision::Denied(_) => prop_assert_eq!(first, None),
            }
            prop_assert_eq!(policy.permissions(&peer).has(permission), first.is_some());
        }
    }

    #[test]
    fn what_cannot_be_read_never_gives_anything(
        rules in proptest::collection::vec(any_rule(), 0..5),
        peer in any_peer(),
    ) {
        let policy = Policy::new(rules);
        let blind = Peer::new(peer.uid, peer.gid, peer.pid);
        for permission in Permission::ALL {
            if policy.decide(&blind, permission).is_allowed() {
                prop_assert!(policy.decide(&peer, permission).is_allowed());
            }
            // A denial that blames nothing unread stays one, whatever is read later.
            if policy.decide(&blind, permission) == Decision::Denied(Needs::NONE) {
                prop_assert!(!policy.decide(&peer, permission).is_allowed());
            }
        }
    }
}
