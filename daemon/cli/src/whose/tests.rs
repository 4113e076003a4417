//! For whom root looks, and where.

use super::*;

const UNIT: &str = "[Service]\nUser=4711\nExecStart=/usr/bin/tokend run --config /etc/tokend/tokend.toml\nStateDirectory=tokend\nRuntimeDirectory=tokend\n";

fn machine(unit: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("etc/systemd/system");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("tokend.service"), unit).unwrap();
    root
}

fn by(uid: u32) -> Environment {
    Environment {
        uid,
        home: Some(format!("/home/{uid}").into()),
        ..Environment::default()
    }
}

#[test]
fn the_packaged_daemon_is_found_by_root_and_by_its_own_user() {
    let root = machine(UNIT);
    for (own, asked) in [
        (0, Asked::default()),
        (4711, Asked::default()),
        (
            4711,
            Asked {
                config: Some(Path::new("/etc/tokend/tokend.toml")),
                ..Asked::default()
            },
        ),
    ] {
        let whose = Whose::below(root.path(), asked, &by(own)).unwrap();
        assert_eq!((whose.uid(), whose.why), (4711, Why::Unit));
        assert_eq!(whose.file, Path::new("/etc/tokend/tokend.toml"));
        assert_eq!(whose.environment.state_dir(), Path::new("/var/lib/tokend"));
        assert_eq!(
            whose.environment.socket(),
            Path::new("/run/tokend/tokend.sock")
        );
    }
}

#[test]
fn a_user_looks_for_themselves_whatever_is_installed() {
    let root = machine(UNIT);
    let whose = Whose::below(root.path(), Asked::default(), &by(1000)).unwrap();
    assert_eq!((whose.uid(), whose.why), (1000, Why::Own));
    assert_eq!(
        whose.file,
        Path::new("/home/1000/.config/tokend/tokend.toml")
    );
    assert_eq!(whose.environment, by(1000));
}

#[test]
fn a_unit_says_nothing_of_another_configuration() {
    let root = machine(UNIT);
    let site = tempfile::tempdir().unwrap();
    let file = site.path().join("own.toml");
    let asked = Asked {
        config: Some(&file),
        state_dir: Some(site.path()),
        user: None,
    };
    let whose = Whose::below(root.path(), asked, &by(0)).unwrap();
    assert!(whose.unit.is_none());
    assert_eq!(whose.overrides.state_dir.as_deref(), Some(site.path()));
}

#[test]
fn who_is_named_comes_before_everything() {
    let root = machine(UNIT);
    let named = |user| Asked {
        user: Some(user),
        ..Asked::default()
    };
    let whose = Whose::below(root.path(), named("4711"), &by(0)).unwrap();
    assert_eq!((whose.uid(), whose.why), (4711, Why::Told));
    assert!(whose.unit.is_some());
    // Another user has a daemon and directories of their own.
    let whose = Whose::below(root.path(), named("4712"), &by(0)).unwrap();
    assert_eq!(whose.uid(), 4712);
    assert!(whose.unit.is_none());
    assert!(Whose::below(root.path(), named("4712"), &by(1000)).is_err());
    assert!(Whose::below(root.path(), named("1000"), &by(1000)).is_ok());
}

#[test]
fn a_unit_without_a_user_is_roots_and_a_dynamic_one_is_nobodys_yet() {
    let root =
        machine("[Service]\nExecStart=/usr/bin/tokend run --config /etc/tokend/tokend.toml\n");
    let whose = Whose::below(root.path(), Asked::default(), &by(0)).unwrap();
    assert_eq!((whose.uid(), whose.why), (0, Why::Unit));
    let root = machine(
        "[Service]\nDynamicUser=yes\nUser=tokend-that-does-not-run\nStateDirectory=tokend-that-is-not-there\nExecStart=/usr/bin/tokend run --config /etc/tokend/tokend.toml\n",
    );
    let whose = Whose::below(root.path(), Asked::default(), &by(0)).unwrap();
    assert_eq!(whose.uid(), DYNAMIC);
    assert!(whose.is_dynamic());
}

#[test]
fn whom_a_unit_names_and_nobody_is_is_told_to_root_and_not_passed_over() {
    let named = |user: &str, group: &str| {
        machine(&UNIT.replace("User=4711", &format!("User={user}\nGroup={group}")))
    };
    let root = named("nobody-of-that-name", "4711");
    let whose = Whose::below(root.path(), Asked::default(), &by(0)).unwrap();
    assert_eq!(whose.unknown, [Unknown::User("nobody-of-that-name".into())]);
    assert_eq!(whose.file, Path::new("/etc/tokend/tokend.toml"));
    assert!(whose.unit.is_none());
    // It is nothing to another configuration, and to another user.
    let asked = Asked {
        config: Some(Path::new("/srv/own.toml")),
        ..Asked::default()
    };
    let whose = Whose::below(root.path(), asked, &by(0)).unwrap();
    assert!(whose.unknown.is_empty());
    let whose = Whose::below(root.path(), Asked::default(), &by(1000)).unwrap();
    assert!(whose.unknown.is_empty());
    let root = named("4711", "no-group-of-that-name");
    let whose = Whose::below(root.path(), Asked::default(), &by(0)).unwrap();
    assert_eq!(
        whose.unknown,
        [Unknown::Group("no-group-of-that-name".into())]
    );
    assert_eq!(whose.uid(), 4711);
}
