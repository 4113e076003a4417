//! No secret appears where it does not belong: not in the log, not in the state directory, not on standard error.

use std::{fs, path::Path};

use tokend_provider_simulator::{
    fault::{Fault, FaultKind, Rule},
    spec::{AccountSpec, Api},
};
use tokend_tests::secrecy::{Search, found};

use crate::stage::{FAST, Stage};

fn everything_under(directory: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            bytes.extend(fs::read(path).unwrap());
        }
    }
    bytes
}

#[test]
fn no_secret_reaches_log_error_or_disk() {
    let stage = Stage::new(AccountSpec::four(), FAST);
    let mut text = fs::read_to_string(stage.site.configuration()).unwrap();
    text.insert_str(
        0,
        "[log]\nlevel = \"trace\"\n[audit]\nfile = \"audit.jsonl\"\n",
    );
    fs::write(stage.site.configuration(), text).unwrap();
    let daemon = stage.site.start().unwrap();
    let mut said = String::new();
    for AccountSpec { name, .. } in AccountSpec::four() {
        let token = stage.site.get(&name).unwrap();
        said += &stage.reject(&name, &token).err;
        said += &stage.site.tokenctl(&["status", &name]).unwrap().out;
    }
    // FastAPI repeats the request, the refresh token included.
    stage.sim.deploy(Api::AdVerification, |it| {
        it.refresh_key = "another".to_owned()
    });
    said += &stage.site.tokenctl(&["refresh", "ads"]).unwrap().err;
    // A server that shows its database's error: the tokens it issued, and the credential that was sent.
    let secrets = stage.sim.secrets();
    let passwords = [
        stage.sim.accounts().remove(0).password,
        stage.sim.accounts().remove(3).password,
    ];
    let shown: Vec<_> = secrets
        .iter()
        .filter(|it| !passwords.contains(&Some((*it).clone())))
        .collect();
    for (name, status) in [("jwt", 500), ("firebase", 400), ("partner", 500)] {
        let detail = format!("UNIQUE constraint failed: {shown:?}");
        let sql = serde_json::json!({ "detail": detail }).to_string();
        stage.sim.fail(Rule::once(
            name,
            Fault::before(FaultKind::json(status, &sql)),
        ));
        said += &stage.site.tokenctl(&["refresh", name]).unwrap().err;
        said += &stage.site.tokenctl(&["status", name]).unwrap().out;
        said += &stage
            .site
            .tokenctl(&["status", name, "--json"])
            .unwrap()
            .out;
    }
    assert!(daemon.terminate().unwrap().success());

    let secrets = stage.sim.secrets();
    assert!(secrets.len() >= 12);
    let log = stage.site.log().unwrap();
    assert!(
        log.contains("refresh") && log.contains("firebase"),
        "the attempts are logged: {log}"
    );
    assert_eq!(found(&log, &secrets), [""; 0], "in the log");
    let audit = fs::read_to_string(stage.site.path().join("audit.jsonl")).unwrap();
    assert!(audit.contains("release") && audit.contains("firebase"));
    assert_eq!(found(&audit, &secrets), [""; 0], "in the audit records");
    assert_eq!(found(&said, &secrets), [""; 0], "in what tokenctl said");
    let disk = everything_under(&stage.site.state());
    assert_eq!(Search::of(&secrets).found(&disk), [""; 0], "on disk");
}

#[test]
fn each_attempt_is_one_line_that_says_what_and_why() {
    let stage = Stage::of(Api::JwtApi);
    let mut text = fs::read_to_string(stage.site.configuration()).unwrap();
    text.insert_str(0, "[log]\nformat = \"json\"\n");
    fs::write(stage.site.configuration(), text).unwrap();
    let daemon = stage.site.start().unwrap();
    let token = stage.site.get("it").unwrap();
    stage.reject("it", &token);
    assert!(daemon.terminate().unwrap().success());
    let log = stage.site.log().unwrap();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of_kind = |kind: &str| {
        let quoted = format!("\"{kind}\"");
        let found = lines.iter().filter(|line| {
            let line = line.to_string();
            line.contains("\"it\"") && line.contains(&quoted)
        });
        found.count()
    };
    assert_eq!((of_kind("login"), of_kind("refresh")), (1, 1), "{log}");
}
