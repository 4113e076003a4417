//! A broker of one's own, under a user who is not logged in.

use super::stage::{CLIENT, IT, STRANGER, Stage};

#[test]
fn a_lingering_user_has_a_broker_of_their_own() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    let password = "/home/deploy/password";
    let configuration = stage.configuration(&format!("password = {{ file = \"{password}\" }}"));
    let at = "/home/deploy/.config/tokend/tokend.toml";
    stage.machine.put(at, &configuration, "644").unwrap();
    stage
        .machine
        .put(password, &stage.password(), "600")
        .unwrap();
    stage
        .machine
        .shell("chown -R deploy: /home/deploy\nloginctl enable-linger deploy")
        .unwrap();
    let uid = stage.run(&["id", "-u", CLIENT]).line().unwrap();
    stage.wait("the user's systemd", || {
        stage
            .machine
            .property(&format!("user@{uid}.service"), "ActiveState")
            .unwrap()
            == "active"
    });
    let runtime = format!("XDG_RUNTIME_DIR=/run/user/{uid}");
    let as_user = |command: &[&str]| {
        let line = [&["env", runtime.as_str(), "HOME=/home/deploy"], command].concat();
        stage.machine.run_as(CLIENT, &line).unwrap()
    };
    let said = as_user(&[
        "systemctl",
        "--user",
        "enable",
        "--now",
        "tokend.socket",
        "tokend.service",
    ]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let token = as_user(&["tokenctl", "get", IT]).line().unwrap();
    assert_eq!(stage.sim.newest_access(IT), Some(token.clone()));
    as_user(&["systemctl", "--user", "reload", "tokend.service"])
        .line()
        .unwrap();
    as_user(&["systemctl", "--user", "restart", "tokend.service"])
        .line()
        .unwrap();
    assert_eq!(as_user(&["tokenctl", "get", IT]).line().unwrap(), token);
    assert_eq!(stage.requests(), 1);
    // Nobody else comes near it.
    let socket = format!("/run/user/{uid}/tokend/tokend.sock");
    let get = ["tokenctl", "--socket", &socket, "get", IT];
    assert_eq!(stage.machine.run_as(STRANGER, &get).unwrap().code, Some(77));
}
