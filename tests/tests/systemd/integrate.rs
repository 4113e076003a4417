//! The service that `tokenctl integrate systemd` prints.

use super::stage::{CLIENT, IT, SECRET, Stage};

#[test]
fn the_service_of_integrate_gets_its_token_or_does_not_start() {
    let Some(stage) = Stage::started() else {
        return;
    };
    let lines = stage.run(&["tokenctl", "integrate", "systemd", IT]);
    let unit =
        lines.line().unwrap() + &format!("\nUser={CLIENT}\nType=oneshot\nRemainAfterExit=yes\n");
    let path = "/etc/systemd/system/report.service";
    stage.machine.put(path, &unit, "644").unwrap();
    let report = "#!/bin/sh\nprintf %s \"$ACCESS_TOKEN\" > /tmp/reported\n";
    stage
        .machine
        .put("/usr/local/bin/report", report, "755")
        .unwrap();
    stage.systemctl(&["daemon-reload"]);
    let reported = || stage.run(&["cat", "/tmp/reported"]).out;
    stage.systemctl(&["start", "report.service"]);
    assert_eq!(reported(), stage.get());
    // The next token, after a refusal.
    let reject = format!("tokenctl get {IT} | tokenctl reject {IT}");
    let said = stage
        .machine
        .run_as(CLIENT, &["sh", "-c", &reject])
        .unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    let before = reported();
    stage.systemctl(&["restart", "report.service"]);
    assert_eq!(reported(), stage.get());
    assert_ne!(reported(), before);
    // An account that needs a login: the program is not started, and the journal says what to do.
    stage.run(&["rm", "/tmp/reported"]);
    stage.machine.put(SECRET, "wrong", "600").unwrap();
    stage
        .machine
        .shell(&format!("chown tokend: {SECRET}"))
        .unwrap();
    stage.sim.end_refresh(IT);
    let said = stage
        .machine
        .run_as(CLIENT, &["sh", "-c", &reject])
        .unwrap();
    assert_eq!(said.code, Some(79), "{said:?}");
    let said = stage.run(&["systemctl", "restart", "report.service"]);
    assert_ne!(said.code, Some(0), "{said:?}");
    let code = || stage.machine.property("report.service", "ExecMainStatus");
    assert_eq!(code().unwrap(), "79");
    assert_eq!(reported(), "");
    let advice = format!("correct the password that [account.{IT}] refers to");
    let journal = stage.machine.journal("report.service").unwrap();
    assert!(journal.contains(&advice), "{journal}");
}
