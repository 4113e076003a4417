//! `tokenctl init` on a booted machine: the first account of the machine, and of a user's own broker.

use tokend_harness::{
    Said,
    clock::{PATIENCE, wait_until},
};

use super::stage::{CLIENT, IT, SECRET, STRANGER, Stage};

/// The answers as options.
fn words(stage: &Stage, more: &[&str]) -> Vec<String> {
    let account = &stage.sim.accounts()[0];
    let base_url = stage.sim.base_url(account.api);
    let username = account.username.clone().unwrap();
    let words = [
        "tokenctl",
        "init",
        "--account",
        IT,
        "--dialect",
        account.api.dialect(),
        "--base-url",
        &base_url,
        "--username",
        &username,
    ];
    words
        .iter()
        .chain(more)
        .map(|word| (*word).to_owned())
        .collect()
}

fn as_words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn the_first_account_of_a_machine_is_checked_as_the_daemons_user_and_tried_once() {
    let Some(stage) = Stage::installed() else {
        return;
    };
    let secret = format!("file:{SECRET}");
    let all = [
        "--secret", &secret, "--allow", CLIENT, "--yes", "--start", "--try",
    ];
    let words = words(&stage, &all);
    let init = || stage.run(&as_words(&words));
    // Root can read it, and the daemon cannot.
    stage.machine.put(SECRET, &stage.password(), "600").unwrap();
    let said = init();
    assert_eq!(said.code, Some(78), "{said:?}");
    assert!(
        said.err.contains(SECRET) && said.err.contains("user tokend"),
        "{said:?}"
    );
    let left = stage.run(&["ls", "-A", "/etc/tokend"]);
    assert_eq!(left.out, "secrets\n", "{left:?}");
    assert_ne!(stage.property("ActiveState"), "active");

    stage.place_secret();
    let said = init();
    assert_eq!(said.code, Some(0), "{said:?}\n{}", stage.journal());
    assert!(said.err.contains("the daemon is started"), "{said:?}");
    assert!(said.err.contains("it has a token"), "{said:?}");
    assert_eq!(stage.requests(), 1, "asked by root, who may not have it");
    let token = stage.get();
    assert_eq!(stage.sim.newest_access(IT), Some(token.clone()));
    assert!(
        !said.err.contains(&token) && said.out.is_empty(),
        "{said:?}"
    );
    assert_eq!(stage.get_as(STRANGER).code, Some(77));
    let enabled = stage.run(&["systemctl", "is-enabled", "tokend.socket", "tokend.service"]);
    assert_eq!(enabled.out, "enabled\nenabled\n");
    let files = "stat -c '%U %a %n' /etc/tokend/tokend.toml /etc/tokend/accounts.d /etc/tokend/accounts.d/*";
    let files = stage.run(&["sh", "-c", files]);
    assert_eq!(
        files.out,
        "root 644 /etc/tokend/tokend.toml\nroot 755 /etc/tokend/accounts.d\nroot 644 /etc/tokend/accounts.d/it.toml\n"
    );
    // Whoever runs it again is led on, and the provider is not asked.
    let said = init();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("nothing is written"), "{said:?}");
    assert_eq!(stage.requests(), 1, "it has one");
    stage.behaved();
}

#[test]
fn a_user_has_a_broker_of_their_own_by_one_command() {
    let Some(stage) = Stage::installed() else {
        return;
    };
    let machine = &stage.machine;
    let password = "/home/deploy/password";
    machine.put(password, &stage.password(), "600").unwrap();
    machine
        .shell("chown -R deploy: /home/deploy\nloginctl enable-linger deploy")
        .unwrap();
    let uid = stage.run(&["id", "-u", CLIENT]).line().unwrap();
    let unit = format!("user@{uid}.service");
    wait_until("the user's systemd", PATIENCE, || {
        machine.property(&unit, "ActiveState").unwrap() == "active"
    })
    .unwrap();
    // As after `su`: without the variable of a session.
    let run = |command: &[&str]| -> Said {
        let line = [
            &["env", "-u", "XDG_RUNTIME_DIR", "HOME=/home/deploy"],
            command,
        ]
        .concat();
        machine.run_as(CLIENT, &line).unwrap()
    };
    let secret = format!("file:{password}");
    let words = words(&stage, &["--secret", &secret, "--yes", "--start", "--try"]);
    let said = run(&as_words(&words));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("it has a token, good for "), "{said:?}");
    assert_eq!(stage.requests(), 1);
    let token = run(&["tokenctl", "get", IT]).line().unwrap();
    assert_eq!(stage.sim.newest_access(IT), Some(token));
    let said = run(&as_words(&words));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(stage.requests(), 1, "it has one");
    let modes = "stat -c '%U %a' ~/.config ~/.config/tokend ~/.config/tokend/tokend.toml ~/.config/tokend/accounts.d/it.toml";
    let modes = run(&["sh", "-c", modes]);
    assert_eq!(
        modes.out,
        "deploy 700\ndeploy 700\ndeploy 600\ndeploy 600\n"
    );
    // The machine's daemon was not touched.
    assert_ne!(stage.property("ActiveState"), "active");
}
