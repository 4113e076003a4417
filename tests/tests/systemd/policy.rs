//! Rules by unit: of the system's systemd and of a user's.

use super::stage::{CLIENT, IT, STRANGER, Stage};

/// Runs a command in a unit of its own and waits for it; options and the unit's name follow.
const RUN: [&str; 5] = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect"];

/// Runs `tokenctl get` in a unit of this name and says whether a token came.
fn gets(stage: &Stage, unit: &str, more: &[&str]) -> bool {
    let get = ["tokenctl", "get", IT];
    let said = stage.run(&[&RUN[..], &["--unit", unit], more, &get].concat());
    match said.code {
        Some(0) => assert!(!said.out.is_empty(), "{said:?}"),
        Some(77) => assert!(said.out.is_empty(), "{said:?}"),
        _ => panic!("{unit}: {said:?}\n{}", stage.journal()),
    }
    said.code == Some(0)
}

#[test]
fn a_unit_is_what_systemd_started_and_nothing_below_it() {
    let Some(stage) = Stage::started() else {
        return;
    };
    let rules =
        "[{ unit = \"backup.service\" }, { unit = \"report@.service\", user = \"deploy\" }]";
    allow(&stage, rules);
    assert!(gets(&stage, "backup.service", &[]));
    assert!(
        gets(&stage, "backup.service", &["--uid", STRANGER]),
        "whatever user it runs as"
    );
    assert!(
        !gets(&stage, "backups.service", &[]),
        "root is not excepted"
    );
    assert!(gets(&stage, "report@daily.service", &["--uid", CLIENT]));
    assert!(
        !gets(&stage, "report@daily.service", &["--uid", STRANGER]),
        "both must hold"
    );
    assert!(gets(&stage, "backup.service", &["--slice", "own.slice"]));
    // A unit with a delegated subtree makes a group with another unit's name.
    let escape = "cd /sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup) && mkdir -p backup.service && \
                  echo 0 > backup.service/cgroup.procs && exec tokenctl get it";
    let options = ["--unit", "evil.service", "--property", "Delegate=yes"];
    let said = stage.run(&[&RUN[..], &options, &["sh", "-euc", escape]].concat());
    assert_eq!((said.code, said.out.as_str()), (Some(77), ""), "{said:?}");
}

#[test]
fn a_unit_of_a_user_is_that_users_alone() {
    let Some(stage) = Stage::started() else {
        return;
    };
    allow(
        &stage,
        "[{ user = \"deploy\", user_unit = \"sync.service\" }, { unit = \"backup.service\" }]",
    );
    for user in [CLIENT, STRANGER] {
        stage
            .machine
            .shell(&format!("loginctl enable-linger {user}"))
            .unwrap();
    }
    let get = |user: &str, unit: &str| {
        let uid = stage.run(&["id", "-u", user]).line().unwrap();
        stage.wait("the user's systemd", || {
            let unit = format!("user@{uid}.service");
            stage.machine.property(&unit, "ActiveState").unwrap() == "active"
        });
        let runtime = format!("XDG_RUNTIME_DIR=/run/user/{uid}");
        let get = ["tokenctl", "--socket", "/run/tokend/tokend.sock", "get", IT];
        let words = [
            &["env", &runtime][..],
            &RUN,
            &["--user", "--unit", unit],
            &get,
        ];
        stage.machine.run_as(user, &words.concat()).unwrap()
    };
    let said = get(CLIENT, "sync.service");
    assert_eq!(said.code, Some(0), "{said:?}\n{}", stage.journal());
    assert_eq!(get(CLIENT, "other.service").code, Some(77));
    assert_eq!(
        get(STRANGER, "sync.service").code,
        Some(77),
        "another user's unit of that name"
    );
    assert_eq!(
        get(STRANGER, "backup.service").code,
        Some(77),
        "no unit of the system"
    );
}

/// Applies these rules.
fn allow(stage: &Stage, rules: &str) {
    let line = format!(
        "sed -i 's#^allow = .*#allow = {rules}#' /etc/tokend/tokend.toml\nsystemctl reload tokend.service"
    );
    stage.machine.shell(&line).unwrap();
}
