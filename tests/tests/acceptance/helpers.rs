//! Helpers against a real daemon: another user, another address, and a provider that is away, in the words of each protocol.
//!
//! The programs that start them are run in `consumers`.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output, Stdio},
};

use tokend_harness::demand::{carried_out, root};
use tokend_provider_simulator::{
    Configuration,
    fault::{Fault, FaultKind, Rule},
    spec::Api,
};

use crate::policy::command_of;
use crate::stage::{FAST, ON_DEMAND, Stage};

/// A user that no machine has.
const STRANGER: &str = "4001";

/// An account for one address, of root only.
fn stage() -> Stage {
    let stage = Stage::on_demand(Api::JwtApi);
    let lines = format!(
        "{FAST}{ON_DEMAND}\nallow = [{{ user = 0 }}]\n[account.it.api]\nurls = \"https://a.example.com\""
    );
    let configuration = Configuration::of(&stage.sim).everywhere(&lines);
    configuration.write(stage.site.path()).unwrap();
    // Others than the owner have to come to the program and the socket.
    fs::set_permissions(stage.site.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = stage.site.path().join("tokenctl");
    fs::copy(&stage.site.binaries().tokenctl, copy).unwrap();
    stage
}

/// Runs a helper, as another user if that is told.
fn helper(stage: &Stage, stranger: bool, words: &[&str], input: &str) -> Output {
    let tokenctl = stage.site.path().join("tokenctl");
    let mut command = match stranger {
        true => {
            let mut command = command_of(STRANGER);
            command.arg(tokenctl);
            command
        }
        false => Command::new(tokenctl),
    };
    let mut started = command
        .arg("helper")
        .args(words)
        .env("TOKEND_SOCKET", stage.site.socket())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A helper that reads nothing may have ended.
    drop(started.stdin.take().unwrap().write_all(input.as_bytes()));
    started.wait_with_output().unwrap()
}

/// What a helper prints about an address: cargo, terraform, keyring.
fn said(stage: &Stage, stranger: bool, host: &str) -> [(Option<i32>, String); 3] {
    let cargo = format!(
        "{{\"v\":1,\"kind\":\"get\",\"operation\":\"read\",\"registry\":{{\"index-url\":\"sparse+https://{host}/\"}},\"args\":[]}}\n"
    );
    let url = format!("https://{host}/simple/");
    let asked = [
        (&["cargo", "--cargo-plugin"][..], cargo.as_str()),
        (&["terraform", "get", host], ""),
        (&["keyring", "get", &url, "me"], ""),
    ];
    asked.map(|(words, input)| {
        let output = helper(stage, stranger, words, input);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), printed)
    })
}

const NOTHING: [(Option<i32>, &str); 3] = [
    (
        Some(0),
        "{\"v\":[1]}\n{\"Err\":{\"kind\":\"url-not-supported\"}}\n",
    ),
    (Some(0), "{}\n"),
    (Some(1), ""),
];

#[test]
fn another_user_and_another_address_get_nothing_by_a_helper() {
    if !carried_out("helpers of another user", root()) {
        return;
    }
    let stage = stage();
    let _daemon = stage.site.start().unwrap();
    let nothing = NOTHING.map(|(code, text)| (code, text.to_owned()));
    assert_eq!(said(&stage, true, "a.example.com"), nothing);
    assert_eq!(said(&stage, false, "b.example.com"), nothing);
    assert_eq!(stage.requests(), 0);
    for (code, printed) in said(&stage, false, "a.example.com") {
        let token = stage.sim.newest_access("it").unwrap();
        assert!(code == Some(0) && printed.contains(&token), "{printed}");
    }
    assert_eq!(stage.requests(), 1);
}

#[test]
fn a_helper_gives_no_token_while_the_provider_is_away() {
    if !carried_out("helpers of root", root()) {
        return;
    }
    let stage = stage();
    let _daemon = stage.site.start().unwrap();
    stage
        .sim
        .fail(Rule::once("it", Fault::before(FaultKind::Reset)).forever());
    let [cargo, terraform, keyring] = said(&stage, false, "a.example.com");
    assert!(
        cargo.0 == Some(0) && cargo.1.contains("\"kind\":\"other\""),
        "{cargo:?}"
    );
    assert!(!cargo.1.contains("Bearer"), "{cargo:?}");
    let later = (Some(75), String::new());
    assert_eq!([terraform, keyring], [later.clone(), later]);
}
