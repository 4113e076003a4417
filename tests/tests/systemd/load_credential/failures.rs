//! Units whose token does not come for a reason that passes: no place at the daemon, a provider that wants time.

use tokend_provider_simulator::fault::RetryAfter;

use super::*;

/// Takes all places of root, and keeps them. Whoever looks has one for a moment, so it goes on for two seconds.
const HOLD: &str = r#"
import socket, time
held = []
for _ in range(40):
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    one.connect("/run/tokend/tokend.sock")
    held.append(one)
    time.sleep(0.05)
time.sleep(600)
"#;

#[test]
fn a_unit_does_not_start_without_a_place_or_while_its_provider_wants_time() {
    let Some(stage) = Stage::listening() else {
        return;
    };
    let limits = "\n[limits]\nconnections_per_user = 2\nframe_timeout = \"10m\"\n";
    let path = "/etc/tokend/tokend.toml";
    let text = stage.run(&["cat", path]).out + limits;
    stage.machine.put(path, &text, "644").unwrap();
    stage.unit("report.service", "");
    stage.machine.put("/srv/hold.py", HOLD, "644").unwrap();
    let hold = [
        "systemd-run",
        "--unit",
        "hold.service",
        "python3",
        "/srv/hold.py",
    ];
    assert_eq!(stage.run(&hold).code, Some(0));
    stage.wait("the places to be taken", || {
        stage.run(&["tokenctl", "whoami"]).code == Some(75)
    });
    let journal = stage.fails("report.service");
    assert!(
        journal.contains("user 0 has 2 connections open"),
        "{journal}"
    );
    stage.systemctl(&["stop", "hold.service"]);
    stage.wait("a place", || {
        stage.run(&["tokenctl", "whoami"]).code == Some(0)
    });

    // Longer than a unit waits.
    let retry_after = Some(RetryAfter::Seconds(120));
    let throttled = FaultKind::Throttled { retry_after };
    stage.sim.fail(Rule::once(IT, Fault::before(throttled)));
    let journal = stage.fails("report.service");
    let line = "a credential was refused: it of report.service, which does not start: ";
    let line = journal.lines().find(|it| it.contains(line));
    assert!(line.is_some_and(|it| it.contains("busy")), "{journal}");
    assert_eq!(stage.requests(), 1);
}
