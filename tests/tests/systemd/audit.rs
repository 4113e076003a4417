//! Audit records in a real journal, and in a file where the unit allows it.

use serde_json::Value;

use super::stage::{CLIENT, IT, STRANGER, Stage};

/// All audit records in the journal.
pub(crate) fn records(stage: &Stage) -> Vec<Value> {
    let said = stage.run(&[
        "journalctl",
        "--no-pager",
        "-o",
        "json",
        "MESSAGE_ID=5d1a0b7f3c9e4a42a6d08f1be37c52e9",
    ]);
    said.out
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_service_of_systemd_records_to_the_journal_by_itself() {
    let Some(stage) = Stage::started() else {
        return;
    };
    let token = stage.get();
    assert_eq!(stage.get_as(STRANGER).code, Some(77));
    let of = |event: &str| {
        let found = records(&stage).into_iter();
        found
            .filter(|it| it["TOKEND_EVENT"] == event)
            .collect::<Vec<_>>()
    };
    stage.wait("the denial", || of("denial").len() == 1);
    let (release, denial) = (of("release").remove(0), of("denial").remove(0));
    let uid = |user: &str| stage.run(&["id", "-u", user]).line().unwrap();
    assert_eq!(release["TOKEND_ACCOUNT"], IT);
    assert_eq!(release["TOKEND_UID"], uid(CLIENT).as_str());
    assert_eq!(release["TOKEND_OUTCOME"], "ok");
    assert_eq!(release["SYSLOG_IDENTIFIER"], "tokend");
    assert_eq!(release["_SYSTEMD_UNIT"], "tokend.service");
    assert_eq!(denial["TOKEND_UID"], uid(STRANGER).as_str());
    assert_eq!(denial["TOKEND_OUTCOME"], "not-allowed");
    assert_eq!(denial["PRIORITY"], "4");
    assert_eq!(of("start").len(), 1);
    stage.systemctl(&["stop", "tokend.service"]);
    stage.wait("the last record", || of("stop").len() == 1);
    assert!(!format!("{:?}", records(&stage)).contains(&token));
}

#[test]
fn the_unit_has_a_directory_for_a_file_of_records() {
    let Some(stage) = Stage::configured() else {
        return;
    };
    let password = "password = { file = \"/etc/tokend/secrets/it\" }";
    let text = stage.configuration(password);
    let audited = format!("[audit]\nfile = \"/var/log/tokend/audit.jsonl\"\n{text}");
    stage
        .machine
        .put("/etc/tokend/tokend.toml", &audited, "644")
        .unwrap();
    stage.systemctl(&["enable", "--now", "tokend.socket", "tokend.service"]);
    stage.get();
    let read = || stage.run(&["cat", "/var/log/tokend/audit.jsonl"]).out;
    stage.wait("the release", || read().contains("\"release\""));
    let mode = stage.run(&["stat", "-c", "%U %a", "/var/log/tokend/audit.jsonl"]);
    assert_eq!(mode.line().unwrap(), "tokend 600");
}
