//! Certificates that must not be trusted. The password is sent only to a provider that proves who it is.

use std::fs;

use tokend_harness::hostile::tls::{authority, provider, unbelieved};

use crate::{
    raw::Raw,
    scene::{FAST, Scene},
};

#[test]
fn a_certificate_that_does_not_hold_gets_no_password() {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let believed = provider("localhost", &ours, |_| {});
    let refused = unbelieved(&ours, &theirs);
    let garbage = Raw::saying(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]);
    let mut accounts: Vec<_> = refused
        .iter()
        .map(|(name, _, raw)| (*name, raw.https()))
        .collect();
    accounts.push(("believed", believed.https()));
    accounts.push(("plain", garbage.https()));
    let preamble = "[http]\ntimeout = \"5s\"\nextra_ca = \"ca.pem\"\n";
    let scene = Scene::new(preamble, FAST, &accounts);
    fs::write(scene.site.path().join("ca.pem"), ours.pem()).unwrap();
    let _daemon = scene.site.start().unwrap();

    assert_eq!(
        scene.site.get("believed").unwrap(),
        "good",
        "the others fail for their own reasons"
    );
    for (name, word, raw) in &refused {
        let said = scene.site.tokenctl(&["get", name]).unwrap();
        assert_eq!(said.code, Some(75), "{name}: {said:?}");
        assert!(
            said.err.contains("certificate") && said.err.contains(word),
            "{name}: {said:?}"
        );
        assert_eq!(raw.requests(), 0, "{name}: nothing was sent");
        let status = scene.site.status(name).unwrap();
        assert_eq!(
            status["problem"]["code"], "provider-unreachable",
            "{name}: not in doubt: {status}"
        );
    }
    let said = scene.site.tokenctl(&["get", "plain"]).unwrap();
    assert_eq!(said.code, Some(75), "{said:?}");
    scene.well();
}

#[test]
fn a_password_never_leaves_unencrypted_for_another_host() {
    let scene = Scene::new(
        "",
        FAST,
        &[("far", "http://accounts.example.com".to_owned())],
    );
    let daemon = tokend_harness::Daemon::spawn(&scene.site).unwrap();
    assert_eq!(daemon.wait().unwrap().code(), Some(78));
    assert!(scene.site.log().unwrap().contains("https"));
}
