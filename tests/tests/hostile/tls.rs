//! Certificates that must not be believed. The password goes to nobody who cannot show who they are.

use std::{fs, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::{
    raw::{Raw, reply},
    scene::{FAST, Scene},
};

const GOOD: &[u8] = br#"{"access_token":"good","token_type":"bearer","expires_in":3600}"#;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A provider that shows this certificate and gives a token to whoever believes it.
fn provider(name: &str, authority: &Authority, change: impl FnOnce(&mut CertificateParams)) -> Raw {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    change(&mut params);
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    Raw::start(move |talk| {
        use std::io::{Read as _, Write as _};
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tls = StreamOwned::new(connection, talk.stream.try_clone().unwrap());
        let mut request = [0; 4096];
        // Nothing is counted before a request came through the handshake.
        if matches!(tls.read(&mut request), Ok(1..)) {
            talk.count();
            drop(tls.write_all(&reply("200 OK", "", GOOD)));
            tls.conn.send_close_notify();
            drop(tls.flush());
        }
    })
}

#[test]
fn a_certificate_that_does_not_hold_gets_no_password() {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let believed = provider("localhost", &ours, |_| {});
    let refused = [
        (
            "expired",
            "xpired",
            provider("localhost", &ours, |it| {
                it.not_after = date_time_ymd(2020, 1, 1)
            }),
        ),
        (
            "early",
            "valid",
            provider("localhost", &ours, |it| {
                it.not_before = date_time_ymd(4000, 1, 1)
            }),
        ),
        (
            "mismatch",
            "name",
            provider("accounts.example.com", &ours, |_| {}),
        ),
        ("unknown", "ssuer", provider("localhost", &theirs, |_| {})),
    ];
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
    let daemon = tokend_tests::harness::Daemon::spawn(&scene.site).unwrap();
    assert_eq!(daemon.wait().unwrap().code(), Some(78));
    assert!(scene.site.log().unwrap().contains("https"));
}
