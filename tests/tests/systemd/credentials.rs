//! The sealing key and an account's secret as systemd's credentials.

use super::stage::{IT, Stage};

#[test]
fn the_key_and_a_secret_can_be_sealed_to_the_machine() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    // As in systemd/README.md, with the password from here instead of from a person.
    stage
        .machine
        .put("/root/asked", &stage.password(), "600")
        .unwrap();
    stage.machine.shell("mkdir -p -m 700 /etc/credstore.encrypted
cat /root/asked | systemd-creds encrypt --name=it-password - /etc/credstore.encrypted/it-password
head -c 32 /dev/urandom | systemd-creds encrypt --name=tokend.key - /etc/credstore.encrypted/tokend.key
rm /root/asked /etc/tokend/secrets/it").unwrap();
    stage.drop_in("LoadCredentialEncrypted=it-password");
    stage.configure("password = { credential = \"it-password\" }");
    stage.systemctl(&["start", "tokend.socket", "tokend.service"]);
    let token = stage.get();
    let state = stage.run(&["ls", "-A", "/var/lib/tokend"]).line().unwrap();
    assert!(
        !state.contains("key"),
        "the key is with systemd only: {state}"
    );
    stage.systemctl(&["restart", "tokend.service"]);
    assert_eq!(stage.get(), token);
    assert_eq!(stage.requests(), 1);
    // Without the key, no new store is created.
    stage
        .machine
        .shell("mv /etc/credstore.encrypted/tokend.key /root/")
        .unwrap();
    let said = stage.run(&["systemctl", "restart", "tokend.service"]);
    assert_ne!(said.code, Some(0), "{said:?}");
    assert_eq!(stage.property("ExecMainStatus"), "78");
    stage.machine.shell("mv /root/tokend.key /etc/credstore.encrypted/\nsystemctl reset-failed tokend.service tokend.socket || true\nsystemctl start tokend.socket tokend.service").unwrap();
    assert_eq!(stage.get(), token);
    assert_eq!(stage.requests(), 1);
}

#[test]
fn a_secret_file_of_root_is_handed_over() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    stage
        .machine
        .put("/root/it-password", &stage.password(), "600")
        .unwrap();
    stage.machine.shell("rm /etc/tokend/secrets/it\nmkdir -p /etc/credstore\nhead -c 32 /dev/urandom >/etc/credstore/tokend.key").unwrap();
    stage.drop_in("LoadCredential=it-password:/root/it-password\nLoadCredential=tokend.key");
    stage.configure("password = { credential = \"it-password\" }");
    stage.systemctl(&["start", "tokend.service"]);
    let token = stage.get();
    assert_eq!(stage.sim.newest_access(IT), Some(token));
    let state = stage.run(&["ls", "-A", "/var/lib/tokend"]).line().unwrap();
    assert!(!state.contains("key"), "{state}");
}
