//! `tokend check` beside the units, by root and by the daemon's user, before and while the daemon runs.

use tokend_harness::Said;

use crate::stage::Stage;

const STOP: [&str; 3] = ["stop", "tokend.socket", "tokend.service"];
const START: [&str; 3] = ["start", "tokend.socket", "tokend.service"];

#[test]
fn what_root_is_told_of_a_daemon_under_systemd_is_right_and_leads_out() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    green(&stage, "before the first start");
    stage.systemctl(&["enable", "--now", "tokend.socket", "tokend.service"]);
    let token = stage.get();
    green(&stage, "while it runs");
    assert_eq!(stage.get(), token);

    // As root leaves them after restoring one file, or the whole directory, with cp.
    for files in ["/var/lib/tokend/tokend.key", "-R /var/lib/tokend"] {
        stage.systemctl(&STOP);
        stage.machine.shell(&format!("chown root {files}")).unwrap();
        let said = stage.run(&["tokend", "check"]);
        assert_eq!(said.code, Some(78), "{said:?}");
        let advice = said
            .err
            .lines()
            .find_map(|line| line.split_once("runs the daemon: "));
        let advice = advice.unwrap_or_else(|| panic!("{said:?}")).1;
        assert_eq!(advice, "chown -R tokend /var/lib/tokend");
        stage.machine.shell(advice).unwrap();
        green(&stage, files);
        stage.systemctl(&START);
        assert_eq!(stage.get(), token);
    }

    // Root replaces the key without leaving a file owned by root.
    stage.systemctl(&STOP);
    let said = stage.run(&["tokend", "key", "rotate"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    green(&stage, "after a new key");
    stage.systemctl(&START);
    assert_eq!(stage.get(), token);
    stage.behaved();
}

/// Every user who may look finds no mistake.
fn green(stage: &Stage, when: &str) {
    let by_root = stage.run(&["tokend", "check"]);
    let by_user = stage
        .machine
        .run_as("tokend", &["tokend", "check"])
        .unwrap();
    for said in [&by_root, &by_user] {
        let Said { code, out, err } = said;
        assert_eq!((*code, err.as_str()), (Some(0), ""), "{when}: {said:?}");
        let fine = "/etc/tokend/tokend.toml is fine: 1 account, socket /run/tokend/tokend.sock\n";
        assert!(out.ends_with(fine), "{when}: {said:?}");
    }
    assert!(
        by_root
            .out
            .contains("note: checked as user tokend, who runs tokend.service\n"),
        "{by_root:?}"
    );
}
