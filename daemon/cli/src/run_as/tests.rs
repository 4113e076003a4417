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
        (0, RunAsOptions::default()),
        (4711, RunAsOptions::default()),
        (
            4711,
            RunAsOptions {
                config: Some(Path::new("/etc/tokend/tokend.toml")),
                ..RunAsOptions::default()
            },
        ),
    ] {
        let run_as = RunAs::below(root.path(), asked, &by(own)).unwrap();
        assert_eq!((run_as.uid(), run_as.why), (4711, Reason::Unit));
        assert_eq!(run_as.file, Path::new("/etc/tokend/tokend.toml"));
        assert_eq!(run_as.environment.state_dir(), Path::new("/var/lib/tokend"));
        assert_eq!(
            run_as.environment.socket(),
            Path::new("/run/tokend/tokend.sock")
        );
    }
}

#[test]
fn a_user_looks_for_themselves_whatever_is_installed() {
    let root = machine(UNIT);
    let run_as = RunAs::below(root.path(), RunAsOptions::default(), &by(1000)).unwrap();
    assert_eq!((run_as.uid(), run_as.why), (1000, Reason::Own));
    assert_eq!(
        run_as.file,
        Path::new("/home/1000/.config/tokend/tokend.toml")
    );
    assert_eq!(run_as.environment, by(1000));
}

#[test]
fn a_unit_says_nothing_of_another_configuration() {
    let root = machine(UNIT);
    let site = tempfile::tempdir().unwrap();
    let file = site.path().join("own.toml");
    let asked = RunAsOptions {
        config: Some(&file),
        state_dir: Some(site.path()),
        user: None,
    };
    let run_as = RunAs::below(root.path(), asked, &by(0)).unwrap();
    assert!(run_as.unit.is_none());
    assert_eq!(run_as.overrides.state_dir.as_deref(), Some(site.path()));
}

#[test]
fn who_is_named_comes_before_everything() {
    let root = machine(UNIT);
    let named = |user| RunAsOptions {
        user: Some(user),
        ..RunAsOptions::default()
    };
    let run_as = RunAs::below(root.path(), named("4711"), &by(0)).unwrap();
    assert_eq!((run_as.uid(), run_as.why), (4711, Reason::Requested));
    assert!(run_as.unit.is_some());
    // Another user has a daemon and directories of their own.
    let run_as = RunAs::below(root.path(), named("4712"), &by(0)).unwrap();
    assert_eq!(run_as.uid(), 4712);
    assert!(run_as.unit.is_none());
    assert!(RunAs::below(root.path(), named("4712"), &by(1000)).is_err());
    assert!(RunAs::below(root.path(), named("1000"), &by(1000)).is_ok());
}

#[test]
fn a_unit_without_a_user_is_roots_and_a_dynamic_one_is_nobodys_yet() {
    let root =
        machine("[Service]\nExecStart=/usr/bin/tokend run --config /etc/tokend/tokend.toml\n");
    let run_as = RunAs::below(root.path(), RunAsOptions::default(), &by(0)).unwrap();
    assert_eq!((run_as.uid(), run_as.why), (0, Reason::Unit));
    let root = machine(
        "[Service]\nDynamicUser=yes\nUser=tokend-that-does-not-run\nStateDirectory=tokend-that-is-not-there\nExecStart=/usr/bin/tokend run --config /etc/tokend/tokend.toml\n",
    );
    let run_as = RunAs::below(root.path(), RunAsOptions::default(), &by(0)).unwrap();
    assert_eq!(run_as.uid(), DYNAMIC);
    assert!(run_as.is_dynamic());
}

#[test]
fn whom_a_unit_names_and_nobody_is_is_told_to_root_and_not_passed_over() {
    let named = |user: &str, group: &str| {
        machine(&UNIT.replace("User=4711", &format!("User={user}\nGroup={group}")))
    };
    let root = named("nobody-of-that-name", "4711");
    let run_as = RunAs::below(root.path(), RunAsOptions::default(), &by(0)).unwrap();
    assert_eq!(
        run_as.unknown,
        [UnknownName::User("nobody-of-that-name".into())]
    );
    assert_eq!(run_as.file, Path::new("/etc/tokend/tokend.toml"));
    assert!(run_as.unit.is_none());
    // It is nothing to another configuration, and to another user.
    let asked = RunAsOptions {
        config: Some(Path::new("/srv/own.toml")),
        ..RunAsOptions::default()
    };
    let run_as = RunAs::below(root.path(), asked, &by(0)).unwrap();
    assert!(run_as.unknown.is_empty());
    let run_as = RunAs::below(root.path(), RunAsOptions::default(), &by(1000)).unwrap();
    assert!(run_as.unknown.is_empty());
    let root = named("4711", "no-group-of-that-name");
    let run_as = RunAs::below(root.path(), RunAsOptions::default(), &by(0)).unwrap();
    assert_eq!(
        run_as.unknown,
        [UnknownName::Group("no-group-of-that-name".into())]
    );
    assert_eq!(run_as.uid(), 4711);
}
