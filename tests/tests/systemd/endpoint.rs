//! `tokend-endpoint@.service`: a token for the SDK of one user's service, on a port that systemd holds.

use tokend_harness::clock::{PATIENCE, wait_until};

use super::stage::{CLIENT, IT, STRANGER, Stage};
use tokend_tests::systemd;

const ENVIRONMENT: &str = "/run/tokend-endpoint/report/environment";

/// A request as azure-identity makes it, by the variables of the environment file; prints status and body.
const ASK: &str = r#"set -a; . "$1" || exit 1; set +a
printf 'X-IDENTITY-HEADER: %s\n' "$IDENTITY_HEADER" | curl -s -w '\n%{http_code}' -H @- \
  "$IDENTITY_ENDPOINT?api-version=2019-08-01&resource=https://api.example.com""#;

impl Stage {
    fn ask_as(&self, user: &str, environment: &str) -> String {
        let ask = ["sh", "-c", ASK, "ask", environment];
        self.machine.run_as(user, &ask).unwrap().out
    }
}

#[test]
fn an_endpoint_of_a_unit_serves_its_user_alone_over_a_restart() {
    let Some(stage) = Stage::started() else {
        return;
    };
    // As the guide has it, for this user and account.
    let guide = std::fs::read_to_string(systemd::unit_files().join("README.md")).unwrap();
    let script = guide
        .split("```console\n")
        .find(|block| block.contains("tokend-endpoint@report.socket.d"))
        .and_then(|block| block.split("```").next())
        .unwrap();
    let script = script
        .replace("$ sudo ", "")
        .replace("User=report", &format!("User={CLIENT}"))
        .replace("azure ads", &format!("azure {IT}"));
    stage.machine.shell(&script).unwrap();
    let token = stage.get();
    let served = stage.ask_as(CLIENT, ENVIRONMENT);
    assert!(
        served.contains(&token) && served.ends_with("200"),
        "{served}"
    );
    // Another user cannot read the secret, and has no use of it.
    assert_eq!(stage.ask_as(STRANGER, ENVIRONMENT), "");
    stage
        .machine
        .shell(&format!("install -m 644 {ENVIRONMENT} /tmp/stolen"))
        .unwrap();
    let refused = stage.ask_as(STRANGER, "/tmp/stolen");
    assert!(
        !refused.contains(&token) && refused.ends_with("403"),
        "{refused}"
    );
    // A program that has the secret goes on over a restart and a crash.
    let unit = "tokend-endpoint@report.service";
    stage.systemctl(&["restart", unit]);
    let served = stage.ask_as(CLIENT, "/tmp/stolen");
    assert!(served.ends_with("200"), "{served}");
    stage
        .machine
        .shell(&format!("systemctl kill --signal=KILL {unit}"))
        .unwrap();
    wait_until("its next start", PATIENCE, || {
        stage.ask_as(CLIENT, "/tmp/stolen").ends_with("200")
    })
    .unwrap();
    // A stop ends the secret.
    stage.systemctl(&["stop", unit]);
    assert_ne!(stage.run(&["test", "-e", ENVIRONMENT]).code, Some(0));
    stage.systemctl(&["start", unit]);
    let refused = stage.ask_as(CLIENT, "/tmp/stolen");
    assert!(refused.ends_with("401"), "{refused}");
    elsewhere(&stage, unit);
}

/// A port elsewhere than on this machine is not served.
fn elsewhere(stage: &Stage, unit: &str) {
    let open = "/etc/systemd/system/tokend-endpoint@report.socket.d/port.conf";
    stage
        .machine
        .put(open, "[Socket]\nListenStream=0.0.0.0:7201\n", "644")
        .unwrap();
    stage.systemctl(&["daemon-reload"]);
    stage.systemctl(&["stop", "tokend-endpoint@report.socket", unit]);
    stage.systemctl(&["start", "tokend-endpoint@report.socket"]);
    assert_ne!(stage.run(&["systemctl", "start", unit]).code, Some(0));
    let journal = stage.machine.journal(unit).unwrap();
    assert!(
        journal.contains("no address of this machine alone"),
        "{journal}"
    );
}
