//! The audit records of all events, compared with the document that describes them.

use std::{collections::BTreeMap, fs, time::Duration};

use rustix::process::{Signal, getegid, geteuid};
use serde_json::Value;
use tokend_harness::{
    Said,
    clock::{PATIENCE, wait_until},
};
use tokend_provider_simulator::{Configuration, fault::Fault, spec::Api};

use crate::stage::{FAST, Stage, account, slow};

/// The rows of the tables of `AUDIT.md` whose first cell is a name.
fn rows(section: &str) -> BTreeMap<String, Vec<String>> {
    let text = include_str!("../../../daemon/AUDIT.md");
    let (_, rest) = text.split_once(&format!("\n## {section}\n")).unwrap();
    let table = rest.split("\n## ").next().unwrap();
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim_matches('|');
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let mut cells = cells(line);
            (cells.remove(0).trim_matches('`').to_owned(), cells)
        })
        .collect()
}

fn records(stage: &Stage) -> Vec<Value> {
    records_in(stage, "audit.jsonl")
}

fn records_in(stage: &Stage, file: &str) -> Vec<Value> {
    let text = fs::read_to_string(stage.site.path().join(file)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn audited(preamble: &str) -> Stage {
    let stage = Stage::of(Api::JwtApi);
    let mut configuration = Configuration::of(&stage.sim).everywhere(FAST).account(
        account("theirs", Api::JwtApi),
        &stage.sim.base_url(Api::JwtApi),
        "allow = [{ user = 4242 }]",
    );
    configuration.preamble = format!("[audit]\nfile = \"audit.jsonl\"\n{preamble}");
    configuration.write(stage.site.path()).unwrap();
    stage
}

fn count(records: &[Value], event: &str, outcome: &str) -> usize {
    let is = |record: &&Value| record["event"] == event && record["outcome"] == outcome;
    records.iter().filter(is).count()
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one step for each kind of record, on one daemon"
)]
fn records_are_as_documented() {
    let stage = audited("");
    let daemon = stage.site.start().unwrap();
    let site = &stage.site;
    let token = site.get("it").unwrap();
    assert_eq!(site.get("it").unwrap(), token);
    let newer = stage.reject("it", &token).line().unwrap();
    assert_eq!(
        site.tokenctl(&["get", "it", "--min-validity", "1s"])
            .unwrap()
            .code,
        Some(0)
    );
    assert_eq!(
        site.tokenctl(&["get", "it", "--min-validity", "29d"])
            .unwrap()
            .code,
        Some(78)
    );
    assert_eq!(
        site.tokenctl(&["refresh", "it", "--print"]).unwrap().code,
        Some(0)
    );
    for _ in 0..3 {
        assert_eq!(site.tokenctl(&["get", "theirs"]).unwrap().code, Some(77));
    }
    assert_eq!(site.tokenctl(&["get", "nobodys"]).unwrap().code, Some(78));
    let wrong = site
        .tokenctl_with(&["login", "it"], "wrong-password\n")
        .unwrap();
    assert_ne!(wrong.code, Some(64), "{wrong:?}");
    assert_eq!(site.tokenctl(&["reload"]).unwrap().code, Some(0));
    let good = fs::read_to_string(site.configuration()).unwrap();
    fs::write(site.configuration(), format!("nonsense = 1\n{good}")).unwrap();
    assert_eq!(site.tokenctl(&["reload"]).unwrap().code, Some(78));
    fs::write(site.configuration(), good).unwrap();
    daemon.signal(Signal::HUP).unwrap();
    wait_until("the signal to be recorded", PATIENCE, || {
        records(&stage).iter().any(|it| it["request"] == "signal")
    })
    .unwrap();
    assert_eq!(
        site.tokenctl(&["forget", "--yes", "it"]).unwrap().code,
        Some(0)
    );
    assert!(daemon.terminate().unwrap().success());

    let mut found = records(&stage);
    let denied = records_in(&stage, "audit.jsonl.denied");
    for series in [&found, &denied] {
        let seqs: Vec<_> = series
            .iter()
            .map(|it| it["seq"].as_u64().unwrap())
            .collect();
        let expected: Vec<_> = (1..).take(seqs.len()).collect();
        assert_eq!(seqs, expected, "no gap");
        assert!(series.iter().all(|it| it["run"] == series[0]["run"]));
    }
    assert!(
        denied.iter().all(|it| it["event"] == "denial"),
        "{denied:#?}"
    );
    let counts: Vec<_> = denied
        .iter()
        .filter(|it| it["account"] == "theirs")
        .map(|it| it["count"].as_u64())
        .collect();
    assert_eq!(counts, [None, Some(2)]);
    found.extend(denied);
    let (fields, events) = (rows("Fields"), rows("Events"));
    assert!(fields.len() >= 20 && events.len() >= 10);
    for record in &found {
        let record = record.as_object().unwrap();
        let event = record["event"].as_str().unwrap();
        assert!(events.contains_key(event), "{event} is not documented");
        for (name, value) in record {
            let row = fields.get(name);
            let row = row.unwrap_or_else(|| panic!("{name} is not documented: {record:?}"));
            let kind = match value {
                Value::String(_) => "string",
                Value::Bool(_) => "boolean",
                Value::Number(number) if number.is_u64() => "integer",
                other => panic!("{name}: {other}"),
            };
            assert_eq!(kind, row[0], "{name}");
            let here = row[1] == "all" || row[1].split(' ').any(|it| it == event);
            assert!(here, "{name} is not documented for {event}: {record:?}");
        }
        for (name, _) in fields.iter().filter(|(_, row)| row[1] == "all") {
            assert!(record.contains_key(name), "{name} is missing: {record:?}");
        }
        if event == "release" {
            for name in [
                "uid", "gid", "pid", "rule", "token", "grant", "request", "account",
            ] {
                assert!(record.contains_key(name), "{name} is missing: {record:?}");
            }
        }
    }
    let of = |event, outcome| count(&found, event, outcome);
    assert_eq!(of("start", "ok"), 1);
    assert_eq!(of("stop", "ok"), 1);
    assert_eq!(of("release", "ok"), 5, "{found:#?}");
    assert_eq!(of("denial", "not-allowed"), 2);
    assert_eq!(of("denial", "unknown-account"), 1);
    assert_eq!(of("failure", "validity-unattainable"), 1);
    assert_eq!(of("refresh", "ok"), 1);
    assert_eq!(of("forget", "ok"), 1);
    assert_eq!(of("reload", "ok"), 2);
    assert_eq!(of("reload", "reload-failed"), 1);
    assert_eq!(found.iter().filter(|it| it["event"] == "login").count(), 1);
    let attempts = found.iter().filter(|it| it["event"] == "attempt");
    assert_eq!(attempts.count(), stage.sim.log("it").token_requests());

    let marks: Vec<_> = found
        .iter()
        .filter(|it| it["event"] == "release")
        .map(|it| it["token"].as_str().unwrap())
        .collect();
    assert_eq!(marks[0], marks[1], "the same token");
    assert_ne!(marks[1], marks[2], "the one that came for the rejected");
    assert_eq!(marks[2], marks[3]);
    let text = fs::read_to_string(stage.site.path().join("audit.jsonl")).unwrap();
    for secret in stage.sim.secrets().iter().chain([&token, &newer]) {
        assert!(!text.contains(secret.as_str()));
    }
}

#[test]
fn the_fingerprint_of_a_token_outlives_the_daemon() {
    let stage = audited("events = [\"release\"]\n");
    for _ in 0..2 {
        let daemon = stage.site.start().unwrap();
        stage.site.get("it").unwrap();
        assert!(daemon.terminate().unwrap().success());
    }
    let found = records(&stage);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert_eq!(found[0]["token"], found[1]["token"]);
    assert_ne!(found[0]["run"], found[1]["run"]);
    assert_eq!(found[1]["seq"], 1);
}

/// Applies rules for `it` while a `get` of it waits; returns the output of the `get`.
fn overtaken(before: &str, after: &str) -> (Stage, Said) {
    let stage = Stage::of(Api::JwtApi);
    let configure = |rules: &str| {
        let lines = format!("{FAST}allow = [{rules}]\n");
        let mut configuration = Configuration::of(&stage.sim).everywhere(&lines);
        configuration.preamble = "[audit]\nfile = \"audit.jsonl\"\n".to_owned();
        configuration.write(stage.site.path()).unwrap();
    };
    configure(before);
    let daemon = stage.site.start().unwrap();
    stage.once(Fault::before(slow(Duration::from_secs(3))));
    let said = std::thread::scope(|scope| {
        let get = scope.spawn(|| stage.site.tokenctl(&["get", "it"]).unwrap());
        wait_until("the request to wait", PATIENCE, || {
            let status = stage.site.tokenctl(&["status", "it", "--json"]);
            status
                .unwrap()
                .out
                .replace(' ', "")
                .contains("\"waiters\":1")
        })
        .unwrap();
        configure(after);
        let reload = stage.site.tokenctl(&["reload"]).unwrap();
        assert_eq!(reload.code, Some(0), "{reload:?}");
        get.join().unwrap()
    });
    // Denials are counted, and written when their minute is over or the daemon ends.
    assert!(daemon.terminate().unwrap().success());
    (stage, said)
}

/// Its user has no other right: being the daemon's own user gives no right to tokens.
fn only(what: &str) -> String {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    match what {
        "group" => format!("{{ group = {gid} }}"),
        "user" => format!("{{ user = {uid} }}"),
        _ => format!("{{ user = {uid}, may = [\"status\"] }}"),
    }
}

#[test]
fn a_right_taken_away_while_a_get_waits_is_gone_when_the_token_comes_and_that_is_recorded() {
    let (stage, said) = overtaken(&only("user"), &only("status"));
    assert_eq!(said.code, Some(77), "{said:?}");
    assert_eq!(said.out, "");
    let records = records(&stage);
    assert_eq!(count(&records, "release", "ok"), 0);
    let denied = records_in(&stage, "audit.jsonl.denied");
    assert_eq!(count(&denied, "denial", "not-allowed"), 1);
}

#[test]
fn the_record_of_a_release_names_the_rule_that_was_in_force_then() {
    let (stage, said) = overtaken(&only("user"), &only("group"));
    assert_eq!(said.code, Some(0), "{said:?}");
    let records = records(&stage);
    let release = records.iter().find(|it| it["event"] == "release").unwrap();
    assert_eq!(release["rule"], only("group").as_str());
}

#[test]
fn a_file_that_cannot_be_trusted_is_refused_at_start_and_at_a_reload() {
    let stage = audited("");
    let file = stage.site.path().join("audit.jsonl");
    std::os::unix::fs::symlink("/dev/null", &file).unwrap();
    let refused = stage.site.start().unwrap_err().to_string();
    assert!(refused.contains("symbolic link"), "{refused}");
    fs::remove_file(&file).unwrap();
    let _daemon = stage.site.start().unwrap();
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/null", &file).unwrap();
    let said = stage.site.tokenctl(&["reload"]).unwrap();
    assert_eq!(said.code, Some(78), "{said:?}");
    assert!(said.err.contains("symbolic link"), "{said:?}");
    stage.site.get("it").unwrap();
}
