//! `tokenctl` against a real daemon: credentials from a person, policy, and the exit codes scripts rely on.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use tokend_harness::{
    Daemon, Site,
    clock::{PATIENCE, wait_until},
    demand::{carried_out, root},
};
use tokend_provider_simulator::{Configuration, spec::Api};

use crate::stage::{FAST, Stage};

#[test]
fn an_account_lives_without_any_secret_in_files() {
    let stage = Stage::of(Api::FirebaseAccounts);
    Configuration::of(&stage.sim)
        .everywhere(FAST)
        .without_secrets()
        .write(stage.site.path())
        .unwrap();
    fs::remove_dir_all(stage.site.path().join("secrets")).unwrap();
    let daemon = stage.site.start().unwrap();
    let said = stage.site.tokenctl(&["get", "it"]).unwrap();
    assert_eq!(said.code, Some(79), "{said:?}");
    assert!(
        said.err.contains("tokenctl login it"),
        "says what to do: {said:?}"
    );

    let password = stage.sim.accounts().remove(0).password.unwrap();
    let login = ["login", "it", "--password"];
    let said = stage
        .site
        .tokenctl_with(&login, &format!("{password}\n"))
        .unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    let token = stage.eventually("it");
    assert!(stage.accepted(Api::FirebaseAccounts, &token));

    assert!(daemon.terminate().unwrap().success());
    let _daemon = stage.site.start().unwrap();
    assert_eq!(stage.site.get("it").unwrap(), token);
    stage.sim.end_refresh("it");
    stage.sim.end_access("it");
    stage.reject("it", &token);
    let second = stage.eventually("it");
    assert!(
        stage.accepted(Api::FirebaseAccounts, &second),
        "the password was kept"
    );

    assert_eq!(
        stage
            .site
            .tokenctl(&["forget", "it", "--yes"])
            .unwrap()
            .code,
        Some(0)
    );
    assert_eq!(stage.site.tokenctl(&["get", "it"]).unwrap().code, Some(79));
}

#[test]
fn a_password_is_sent_only_to_a_daemon_of_root_or_of_ones_own() {
    const OTHER: &str = "4242";
    if !carried_out("a daemon of another user", root()) {
        return;
    }
    let stage = Stage::new(Vec::new(), FAST);
    let path = stage.site.path();
    let chown = |owner: &str, path: &Path| {
        let done = Command::new("chown").args(["-R", owner]).arg(path).status();
        assert!(done.unwrap().success());
    };
    chown(OTHER, path);
    let as_other = [
        "setpriv",
        "--reuid",
        OTHER,
        "--regid",
        OTHER,
        "--clear-groups",
        "--",
    ];
    let _daemon = Daemon::spawn_under(&as_other, &stage.site).unwrap();
    let socket = stage.site.socket();
    wait_until("the socket", PATIENCE, || socket.exists()).unwrap();
    let login = || {
        let typed = stage.site.tokenctl_with(&["login", "it"], "hunter2\n");
        typed.unwrap()
    };
    let said = login();
    assert_eq!((said.code, said.out.as_str()), (Some(77), ""), "{said:?}");
    for expected in [OTHER, &socket.display().to_string(), "nothing was sent"] {
        assert!(said.err.contains(expected), "{expected}: {said:?}");
    }
    // Others too learn which daemon it is.
    let who = stage
        .site
        .tokenctl(&["whoami", "--json"])
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(who["daemon"]["uid"].to_string(), OTHER);
    assert_eq!(who["daemon"]["socket"], *socket.display().to_string());
    // As the advice says: it answers its own user as before, that there is no such account.
    let mut command = assert_cmd::Command::new("setpriv");
    let command = command
        .args(&as_other[1..])
        .arg(&stage.site.binaries().tokenctl);
    let command = command.arg("--socket").arg(&socket).args(["login", "it"]);
    let output = command.write_stdin("hunter2\n").output().unwrap();
    let answered = |said: &str| !said.contains("nothing was sent") && said.contains("it");
    assert!(
        answered(&String::from_utf8_lossy(&output.stderr)),
        "{output:?}"
    );
    // If only root can have put the socket there, the daemon may run as any user.
    chown("0", path);
    let said = login();
    assert!(answered(&said.err), "{said:?}");
    fs::set_permissions(path, fs::Permissions::from_mode(0o1777)).unwrap();
    let said = login();
    assert!(
        said.err.contains("nothing was sent"),
        "others could have put it here: {said:?}"
    );
}

#[test]
fn a_pasted_refresh_token_is_enough() {
    let stage = Stage::of(Api::JwtApi);
    let daemon = stage.site.start().unwrap();
    stage.site.get("it").unwrap();
    assert!(daemon.terminate().unwrap().success());
    // Copied from another machine: the provider knows this token, this store does not.
    let pasted = stage.sim.secrets().pop().unwrap();
    let site = Site::with(
        &Configuration::of(&stage.sim)
            .everywhere(FAST)
            .without_secrets(),
    )
    .unwrap();
    let _daemon = site.start().unwrap();
    let said = site
        .tokenctl_with(&["login", "it", "--refresh-token"], &pasted)
        .unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    let token = site.get("it").unwrap();
    assert!(stage.accepted(Api::JwtApi, &token));
    assert_eq!(
        (
            stage.sim.log("it").logins(),
            stage.sim.log("it").refreshes()
        ),
        (1, 1)
    );
}

#[test]
fn exit_codes_are_those_of_the_contract() {
    let stage = Stage::of(Api::JwtApi);
    let code = |arguments: &[&str]| stage.site.tokenctl(arguments).unwrap().code;
    assert_eq!(code(&["get", "it"]), Some(69), "no daemon");
    let _daemon = stage.site.start().unwrap();
    assert_eq!(code(&["get", "it"]), Some(0));
    assert_eq!(code(&["get", "nobody"]), Some(78));
    assert_eq!(code(&["get"]), Some(64));
    assert_eq!(code(&["get", "it", "--format", "xml"]), Some(64));
    assert_eq!(
        code(&["get", "it", "--min-validity", "2h"]),
        Some(78),
        "tokens live one hour"
    );
    assert_eq!(code(&["status"]), Some(0));
    assert_eq!(code(&["list", "--json"]), Some(0));
}

#[test]
fn nobody_is_excepted_from_the_policy() {
    let stage = Stage::of(Api::JwtApi);
    // The user who runs this test has no permission, even as root.
    let me = rustix::process::getuid();
    let somebody = if me.is_root() { "nobody" } else { "root" };
    let lines = format!("{FAST}allow = [{{ user = \"{somebody}\" }}]");
    Configuration::of(&stage.sim)
        .everywhere(&lines)
        .write(stage.site.path())
        .unwrap();
    let _daemon = stage.site.start().unwrap();
    let said = stage.site.tokenctl(&["get", "it"]).unwrap();
    assert!(matches!(said.code, Some(77 | 78)), "{said:?}");
    assert!(said.out.is_empty());
    assert_eq!(stage.requests(), 0);
    let status = stage.site.tokenctl(&["status"]).unwrap();
    assert!(
        !status.out.contains("127.0.0.1"),
        "what one may not have one may not see: {status:?}"
    );
}

#[test]
fn a_secret_file_others_can_read_is_refused() {
    let stage = Stage::of(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let file = stage.site.path().join("secrets/it-password");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let said = stage.site.tokenctl(&["get", "it"]).unwrap();
    assert_eq!(said.code, Some(78), "{said:?}");
    assert!(said.err.contains("chmod"), "says what to do: {said:?}");
    assert_eq!(stage.requests(), 0);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    stage.eventually("it");
}
